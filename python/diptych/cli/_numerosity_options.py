"""Options that the commands of the number sense have in common, and what they all end with."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from diptych.cli._report import repeat_command, say

if TYPE_CHECKING:
    from diptych.numerosity import NumberLine, NumberNet, Photographs

Dataset = Annotated[
    Literal["A", "B", "jitter", "jitter-as-printed", "imprecise"],
    typer.Option(help="Scenes: of like objects, of varied ones, ..."),
]
Stem = Annotated[
    Literal["imagenet", "random", "trained"] | None,
    typer.Option(help="First two convolutions; default: imagenet if its weights are at hand, else random."),
]
Objects = Annotated[
    Path | None, typer.Option(help="Folder of photographs of objects, for scenes of these instead.")
]
Backgrounds = Annotated[Path | None, typer.Option(help="Folder of photographs that they are pasted on.")]
Highest = Annotated[int, typer.Option(help="Scenes have 0 to so many objects.")]
Each = Annotated[int, typer.Option(help="Scenes of each count.")]
Actions = Annotated[int, typer.Option(help="Actions to name.")]
Limit = Annotated[
    int | None, typer.Option(help="Most objects in a scene of these; default: 8, or what --highest is.")
]
BatchSize = Annotated[int, typer.Option(help="Scenes in a forward pass.")]
Reference = Annotated[int, typer.Option(help="Count that others are compared to for the Weber fraction.")]
MinClusterSize = Annotated[int, typer.Option(help="Scenes of the smallest island.")]

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace --out.")]


def scenes_given(dataset: str, objects: Path | None, backgrounds: Path | None) -> "str | Photographs":
    """The data set of the options: squares by name, or photographs."""
    if objects is None:
        if backgrounds is not None:
            raise ValueError("--backgrounds: expected --objects beside it, found none")
        return dataset
    from diptych.numerosity import Photographs

    return Photographs(objects, backgrounds)


def read_net(path: Path) -> "NumberNet":
    """A network, from its file or from the folder of its training."""
    from diptych.numerosity import NumberNet
    from diptych.numerosity.train import NET

    return NumberNet.load(path / NET if path.is_dir() else path)


def show(line: "NumberLine", out: Path, taught: int | None) -> None:
    """Print what was found and write its page, on which training's limit is a line."""
    from diptych.report import write

    say(line.summary())
    folder = write(line, out, limit=taught, command=repeat_command(), overwrite=True)
    say(f"\nReport: {folder / 'index.html'}")
