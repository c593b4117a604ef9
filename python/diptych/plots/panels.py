"""Both representations on their principal axes, with the explanations of both directions."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from diptych.plots.projection import Projection, project
from diptych.plots.style import ACCENTS, INK, QUIET, REST_COLOR, SIDES, cluster_color, short
from diptych.rdx.results import Explanations, RDXResult


def pca_panels(result: RDXResult, projections: tuple[Projection, Projection] | None = None) -> Figure:
    """Draw both representations side by side, a row per direction (as in thesis Fig. 4.6).

    Clusters are coloured, the items of the grids are ringed and numbered at their median.

    Args:
        result: A comparison with its embeddings.
        projections: Both projections if they are at hand already.

    Raises:
        ValueError: The result was saved without embeddings.
    """
    if projections is None:
        if result.embeddings is None:
            raise ValueError("result: found no embeddings, wanted a result that was saved with them")
        first = project(result.embeddings[0])
        projections = first, project(result.embeddings[1], like=first)
    figure = Figure(figsize=(11, 11), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    rows: Any = figure.subfigures(2, 1, hspace=0.04)
    for row, accent_of, direction in zip(rows, SIDES, result.directions, strict=True):
        source, other, explanations = direction
        row.suptitle(
            f"What {short(source)} groups together and {short(other)} does not",
            color=ACCENTS[accent_of],
            fontsize=13,
            fontweight="bold",
            parse_math=False,
        )
        panels = zip(row.subplots(1, 2), SIDES, result.names, projections, strict=True)
        for ax, side, name, projection in panels:
            _draw_map(ax, projection, explanations)
            ax.set_title(short(name), color=ACCENTS[side], fontsize=12, parse_math=False)
    return figure


def _draw_map(ax: Axes, projection: Projection, explanations: Explanations) -> None:
    points = projection.points
    rest = explanations.labels < 0
    size = float(np.clip(6000 / max(len(points), 1), 3, 24))
    ax.scatter(points[rest, 0], points[rest, 1], s=size, color=REST_COLOR, linewidths=0)
    for number, grid in enumerate(explanations.grids):
        color = cluster_color(number)
        members = explanations.labels == number
        ax.scatter(points[members, 0], points[members, 1], s=size, color=color, alpha=0.55, linewidths=0)
        ax.scatter(
            points[grid, 0], points[grid, 1], s=34, color=color, edgecolors=INK, linewidths=1.0, zorder=3
        )
    for number, grid in enumerate(explanations.grids):
        x, y = np.median(points[grid], axis=0)
        box = {"boxstyle": "circle,pad=0.25", "facecolor": "white", "edgecolor": INK}
        ax.text(x, y, str(number + 1), fontsize=8, ha="center", va="center", bbox=box, zorder=4)
    first, second = projection.explained
    ax.set_xlabel(f"PC 1 ({first:.0%} of variance)", color=QUIET)
    ax.set_ylabel(f"PC 2 ({second:.0%})", color=QUIET)
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_color(REST_COLOR)
