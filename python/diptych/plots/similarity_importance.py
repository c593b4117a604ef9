"""How alike a concept is in another network, against what it matters: density over all concepts."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from diptych.plots.canvas import bare, blank, numbers
from diptych.plots.style import ACCENTS, INK, QUIET, SIDES, Side, check_side, network_names, short
from diptych.rsvc.results import RSVCResult, Scored

KINDS = {"cmcs": "Cross-model concept similarity (CMCS)", "smcs": "Same-model concept similarity (SMCS)"}

_BINS = 120
# Concepts from which a density says more than the dots alone.
_MANY = 40
# Standard deviation of the kernel as a share of an axis.
_BANDWIDTH = 0.035
# Shares of the highest density at which the shades of the density change.
_LEVELS = (0.04, 0.12, 0.25, 0.45, 0.7, 1.0)
# Dots of concepts beyond the central part of all importances stand on the edge of the panel.
_CENTRAL = 0.995


class _Panel(NamedTuple):
    side: Side
    name: str
    similarity: NDArray[np.float64]
    importance: NDArray[np.float64]


def similarity_importance(results: RSVCResult | Iterable[Scored], *, similarity: str = "cmcs") -> Figure:
    """Draw the importance of every concept over its similarity, a panel per network (thesis figs 3.3, 3.15).

    Below 40 concepts each is a dot; of more the density is shaded below the dots: a histogram smoothed by a
    Gaussian of 3.5 % of each axis. Dead concepts are left out.

    Args:
        results: A comparison, or those of many classes of the same two networks, of which ``scores`` are
            enough.
        similarity: ``"cmcs"``, as predicted by the other network, or ``"smcs"``, by the concept's own.

    Raises:
        ValueError: No result has the importance of a concept that is not dead; another similarity.
    """
    if similarity not in KINDS:
        raise ValueError(f"similarity: expected one of {', '.join(map(repr, KINDS))}, found {similarity!r}")
    panels = _gathered([results] if isinstance(results, RSVCResult) else results, similarity)
    if not panels:
        raise ValueError("results: expected importances, which a comparison with heads has, found none")
    figure = blank(5.2 * len(panels), 4.4)
    axes = figure.subplots(1, len(panels), squeeze=False, sharex=True)[0]
    for ax, panel in zip(axes, panels, strict=True):
        density_panel(ax, panel.similarity, panel.importance, panel.side)
        ax.set_title(f"Concepts of {short(panel.name)}", color=ACCENTS[panel.side], parse_math=False)
        ax.set_xlabel(KINDS[similarity], color=INK)
    axes[0].set_ylabel("Importance (attribution of the class logit)", color=INK)
    return figure


def density_panel(ax: Axes, x: Any, y: Any, side: str) -> None:
    """Draw dots, and their density where they are many, on axes; x from -1 to 1, at least 0 to 1."""
    accent = ACCENTS[check_side(side)]
    across = numbers("x", x)
    up = numbers("y", y, len(across))
    left = -1.02 if across.min() < -0.25 else min(float(across.min()), 0.0) - 0.02
    middle, (low, high) = float(np.median(up)), np.quantile(up, (1 - _CENTRAL, _CENTRAL))
    margin = 0.08 * float(high - low) or 0.1 * abs(middle) or 1.0
    window = (left, 1.02), (float(low) - margin, float(high) + margin)
    many = len(across) >= _MANY
    if many:
        density, edges_x, edges_y = np.histogram2d(across, up, _BINS, window)
        density = gaussian_filter(density, _BANDWIDTH * _BINS, mode="constant")
        shades = LinearSegmentedColormap.from_list("accent", ["white", accent])
        centers = [(edges[:-1] + edges[1:]) / 2 for edges in (edges_x, edges_y)]
        levels = np.array(_LEVELS) * density.max()
        ax.contourf(*centers, density.T, levels=levels, cmap=shades, vmin=0, vmax=1.1 * levels[-1])
    size = float(np.clip(4000 / len(across), 3, 40))
    ax.scatter(
        across,
        np.clip(up, *window[1]),
        s=size,
        color=INK if many else accent,
        alpha=0.35 if many else 0.8,
        linewidths=0,
        zorder=3,
    )
    if window[1][0] < 0 < window[1][1]:
        ax.axhline(0, color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    ax.set(xlim=window[0], ylim=window[1])
    bare(ax)


def _gathered(results: Iterable[Scored], kind: str) -> list[_Panel]:
    """The living concepts of each network that has any; results may come one by one."""
    names = "", ""
    parts: dict[Side, list[NDArray[np.float64]]] = {"a": [], "b": []}
    for result in results:
        names = network_names(result.names)
        for side, own, cross in (("a", "1", "2to1"), ("b", "2", "1to2")):
            importance = getattr(result, f"importance_{own}")
            field = f"cmcs_{cross}" if kind == "cmcs" else f"smcs_{own}"
            if importance is not None:
                parts[check_side(side)].append(np.stack([getattr(result, field), importance]))
    panels = []
    for side, name in zip(SIDES, names, strict=True):
        both = np.concatenate([np.empty((2, 0)), *parts[side]], 1)
        both = both[:, ~np.isnan(both).any(0)]
        if both.shape[1]:
            panels.append(_Panel(side, name, both[0], both[1]))
    return panels
