"""Figures of learners and their models: :func:`diptych.plots.tracing_figure`."""

from diptych.plots.tracing.figures import TRACING_FIGURES, tracing_figure

__all__ = ["TRACING_FIGURES", "tracing_figure"]
