"""Brightness, area and hull: how they go along with number, and whether number is judged by them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from diptych.numerosity.covariates import QUANTITIES, CovariateErrors
from diptych.numerosity.inputs import COVARIATES
from diptych.numerosity.results import NumberLine
from diptych.plots.axes import (
    COLORS,
    DASHED,
    FONT,
    HIGH,
    MARKS,
    WIDE,
    legend_below,
    percent_axis,
    prepare,
)
from diptych.plots.canvas import blank
from diptych.plots.numerosity import runs as of
from diptych.plots.style import INK, QUIET

#: What the covariates are called.
NAMES = dict(zip(COVARIATES, ("Mean intensity", "Summed area (px²)", "Area of the hull (px²)"), strict=True))
_NEEDED = "a run with covariates"
_TICKS = {4.0**power: f"{4.0**power - 1:.2g}".replace("-", "−") for power in range(-4, 5)}


# The band of covariates holds this middle share of a count's items.
_MIDDLE = 90


def by_count(runs: list[of.Run]) -> Figure:
    """Each covariate over count: medians, and the middle 90 % of the items."""
    chosen = of.with_part(of.main(runs), lambda line: line.covariate_values or None, _NEEDED)
    drawn = blank(3 * WIDE, HIGH + 0.3)
    axes = drawn.subplots(1, 3)
    for ax, covariate in zip(axes, COVARIATES, strict=True):
        draw_by_count(ax, covariate, [(run.label, run.line) for run in chosen])
    legend_below(drawn, axes, 4)
    return drawn


def draw_by_count(ax: Axes, covariate: str, lines: list[tuple[str, NumberLine]]) -> None:
    """Draw one covariate over count."""
    prepare(ax, "True number of objects", NAMES[covariate])
    ends = (100 - _MIDDLE) / 2
    for place, (label, line) in enumerate(lines):
        values, counts = line.covariate_values[covariate], np.unique(line.counts)
        low, middle, high = np.transpose(
            [np.percentile(values[line.counts == each], [ends, 50, 100 - ends]) for each in counts]
        )
        color = COLORS[place]
        ax.fill_between(counts, low, high, color=color, alpha=0.16, linewidth=0)
        ax.plot(counts, middle, color=color, marker=MARKS[place], markersize=3, linewidth=1.2, label=label)
    ax.set_ylim(bottom=0)
    ax.ticklabel_format(axis="y", style="sci", scilimits=(-2, 4), useMathText=True)
    ax.yaxis.get_offset_text().set(fontsize=FONT - 1, color=QUIET)


def errors(covariate: str) -> Callable[[list[of.Run]], Figure]:
    """What draws the errors by change of a covariate: a row per data set, a panel per reference."""

    def drawing(runs: list[of.Run]) -> Figure:
        chosen = of.with_part(of.main(runs), _errors_of, _NEEDED + " and items of a reference count")
        columns = max(len(_errors_of(run.line) or ()) for run in chosen)
        drawn = blank(2.5 * columns + 0.6, len(chosen) * (HIGH - 0.2) + 0.5)
        axes: Any = drawn.subplots(len(chosen), columns, squeeze=False, sharey=True)
        for row, run in zip(axes, chosen, strict=True):
            found = _errors_of(run.line) or ()
            for ax, each in zip(row, found, strict=False):
                draw_errors(ax, each, covariate, f"{run.label}: against {each.reference}")
            for ax in row[len(found) :]:
                ax.axis("off")
            for ax in row[1:]:
                ax.set_ylabel("")
        legend_below(drawn, axes[0], 3)
        return drawn

    return drawing


def draw_errors(ax: Axes, errors: CovariateErrors, covariate: str, title: str = "") -> None:
    """Draw the share of wrong judgements over the fractional change of count and of a covariate."""
    prepare(ax, "Fractional change (log scale)", "Judged wrongly", title)
    name = NAMES[covariate].split(" (")[0].lower()
    looks = (("count", "by count", INK, DASHED, "s"), (covariate, f"by {name}", COLORS[0], "-", "o"))
    for quantity, label, color, dashes, mark in looks:
        row = QUANTITIES.index(quantity)
        kept = np.isfinite(errors.error[row]) & (errors.change[row] > -1)
        ratio = 1 + errors.change[row, kept]
        low, high = errors.low[row, kept], errors.high[row, kept]
        ax.fill_between(ratio, low, high, color=color, alpha=0.14, linewidth=0)
        look: dict[str, Any] = {"color": color, "linestyle": dashes, "marker": mark, "linewidth": 1.2}
        ax.plot(ratio, errors.error[row, kept], markersize=3, label=label, **look)
    ax.axhline(0.5, color=QUIET, linewidth=0.8, linestyle=DASHED, zorder=1, label="chance")
    ax.set_xscale("log", base=2)
    first, last = ax.get_xlim()
    ax.xaxis.set_major_locator(FixedLocator([tick for tick in _TICKS if first <= tick <= last]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(lambda value, _: _TICKS.get(value, ""))
    ax.tick_params(axis="x", labelsize=FONT - 1)
    ax.set_ylim(0, 1.02)
    percent_axis(ax)


def _errors_of(line: NumberLine) -> tuple[CovariateErrors, ...] | None:
    return None if line.covariates is None else line.covariates.errors or None
