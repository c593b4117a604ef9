"""The embedding in a plane: items by their true number, islands outlined."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from diptych.numerosity.results import NumberLine
from diptych.plots.axes import FONT, HIGH, WIDE, legend_below
from diptych.plots.canvas import blank
from diptych.plots.numerosity import islands, quantity
from diptych.plots.numerosity import runs as of
from diptych.plots.projection import project
from diptych.plots.style import INK, QUIET, REST_COLOR

#: Colours of counts, dark to light: told apart by lightness alone.
COUNT_COLORS = "viridis"

# Labels of islands nearer than this, in inches, would lie on each other: later ones are left out.
_LABEL = 0.2


@dataclass(frozen=True, eq=False)
class Plane:
    """Items in a plane.

    Attributes:
        points: (N, 2) float64.
        names: What the axes are.
    """

    points: NDArray[np.float64]
    names: tuple[str, str]


def plane(line: NumberLine) -> Plane:
    """An embedding in two dimensions: itself, its principal components, or spread at random where it is one.

    Raises:
        RunsError: The number line was saved without its embeddings.
    """
    if line.embeddings is None:
        raise of.RunsError("lines: expected embeddings that were saved with the run, found none")
    z = np.asarray(line.embeddings, np.float64)
    if z.shape[1] == 1:
        spread = np.random.default_rng(0).uniform(-0.5, 0.5, len(z)) * float(np.ptp(z)) / 8
        return Plane(np.column_stack([z[:, 0], spread]), ("The only feature", "spread at random, to be seen"))
    if z.shape[1] == 2:
        return Plane(z, ("First feature", "Second feature"))
    found = project(z)
    names = (f"PC {number} ({share:.0%} of variance)" for number, share in enumerate(found.explained, 1))
    first, second = names
    return Plane(found.points.astype(np.float64), (first, second))


def figure(runs: list[of.Run]) -> Figure:
    """The embedding, its islands against counts, and the links between islands; a row per data set."""
    chosen = _saved(of.main(runs))
    drawn = blank(3 * WIDE + 0.4, len(chosen) * (HIGH + 0.2))
    rows: Any = drawn.subplots(len(chosen), 3, squeeze=False, width_ratios=[1.25, 1, 0.95])
    for (left, middle, right), run in zip(rows, chosen, strict=True):
        draw(left, run.line, run.label)
        islands.draw_confusion(middle, run.line)
        islands.draw_links(right, run.line)
    return drawn


def with_quantity(dataset: str) -> Any:
    """What draws the embedding beside perceived number for one data set."""

    def drawing(runs: list[of.Run]) -> Figure:
        chosen = _saved(of.of_dataset(runs, dataset))
        drawn = blank(2 * WIDE + 0.9, HIGH + 0.9)
        left, right = drawn.subplots(1, 2, width_ratios=[1.15, 1])
        draw(left, chosen[0].line, chosen[0].label)
        quantity.draw_absolute(right, chosen[0].line)
        legend_below(drawn, [right], 3)
        return drawn

    return drawing


def draw(ax: Axes, line: NumberLine, title: str = "") -> None:
    """Draw the items coloured by true count; islands are outlined, and labelled by their commonest count."""
    found = plane(line)
    points = found.points
    size = float(np.clip(9000 / len(points), 2.5, 16))
    scale = Normalize(int(line.counts.min()), int(line.counts.max()))
    x, y = points.T
    look: dict[str, Any] = {"cmap": COUNT_COLORS, "norm": scale, "alpha": 0.75, "linewidths": 0}
    ax.scatter(x, y, s=size, c=line.counts, zorder=2, **look)
    ax.set_title(title, color=INK, fontsize=FONT + 2, parse_math=False)
    ax.set_xlabel(found.names[0], color=QUIET, fontsize=FONT)
    ax.set_ylabel(found.names[1], color=QUIET, fontsize=FONT)
    ax.set_aspect("equal" if line_is_plane(line) else "auto", adjustable="datalim")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_color(REST_COLOR)
    _outline(ax, line, points)
    bar = ax.figure.colorbar(ScalarMappable(scale, COUNT_COLORS), ax=ax, shrink=0.85, pad=0.02)
    bar.set_label("True number of objects", fontsize=FONT)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=FONT - 0.5, color=QUIET)


def line_is_plane(line: NumberLine) -> bool:
    """Whether both axes of the plane are lengths of the embedding."""
    return line.embeddings is not None and line.embeddings.shape[1] > 1


def _outline(ax: Axes, line: NumberLine, points: NDArray[np.float64]) -> None:
    inch = float(np.ptp(points, 0).max()) / (WIDE - 0.9) or 1.0
    labelled: list[NDArray[np.float64]] = []
    for island, majority in enumerate(line.islands.majority):
        members = points[line.islands.labels == island]
        corners = _hull(members)
        if corners is not None:
            ax.add_patch(Polygon(corners, closed=True, fill=False, edgecolor=INK, linewidth=0.8, zorder=3))
        place = np.median(members, 0) + np.array([0, 0.16 * inch])
        if all(np.linalg.norm(place - other) >= _LABEL * inch for other in labelled):
            labelled.append(place)
            box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.75}
            ax.text(
                place[0], place[1], str(majority), fontsize=7, ha="center", va="bottom", color=INK, bbox=box
            )


def _hull(members: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Corners of the convex hull; None where the members lie on a line."""
    try:
        return members[ConvexHull(members).vertices]
    except QhullError:
        return None


def _saved(runs: list[of.Run]) -> list[of.Run]:
    return of.with_part(runs, lambda line: line.embeddings, "a run that was saved with its embeddings")
