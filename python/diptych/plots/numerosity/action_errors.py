"""How often actions are named wrongly, by number of objects."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from diptych.numerosity.action_error import SIDES
from diptych.numerosity.actions import ACTIONS
from diptych.plots.axes import (
    COLORS,
    DASHED,
    DOTTED,
    HIGH,
    MARKS,
    WIDE,
    legend_below,
    percent_axis,
    prepare,
)
from diptych.plots.canvas import blank
from diptych.plots.numerosity import runs as of
from diptych.plots.style import QUIET

#: Error of naming one of the actions at random.
CHANCE = 1 - 1 / len(ACTIONS)

_OBJECTS = dict(
    zip(SIDES, ("Objects (larger side)", "Objects before", "Objects after"), strict=True), other="Objects"
)

# Runs stand this far apart at the same number of objects.
_APART = 0.16


def figure(runs: list[of.Run]) -> Figure:
    """Error of action naming over number of objects, data sets side by side."""
    chosen = of.with_part(of.main(runs), lambda line: line.action_error, "a run with predicted actions")
    drawn = blank(WIDE + 0.6, HIGH + 0.5)
    ax = drawn.subplots()
    draw(ax, chosen, [run.label for run in chosen])
    legend_below(drawn, [ax])
    return drawn


def limits(runs: list[of.Run]) -> Figure:
    """The same for networks trained on up to other numbers of objects, and how far each subitizes."""
    found = of.series(runs, lambda run: run.limit, lambda run: run.dimension)
    if not found:
        raise of.RunsError(
            "lines: expected runs of several training limits, called 'A-limit5-d2-seed0' and the like, "
            f"found {of.listed(runs)}"
        )
    drawn = blank(2 * WIDE + 0.4, len(found) * HIGH + 0.6)
    axes = drawn.subplots(len(found), 2, squeeze=False)
    for (left, right), (dataset, chosen) in zip(axes, found.items(), strict=True):
        named = [run for run in chosen if run.line.action_error is not None]
        draw(left, named, [f"up to {run.limit} objects" for run in named], f"Data set {dataset}")
        _draw_subitizing(right, chosen)
    legend_below(drawn, axes.flat, 3)
    return drawn


def draw(ax: Axes, runs: Sequence[of.Run], labels: Sequence[str], title: str = "") -> None:
    """Draw the error of each run with its 95 % interval, its training limit and the level of chance."""
    by = {run.line.action_error.by for run in runs if run.line.action_error is not None}
    prepare(ax, _OBJECTS[by.pop() if len(by) == 1 else "other"], "Actions named wrongly", title)
    ax.axhline(CHANCE, color=QUIET, linewidth=0.9, linestyle=DASHED, label="chance", zorder=1)
    highest = CHANCE
    for place, (run, label) in enumerate(zip(runs, labels, strict=True)):
        found = run.line.action_error
        if found is None:
            continue
        color = COLORS[place % len(COLORS)]
        at = found.objects + _APART * (place - (len(runs) - 1) / 2)
        ax.vlines(at, found.low, found.high, color=color, linewidth=1.3, alpha=0.7, zorder=2)
        look: dict[str, Any] = {"color": color, "marker": MARKS[place % len(MARKS)], "linewidth": 1.2}
        ax.plot(at, found.share, markersize=4, label=label, **look)
        highest = max(highest, float(np.max(found.high)))
    _draw_limits(ax, [run.limit for run in runs])
    ax.set_ylim(-0.02 * highest, 1.06 * highest)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    percent_axis(ax)


def _draw_limits(ax: Axes, trained: Sequence[int | None]) -> None:
    """Draw a line beyond the most objects that were trained on; of several limits in their runs' colours."""
    known = sorted({limit for limit in trained if limit is not None})
    for limit in known:
        color, label = COLORS[trained.index(limit) % len(COLORS)], None
        if len(known) == 1:
            color, label = QUIET, f"trained on up to {limit}"
        elif limit == known[0]:
            label = "training limit"
        ax.axvline(limit + 0.5, color=color, linewidth=1.4, linestyle=DOTTED, label=label, zorder=1)


def _draw_subitizing(ax: Axes, runs: Sequence[of.Run]) -> None:
    prepare(ax, "Trained on up to … objects", "Subitizing limit")
    trained = [run.limit or 0 for run in runs]
    found = [run.line.subitizing_limit for run in runs]
    top = max(*trained, *found) + 1
    dashed: dict[str, Any] = {"color": QUIET, "linewidth": 0.9, "linestyle": DASHED}
    ax.plot([0, top], [0, top], label="as many as trained on", **dashed)
    for place, (x, y) in enumerate(zip(trained, found, strict=True)):
        ax.plot(x, y, color=COLORS[place % len(COLORS)], marker=MARKS[place % len(MARKS)], markersize=7)
    ax.set(xlim=(0, top), ylim=(-1.4, top), xticks=trained)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
