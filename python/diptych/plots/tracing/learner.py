"""One learner step by step."""

import numpy as np
from matplotlib.figure import Figure

from diptych.plots.axes import prepare
from diptych.plots.canvas import blank
from diptych.plots.style import INK, QUIET, REST_COLOR, short
from diptych.plots.tracing import parts
from diptych.tracing.results import TracingResult


def figure(result: TracingResult, learner: int | None = None, model: str | None = None) -> Figure:
    """A column a step: probabilities of all classes, the true class outlined, the answer marked."""
    who, name = parts.one_learner(result, learner), parts.best(result, model)
    answers = result.answers
    rows = np.flatnonzero(answers.learner == who)
    chances = result.foretold()[name][rows]
    label, response, test = answers.label[rows], answers.response[rows], answers.test[rows]
    steps, count = len(rows), len(answers.classes)
    drawn = blank(max(5.0, 1.6 + 0.21 * steps), 1.5 + 0.28 * count)
    ax = drawn.subplots()
    picture = ax.imshow(chances.T, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for step in range(steps):
        box = np.array([[-0.5, 0.5, 0.5, -0.5, -0.5], [-0.5, -0.5, 0.5, 0.5, -0.5]])
        ax.plot(step + 0.94 * box[0], label[step] + 0.92 * box[1], color=INK, linewidth=0.9)
    right = response == label
    deep = chances[np.arange(steps), response] > 0.55
    for hit, mark in ((True, "o"), (False, "x")):
        there = np.flatnonzero(right == hit)
        colors = np.where(deep[there], "white", INK)
        ax.scatter(there, response[there], s=16, marker=mark, c=colors, linewidths=1.1, zorder=3)
    if test.any() and not test.all():
        ax.axvline(int(test.argmax()) - 0.5, color=INK, linewidth=1.2, linestyle=(0, (3, 2)))
        ax.text(int(test.argmax()) - 0.3, -0.6, "test", ha="left", va="bottom", fontsize=7.5, color=QUIET)
    prepare(ax, "Step", "")
    title = f"Learner {short(answers.learners[who])}: what {short(name)} expected"
    ax.set_title(title, loc="left", color=INK, fontsize=10, parse_math=False)
    ax.set_yticks(range(count), parts.class_names(result))
    parts.plain(ax.get_yticklabels())
    ticks = np.arange(0, steps, 5)
    ax.set_xticks(ticks, [str(tick + 1) for tick in ticks])
    ax.spines[:].set_color(REST_COLOR)
    bar = drawn.colorbar(picture, ax=ax, shrink=0.85, pad=0.015)
    bar.set_label("Probability", fontsize=8)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.5, color=QUIET)
    drawn.supxlabel(
        "box: true class     \N{BLACK CIRCLE} right answer     \N{MULTIPLICATION SIGN} wrong answer",
        fontsize=7.5,
        color=QUIET,
    )
    return drawn
