"""Average precision learner by learner: a model against the static one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from diptych.plots.axes import HIGH, WIDE, absent, prepare
from diptych.plots.canvas import blank
from diptych.plots.style import INK, REST_COLOR, short
from diptych.plots.tracing import parts
from diptych.tracing.results import STATIC, TracingResult

# Panels beside each other.
_COLUMNS = 3


def figure(result: TracingResult, models: Sequence[str] | None = None) -> Figure:
    """A row for training and one for test; a panel a model, a point a learner, above the line where it gains.

    Raises:
        ValueError: The static model is not among the result's.
    """
    if STATIC not in result.models:
        raise ValueError(f"result: expected the model {STATIC!r} to compare with, found none")
    names = [name for name in parts.chosen(result, models) if name != STATIC]
    phases = [("train", "training")] + [("test", "test")] * bool(result.answers.test.any())
    drawn = blank(max(1, len(names)) * (WIDE - 0.9) + 0.3, len(phases) * HIGH)
    grid = drawn.subplots(len(phases), max(1, len(names)), squeeze=False)
    looks = parts.looks(names)
    for row, (phase, words) in zip(grid, phases, strict=True):
        found = result.of_learners(phase)
        static = found[STATIC]
        if not names:
            absent(row[0], "no model beside the static one")
        for ax, name in zip(row, names, strict=False):
            own = found[name]
            low, high = _ends(np.concatenate([static, own]))
            ax.plot([low, high], [low, high], color=REST_COLOR, linewidth=0.8, zorder=1)
            ax.scatter(static, own, s=12, color=looks[name]["color"], alpha=0.6, linewidths=0, zorder=2)
            # Who gave no answer in the phase neither gains nor loses.
            gains = (own - static)[np.isfinite(own - static)]
            if len(gains):
                told = f"better for {100 * (gains > 0).mean():.0f} %\nmean {gains.mean():+.3f}"
                at: dict[str, Any] = {"transform": ax.transAxes, "ha": "right", "va": "bottom"}
                ax.text(0.97, 0.03, told, fontsize=7.5, color=INK, **at)
            ax.set(xlim=(low, high), ylim=(low, high))
            ax.set_aspect("equal")
            title = short(name) if phase == "train" else ""
            prepare(ax, f"AP of static, {words}", "AP of the model" if ax is row[0] else "", title)
    return drawn


def _ends(values: np.ndarray) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
    room = 0.04 * (high - low) + 0.01
    return float(low - room), float(high + room)
