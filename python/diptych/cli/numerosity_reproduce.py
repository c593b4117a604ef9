"""``diptych numerosity reproduce``: the chapter's networks again, beside what the thesis found of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from diptych.cli._numerosity_options import Stem
from diptych.cli._options import Device, Resume
from diptych.cli._report import repeat_command, say

if TYPE_CHECKING:
    from diptych.numerosity import Study

# Folder of the page in that of the study.
_REPORT = "report"


def reproduce(
    out: Annotated[Path, typer.Option(help="Folder for networks, tables and the page.")],
    budget: Annotated[
        Literal["small", "single", "full"],
        typer.Option(
            help="small: 20 minutes on two cores; single: one seed at the thesis' length, 90 minutes; "
            "full: 30 seeds and all variations, for a GPU."
        ),
    ] = "small",
    stem: Stem = None,
    device: Device = None,
    resume: Resume = False,
) -> None:
    """Train the study's networks, test them on up to 30 objects, and compare with the thesis."""
    # What the page is made with is looked for before the work.
    from diptych import report
    from diptych.numerosity import reproduce as study

    found = study(out, budget=budget, stem=stem, device=device, resume=resume)
    page = report.write(found, out / _REPORT, command=repeat_command(), overwrite=True)
    say(f"stem of all networks: {found.stem}")
    Console().print(_table(found))
    say(f"\nReport: {page / 'index.html'}")


def _table(found: "Study") -> Table:
    table = Table("scenes", "the thesis", "wanted", "found", "", title="Beside the thesis")
    for each in found.claims:
        seeds = f" ({each.reached} of {each.seeds} seeds)" if each.seeds > 1 else ""
        verdict = ("reached" if each.holds else "not reached") + seeds
        table.add_row(each.runs, each.claim, each.wanted, f"{each.found:.3g}", verdict)
    return table
