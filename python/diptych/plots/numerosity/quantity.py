"""Perceived number: which of two scenes has more, and how many a scene has."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diptych.numerosity.absolute import HUMAN_EXPONENT, HUMAN_EXPONENT_SPREAD, AbsoluteQuantity
from diptych.numerosity.method import DEFAULT_REFERENCE
from diptych.numerosity.relative import RelativeQuantity
from diptych.numerosity.results import NumberLine
from diptych.plots.axes import (
    COLORS,
    DASHED,
    DOTTED,
    HIGH,
    MARKS,
    WIDE,
    absent,
    legend_below,
    log_ticks,
    percent_axis,
    prepare,
)
from diptych.plots.canvas import blank
from diptych.plots.numerosity import runs as of
from diptych.plots.style import CLUSTER_COLORS, INK, QUIET, REST_COLOR


def figure(runs: list[of.Run]) -> Figure:
    """Relative quantity at the left and absolute quantity at the right, a row per data set."""
    chosen = of.main(runs)
    drawn = blank(2 * WIDE + 0.4, len(chosen) * (HIGH + 0.2) + 0.9)
    axes = drawn.subplots(len(chosen), 2, squeeze=False)
    for (left, right), run in zip(axes, chosen, strict=True):
        judged = judged_of(run.line)
        if judged is None:
            absent(left, "No item has the reference’s number of objects.")
        else:
            draw_relative(left, [judged], run.label)
        draw_absolute(right, run.line, run.label)
    legend_below(drawn, axes[:, 1], 3)
    return drawn


def references(runs: list[of.Run]) -> Figure:
    """The psychometric curves against every reference, a panel per data set."""
    chosen = of.with_part(
        of.main(runs),
        lambda line: line.relative or None,
        "a run with items of a count of 3, 9, 16 or 24",
    )
    drawn = blank(WIDE * len(chosen) + 0.4, HIGH + 0.8)
    axes = drawn.subplots(1, len(chosen), squeeze=False)[0]
    for ax, run in zip(axes, chosen, strict=True):
        draw_relative(ax, run.line.relative, run.label)
        explain(ax, len(run.line.relative))
    return drawn


def explain(ax: Axes, curves: int) -> None:
    """Add the legend of several curves, and the room for it above them."""
    ax.legend(frameon=False, fontsize=7, loc="upper left", handlelength=1.4)
    ax.set(ylim=(-0.04, 1.08 + 0.1 * curves), yticks=[0, 0.25, 0.5, 0.75, 1])


def judged_of(line: NumberLine) -> RelativeQuantity | None:
    """The judgements that the Weber fraction is of; those against the largest reference without."""
    wanted = line.parameters.reference or DEFAULT_REFERENCE
    for each in line.relative:
        if each.reference == wanted:
            return each
    return line.relative[-1] if line.relative else None


def draw_relative(ax: Axes, judged: Sequence[RelativeQuantity], title: str = "") -> None:
    """Draw the share of items judged larger over their true number, and the curves through it."""
    prepare(ax, "True number of objects", "Judged to be more", title)
    several = len(judged) > 1
    for place, each in enumerate(judged):
        color = CLUSTER_COLORS[place] if several else COLORS[0]
        label = f"{each.reference}: {weber_told(each)}"
        ax.vlines(each.reference, 0, 1, color=REST_COLOR, linewidth=0.8, zorder=1)
        ax.plot(each.counts, each.share, MARKS[place], color=color, markersize=4, label=label, zorder=3)
        if not several:
            told = f"against {each.reference}:\n{weber_told(each)}".replace(" [", "\n[")
            ax.text(0.03, 0.97, told, transform=ax.transAxes, va="top", fontsize=7.5, color=INK)
        at = np.linspace(each.counts[0], each.counts[-1], 400)
        ax.plot(at, each.curve(at), color=color, linewidth=1.2, zorder=2)
    ax.axhline(0.5, color=REST_COLOR, linewidth=0.8, zorder=1)
    ax.set_ylim(-0.04, 1.04)
    percent_axis(ax)


def weber_told(judged: RelativeQuantity) -> str:
    """The Weber fraction with its interval, in few words."""
    if not np.isfinite(judged.weber_fraction):
        return "no Weber fraction"
    low, high = judged.interval
    between = "" if np.isnan(low) else f" [{low:.2f}, {high:.2f}]"
    return f"Weber fraction {judged.weber_fraction:.2f}{between}"


def draw_absolute(ax: Axes, line: NumberLine, title: str = "") -> None:
    """Draw mean perceived number over true number with its spread, the laws through it, and people's law."""
    prepare(ax, "True number of objects", "Perceived number", title)
    found = line.absolute
    counts, means = found.counts.astype(float), found.mean
    spread = np.nan_to_num(found.spread)
    at = np.geomspace(counts[0], max(counts[-1], counts[0] + 1e-9), 200)
    reach = [HUMAN_EXPONENT - HUMAN_EXPONENT_SPREAD, HUMAN_EXPONENT + HUMAN_EXPONENT_SPREAD]
    human = f"people: exponent {HUMAN_EXPONENT} ± {HUMAN_EXPONENT_SPREAD}"
    low, high = at ** reach[0], at ** reach[1]
    ax.fill_between(at, low, high, color=REST_COLOR, alpha=0.45, linewidth=0, label=human)
    ax.plot(at, at, color=QUIET, linewidth=0.9, linestyle=DASHED, label="true number")
    lower = np.maximum(means - spread, means / 4)
    ax.vlines(counts, lower, means + spread, color=COLORS[0], linewidth=1.2, alpha=0.6)
    ax.plot(counts, means, "o", color=COLORS[0], markersize=3.6, label="mean ± standard deviation")
    if found.power is not None:
        ax.plot(at, found.power(at), color=COLORS[1], linewidth=1.3, label="power law")
    if found.broken is not None:
        dotted: dict[str, Any] = {"color": INK, "linewidth": 1.3, "linestyle": DOTTED}
        ax.plot(at, found.broken(at), label="power law with a kink", **dotted)
    ax.text(0.04, 0.97, _laws_told(found), transform=ax.transAxes, va="top", fontsize=7.5, color=INK)
    least, most = float(min(1, lower.min())), float(max(counts[-1], (means + spread).max()))
    log_ticks(ax, least, most * 1.05, both=True)
    ax.set(xlim=(counts[0] * 0.85, counts[-1] * 1.15), ylim=(least * 0.8, most * 1.2))


def _laws_told(found: AbsoluteQuantity) -> str:
    """The exponents of the laws, and the interval of the plain one."""
    if found.power is None:
        return ""
    low, high = found.power.interval
    told = f"exponent {found.power.exponent:.2f}\n[{low:.2f}, {high:.2f}]"
    if found.broken is not None:
        kinked = found.broken
        told += f"\nkink at {kinked.kink:.1f}:\n{kinked.before:.2f}, then {kinked.after:.2f}"
    return told
