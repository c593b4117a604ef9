"""What the regression adds to a plain correlation of concepts."""

from collections.abc import Iterable

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from diptych.plots.canvas import bare, blank
from diptych.plots.style import ACCENTS, INK, QUIET, SIDES, Side, network_names, short
from diptych.rsvc.results import RSVCResult, Scored

_FIELDS: dict[Side, tuple[str, str]] = {"a": ("mcs_1", "cmcs_2to1"), "b": ("mcs_2", "cmcs_1to2")}


def mcs_vs_lasso(results: RSVCResult | Iterable[Scored]) -> Figure:
    """Draw CMCS, by regression, over MCS, the correlation with the best match (thesis fig. 3.7).

    Above the diagonal a concept can be told from the other network's activations although no single concept
    of it is alike. Dead concepts are left out; the mean of each network is a cross.

    Args:
        results: A comparison, or those of many classes of the same two networks, of which ``scores`` are
            enough.

    Raises:
        ValueError: No concept is defined in both ways.
    """
    names, gathered = _gathered([results] if isinstance(results, RSVCResult) else results)
    figure = blank(5.2, 5.0)
    ax = figure.subplots()
    drawn = []
    for number, side in enumerate(SIDES):
        points = gathered[side]
        points = points[:, ~np.isnan(points).any(0)]
        if points.shape[1] == 0:
            continue
        drawn.append(points)
        size = float(np.clip(4000 / points.shape[1], 4, 40))
        ax.scatter(
            points[0],
            points[1],
            s=size,
            color=ACCENTS[side],
            alpha=0.6,
            marker="os"[number],
            linewidths=0,
            label=f"Concepts of {short(names[number])}",
        )
        ax.plot(*points.mean(1), "P", color=ACCENTS[side], markeredgecolor="white", markersize=13, zorder=4)
    if not drawn:
        raise ValueError("results: found no concept with both MCS and CMCS, wanted at least one")
    low = min(0.0, min(float(points.min()) for points in drawn)) - 0.03
    ax.plot((low, 1.03), (low, 1.03), color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    ax.set(xlim=(low, 1.03), ylim=(low, 1.03), aspect="equal")
    ax.set_xlabel("Correlation with the best match (MCS)", color=INK)
    ax.set_ylabel("Regression on all activations (CMCS)", color=INK)
    legend = ax.legend(frameon=False, fontsize=9, loc="lower right")
    for text in legend.get_texts():
        text.set_parse_math(False)
    bare(ax)
    return figure


def _gathered(results: Iterable[Scored]) -> tuple[tuple[str, str], dict[Side, NDArray[np.float64]]]:
    """The networks' names, and (2, n) MCS and CMCS of the concepts of each; results may come one by one."""
    names = "", ""
    parts: dict[Side, list[NDArray[np.float64]]] = {"a": [], "b": []}
    for result in results:
        names = network_names(result.names)
        for side in SIDES:
            parts[side].append(np.stack([getattr(result, field) for field in _FIELDS[side]]))
    return names, {side: np.concatenate([np.empty((2, 0)), *parts[side]], 1) for side in SIDES}
