"""``diptych tracing fit``: a model learns how learners answer."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from diptych.cli._options import Device, Resume, Seed
from diptych.cli._report import say
from diptych.cli._tracing_options import Answers, Features, Images, read_answers

#: The names of ``diptych.tracing.MODELS``, written out, for help does not wait until torch is imported.
ModelName = Literal[
    "gt_label",
    "static",
    "static_time",
    "direct",
    "direct_y",
    "direct_yz",
    "cls_pred",
    "cls_pred_y",
    "cls_pred_yz",
    "dkt",
    "saint",
    "prototype",
    "prototype_softmax",
    "exemplar",
    "exemplar_softmax",
    "fast_weight",
]


def fit(
    file: Answers,
    out: Annotated[Path, typer.Option(help="Folder for the tracer.")],
    model: Annotated[ModelName, typer.Option(help="Of the learners.")] = "cls_pred_y",
    split: Annotated[
        int, typer.Option(help="Which shuffle of the learners says who trains and who is left for the test.")
    ] = 0,
    images: Images = None,
    features: Features = None,
    extractor: Annotated[
        Literal["known", "head", "resnet18"] | None,
        typer.Option(help="Makes features of images; default: known features if there are, else resnet18."),
    ] = None,
    dimension: Annotated[int, typer.Option(help="Width of features that are learned.")] = 16,
    weights: Annotated[
        str | None,
        typer.Option(help="Of resnet18: imagenet, random, or a local file; default: imagenet if at hand."),
    ] = None,
    hidden: Annotated[
        int | None, typer.Option(help="Width of a recurrent model or transformer; default: 128.")
    ] = None,
    accuracy: Annotated[
        bool, typer.Option("--accuracy", help="Tell the model each class's share of right answers so far.")
    ] = False,
    seconds: Annotated[bool, typer.Option("--seconds", help="Tell the model response times.")] = False,
    epochs: Annotated[int, typer.Option(help="At most.")] = 400,
    patience: Annotated[
        int, typer.Option(help="Stop after so many epochs without a lower validation loss.")
    ] = 35,
    batch_size: Annotated[int, typer.Option(help="Learners of a step.")] = 16,
    learning_rate: Annotated[
        float | None, typer.Option(help="Adam's, of the model; default: what the model has.")
    ] = None,
    seed: Seed = 0,
    device: Device = None,
    resume: Resume = False,
) -> None:
    """Train a model of how learners answer, on some of them; the rest is left for evaluate."""
    from diptych import tracing
    from diptych.tracing.train import TRACER

    answers = read_answers(file, images, features)
    asked: dict[str, Any] = {"hidden": hidden, "accuracy": accuracy or None, "seconds": seconds or None}
    tracer = tracing.fit(
        answers,
        model,
        split,
        extractor=extractor,
        dimension=dimension,
        weights=weights,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        patience=patience,
        seed=seed,
        device=device,
        out=out,
        resume=resume,
        **{name: value for name, value in asked.items() if value is not None},
    )
    best = min(tracer.history, key=lambda each: each.validation_loss)
    left = int((~tracer.seen(answers)).sum())
    say(
        f"{model}: least validation loss {best.validation_loss:.4f} nats an answer, after epoch {best.epoch} "
        f"of {len(tracer.history)}; {left} learners are left for the test"
    )
    say(f"\nTracer: {out / TRACER}")
