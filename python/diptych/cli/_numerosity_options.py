"""Options that the commands of the number sense have in common, and what they all end with."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from diptych.cli._report import repeat_command

if TYPE_CHECKING:
    from diptych.numerosity import NumberLine, NumberNet

Dataset = Annotated[
    Literal["A", "B", "jitter", "imprecise"],
    typer.Option(help="Scenes: of like objects, of varied ones, ..."),
]
Seed = Annotated[int, typer.Option(help="The result is the same for a seed.")]
Device = Annotated[str | None, typer.Option(help="Where to compute, e.g. cuda.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with what --out holds.")]
Highest = Annotated[int, typer.Option(help="Scenes have 0 to so many objects.")]
Each = Annotated[int, typer.Option(help="Scenes of each count.")]
Actions = Annotated[int, typer.Option(help="Actions to name.")]
Limit = Annotated[int, typer.Option(help="Most objects in a scene of these.")]
BatchSize = Annotated[int, typer.Option(help="Scenes in a forward pass.")]
Reference = Annotated[int, typer.Option(help="Count that others are compared to for the Weber fraction.")]
MinClusterSize = Annotated[int, typer.Option(help="Scenes of the smallest island.")]

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace --out.")]

#: The result itself beside its page.
LINE = "number_line.npz"


def read_net(path: Path) -> "NumberNet":
    """A network, from its file or from the folder of its training."""
    from diptych.numerosity import NumberNet
    from diptych.numerosity.train import NET

    return NumberNet.load(path / NET if path.is_dir() else path)


def show(line: "NumberLine", out: Path) -> None:
    """Print what was found, write its page, and keep the result beside it."""
    from diptych.report import write

    console = Console()
    console.print(line.summary(), markup=False, highlight=False, soft_wrap=True)
    folder = write(line, out, command=repeat_command(), overwrite=True)
    line.save(folder / LINE)
    console.print(f"\nReport: {folder / 'index.html'}", markup=False, highlight=False, soft_wrap=True)
