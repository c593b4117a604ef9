"""Similarity of all pairs of layers of two networks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from diptych.plots.canvas import blank
from diptych.plots.style import ACCENTS, INK, QUIET, short

# Layers up to which every pair's number is written into its cell.
_WRITTEN = 14


def layer_matrix(
    matrix: Any,
    *,
    layers_1: Sequence[str] | None = None,
    layers_2: Sequence[str] | None = None,
    names: tuple[str, str] = ("Network 1", "Network 2"),
    label: str = "Mean max concept similarity",
) -> Figure:
    """Draw the similarity of all pairs of layers, first layers at the lower left (thesis fig. 3.6).

    The best match of each layer of the first network is framed.

    Args:
        matrix: (L1, L2) as :func:`diptych.rsvc.layerwise` gives it; NaN cells stay blank.
        layers_1: Names of the L1 layers; their numbers without.
        layers_2: Names of the L2 layers.
        names: How the networks are called.
        label: What the numbers are.

    Raises:
        TypeError: Not real numbers.
        ValueError: Not a matrix, only NaN, Inf, other numbers of names.
    """
    found = np.asarray(matrix)
    if found.dtype.kind not in "fiub":
        raise TypeError(f"matrix: expected real numbers, found dtype {found.dtype}")
    if found.ndim != 2 or found.size == 0:
        raise ValueError(f"matrix: expected shape (L1, L2), found {found.shape}")
    found = found.astype(np.float64)
    if np.isinf(found).any() or np.isnan(found).all():
        raise ValueError("matrix: expected numbers in [-1, 1] or NaN, found Inf or nothing but NaN")
    rows, columns = found.shape
    ticks_1 = _named("layers_1", layers_1, rows)
    ticks_2 = _named("layers_2", layers_2, columns)
    cell = 0.55 if max(rows, columns) <= _WRITTEN else 0.28
    figure = blank(max(4.0, cell * columns + 2.6), max(3.2, cell * rows + 1.6))
    ax = figure.subplots()
    low, high = min(0.0, float(np.nanmin(found))), max(1e-9, float(np.nanmax(found)))
    image = ax.imshow(found, cmap="viridis", vmin=low, vmax=high, origin="lower", aspect="auto")
    best = np.where(np.isnan(found), -np.inf, found).argmax(1)
    for row, column in enumerate(best):
        if not np.isnan(found[row, column]):
            corner, color = (column - 0.44, row - 0.44), _ink(found[row, column], low, high)
            ax.add_patch(Rectangle(corner, 0.88, 0.88, fill=False, edgecolor=color, linewidth=1.6))
    if max(rows, columns) <= _WRITTEN:
        for (row, column), value in np.ndenumerate(found):
            if not np.isnan(value):
                color = _ink(value, low, high)
                ax.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=color)
    ax.set_yticks(range(rows), ticks_1, fontsize=7, parse_math=False)
    ax.set_xticks(range(columns), ticks_2, fontsize=7, rotation=90, parse_math=False)
    ax.set_ylabel(short(names[0]), color=ACCENTS["a"], parse_math=False)
    ax.set_xlabel(short(names[1]), color=ACCENTS["b"], parse_math=False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=ax, label=label)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, color=QUIET)
    return figure


def _ink(value: float, low: float, high: float) -> str:
    """A color that can be told from the cell of a value."""
    return "white" if value < low + 0.6 * (high - low) else INK


def _named(argument: str, names: Sequence[str] | None, count: int) -> list[str]:
    if names is None:
        return [str(number + 1) for number in range(count)]
    if len(names) != count:
        raise ValueError(f"{argument}: expected {count} names, found {len(names)}")
    return [short(str(name), 24) for name in names]
