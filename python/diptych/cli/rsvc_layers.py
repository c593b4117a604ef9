"""``diptych rsvc layers``: two models and a folder of images in, the similarity of all their layers out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from diptych._files import atomic_path
from diptych.cli import _rsvc_options as options
from diptych.cli._options import Device, Resume, Seed
from diptych.cli._report import say

if TYPE_CHECKING:
    from diptych.rsvc import LayersResult

#: The figure of the matrix.
FIGURE = "matrix.png"


def layers(
    model_1: options.Model1,
    model_2: options.Model2,
    images: options.Images,
    out: options.Out,
    layout: options.Layout = "folder",
    split: options.Split = "all",
    checkpoint_1: options.Checkpoint1 = None,
    checkpoint_2: options.Checkpoint2 = None,
    pretrained: options.Pretrained = True,
    layers_1: Annotated[
        list[str] | None,
        typer.Option(help="rsvc, relu, blocks, stages or a module path; may be repeated; default: rsvc."),
    ] = None,
    layers_2: Annotated[list[str] | None, typer.Option(help="The same of model 2.")] = None,
    classes: options.Classes = None,
    images_per_class: Annotated[int, typer.Option(help="Of each network.")] = 50,
    k: Annotated[int, typer.Option("--k", help="Concepts of each layer and class.")] = 10,
    conventions: Annotated[
        Literal["default", "published-code"], typer.Option(help="Of the patches.")
    ] = "default",
    seed: Seed = 0,
    device: Device = None,
    precision: options.Precision = "float32",
    batch_size: options.BatchSize = 64,
    cache: Annotated[
        Path | None, typer.Option(help="Folder to keep activations in, shared by runs; default: forget them.")
    ] = None,
    resume: Resume = False,
) -> None:
    """Compare the concepts of all pairs of layers of two image models."""
    from diptych import rsvc

    # What draws is looked for before the work.
    from diptych.plots import layer_matrix

    source = options.opened(images, layout, split)
    first, second = options.loaded((model_1, model_2), (checkpoint_1, checkpoint_2), pretrained)
    result = rsvc.run_layers(
        first,
        second,
        source,
        out=out,
        layers_1=layers_1 or "rsvc",
        layers_2=layers_2 or "rsvc",
        classes=options.classes_given(classes),
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
    say(result.summary())
    if np.isfinite(result.matrix).any():
        figure = layer_matrix(
            result.matrix, layers_1=result.layers_1, layers_2=result.layers_2, names=result.names
        )
        with atomic_path(out / FIGURE) as temporary:
            figure.savefig(temporary, dpi=150)
        Console().print(_table(result))
    say(f"\nResults: {out}")


def _table(result: "LayersResult") -> Table:
    table = Table(*result.names, "MMCS", title="The most similar layer of each")
    for layer, (match, value) in result.best_matches().items():
        table.add_row(layer, match, f"{value:.3f}")
    return table
