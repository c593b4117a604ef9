"""Hidden and cell states of a recurrent model in a plane."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from diptych.ops import _checks
from diptych.plots.axes import COLORS, WIDE, legend_below
from diptych.plots.canvas import blank
from diptych.plots.projection import project
from diptych.plots.style import INK, QUIET, REST_COLOR, short
from diptych.plots.tracing import parts
from diptych.tracing.results import Paths, TracingResult

_PATHS = 3
# Of the map, where it is drawn by chance.
_SEED = 0


def figure(result: TracingResult, learners: Sequence[int] | None = None, method: str | None = None) -> Figure:
    """All learners' states by the steps made, with the paths of some.

    Raises:
        ModuleNotFoundError: ``method="umap"`` and umap-learn is not installed.
        ValueError: A result without states, another method, no such learners.
    """
    _checks.one_of("method", method, (None, "umap", "pca"))
    paths = parts.paths_with(result, "hidden", "states")
    if learners is None:
        learners = parts.ordinary(result)[:_PATHS].tolist()
    for each in learners:
        _checks.integer("learners", each, 0, len(result.answers) - 1)
    drawn = blank(2 * WIDE + 0.9, WIDE + 0.7)
    axes = drawn.subplots(1, 2)
    for ax, title, states in zip(
        axes, ("Hidden states", "Cell states"), (paths.hidden, paths.cell), strict=True
    ):
        points, how = _plane(np.asarray(states, float), method)
        _draw(ax, points, paths, result, learners)
        ax.set_title(f"{title} of {short(paths.model)}", color=INK, fontsize=10, parse_math=False)
        ax.set_xlabel(how, color=QUIET, fontsize=8)
    scale = ScalarMappable(Normalize(0, int(paths.step.max())), "viridis")
    bar = drawn.colorbar(scale, ax=axes.tolist(), shrink=0.8, pad=0.02)
    bar.set_label("Training steps made", fontsize=8)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.5, color=QUIET)
    legend_below(drawn, axes[:1], _PATHS)
    return drawn


def _plane(states: NDArray[np.float64], method: str | None) -> tuple[NDArray[np.float64], str]:
    """Points (k, 2), and how they were found."""
    if method != "pca":
        try:
            umap = import_module("umap")
        except ModuleNotFoundError as error:
            if method == "umap":
                raise ModuleNotFoundError("method='umap' needs umap-learn: pip install umap-learn") from error
        else:
            neighbors = min(15, len(states) - 1)
            found = umap.UMAP(n_neighbors=neighbors, random_state=_SEED).fit_transform(states)
            return np.asarray(found, float), "by UMAP"
    found = project(states)
    first, second = found.explained
    return found.points.astype(
        float
    ), f"first two principal components, {100 * first:.0f} % and {100 * second:.0f} % of variance"


def _draw(
    ax: Axes, points: NDArray[np.float64], paths: Paths, result: TracingResult, learners: Sequence[int]
) -> None:
    size = float(np.clip(9000 / len(points), 3, 14))
    look: dict[str, Any] = {"s": size, "alpha": 0.55, "linewidths": 0, "cmap": "viridis"}
    ax.scatter(points[:, 0], points[:, 1], c=paths.step, **look)
    for place, learner in enumerate(learners):
        own = points[paths.learner == learner]
        color, name = COLORS[1:][place % (len(COLORS) - 1)], short(result.answers.learners[learner])
        ax.plot(own[:, 0], own[:, 1], color="white", linewidth=2.6, zorder=3)
        ax.plot(own[:, 0], own[:, 1], color=color, linewidth=1.3, zorder=4, label=f"learner {name}")
        ax.scatter(own[0, 0], own[0, 1], s=28, color="white", edgecolors=color, linewidths=1.3, zorder=5)
        ax.scatter(own[-1, 0], own[-1, 1], s=28, color=color, linewidths=0, zorder=5)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_color(REST_COLOR)
