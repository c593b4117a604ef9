"""Figures of results: matplotlib, made without any global state, returned and never shown."""

try:
    from diptych.plots.bsr import bsr_figure
    from diptych.plots.collage import Crops, collage_figure
    from diptych.plots.concept_scatter import concept_scatter
    from diptych.plots.grids import explanation_grid
    from diptych.plots.layer_matrix import layer_matrix
    from diptych.plots.mcs_vs_lasso import mcs_vs_lasso
    from diptych.plots.neurons import neuron_figure
    from diptych.plots.numerosity import NUMEROSITY_FIGURES, RunsError, numerosity_figure
    from diptych.plots.panels import pca_panels
    from diptych.plots.similarity_importance import similarity_importance
    from diptych.plots.sweeps import sweep_figure
    from diptych.plots.toy import toy_concepts, toy_similarity, variation_similarity
    from diptych.plots.tracing import TRACING_FIGURES, tracing_figure
except ModuleNotFoundError as error:
    if error.name is None or error.name.split(".")[0] == "diptych":
        raise
    raise ModuleNotFoundError(
        f"diptych.plots needs {error.name}: pip install 'diptych[report]'", name=error.name
    ) from error

__all__ = [
    "NUMEROSITY_FIGURES",
    "TRACING_FIGURES",
    "Crops",
    "RunsError",
    "bsr_figure",
    "collage_figure",
    "concept_scatter",
    "explanation_grid",
    "layer_matrix",
    "mcs_vs_lasso",
    "neuron_figure",
    "numerosity_figure",
    "pca_panels",
    "similarity_importance",
    "sweep_figure",
    "toy_concepts",
    "toy_similarity",
    "tracing_figure",
    "variation_similarity",
]
