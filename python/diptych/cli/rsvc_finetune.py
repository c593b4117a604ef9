"""``diptych rsvc finetune``: a model and a folder of images in classes, the model fine-tuned to them out."""

from pathlib import Path
from typing import Annotated

import typer

from diptych.cli._options import Device, LayoutName, Resume, Seed
from diptych.cli._report import say
from diptych.cli._rsvc_options import Classes, Precision, Pretrained, classes_given, opened


def finetune(
    model: Annotated[str, typer.Option(help="timm:NAME.")],
    images: Annotated[Path, typer.Option(help="Folder of images in classes.")],
    out: Annotated[Path, typer.Option(help="Folder for the weights.")],
    layout: Annotated[
        LayoutName,
        typer.Option(
            help="How the folder is laid out; of a data set with splits, the training split is taken."
        ),
    ] = "folder",
    frozen: Annotated[bool, typer.Option("--frozen", help="Train the classifier alone.")] = False,
    checkpoint: Annotated[Path | None, typer.Option(help="Local weights to begin with.")] = None,
    pretrained: Pretrained = True,
    classes: Classes = None,
    validation: Annotated[
        Path | None, typer.Option(help="Folder of images in the same classes; of a data set its test split.")
    ] = None,
    validate: Annotated[
        bool, typer.Option(help="Find the accuracy on the test split of a data set after each epoch.")
    ] = True,
    epochs: Annotated[
        int | None, typer.Option(help="Default: 20; iterations where frozen, at most 1000.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Of the classifier, not where frozen; default: 0.001.")
    ] = None,
    backbone_rate: Annotated[
        float | None, typer.Option(help="Of the other weights, as a share of it; default: 0.1.")
    ] = None,
    weight_decay: Annotated[
        float | None, typer.Option(help="Default: 0.05; where frozen of the squared norm, 0.001.")
    ] = None,
    label_smoothing: Annotated[float, typer.Option(help="Spread over all classes.")] = 0.0,
    crop_area: Annotated[float, typer.Option(help="Least share of an image that is shown.")] = 0.25,
    flip: Annotated[bool, typer.Option(help="Mirror images at random.")] = True,
    seed: Seed = 0,
    device: Device = None,
    precision: Precision = "float32",
    batch_size: Annotated[int, typer.Option(help="Images in a step.")] = 64,
    workers: Annotated[int | None, typer.Option(help="Threads that read images; default: up to 4.")] = None,
    resume: Resume = False,
) -> None:
    """Give a model a classifier for the classes of a folder, and train it, or all of the model's weights."""
    from diptych import rsvc
    from diptych.embed import load_model
    from diptych.embed.layouts import SPLIT_LAYOUTS

    has_splits, held = layout in SPLIT_LAYOUTS, None
    if validation is not None:
        held = opened(validation, "folder")
    elif validate and has_splits:
        held = opened(images, layout, "test")
    found = rsvc.finetune(
        load_model(model, checkpoint=checkpoint, pretrained=pretrained),
        opened(images, layout, "train" if has_splits else "all"),
        out=out,
        frozen=frozen,
        classes=classes_given(classes),
        validation=held,
        epochs=epochs,
        learning_rate=learning_rate,
        backbone_rate=backbone_rate,
        weight_decay=weight_decay,
        label_smoothing=label_smoothing,
        crop_area=crop_area,
        flip=flip,
        seed=seed,
        device=device,
        precision=precision,
        batch_size=batch_size,
        workers=workers,
        resume=resume,
    )
    say(found.summary())
    say(f"\nWeights: {found.weights}")
