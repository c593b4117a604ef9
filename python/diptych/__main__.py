"""``python -m diptych``: the command line."""

from diptych.cli import main

if __name__ == "__main__":
    main()
