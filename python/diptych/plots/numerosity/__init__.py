"""Figures of number lines: :func:`diptych.plots.numerosity_figure`."""

from diptych.plots.numerosity.figures import NUMEROSITY_FIGURES, numerosity_figure
from diptych.plots.numerosity.runs import MissingRunsError

__all__ = ["NUMEROSITY_FIGURES", "MissingRunsError", "numerosity_figure"]
