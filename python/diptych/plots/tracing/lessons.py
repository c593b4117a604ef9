"""What came of teaching."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from diptych.plots.axes import COLORS, HIGH, WIDE, legend_below, percent_axis, prepare
from diptych.plots.canvas import blank
from diptych.plots.style import QUIET, REST_COLOR
from diptych.tracing.lessons import Lessons


def figure(lessons: Lessons) -> Figure:
    """What learners would get right after each step, and how much more than under the random teacher."""
    frame = lessons.frame()
    drawn = blank(2 * WIDE, HIGH + 0.4)
    left, right = drawn.subplots(1, 2)
    seeds = len(lessons.seeds)
    for place, policy in enumerate(lessons.policies):
        own = frame[frame.policy == policy]
        color = QUIET if place == 0 else COLORS[(place - 1) % len(COLORS)]
        left.plot(own.step, own["mean"], color=color, linewidth=1.4, label=policy.replace("_", " "))
        if place:
            right.plot(own.step, own.gain, color=color, linewidth=1.4)
            right.fill_between(own.step, own.low, own.high, color=color, alpha=0.18, linewidth=0)
        if seeds > 1:
            left.fill_between(
                own.step, own["mean"] - own.sd, own["mean"] + own.sd, color=color, alpha=0.12, linewidth=0
            )
    right.axhline(0, color=REST_COLOR, linewidth=0.8)
    for ax in (left, right):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    band = f", sd of {seeds} seeds" if seeds > 1 else ""
    prepare(left, "Steps taught", "Right answers to held-out images", f"What is learned{band}")
    title = "Gain over random" + (", 95 % interval" if band else "")
    prepare(right, "Steps taught", "Percentage points", title)
    percent_axis(left)
    right.yaxis.set_major_formatter(lambda value, _: f"{round(100 * value, 6):+g}" if value else "0")
    legend_below(drawn, [left], 3)
    return drawn
