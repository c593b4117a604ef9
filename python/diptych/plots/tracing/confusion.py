"""Which class is taken for which, over time."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from diptych.plots.canvas import blank
from diptych.plots.style import INK, QUIET, REST_COLOR, short
from diptych.plots.tracing import parts
from diptych.tracing.results import TracingResult

# Parts of the training, beside which the test stands.
_TIMES = 3


def figure(result: TracingResult, model: str | None = None) -> Figure:
    """Shares of the answers to images of each class: learners above, a model's expectation below."""
    name = parts.best(result, model)
    answers, chances = result.answers, result.foretold()[name]
    times = parts.blocks(result, _TIMES)
    given = np.eye(len(answers.classes))[answers.response]
    side = 0.8 + 0.32 * max(4, len(answers.classes))
    drawn = blank(len(times) * side + 1.2, 2 * side + 0.8)
    grid = drawn.subplots(2, len(times), squeeze=False, sharex=True, sharey=True)
    for row, (whose, shares) in zip(grid, (("Learners", given), (short(name), chances)), strict=True):
        for ax, (time, rows) in zip(row, times, strict=True):
            picture = _draw(ax, shares[rows], answers.label[rows], parts.class_names(result))
            if ax in grid[0]:
                ax.set_title(time if time == parts.TEST else f"steps {time}", color=INK, fontsize=9)
        row[0].set_ylabel(f"{whose}\nTrue class", color=INK, fontsize=9, parse_math=False)
    drawn.supxlabel("Answer", color=INK, fontsize=9)
    bar = drawn.colorbar(picture, ax=grid.ravel().tolist(), shrink=0.6, pad=0.02)
    bar.set_label("Share of the class's images", fontsize=8)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.5, color=QUIET)
    return drawn


def _draw(ax: Axes, shares: NDArray[np.floating], labels: NDArray[np.int64], names: list[str]) -> AxesImage:
    count = len(names)
    table = np.full((count, count), np.nan)
    for each in np.unique(labels):
        table[each] = shares[labels == each].mean(0)
    picture = ax.imshow(table, cmap="Blues", vmin=0, vmax=1)
    if count <= 8:
        for (y, x), value in np.ndenumerate(table):
            if np.isfinite(value):
                color = "white" if value > 0.55 else INK
                ax.text(x, y, f"{100 * value:.0f}", ha="center", va="center", fontsize=7, color=color)
    ax.set_xticks(range(count), names, rotation=90, fontsize=7)
    ax.set_yticks(range(count), names, fontsize=7)
    parts.plain([*ax.get_xticklabels(), *ax.get_yticklabels()])
    ax.tick_params(length=0, labelcolor=QUIET)
    ax.spines[:].set_color(REST_COLOR)
    return picture
