"""Figures of number lines: :func:`diptych.plots.numerosity_figure`."""

from diptych.plots.numerosity.figures import NUMEROSITY_FIGURES, numerosity_figure
from diptych.plots.numerosity.runs import RunsError

__all__ = ["NUMEROSITY_FIGURES", "RunsError", "numerosity_figure"]
