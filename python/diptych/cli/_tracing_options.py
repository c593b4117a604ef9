"""Options that the commands of tracing have in common, and what they are read to."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diptych.cli._report import say

if TYPE_CHECKING:
    from diptych.tracing import Sequences, Tracer

Answers = Annotated[
    Path,
    typer.Argument(help="Answers, .jsonl or .parquet, or the folder of a set in the study's own layout."),
]
Images = Annotated[
    Path | None,
    typer.Option(help="Folder of the images; default: images beside the file, if it is there."),
]
Features = Annotated[
    Path | None,
    typer.Option(
        help="Embeddings of the images, with ids that are their names; default: FILE.features.npz beside it."
    ),
]
Tracers = Annotated[
    list[Path], typer.Option("--tracer", help="Tracer, or the folder that fit wrote; may be repeated.")
]
OneTracer = Annotated[Path, typer.Option("--tracer", help="Tracer, or the folder that fit wrote.")]


def read_answers(
    file: Path, images: Path | None = None, features: Path | None = None, tracer: "Tracer | None" = None
) -> "Sequences":
    """Answers from a file of them; a folder is taken for a set of the study.

    The classes of a file are in the order in which a tracer that is given has them.

    Raises:
        ValueError: Images or features beside a folder, or what is wrong with either.
    """
    from diptych.tracing import load, load_published

    check_beside(file, images, features)
    if not file.is_dir():
        classes = None if tracer is None else tracer.classes
        return load(file, images=images, features=features, classes=classes)
    answers = load_published(file)
    left = [f"{count} {why.replace('_', ' ')}" for why, count in answers.about.items() if type(count) is int]
    say(f"Sessions left out: {', '.join(left)}", stderr=True)
    return answers


def check_beside(file: Path, images: Path | None = None, features: Path | None = None) -> None:
    """Refuse options that say nothing of a set of the study, which has its images with it.

    Raises:
        ValueError: A folder, and one of them.
    """
    for option, given in (("images", images), ("features", features)):
        if file.is_dir() and given is not None:
            raise ValueError(f"--{option}: expected a file of answers beside it, found the folder {file}")


def read_tracer(path: Path) -> "Tracer":
    """A tracer, from its file or from the folder of its training."""
    from diptych.tracing import Tracer
    from diptych.tracing.train import TRACER

    return Tracer.load(path / TRACER if path.is_dir() else path)


def read_tracers(paths: Sequence[Path], names: Sequence[str] | None) -> "dict[str, Tracer]":
    """Tracers by the names given, else by their models', with that of the folder where these are the same.

    Raises:
        ValueError: Not as many names as tracers, the same name twice, or the true probabilities' name.
    """
    from diptych.tracing.results import ORACLE

    if names and len(names) != len(paths):
        raise ValueError(f"--name: expected one for each of {len(paths)} tracers, found {len(names)}")
    tracers = [read_tracer(path) for path in paths]
    models = [each.name for each in tracers]
    called = names or [
        model if models.count(model) == 1 else f"{model} ({_place(path)})"
        for model, path in zip(models, paths, strict=True)
    ]
    twice = sorted({name for name in called if called.count(name) > 1})
    if twice:
        raise ValueError(f"--name: expected a name of its own for each tracer, found {twice[0]!r} twice")
    if ORACLE in called:
        raise ValueError(f"--name: expected another name than {ORACLE!r}, that of the true probabilities")
    return dict(zip(called, tracers, strict=True))


def _place(path: Path) -> str:
    """What tells a tracer from others of its model: the folder of its training, or the file's own name."""
    from diptych.tracing.train import TRACER

    whole = path.resolve()
    return whole.name if path.is_dir() else whole.parent.name if whole.name == TRACER else whole.stem
