"""The figures of tracing by name."""

from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure

from diptych.ops import _checks
from diptych.plots.tracing import (
    accuracy,
    calibration,
    confusion,
    learner,
    learners,
    lessons,
    states,
    study,
    subspaces,
)
from diptych.tracing.lessons import Lessons
from diptych.tracing.results import TracingResult
from diptych.tracing.study import TracingStudy

_DRAWN: dict[str, tuple[str, Callable[..., Figure]]] = {
    "accuracy": ("Right answers by class over time, learners and models", accuracy.figure),
    "learner": ("One learner's answers step by step, and how probable they were", learner.figure),
    "states": ("Hidden and cell states in a plane, with single learners' paths", states.figure),
    "subspaces": (
        "How a learner's predicted classifier divides the images on the way",
        subspaces.figure,
    ),
    "confusion": (
        "Which classes are taken for which over time, learners and a model",
        confusion.figure,
    ),
    "learners": ("Average precision learner by learner, models against the static one", learners.figure),
    "calibration": ("How often what was foretold with some probability was answered", calibration.figure),
    "lessons": ("What learners come to under several teachers", lessons.figure),
    "study": ("What models gain over the static one on each kind of learners, seed by seed", study.figure),
}

# What is drawn of something else than the models' predictions.
_OF: dict[str, type[Any]] = {"lessons": Lessons, "study": TracingStudy}

#: What each figure shows, by name.
TRACING_FIGURES: dict[str, str] = {name: title for name, (title, _) in _DRAWN.items()}


def tracing_figure(name: str, result: TracingResult | Lessons | TracingStudy, **options: Any) -> Figure:
    """Draw one of the :data:`TRACING_FIGURES`.

    They show what figures 2.3 to 2.11 of the thesis show; which number shows what was not at hand.

    Args:
        name: Of the figure.
        result: What models foretold; for ``"lessons"`` what came of teaching, for ``"study"`` a study.
        options: ``models``, names of some to draw, for ``"accuracy"``, ``"learners"`` and
            ``"calibration"``; ``model``, one of them, for ``"learner"`` and ``"confusion"``, by default the
            one with the best likelihood; ``learner``, by number, for ``"learner"`` and ``"subspaces"``, and
            ``learners``, several, for ``"states"``; by default those in the middle by right answers.
            ``table`` for ``"study"``, one of :data:`diptych.tracing.variants.TABLES`;
            ``method`` for ``"states"``: ``"umap"``, the default where umap-learn is installed, or ``"pca"``.

    Raises:
        ModuleNotFoundError: ``method="umap"`` and umap-learn is not installed.
        TypeError: Another kind of result, or options that the figure does not take.
        ValueError: No such figure, model or learner; a result without the states or classifiers that the
            figure is made of.
    """
    _checks.one_of("name", name, tuple(TRACING_FIGURES))
    wanted = _OF.get(name, TracingResult)
    if not isinstance(result, wanted):
        raise TypeError(f"result: expected {wanted.__name__} for {name!r}, found {type(result).__name__}")
    try:
        return _DRAWN[name][1](result, **options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise TypeError(f"options: expected those of {name!r}, found {sorted(options)}: {error}") from error
