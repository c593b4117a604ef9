"""Reliability: how often was answered what was foretold with some probability."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from diptych.plots.axes import MARKS, WIDE, absent, legend_below, percent_axis, prepare
from diptych.plots.canvas import blank
from diptych.plots.style import REST_COLOR
from diptych.plots.tracing import parts
from diptych.tracing.results import TracingResult

_BINS = 10
# Points of fewer pairs are left out: their share says little.
_FEWEST = 10


def figure(result: TracingResult, models: Sequence[str] | None = None) -> Figure:
    """Probabilities of all classes in ten bins, each at their mean; training and test apart."""
    answers, foretold = result.answers, parts.chosen(result, models)
    drawn = blank(2 * WIDE + 0.2, WIDE + 0.5)
    axes = drawn.subplots(1, 2, sharex=True, sharey=True)
    looks = parts.looks(list(foretold))
    given = np.eye(len(answers.classes))[answers.response]
    for ax, title, asked in zip(axes, ("Training", "Test"), (~answers.test, answers.test), strict=True):
        prepare(ax, "Foretold", "Answered" if ax is axes[0] else "", title)
        if not asked.any():
            absent(ax, "no answers in tests")
            continue
        ax.plot([0, 1], [0, 1], color=REST_COLOR, linewidth=0.8)
        for place, (name, chances) in enumerate(foretold.items()):
            x, y = _bins(np.asarray(chances[asked], float).ravel(), given[asked].ravel())
            mark = MARKS[place % len(MARKS)]
            ax.plot(x, y, marker=mark, markersize=3.5, label=name, **looks[name])
        ax.set_aspect("equal")
    axes[0].set_xlim(0, 1)
    axes[0].set_ylim(0, 1)
    percent_axis(axes[0])
    axes[0].xaxis.set_major_formatter(axes[0].yaxis.get_major_formatter())
    legend_below(drawn, axes[:1], 5)
    return drawn


def _bins(
    chances: NDArray[np.float64], given: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean probability and share of answers in each bin."""
    place = np.minimum((chances * _BINS).astype(int), _BINS - 1)
    counts = np.bincount(place, minlength=_BINS)
    enough = counts >= _FEWEST
    sums = (np.bincount(place, weights, _BINS)[enough] for weights in (chances, given))
    x, y = (each / counts[enough] for each in sums)
    return x, y
