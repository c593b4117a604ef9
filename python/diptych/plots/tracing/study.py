"""Models on several kinds of learners, seed by seed."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diptych.plots.axes import COLORS, DASHED, DOTTED, FONT, WIDE, absent, prepare
from diptych.plots.canvas import blank
from diptych.plots.style import INK, QUIET, short
from diptych.tracing.results import ORACLE, STATIC
from diptych.tracing.sequences import PHASES
from diptych.tracing.study import TracingStudy, interval

# Inches of a model's line, and of what stands above and below them.
_LINE, _ROOM = 0.17, 0.85
_WORDS = {"train": "training", "test": "test"}


def figure(study: TracingStudy, table: str = "models") -> Figure:
    """A column for each set of learners, a row for training and one for test; in each panel a line a model.

    Ticks are seeds, dots and bars their means with 95 % intervals, above the static model of the same seed
    where there is one; verticals are the static model and the oracle.

    Args:
        study: The study.
        table: Whose models, one of :data:`diptych.tracing.variants.TABLES`.
    """
    of_each = {learners: study.compared(learners, table) for learners in study.sets}
    sets = [learners for learners, models in of_each.items() if models]
    if not sets:
        drawn = blank(WIDE, 1.2)
        absent(drawn.subplots(), "no such models were trained")
        return drawn
    phases = [
        phase for phase in PHASES if any(study.micro_ap(each, of_each[each][0], phase) for each in sets)
    ]
    high = max(len(of_each[each]) for each in sets) * _LINE + _ROOM
    drawn = blank(1.3 + len(sets) * (WIDE - 1.0), len(phases) * high)
    grid = drawn.subplots(len(phases), len(sets), squeeze=False, sharex=False)
    for row, phase in zip(grid, phases, strict=True):
        named: tuple[str, ...] = ()
        for ax, learners in zip(row, sets, strict=True):
            if not study.micro_ap(learners, of_each[learners][0], phase):
                absent(ax, "no answers in tests" if phase == "test" else "no answers in training")
                continue
            _panel(ax, study, learners, of_each[learners], phase)
            below = ""
            if phase == phases[-1]:
                apart = STATIC in study.models(learners)
                below = "Micro AP above the static model" if apart else "Micro average precision"
            prepare(ax, below, "", f"{short(learners)} learners, {_WORDS[phase]}")
            if of_each[learners] == named:
                ax.set_yticklabels([])
            named = named or of_each[learners]
    return drawn


def _panel(ax: Axes, study: TracingStudy, learners: str, models: Sequence[str], phase: str) -> None:
    base = study.micro_ap(learners, STATIC, phase)

    def of_seeds(model: str) -> list[float]:
        own = study.micro_ap(learners, model, phase)
        return [ap - base.get(seed, 0.0) for seed, ap in own.items()]

    shown: list[float] = []
    for name, style, color in ((STATIC, DOTTED, QUIET), (ORACLE, DASHED, INK)):
        if found := of_seeds(name):
            mean = float(np.mean(found))
            ax.axvline(mean, color=color, linestyle=style, linewidth=0.9)
            shown.append(mean)
    for place, name in enumerate(models):
        seeds = of_seeds(name)
        shown += seeds
        mean, low, high = interval(seeds)
        color = COLORS[0] if name == "fast_weight" else INK
        ax.scatter(seeds, [place] * len(seeds), s=22, marker="|", color=color, linewidths=0.8, zorder=2)
        ax.plot([low, high], [place, place], color=color, linewidth=1.2, zorder=3)
        ax.scatter([mean], [place], s=16, color=color, linewidths=0, zorder=4)
    ax.set_yticks(range(len(models)), [short(name, 24) for name in models], fontsize=FONT - 0.5)
    ax.set_ylim(len(models) - 0.4, -0.6)
    # Of few seeds intervals may reach beyond what there is.
    ax.set_xlim(min(shown) - 0.05, max(shown) + 0.05)
    for label in ax.get_yticklabels():
        label.set_parse_math(False)
