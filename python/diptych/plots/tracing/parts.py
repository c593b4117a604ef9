"""What figures of tracing have in common: whom they draw in which colour, and who stands for others."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.text import Text
from numpy.typing import NDArray

from diptych.ops import _checks
from diptych.plots.axes import COLORS, DASHED, DOTTED
from diptych.plots.style import INK, QUIET, short
from diptych.tracing.results import ORACLE, STATIC, Paths, TracingResult

#: What the block of the test is called.
TEST = "test"


def looks(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """How to draw each model's line: the oracle and the static one as what others are compared with."""
    others = [name for name in names if name not in (ORACLE, STATIC)]
    drawn: dict[str, dict[str, Any]] = {
        name: {"color": COLORS[place % len(COLORS)], "linewidth": 1.4} for place, name in enumerate(others)
    }
    drawn[ORACLE] = {"color": INK, "linewidth": 1.0, "linestyle": DASHED}
    drawn[STATIC] = {"color": QUIET, "linewidth": 1.2, "linestyle": DOTTED}
    return {name: drawn[name] for name in names}


def chosen(result: TracingResult, models: Sequence[str] | None) -> dict[str, NDArray[Any]]:
    """Probabilities of the models that are wanted, by default all of them and the oracle.

    Raises:
        ValueError: A model that the result has not, or none.
    """
    foretold = result.foretold()
    if models is None:
        return foretold
    if isinstance(models, str) or not models:
        raise ValueError(f"models: expected some of {', '.join(foretold)}, found {models!r}")
    for name in models:
        _checks.one_of("models", name, tuple(foretold))
    return {name: foretold[name] for name in models}


def best(result: TracingResult, model: str | None) -> str:
    """The model that is asked for, by default the one that gives the answers the highest likelihood.

    Raises:
        ValueError: A model that the result has not.
    """
    foretold = result.foretold()
    if model is not None:
        _checks.one_of("model", model, tuple(foretold))
        return model
    rows = np.arange(len(result.answers.response))
    surprise = {
        name: -np.log(np.maximum(foretold[name][rows, result.answers.response], 1e-30)).mean()
        for name in result.models
    }
    return min(surprise, key=lambda name: surprise[name])


def ordinary(result: TracingResult) -> NDArray[np.int64]:
    """(L,) learners by number, those in the middle by their share of right answers first."""
    answers = result.answers
    right = np.bincount(answers.learner, answers.response == answers.label, minlength=len(answers))
    share = right / np.maximum(answers.lengths, 1)
    return np.argsort(np.abs(share - np.median(share)), kind="stable")


def one_learner(result: TracingResult, learner: int | None) -> int:
    """The learner that is asked for, by default one in the middle by right answers.

    Raises:
        ValueError: No such number.
        TypeError: No whole number.
    """
    if learner is None:
        return int(ordinary(result)[0])
    _checks.integer("learner", learner, 0, len(result.answers) - 1)
    return int(learner)


def paths_with(result: TracingResult, part: str, words: str) -> Paths:
    """The paths of a result, which the named part is among.

    Raises:
        ValueError: They were not kept, or without it.
    """
    if result.paths is None or getattr(result.paths, part) is None:
        raise ValueError(f"result: expected one with the {words} of a model, found none")
    return result.paths


def blocks(result: TracingResult, count: int) -> list[tuple[str, NDArray[np.bool_]]]:
    """Training steps in blocks of equal length, then the test: what each is called, and its rows (n,)."""
    answers = result.answers
    last = int(answers.step[~answers.test].max(initial=-1)) + 1
    edges = np.unique(np.linspace(0, last, min(count, last) + 1).round().astype(int))
    found = [
        (str(low + 1) if high == low + 1 else f"{low + 1}\N{EN DASH}{high}", low, high)
        for low, high in pairwise(edges.tolist())
    ]
    parts = [
        (name, ~answers.test & (answers.step >= low) & (answers.step < high)) for name, low, high in found
    ]
    if answers.test.any():
        parts.append((TEST, answers.test))
    return parts


def plain(texts: Sequence[Text]) -> None:
    """Draw names as they are, whatever signs are in them."""
    for text in texts:
        text.set_parse_math(False)


def class_names(result: TracingResult) -> list[str]:
    """Names of classes, short enough for a panel; a number alone would not tell of what it is."""
    names = result.answers.classes
    return [short(f"class {name}" if name.isdecimal() else name, 16) for name in names]
