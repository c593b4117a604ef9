"""How far each kind of action moves a scene."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diptych.numerosity.actions import ACTIONS
from diptych.numerosity.distances import ActionDistances
from diptych.plots.axes import COLORS, HIGH, WIDE, legend_below, percent_axis, prepare
from diptych.plots.canvas import blank
from diptych.plots.numerosity import runs as of

_LINES = ("-", (0, (4, 2)), (0, (1, 1)))


def figure(runs: list[of.Run]) -> Figure:
    """Histograms of the distance between the scenes before and after, a panel per data set."""
    chosen = of.with_part(of.main(runs), lambda line: line.distances, "a run with pairs and actions")
    drawn = blank(WIDE * len(chosen) + 0.2, HIGH + 0.3)
    axes = drawn.subplots(1, len(chosen), squeeze=False)[0]
    for ax, run in zip(axes, chosen, strict=True):
        if run.line.distances is not None:
            draw(ax, run.line.distances, run.label)
    legend_below(drawn, axes, 3)
    return drawn


def draw(ax: Axes, distances: ActionDistances, title: str = "") -> None:
    """Draw the share of each action's pairs in each bin of distance."""
    prepare(ax, "Distance (that of 0 and 1 is one)", "Share of the action’s pairs", title)
    for action, row, pairs, color, dashes in zip(
        ACTIONS, distances.histogram, distances.pairs, COLORS, _LINES, strict=False
    ):
        if pairs:
            share = row / pairs
            ax.stairs(share, distances.edges, fill=True, color=color, alpha=0.14)
            ax.stairs(share, distances.edges, color=color, linewidth=1.4, linestyle=dashes, label=action)
    ax.set_xlim(0, float(np.max(distances.edges)))
    ax.set_ylim(bottom=0)
    percent_axis(ax)
