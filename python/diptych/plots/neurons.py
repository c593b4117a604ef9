"""The neurons a concept is predicted from, each with the patches that excite it most."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from diptych._pictures import PatchSource
from diptych.plots.canvas import bare, blank, numbers
from diptych.plots.collage import draw_collage
from diptych.plots.style import ACCENTS, INK, QUIET, check_side, short


def neuron_figure(
    fall: Any,
    neurons: Sequence[int],
    top_patches: Sequence[Sequence[int]],
    patches: PatchSource,
    *,
    spread: Any = None,
    side: str = "a",
    title: str | None = None,
) -> Figure:
    """Draw how much each neuron contributes to a concept, beside its top patches (thesis fig. 3.11).

    Args:
        fall: (p,) contribution of every neuron to the concept, a column of
            :attr:`diptych.rsvc.NeuronContribution.fall`.
        neurons: The neurons to show, strongest first.
        top_patches: Indices of the patches that excite each of them most, as
            :func:`diptych.rsvc.top_patches` finds them.
        patches: Pictures by patch, as :func:`collage_figure` takes them.
        spread: (p,) standard deviation of the contributions over shuffles.
        side: "a" or "b": the colour of the bars.
        title: Above all.

    Raises:
        TypeError: Not real numbers, or a picture of another dtype.
        ValueError: No neurons, one out of range, other numbers of patches than neurons.
    """
    values = numbers("fall", fall)
    deviations = None if spread is None else numbers("spread", spread, len(values))
    accent = ACCENTS[check_side(side)]
    chosen = np.asarray(neurons, np.int64).ravel()
    if len(chosen) == 0 or chosen.min() < 0 or chosen.max() >= len(values):
        raise ValueError(f"neurons: expected indices of {len(values)} neurons, found {chosen.tolist()}")
    if len(top_patches) != len(chosen):
        raise ValueError(f"top_patches: expected those of {len(chosen)} neurons, found {len(top_patches)}")
    most = max(1, *(len(found) for found in top_patches))
    figure = blank(3.2 + 0.8 * most, 0.85 * len(chosen) + (0.9 if title else 0.6))
    if title:
        figure.suptitle(short(title, 80), color=accent, fontsize=13, parse_math=False)
    grid = figure.add_gridspec(len(chosen), 2, width_ratios=(2.4, 0.8 * most))
    bars = figure.add_subplot(grid[:, 0])
    places = np.arange(len(chosen))
    errors = None if deviations is None else deviations[chosen]
    bars.barh(places, values[chosen], height=0.5, color=accent, xerr=errors, ecolor=INK)
    bars.set_yticks(places, [f"neuron {number}" for number in chosen.tolist()], color=INK)
    bars.set_ylim(len(chosen) - 0.5, -0.5)
    bars.set_xlabel("Fall of the correlation when shuffled", color=QUIET, fontsize=9)
    bare(bars)
    for row, found in enumerate(top_patches):
        draw_collage(figure.add_subplot(grid[row, 1]), found, patches, most, 1)
    return figure
