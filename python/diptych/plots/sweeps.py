"""Similarity, and the features it takes, over the weight of the penalty or the number of concepts."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from diptych.plots.canvas import bare, blank
from diptych.plots.style import ACCENTS, INK, short

if TYPE_CHECKING:
    import pandas

_OVER = {"alpha": "Weight of the lasso's penalty (α)", "k": "Concepts (k)"}
_COLUMNS = ("k", "alpha", "direction", "pearson", "spearman", "nonzero")

# Colour by the network whose concepts are predicted, line and mark by whose activations predict them.
_LINES: dict[str, dict[str, Any]] = {
    "1to1": {"color": ACCENTS["a"], "linestyle": "-", "marker": "o"},
    "2to1": {"color": ACCENTS["a"], "linestyle": (0, (4, 2)), "marker": "s"},
    "2to2": {"color": ACCENTS["b"], "linestyle": "-", "marker": "o"},
    "1to2": {"color": ACCENTS["b"], "linestyle": (0, (4, 2)), "marker": "s"},
}


def sweep_figure(
    frame: "pandas.DataFrame",
    over: str = "alpha",
    *,
    kind: str = "pearson",
    names: tuple[str, str] = ("network 1", "network 2"),
) -> Figure:
    """Draw similarity above and non-zero weights below, a line per direction (thesis figs 3.18, 3.19).

    Points are means over concepts that are not dead, bands the middle half of them. There is a column of
    panels for each value of the other parameter.

    Args:
        frame: As :func:`diptych.rsvc.sweep` returns it; several classes' may be concatenated.
        over: ``"alpha"`` or ``"k"``: the parameter on the horizontal axis.
        kind: ``"pearson"`` or ``"spearman"``.
        names: How the networks are called.

    Raises:
        ValueError: A column is missing, no similarity is defined, another option.
    """
    if over not in _OVER:
        raise ValueError(f"over: expected one of {', '.join(map(repr, _OVER))}, found {over!r}")
    if kind not in ("pearson", "spearman"):
        raise ValueError(f"kind: expected 'pearson' or 'spearman', found {kind!r}")
    missing = [column for column in _COLUMNS if column not in frame.columns]
    if missing:
        raise ValueError(f"frame: expected the columns of rsvc.sweep, found none called {', '.join(missing)}")
    living = frame[frame[kind].notna()]
    if len(living) == 0:
        raise ValueError(f"frame: found no row with a {kind} correlation, wanted at least one")
    other = "k" if over == "alpha" else "alpha"
    others = sorted(living[other].unique())
    figure = blank(1.4 + 3.2 * len(others), 5.6)
    axes = figure.subplots(2, len(others), sharex=True, sharey="row", squeeze=False)
    for column, value in enumerate(others):
        part = living[living[other] == value]
        for ax, quantity in zip(axes[:, column], (kind, "nonzero"), strict=True):
            _draw_lines(ax, part, over, quantity, names)
            _ticks(ax, np.array(sorted(living[over].unique()), float), over)
        axes[0, column].set_title(f"{other} = {value:g}".replace("alpha", "α"), fontsize=10, color=INK)
        axes[1, column].set_xlabel(_OVER[over], color=INK)
    axes[0, 0].set_ylabel(f"Similarity ({kind.capitalize()})", color=INK)
    axes[1, 0].set_ylabel("Features with a weight", color=INK)
    axes[1, 0].set_ylim(bottom=0)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _draw_lines(ax: Axes, part: Any, over: str, quantity: str, names: tuple[str, str]) -> None:
    for direction, line in _LINES.items():
        grouped = part[part["direction"] == direction].groupby(over)[quantity]
        if len(grouped) == 0:
            continue
        means, lower, upper = grouped.mean(), grouped.quantile(0.25), grouped.quantile(0.75)
        source, target = (short(names[int(number) - 1], 20) for number in direction.split("to"))
        ax.plot(means.index, means, label=f"{target} predicted by {source}", markersize=5, **line)
        ax.fill_between(means.index, lower, upper, color=line["color"], alpha=0.1, linewidth=0)
    bare(ax)


def _ticks(ax: Axes, places: np.ndarray, over: str) -> None:
    if over == "alpha":
        ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(places.tolist()))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
