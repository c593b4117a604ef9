"""The toy-concept experiment: what the concepts look like, and which of them the other network lacks."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from diptych.plots.style import ACCENTS, INK, QUIET, REST_COLOR, SIDES
from diptych.rsvc.toy import GRID, MODELS, ToyRun, top_patches
from diptych.rsvc.toy_claims import ConceptRow
from diptych.rsvc.variations import VariationRow, mean_similarities

_SHOWN = 10
_SQUARE_COLOR = "#d6247f"


def toy_concepts(run: ToyRun) -> Figure:
    """Draw the ten top patches of each concept of both networks, lowest CMCS first, squares marked.

    Args:
        run: The experiment with one seed.
    """
    k = run.result.coefficients_1.shape[1]
    figure = Figure(figsize=(13, 0.62 * k + 0.9), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    coefficients_of = (run.result.coefficients_1, run.result.coefficients_2)
    axes = figure.subplots(k, 2, squeeze=False)
    for column, (model, coefficients, side) in enumerate(zip(MODELS, coefficients_of, SIDES, strict=True)):
        top = top_patches(coefficients, _SHOWN)
        rows = [row for row in run.concepts if row.model == model]
        for place, row in enumerate(sorted(rows, key=lambda row: (np.isnan(row.cmcs), row.cmcs))):
            ax = axes[place, column]
            _draw_patches(ax, run, top[:, row.concept])
            words = f"CMCS {row.cmcs:.2f}\nSMCS {row.smcs:.2f}" + ("\nsquare" if row.is_square else "")
            color = _SQUARE_COLOR if row.is_square else INK
            ax.set_ylabel(words, rotation=0, ha="right", va="center", fontsize=8, color=color)
        axes[0, column].set_title(
            f"Concepts of {model}, CMCS from {MODELS[1 - column]}", color=ACCENTS[side], fontsize=11
        )
    return figure


def toy_similarity(rows: Sequence[ConceptRow]) -> Figure:
    """Draw each concept's CMCS against its SMCS, a panel per setting and network, squares in pink.

    Args:
        rows: The concepts of some runs; dead ones are left out.

    Raises:
        ValueError: There are no rows.
    """
    if not rows:
        raise ValueError("rows: expected at least one concept, found none")
    settings = list(dict.fromkeys((row.depth, row.epochs) for row in rows))
    figure = Figure(figsize=(7, 0.4 + 3.2 * len(settings)), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(settings), len(MODELS), squeeze=False, sharex=True, sharey=True)
    for (depth, epochs), line in zip(settings, axes, strict=True):
        for model, ax in zip(MODELS, line, strict=True):
            chosen = [row for row in rows if (row.depth, row.epochs, row.model) == (depth, epochs, model)]
            for square, color in ((False, REST_COLOR), (True, _SQUARE_COLOR)):
                points = [row for row in chosen if row.is_square is square and not np.isnan(row.cmcs)]
                ax.scatter(
                    [row.smcs for row in points],
                    [row.cmcs for row in points],
                    s=26,
                    color=color,
                    edgecolors=INK,
                    linewidths=0.5,
                    label="square" if square else "other concepts",
                    zorder=3 if square else 2,
                )
            ax.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
            ax.set_title(f"Concepts of {model}: {depth} convolutions, {epochs} epochs", fontsize=9)
            ax.spines[["top", "right"]].set_visible(False)
        line[0].set_ylabel("CMCS")
    for ax in axes[-1]:
        ax.set_xlabel("SMCS")
    lowest = min((row.cmcs for row in rows if not np.isnan(row.cmcs)), default=0.0)
    axes[0, 0].set_xlim(min(0.4, lowest - 0.05), 1.02)
    axes[0, 0].set_ylim(min(0.4, lowest - 0.05), 1.02)
    axes[0, 0].legend(frameon=False, fontsize=8, loc="lower left")
    return figure


def variation_similarity(rows: Sequence[VariationRow]) -> Figure:
    """Draw the mean CMCS of each variation of the training as a bar, its seeds as points.

    Args:
        rows: The variations with some seeds.

    Raises:
        ValueError: There are no rows.
    """
    if not rows:
        raise ValueError("rows: expected at least one variation, found none")
    figure = Figure(figsize=(6.4, 3.6), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    means = mean_similarities(rows)
    for place, values in enumerate(means.values()):
        ax.bar(place, np.mean(values), width=0.62, color=REST_COLOR, zorder=1)
        offsets = np.linspace(-0.15, 0.15, len(values)) if len(values) > 1 else np.zeros(1)
        ax.scatter(place + offsets, values, s=22, color=INK, edgecolors="white", zorder=3)
        ax.text(place, 0.03, f"{np.mean(values):.3f}", ha="center", color=INK, fontsize=9)
    ax.set_xticks(range(len(means)), list(means))
    ax.set_ylim(0, 1)
    ax.set_ylabel("Mean CMCS")
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(axis="x", length=0)
    return figure


def _draw_patches(ax: Axes, run: ToyRun, patches: NDArray[np.int64]) -> None:
    boxes = GRID.boxes(*run.images.images.shape[1:3])
    for place, patch in enumerate(patches.tolist()):
        image, number = divmod(patch, len(boxes))
        left, top, right, bottom = boxes[number]
        picture = run.images.images[image, top:bottom, left:right]
        ax.imshow(picture, extent=(1.06 * place, 1.06 * place + 1, 0, 1), interpolation="nearest")
    ax.set_xlim(0, 1.06 * _SHOWN)
    ax.set_ylim(0, 1)
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
