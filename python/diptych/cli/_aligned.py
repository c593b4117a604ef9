"""Several alignments in one command: a report each, and a table that puts them side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from diptych.cli._report import check_report, say

_SHOWN = 3
_COLUMNS = ("CKA", "BSR A", "BSR B", "raw BSR A", "raw BSR B")


def check_reports(out: Path, aligns: Sequence[str], overwrite: bool) -> None:
    """Stop before the work when the report, or one of several in folders of ``out``, could not be written.

    Raises:
        FileExistsError: A folder exists and may not be replaced, or ``out`` holds other files.
        ModuleNotFoundError: The packages of the report extra are not installed.
    """
    from diptych.rdx.aligned import ALIGNS, place_of

    if len(aligns) > 1 and out.exists():
        if not overwrite:
            raise FileExistsError(
                f"{out}: exists already; choose another --out, or --overwrite to replace its reports"
            )
        if not out.is_dir():
            raise FileExistsError(f"{out}: is not a folder, and is not overwritten")
        others = sorted(
            path.name for path in out.iterdir() if path.name not in ALIGNS and path.name[0] != "."
        )
        if others:
            raise FileExistsError(
                f"{out}: holds files that are not of reports by alignment ({', '.join(others[:_SHOWN])}), "
                "and is not overwritten"
            )
    for each in aligns:
        check_report(place_of(out, each, aligns), overwrite)


def announce(align: str, results: Mapping[str, Any]) -> None:
    """Say which of several comparisons is told next."""
    if len(results) > 1:
        say(f"\nAlignment {align}")


def print_alignments(results: Mapping[str, Any]) -> None:
    """Print a row for each of several alignments: CKA as compared, and the success rates of both sides."""
    if len(results) == 1:
        return
    table = Table("alignment", *(Column(name, justify="right") for name in _COLUMNS))
    for align, result in results.items():
        cka = result.cka if result.aligned_cka is None else result.aligned_cka
        sides = (result.a, result.b)
        raw = (side.bsr if side.raw_bsr is None else side.raw_bsr for side in sides)
        table.add_row(align, *(f"{value:.3f}" for value in (cka, *(side.bsr for side in sides), *raw)))
    console = Console()
    console.print()
    console.print(table)


def clear_workspaces(workspace: Path, aligns: Sequence[str]) -> None:
    """Remove the jobs whose results are safe elsewhere."""
    from diptych.rdx.aligned import place_of
    from diptych.rdx.checkpoint import clear

    for each in aligns:
        clear(place_of(workspace, each, aligns))
    if workspace.is_dir() and not any(workspace.iterdir()):
        workspace.rmdir()
