"""Figures of results: matplotlib, made without any global state, returned and never shown."""

try:
    from diptych.plots.bsr import bsr_figure
    from diptych.plots.grids import explanation_grid
    from diptych.plots.panels import pca_panels
    from diptych.plots.toy import toy_concepts, toy_similarity, variation_similarity
except ModuleNotFoundError as error:
    if error.name is None or error.name.split(".")[0] == "diptych":
        raise
    raise ModuleNotFoundError(
        f"diptych.plots needs {error.name}: pip install 'diptych[report]'", name=error.name
    ) from error

__all__ = [
    "bsr_figure",
    "explanation_grid",
    "pca_panels",
    "toy_concepts",
    "toy_similarity",
    "variation_similarity",
]
