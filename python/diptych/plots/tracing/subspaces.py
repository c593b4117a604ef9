"""How the classifier that a learner is taken to hold divides the images, step by step."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from diptych.plots.axes import MARKS, legend_below
from diptych.plots.canvas import blank
from diptych.plots.style import INK, QUIET, REST_COLOR, cluster_color, short
from diptych.plots.tracing import parts
from diptych.tracing.results import Paths, TracingResult

# Panels, and points along an axis of one.
_PANELS, _GRID = 5, 160


def figure(result: TracingResult, learner: int | None = None) -> Figure:
    """Images on two axes that show the classes apart, and the answer that is likeliest at each place.

    Axes are the two principal ones of the classes' mean features. A place in the plane stands for the image
    there that is as the mean of all in every other direction: that is where the regions' borders, hyperplanes
    of all dimensions, are cut. Images are coloured by their true class.

    Raises:
        ValueError: A result without classifiers, no such learner.
    """
    paths = parts.paths_with(result, "weights", "linear classifiers")
    who = parts.one_learner(result, learner)
    own = np.flatnonzero(paths.learner == who)
    chosen = own[np.unique(np.linspace(0, len(own) - 1, _PANELS).round().astype(int))]
    mean, axes_of = _axes(paths.features, result)
    points = (paths.features - mean) @ axes_of
    drawn = blank(2.35 * len(chosen), 2.35 + 0.75)
    row = drawn.subplots(1, len(chosen), squeeze=False, sharex=True, sharey=True)[0]
    for ax, state in zip(row, chosen, strict=True):
        _draw(ax, paths, int(state), (mean, axes_of), points, result)
    drawn.suptitle(
        f"Learner {short(result.answers.learners[who])} as {short(paths.model)} takes it to be",
        color=INK,
        fontsize=10,
        parse_math=False,
    )
    legend_below(drawn, row[:1], min(6, len(result.answers.classes)), marks=2.5)
    return drawn


def _axes(
    features: NDArray[np.float32], result: TracingResult
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean (d,) of all images, and two orthonormal directions (d, 2) in which the classes differ most."""
    mean = features.mean(0, dtype=float)
    labels = result.answers.labels
    centres = np.stack([features[labels == each].mean(0, dtype=float) - mean for each in np.unique(labels)])
    # Two classes differ in one direction: the second is the images' own.
    of_classes = np.linalg.svd(centres, full_matrices=False)[2][: min(2, len(centres) - 1)].T
    rest = features - mean
    rest = rest - rest @ of_classes @ of_classes.T
    basis = np.column_stack([of_classes, np.linalg.svd(rest, full_matrices=False)[2][:2].T])[:, :2]
    if basis.shape[1] < 2:
        raise ValueError(f"result: expected features of width 2 or more, found {features.shape[1]}")
    return mean, basis


def _draw(
    ax: Axes,
    paths: Paths,
    state: int,
    plane: tuple[NDArray[np.float64], NDArray[np.float64]],
    points: NDArray[np.float64],
    result: TracingResult,
) -> None:
    mean, basis = plane
    low, high = points.min(0), points.max(0)
    room = 0.06 * (high - low) + 1e-6
    low, high = low - room, high + room
    across, up = (np.linspace(low[axis], high[axis], _GRID) for axis in (0, 1))
    places = np.stack(np.meshgrid(across, up), -1)
    assert paths.weights is not None
    assert paths.offsets is not None
    weights, offsets = paths.weights[state].astype(float), paths.offsets[state].astype(float)
    likeliest = ((mean + places @ basis.T) @ weights.T + offsets).argmax(-1)
    count = len(result.answers.classes)
    colors = [cluster_color(each) for each in range(count)]
    look: dict[str, Any] = {"vmin": -0.5, "vmax": count - 0.5, "interpolation": "nearest", "aspect": "auto"}
    extent = (low[0], high[0], low[1], high[1])
    ax.imshow(likeliest, origin="lower", extent=extent, cmap=ListedColormap(colors), alpha=0.3, **look)
    # One class after the other: between regions 1 and 4 contours of the numbers would draw three lines.
    for each in np.unique(likeliest)[1:]:
        ax.contour(across, up, likeliest == each, levels=[0.5], colors="white", linewidths=1.0)
    size = float(np.clip(2500 / len(points), 2, 12))
    for each, name in enumerate(parts.class_names(result)):
        own = points[result.answers.labels == each]
        ax.scatter(
            own[:, 0],
            own[:, 1],
            s=size,
            color=colors[each],
            marker=MARKS[each % len(MARKS)],
            linewidths=0,
            label=name,
        )
    right = ((paths.features @ weights.T + offsets).argmax(1) == result.answers.labels).mean()
    when = "at the start" if paths.step[state] == 0 else f"after {paths.step[state]} steps"
    ax.set_title(when, color=INK, fontsize=8.5)
    ax.set_xlabel(f"{100 * right:.0f} % of all images right", color=QUIET, fontsize=7.5)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_color(REST_COLOR)
