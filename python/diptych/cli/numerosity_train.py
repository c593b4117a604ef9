"""``diptych numerosity train``: a network learns to name what is done to a scene."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from diptych.cli._numerosity_options import Backgrounds, Dataset, Objects, Stem, scenes_given
from diptych.cli._options import Device, Resume, Seed
from diptych.cli._report import say


def train(
    out: Annotated[Path, typer.Option(help="Folder for the network.")],
    dataset: Dataset = "B",
    objects: Objects = None,
    backgrounds: Backgrounds = None,
    limit: Annotated[int, typer.Option(help="Most objects in a scene.")] = 3,
    dimension: Annotated[int, typer.Option(help="Width of the embedding, 1 to 256.")] = 2,
    stem: Stem = None,
    normalize: Annotated[bool, typer.Option("--normalize", help="Normalise pixels as for ImageNet.")] = False,
    epochs: Annotated[int, typer.Option(help="How many.")] = 30,
    batches: Annotated[int, typer.Option(help="Steps of an epoch.")] = 30,
    pairs: Annotated[int, typer.Option(help="Actions of a step.")] = 180,
    learning_rate: Annotated[float, typer.Option(help="Adam's.")] = 1e-4,
    patience: Annotated[
        int | None, typer.Option(help="Stop after so many epochs without a lower validation loss.")
    ] = None,
    seed: Seed = 0,
    device: Device = None,
    devices: Annotated[int, typer.Option(help="How many of them.")] = 1,
    precision: Annotated[
        Literal["32-true", "bf16-mixed"], typer.Option(help="Of the convolutions.")
    ] = "32-true",
    resume: Resume = False,
) -> None:
    """Train a network to name what was done between two scenes: objects put, taken or shaken."""
    from diptych.numerosity import train as fit
    from diptych.numerosity.train import NET

    net = fit(
        scenes_given(dataset, objects, backgrounds),
        limit=limit,
        dimension=dimension,
        stem=stem,
        normalize=normalize,
        epochs=epochs,
        batches=batches,
        pairs=pairs,
        learning_rate=learning_rate,
        patience=patience,
        seed=seed,
        device=device,
        devices=devices,
        precision=precision,
        out=out,
        resume=resume,
    )
    last = net.history[-1]
    say(
        f"stem {net.architecture.stem}; after {last.epoch} epochs {last.validation_accuracy:.1%} of other "
        f"actions are named rightly (loss {last.validation_loss:.4f})"
    )
    say(f"\nNetwork: {out / NET}")
