"""``diptych rdx``: the experiments of the RDX study."""

from pathlib import Path
from typing import Annotated

import typer

from diptych.cli._report import refuse_existing

app = typer.Typer(no_args_is_help=True, help="The experiments of the RDX study (thesis ch. 4).")


@app.callback()
def _group() -> None:
    """Keep ``mnist`` a subcommand while it is the only one."""


@app.command()
def mnist(
    out: Annotated[Path, typer.Option(help="Folder for the tables and the figure.")],
    seeds: Annotated[int, typer.Option(help="Repeat with this many seeds.")] = 1,
    ablations: Annotated[bool, typer.Option(help="Also run every variant of the method.")] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing folder.")] = False,
) -> None:
    """Seven pairs of models with known differences, RDX and all baselines: BSR and run time."""
    refuse_existing(out, overwrite)
