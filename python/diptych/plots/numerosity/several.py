"""Runs that differ in one thing: the embedding's width, or the seed."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from diptych.numerosity.reproducibility import reproducibility
from diptych.numerosity.results import NumberLine
from diptych.plots.axes import (
    COLORS,
    DASHED,
    HIGH,
    MARKS,
    WIDE,
    legend_below,
    log_ticks,
    prepare,
)
from diptych.plots.canvas import blank
from diptych.plots.numerosity import runs as of
from diptych.plots.style import INK, QUIET

# What is drawn of each seed, and what it is called.
_FIGURES = {
    "linear_error": "Linear error",
    "spearman": "Spearman",
    "subitizing_limit": "Subitizing limit",
    "exponent": "Exponent",
    "weber_fraction": "Weber fraction",
    "action_error": "Action error",
}


def widths(runs: list[of.Run]) -> Figure:
    """Linear approximation error over the number of features of the embedding."""
    found = of.series(runs, lambda run: run.dimension, lambda run: run.limit)
    if not found:
        raise of.RunsError(
            "lines: expected runs with embeddings of several widths, called 'A-limit3-d8-seed0' and so on, "
            f"found {of.listed(runs)}"
        )
    drawn = blank(WIDE + 0.6, HIGH + 0.3)
    ax = drawn.subplots()
    prepare(ax, "Features of the embedding", "Linear approximation error")
    for place, (dataset, chosen) in enumerate(found.items()):
        ax.plot(
            [run.dimension or 0 for run in chosen],
            [run.line.linear_error for run in chosen],
            color=COLORS[place % len(COLORS)],
            marker=MARKS[place % len(MARKS)],
            markersize=5,
            linewidth=1.2,
            label=dataset or None,
        )
    ax.set_xscale("log", base=2)
    shown = sorted({run.dimension or 0 for chosen in found.values() for run in chosen})
    ax.xaxis.set_major_locator(FixedLocator(shown))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_ylim(bottom=0)
    legend_below(drawn, [ax], 4)
    return drawn


def seeds(runs: list[of.Run]) -> Figure:
    """The spread of each figure over seeds, and the perceived numbers of all seeds; a row per data set."""
    found = of.series(runs, lambda run: run.seed, lambda run: (run.limit, run.dimension))
    loose = [run for run in runs if not run.of_study]
    if not found and len(loose) > 1:
        found = {"": loose}
    if not found:
        raise of.RunsError(
            "lines: expected runs that differ in their seed alone, called 'A-limit3-d2-seed0' and so on, "
            f"found {of.listed(runs)}"
        )
    drawn = blank(2 * WIDE + 2.0, len(found) * (HIGH + 0.2) + 0.3)
    rows = drawn.subfigures(len(found), 1, squeeze=False)[:, 0]
    for row, (dataset, chosen) in zip(rows, found.items(), strict=True):
        if dataset:
            row.suptitle(_alike(dataset, chosen), fontsize=10, color=INK, parse_math=False)
        grid = row.add_gridspec(2, 5, width_ratios=[1, 1, 1, 0.1, 2.4])
        for number, (key, name) in enumerate(_FIGURES.items()):
            ax = row.add_subplot(grid[number // 3, number % 3])
            _draw_spread(ax, [run.line for run in chosen], key, name)
        _draw_perceived(row.add_subplot(grid[:, 4]), [run.line for run in chosen])
    return drawn


def _alike(dataset: str, runs: list[of.Run]) -> str:
    told = f"Data set {dataset}: {len(runs)} seeds"
    alike = reproducibility([run.line for run in runs]).mean_alikeness
    return told if alike is None else f"{told}; linear CKA of their embeddings {alike:.2f} in the mean"


def _draw_spread(ax: Axes, lines: Sequence[NumberLine], key: str, name: str) -> None:
    values = np.array([line.figures()[key] for line in lines])
    values = values[np.isfinite(values)]
    prepare(ax, "", "", name)
    ax.title.set_fontsize(8)
    ax.set_xticks([])
    ax.set_xlim(-1, 1)
    if len(values) == 0:
        ax.text(0, 0.5, "not defined", ha="center", va="center", fontsize=7, color=QUIET)
        ax.set_yticks([])
        return
    place = np.random.default_rng(0).uniform(-0.4, 0.4, len(values))
    ax.scatter(place, values, s=12, color=COLORS[0], alpha=0.7, linewidths=0)
    ax.hlines(values.mean(), -0.7, 0.7, color=INK, linewidth=1.4)
    ax.tick_params(labelsize=6.5)


def _draw_perceived(ax: Axes, lines: Sequence[NumberLine]) -> None:
    prepare(ax, "True number of objects", "Perceived number")
    high = 1.0
    for line in lines:
        found = line.absolute
        ax.plot(found.counts, found.mean, color=COLORS[0], linewidth=0.9, alpha=0.6)
        high = max(high, float(found.counts[-1]), float(found.mean.max()))
    ax.plot([1, high], [1, high], color=QUIET, linewidth=0.9, linestyle=DASHED, label="true number")
    log_ticks(ax, 0.5, high * 1.05, both=True)
    ax.legend(frameon=False, fontsize=7.5, loc="upper left")
