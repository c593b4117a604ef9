"""``diptych rsvc layers``: two models and a folder of images in, the similarity of all their layers out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from diptych._files import atomic_path
from diptych.cli._rsvc_options import classes_given

if TYPE_CHECKING:
    from diptych.rsvc import LayersResult

#: The figure of the matrix.
FIGURE = "matrix.png"


def layers(
    model_1: Annotated[str, typer.Option(help="timm:NAME.")],
    model_2: Annotated[str, typer.Option(help="timm:NAME, with the same classes.")],
    images: Annotated[Path, typer.Option(help="Folder of images.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    layout: Annotated[
        Literal["folder", "nabirds", "stanford-cars"], typer.Option(help="How the folder is laid out.")
    ] = "folder",
    split: Annotated[
        Literal["all", "train", "test"], typer.Option(help="Of a data set that has it.")
    ] = "all",
    checkpoint_1: Annotated[Path | None, typer.Option(help="Local weights of model 1.")] = None,
    checkpoint_2: Annotated[Path | None, typer.Option(help="Local weights of model 2.")] = None,
    pretrained: Annotated[bool, typer.Option(help="Without, weights are random.")] = True,
    layers_1: Annotated[
        list[str] | None,
        typer.Option(help="rsvc, relu, blocks, stages or a module path; may be repeated; default: rsvc."),
    ] = None,
    layers_2: Annotated[list[str] | None, typer.Option(help="The same of model 2.")] = None,
    classes: Annotated[
        list[str] | None, typer.Option(help="Name or number, or numbers 3,7; may be repeated; default: all.")
    ] = None,
    images_per_class: Annotated[int, typer.Option(help="Of each network.")] = 50,
    k: Annotated[int, typer.Option("--k", help="Concepts of each layer and class.")] = 10,
    conventions: Annotated[
        Literal["default", "published-code"], typer.Option(help="Of the patches.")
    ] = "default",
    seed: Annotated[int, typer.Option(help="The result is the same for a seed.")] = 0,
    device: Annotated[str | None, typer.Option(help="Where to compute, e.g. cuda.")] = None,
    precision: Annotated[
        Literal["float32", "bfloat16", "float16"], typer.Option(help="Of the forward passes.")
    ] = "float32",
    batch_size: Annotated[int, typer.Option(help="Images in a forward pass.")] = 64,
    cache: Annotated[
        Path | None, typer.Option(help="Folder to keep activations in, shared by runs; default: forget them.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what --out holds.")] = False,
) -> None:
    """Compare the concepts of all pairs of layers of two image models."""
    from diptych import rsvc
    from diptych.embed import load_model, read_images

    # What draws is looked for before the work.
    from diptych.plots import layer_matrix

    source = read_images(images, layout=layout, split=split)
    first, second = (
        load_model(name, checkpoint=checkpoint, pretrained=pretrained)
        for name, checkpoint in ((model_1, checkpoint_1), (model_2, checkpoint_2))
    )
    result = rsvc.run_layers(
        first,
        second,
        source,
        out=out,
        layers_1=layers_1 or "rsvc",
        layers_2=layers_2 or "rsvc",
        classes=classes_given(classes),
        images_per_class=images_per_class,
        k=k,
        conventions=conventions,
        seed=seed,
        device=device,
        precision=precision,
        batch_size=batch_size,
        cache=cache,
        resume=resume,
    )
    console = Console()
    console.print(result.summary(), markup=False, highlight=False, soft_wrap=True)
    if np.isfinite(result.matrix).any():
        figure = layer_matrix(
            result.matrix, layers_1=result.layers_1, layers_2=result.layers_2, names=result.names
        )
        with atomic_path(out / FIGURE) as temporary:
            figure.savefig(temporary, dpi=150)
        console.print(_table(result))
    console.print(f"\nResults: {out}", markup=False, highlight=False, soft_wrap=True)


def _table(result: "LayersResult") -> Table:
    table = Table(*result.names, "MMCS", title="The most similar layer of each")
    for layer, (match, value) in result.best_matches().items():
        table.add_row(layer, match, f"{value:.3f}")
    return table
