"""Figures of results: matplotlib, made without any global state, returned and never shown."""

from diptych.plots.bsr import bsr_figure
from diptych.plots.grids import explanation_grid
from diptych.plots.panels import pca_panels

__all__ = ["bsr_figure", "explanation_grid", "pca_panels"]
