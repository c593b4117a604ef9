"""Right answers by class over time: learners, and what models expected of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from diptych.plots.axes import legend_below, percent_axis, prepare
from diptych.plots.canvas import blank
from diptych.plots.style import INK, QUIET, REST_COLOR
from diptych.plots.tracing import parts
from diptych.stats import beta_interval
from diptych.tracing.results import TracingResult

# Panels beside each other, and parts of the training whose answers are counted together.
_COLUMNS, _BLOCKS = 3, 8


def figure(result: TracingResult, models: Sequence[str] | None = None) -> Figure:
    """All classes together, and a panel for each: the learners' share of right answers with its interval.

    Lines are the models' mean probability of the right answer to the same images.
    """
    answers, foretold = result.answers, parts.chosen(result, models)
    names = ["All classes", *parts.class_names(result)]
    rows = -(-len(names) // _COLUMNS)
    drawn = blank(_COLUMNS * 2.9, rows * 2.3 + 0.5)
    axes = drawn.subplots(rows, _COLUMNS, squeeze=False, sharex=True, sharey=True).ravel()
    looks, blocks = parts.looks(list(foretold)), parts.blocks(result, _BLOCKS)
    for number, (ax, name) in enumerate(zip(axes, names, strict=False)):
        asked = np.ones(len(answers.item), bool) if number == 0 else answers.label == number - 1
        _draw(ax, result, foretold, looks, [(what, rows_of & asked) for what, rows_of in blocks])
        left = number % _COLUMNS == 0
        below = number + _COLUMNS >= len(names)
        prepare(ax, "Step" if below else "", "Right answers" if left else "", name)
        ax.tick_params(labelbottom=below)
    for ax in axes[len(names) :]:
        ax.axis("off")
    axes[0].set_ylim(0, 1)
    percent_axis(axes[0])
    legend_below(drawn, axes[:1], 5)
    return drawn


def _draw(
    ax: Axes,
    result: TracingResult,
    foretold: dict[str, NDArray[Any]],
    looks: dict[str, dict[str, Any]],
    blocks: list[tuple[str, NDArray[np.bool_]]],
) -> None:
    answers = result.answers
    right = answers.response == answers.label
    counts = np.array([rows.sum() for _, rows in blocks])
    hits = np.array([right[rows].sum() for _, rows in blocks])
    low, high = beta_interval(hits, counts)
    share = hits / np.where(counts > 0, counts, np.nan)
    x = np.arange(len(blocks))
    ends = np.maximum([share - low, high - share], 0)
    look: dict[str, Any] = {"color": INK, "markersize": 4, "linewidth": 0, "elinewidth": 0.9, "zorder": 4}
    ax.errorbar(x, share, ends, fmt="o", label="learners, 95 % interval", **look)
    trained = [place for place, (name, _) in enumerate(blocks) if name != parts.TEST]
    for name, chances in foretold.items():
        own = chances[np.arange(len(right)), answers.label]
        mean = np.array([own[rows].mean() if rows.any() else np.nan for _, rows in blocks])
        ax.plot(x[trained], mean[trained], label=name, **looks[name])
        # The test stands apart: nothing is learned in it.
        apart = np.setdiff1d(x, trained)
        ax.plot(
            apart, mean[apart], marker="_", markersize=14, markeredgewidth=1.6, color=looks[name]["color"]
        )
    if len(trained) < len(blocks):
        ax.axvline(len(trained) - 0.5, color=REST_COLOR, linewidth=0.8)
    ax.axhline(1 / len(answers.classes), color=REST_COLOR, linewidth=0.8)
    below = 1 / len(answers.classes) - 0.02
    ax.text(len(trained) - 0.7, below, "chance", ha="right", va="top", color=QUIET, fontsize=6.5)
    ax.set_xticks(x, [name for name, _ in blocks], rotation=60)
