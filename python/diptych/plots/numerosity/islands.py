"""Islands: which counts lie in them, how puts and takes link them, and how many there are."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.ticker import MaxNLocator

from diptych.numerosity.order import IslandOrder
from diptych.numerosity.results import NumberLine
from diptych.plots.axes import COLORS, FONT, HIGH, MARKS, WIDE, absent, legend_below, prepare
from diptych.plots.canvas import blank
from diptych.plots.numerosity import runs as of
from diptych.plots.style import ACCENTS, INK, QUIET

_SHARES = "Blues"

# Links of less than this share of an island's are not drawn as arrows.
_FEW = 0.05

# Ticks of a matrix at most.
_TICKS = 12

# Islands of a path whose names are written large.
_LARGE = 6

_SWEPT = {"n_islands": "Islands", "subitizing_limit": "Subitizing limit"}

NO_LINKS = "No put or take leads\nfrom one island to another."
NO_ACTIONS = "No actions were given."


def order(runs: list[of.Run]) -> Figure:
    """The path that puts and takes lead along, above the links of all islands; a column per data set."""
    chosen = of.with_part(of.main(runs), lambda line: line.islands.order, "a run with pairs and actions")
    drawn = blank(WIDE * len(chosen) + 0.4, 1.5 * HIGH + 0.4)
    axes = drawn.subplots(2, len(chosen), squeeze=False, height_ratios=[0.7, 1.4])
    for (upper, lower), run in zip(axes.T, chosen, strict=True):
        draw_path(upper, run.line, run.label)
        draw_links(lower, run.line)
    return drawn


def sweep(runs: list[of.Run]) -> Figure:
    """Number of islands and subitizing limit over the smallest size of an island."""
    chosen = of.with_part(
        of.main(runs), lambda line: len(line.sweep.n_islands) or None, "a run with a sweep of island sizes"
    )
    drawn = blank(2 * WIDE + 0.2, HIGH + 0.4)
    axes = drawn.subplots(1, 2)
    for ax, quantity in zip(axes, _SWEPT, strict=True):
        draw_sweep(ax, quantity, [(run.label, run.line) for run in chosen])
    legend_below(drawn, axes, 4)
    return drawn


def draw_sweep(ax: Axes, quantity: str, lines: list[tuple[str, NumberLine]]) -> None:
    """Draw ``"n_islands"`` or ``"subitizing_limit"`` over the smallest size of an island."""
    prepare(ax, "Smallest island (items)", _SWEPT[quantity])
    for place, (label, line) in enumerate(lines):
        found = line.sweep
        look: dict[str, Any] = {"color": COLORS[place], "marker": MARKS[place], "linewidth": 1.2}
        ax.plot(found.min_cluster_size, getattr(found, quantity), markersize=4, label=label, **look)
    highest = max(getattr(line.sweep, quantity).max() for _, line in lines)
    ax.set_ylim(-0.4 if quantity == "n_islands" else -1.4, highest + 1)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))


def draw_confusion(ax: Axes, line: NumberLine, title: str = "") -> None:
    """Draw the share of each count's items in each island, and outside all, as a matrix."""
    islands = line.islands
    prepare(ax, "True number of objects", "Island, by its commonest count", title)
    table = np.vstack([islands.confusion, islands.outside]) / (islands.confusion.sum(0) + islands.outside)
    _matrix(ax, table, "Share of the count’s items")
    _ticks(ax.xaxis, [str(count) for count in islands.counts])
    _ticks(ax.yaxis, [*map(str, islands.majority), "none"])


def draw_links(ax: Axes, line: NumberLine, title: str = "") -> None:
    """Draw the share of an island's links that lead to each other, in the order that they lead along."""
    found = line.islands.order
    if found is None or len(found.sequence) == 0:
        absent(ax, NO_ACTIONS if found is None else NO_LINKS)
        return
    prepare(ax, "… to island", "Puts, and takes reversed, from …", title)
    _matrix(ax, _shares(found), "Share of the island’s links")
    names = [str(line.islands.majority[each]) for each in found.sequence]
    _ticks(ax.xaxis, names)
    _ticks(ax.yaxis, names)


def draw_path(ax: Axes, line: NumberLine, title: str = "") -> None:
    """Draw the islands in their order, linked by arrows as thick as the share that leads along them."""
    found = line.islands.order
    ax.set_title(title, color=INK, fontsize=FONT + 2, parse_math=False)
    if found is None or len(found.sequence) == 0:
        absent(ax, NO_ACTIONS if found is None else NO_LINKS)
        return
    n = len(found.sequence)
    _draw_arrows(ax, _shares(found))
    _draw_islands(ax, [str(line.islands.majority[each]) for each in found.sequence])
    ax.set(xlim=(-0.6, n - 0.4), ylim=(-0.7, 0.7))
    told = "" if np.isnan(found.agreement) else f"; Kendall’s τ with number {found.agreement:.2f}"
    ax.set_xlabel(f"order of puts and takes{told}", fontsize=FONT, color=QUIET)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)


def _draw_arrows(ax: Axes, shares: np.ndarray) -> None:
    """Forward links above the line, those that lead back below."""
    n = len(shares)
    # In points: what the islands take up at both ends of an arrow.
    room = 7 if n <= _LARGE else 5 if n <= _TICKS else 2
    for start, end in np.argwhere((shares >= _FEW) & ~np.eye(n, dtype=bool)):
        look: dict[str, Any] = {
            "connectionstyle": f"arc3,rad={-0.55 / np.sqrt(abs(end - start)):.3f}",
            "arrowstyle": "-|>",
            "mutation_scale": room,
            "linewidth": 0.6 + 2.2 * shares[start, end],
            "color": ACCENTS["a"] if end > start else ACCENTS["b"],
            "shrinkA": room,
            "shrinkB": room,
            "alpha": 0.85,
        }
        ax.add_patch(FancyArrowPatch((float(start), 0.0), (float(end), 0.0), **look))


def _draw_islands(ax: Axes, names: list[str]) -> None:
    """Names in circles where there is room, else dots with some of the names below."""
    n = len(names)
    if n > _TICKS:
        ax.plot(np.arange(n), np.zeros(n), "o", color=INK, markersize=3)
        for place in range(0, n, -(-n // _TICKS)):
            ax.text(place, -0.12, names[place], ha="center", va="top", fontsize=6.5, color=INK)
        return
    box = {"boxstyle": "circle,pad=0.28", "facecolor": "white", "edgecolor": INK, "linewidth": 0.8}
    size = 8 if n <= _LARGE else 6.5
    for place, name in enumerate(names):
        ax.text(place, 0, name, ha="center", va="center", fontsize=size, color=INK, bbox=box, zorder=3)


def _shares(order: IslandOrder) -> np.ndarray:
    links = order.links[np.ix_(order.sequence, order.sequence)].astype(float)
    return links / np.maximum(order.links[order.sequence].sum(1, keepdims=True), 1)


def _matrix(ax: Axes, table: np.ndarray, label: str) -> None:
    image = ax.imshow(table, cmap=_SHARES, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.85, pad=0.02)
    bar.set_label(label, fontsize=FONT)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=FONT - 0.5, color=QUIET)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


def _ticks(axis: Any, names: list[str]) -> None:
    step = -(-len(names) // _TICKS)
    places = list(range(0, len(names), step))
    axis.set_ticks(places, [names[place] for place in places], fontsize=FONT - 0.5)
