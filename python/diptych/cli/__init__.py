"""The command line, ``diptych``: compare two files of embeddings, run the demo and the experiments."""

from diptych.cli.app import main

__all__ = ["main"]
