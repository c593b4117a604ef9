"""What the commands that write a report share."""

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

_PROFILE_COLUMNS = ("seconds", "GFLOP/s", "GB/s", "share of limit")


def check_report(out: Path, overwrite: bool) -> None:
    """Stop before the work, not after it, when the report could not be written.

    Raises:
        FileExistsError: The folder exists and may not be replaced.
        ModuleNotFoundError: The packages of the report extra are not installed.
    """
    import diptych.report  # noqa: F401
    from diptych.report.folder import check_target

    if out.exists() and not overwrite:
        raise FileExistsError(f"{out}: exists already; choose another --out, or --overwrite to replace it")
    check_target(out, overwrite)


def check_pictures(images: Any, labels: Any, n: int) -> None:
    """Refuse images and labels that do not fit n items, before the work."""
    from diptych.report.images import load_images
    from diptych.report.labels import load_labels

    if images is not None:
        load_images(images, n)
    if labels is not None:
        load_labels(labels, n)


def repeat_command() -> str:
    """The command line that is running, ready to be pasted into a shell."""
    return shlex.join(["diptych", *sys.argv[1:]])


def say(text: str, *, stderr: bool = False) -> None:
    """Print text as it is: names in it are no markup, and lines are not broken where the terminal ends."""
    Console(stderr=stderr).print(text, markup=False, highlight=False, soft_wrap=True)


def print_notes(notes: Iterable[str]) -> None:
    """Say on stderr what was left out."""
    for note in notes:
        say(note, stderr=True)


def print_profile(result: Any) -> None:
    """Print the parts of the work as a table, longest first."""
    table = Table("part", *(Column(name, justify="right") for name in _PROFILE_COLUMNS))
    for part in result.profile:
        numbers = f"{part.seconds:.2f}", f"{part.gflops:.0f}", f"{part.gigabytes:.1f}", f"{part.share:.0%}"
        table.add_row(part.name, *numbers)
    Console().print(table)


def write_report(result: Any, out: Path, **options: Any) -> None:
    """Print the summary, write the report and say where it is."""
    from diptych import report

    say(result.summary())
    written = report.write(result, out, command=repeat_command(), **options)
    say(f"\nReport: {written / 'index.html'}")
