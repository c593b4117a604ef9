"""What the commands of RSVC have in common: options, and the opening of images and models."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from diptych.cli._options import LayoutName
from diptych.cli._report import print_notes

if TYPE_CHECKING:
    from diptych.embed import ImageModel, ImageSet

Model1 = Annotated[str, typer.Option(help="timm:NAME.")]
Model2 = Annotated[str, typer.Option(help="timm:NAME, with the same classes.")]
Checkpoint1 = Annotated[Path | None, typer.Option(help="Local weights of model 1.")]
Checkpoint2 = Annotated[Path | None, typer.Option(help="Local weights of model 2.")]
Pretrained = Annotated[bool, typer.Option(help="Without, weights are random.")]
Images = Annotated[Path, typer.Option(help="Folder of images.")]
Layout = Annotated[LayoutName, typer.Option(help="How the folder is laid out.")]
SplitName = Literal["all", "train", "test"]
Split = Annotated[SplitName, typer.Option(help="Of a data set that has it.")]
Classes = Annotated[
    list[str] | None, typer.Option(help="Name or number, or numbers 3,7; may be repeated; default: all.")
]
Out = Annotated[Path, typer.Option(help="Folder for the results.")]
Precision = Annotated[Literal["float32", "bfloat16", "float16"], typer.Option(help="Of the forward passes.")]
BatchSize = Annotated[int, typer.Option(help="Images in a forward pass.")]


def opened(images: Path, layout: LayoutName, split: SplitName = "all") -> "ImageSet":
    """The images of a folder, after saying what was left out.

    Raises:
        FileNotFoundError: As :func:`diptych.embed.read_images`.
        ValueError: As :func:`diptych.embed.read_images`.
    """
    from diptych.embed import read_images

    found = read_images(images, layout=layout, split=split)
    print_notes(found.notes)
    return found


def loaded(
    names: tuple[str, str], checkpoints: tuple[Path | None, Path | None], pretrained: bool
) -> "tuple[ImageModel, ImageModel]":
    """Both models, as :func:`diptych.embed.load_model` makes them."""
    from diptych.embed import load_model

    first, second = (
        load_model(name, checkpoint=checkpoint, pretrained=pretrained)
        for name, checkpoint in zip(names, checkpoints, strict=True)
    )
    return first, second


def classes_given(given: list[str] | None) -> list[str] | None:
    """The classes of a repeated option: several numbers may come in one, 3,7; names may hold commas."""
    if not given:
        return None
    found = []
    for entry in given:
        parts = [part.strip() for part in entry.split(",")]
        found += parts if all(part.isdecimal() for part in parts) else [entry]
    return found
