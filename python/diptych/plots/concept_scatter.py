"""Real against predicted coefficients of a concept."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diptych.plots.canvas import bare, blank, numbers
from diptych.plots.style import ACCENTS, INK, QUIET, Side, check_side, short

_LIMITS = {"under": "under-predicted", "over": "over-predicted"}


def concept_scatter(
    real: Any,
    predicted: Any,
    *,
    under: Sequence[int] = (),
    over: Sequence[int] = (),
    side: str = "a",
    title: str | None = None,
) -> Figure:
    """Draw the predicted coefficients of a concept over the real ones, a dot per patch (thesis sec. 3.4.4).

    On the diagonal the prediction is right. Patches of the collages, those predicted too low and too high,
    are marked by shape and colour.

    Args:
        real: (m,) real coefficients.
        predicted: (m,) predicted ones.
        under: Indices of the under-predicted patches, as :func:`diptych.rsvc.collages` finds them.
        over: Indices of the over-predicted ones.
        side: "a" for a concept of the first network, "b" of the second: the colour of the dots.
        title: Above the figure; the correlation stands there in any case.

    Raises:
        ValueError: Not two vectors of one length, NaN or Inf, an index out of range, another side.
    """
    truth = numbers("real", real)
    guess = numbers("predicted", predicted, len(truth))
    marked = {"under": _indices("under", under, len(truth)), "over": _indices("over", over, len(truth))}
    figure = blank(4.6, 4.6)
    ax = figure.subplots()
    draw_scatter(ax, truth, guess, marked, check_side(side))
    told = f"r = {correlation(truth, guess):.2f}"
    ax.set_title(f"{short(title, 48)}   {told}" if title else told, fontsize=11, color=INK, parse_math=False)
    return figure


def draw_scatter(
    ax: Axes, real: np.ndarray, predicted: np.ndarray, marked: dict[str, np.ndarray], side: Side
) -> None:
    """Draw the dots, the diagonal, and the marked patches on axes of one scale."""
    low = float(min(real.min(), predicted.min(), 0))
    high = float(max(real.max(), predicted.max()))
    margin = 0.04 * (high - low) or 1.0
    ends = low - margin, high + margin
    ax.plot(ends, ends, color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    rest = np.setdiff1d(np.arange(len(real)), np.concatenate(list(marked.values())))
    size = float(np.clip(6000 / len(real), 5, 22))
    ax.scatter(real[rest], predicted[rest], s=size, color=ACCENTS[side], alpha=0.4, linewidths=0, zorder=2)
    for (key, where), shape, fill in zip(marked.items(), ("v", "^"), (INK, "white"), strict=True):
        if len(where):
            ax.scatter(
                real[where],
                predicted[where],
                s=36,
                marker=shape,
                facecolor=fill,
                edgecolor=INK,
                zorder=3,
                label=_LIMITS[key],
            )
    ax.set(xlim=ends, ylim=ends, aspect="equal")
    ax.set_xlabel("Real coefficient", color=INK)
    ax.set_ylabel("Predicted coefficient", color=INK)
    bare(ax)
    if any(len(where) for where in marked.values()):
        ax.legend(frameon=False, fontsize=8, loc="upper left", handletextpad=0.2)


def correlation(real: np.ndarray, predicted: np.ndarray) -> float:
    """Pearson's; NaN where one of both is constant."""
    if np.ptp(real) == 0 or np.ptp(predicted) == 0:
        return float("nan")
    return float(np.corrcoef(real, predicted)[0, 1])


def _indices(name: str, given: Sequence[int], n: int) -> np.ndarray:
    found = np.asarray(given, np.int64).ravel()
    if len(found) and (found.min() < 0 or found.max() >= n):
        raise ValueError(f"{name}: expected indices of {n} patches, found {found.min()} to {found.max()}")
    return found
