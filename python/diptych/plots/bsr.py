"""Mean binary success rate per method over experiments (thesis Fig. 4.3A)."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from diptych.plots.style import ACCENTS, INK, QUIET, REST_COLOR

_KEYS = ("experiment", "method", "direction", "bsr")


def bsr_figure(rows: Iterable[Mapping[str, Any]]) -> Figure:
    """Draw the mean binary success rate of each method as a bar, its experiments as points.

    The value of an experiment is the mean of its directions; a bar is the mean of its experiments. A
    direction without grids (NaN) is left out. RDX comes first, the others follow by falling mean.

    Args:
        rows: One mapping per experiment, method and direction with the keys ``experiment``,
            ``method``, ``direction`` and ``bsr`` (in [0, 1] or NaN); other keys are ignored.

    Raises:
        ValueError: There are no rows with a number, a row lacks a key, or a rate leaves [0, 1].
    """
    values = _values(rows)
    means = {method: float(np.mean(list(points.values()))) for method, points in values.items()}
    methods = sorted(means, key=lambda method: (not _is_rdx(method), -means[method], method))
    figure = Figure(figsize=(1.6 + 1.1 * len(methods), 4.2), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    spread = np.random.default_rng(0)
    for place, method in enumerate(methods):
        points = np.array(list(values[method].values()))
        color = ACCENTS["a"] if _is_rdx(method) else REST_COLOR
        ax.bar(place, means[method], width=0.62, color=color, zorder=1)
        offsets = spread.uniform(-0.17, 0.17, len(points)) if len(points) > 1 else np.zeros(1)
        ax.scatter(place + offsets, points, s=22, color=INK, edgecolors="white", zorder=3)
        ax.text(place, 0.02, f"{means[method]:.2f}", ha="center", color=_on(method), fontsize=9)
    ax.axhline(0.5, color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)), zorder=2)
    ax.set_xticks(range(len(methods)), methods)
    ax.set_ylim(0, 1)
    ax.set_ylabel("Binary success rate")
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(axis="x", length=0)
    return figure


def _values(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, list[float]]] = {}
    for number, row in enumerate(rows):
        missing = [key for key in _KEYS if key not in row]
        if missing:
            raise ValueError(f"rows: row {number} lacks {', '.join(missing)}")
        rate = float(row["bsr"])
        if np.isnan(rate):
            continue
        if not 0.0 <= rate <= 1.0:
            raise ValueError(f"rows: found bsr {rate:g} in row {number}, wanted it in [0, 1]")
        experiments = found.setdefault(str(row["method"]), {})
        experiments.setdefault(str(row["experiment"]), []).append(rate)
    if not found:
        raise ValueError("rows: found no row with a binary success rate, wanted at least one")
    return {
        method: {name: float(np.mean(rates)) for name, rates in experiments.items()}
        for method, experiments in found.items()
    }


def _is_rdx(method: str) -> bool:
    return method.casefold() == "rdx"


def _on(method: str) -> str:
    return "white" if _is_rdx(method) else INK
