"""RSVC: the concepts of two networks, how well each expresses the other's, and which of them matter.

Kondapaneni, Mac Aodha & Perona, "Representational Similarity via Interpretable Visual Concepts", ICLR 2025
(arXiv 2503.15699).
"""

from diptych.rsvc.concepts import Concepts, extract, extract_many, refit
from diptych.rsvc.importance import concept_integrated_gradients, mean_importance
from diptych.rsvc.inputs import ClassPatches
from diptych.rsvc.method import compare, compare_classes
from diptych.rsvc.regression import ConceptRegression, predict
from diptych.rsvc.replacement import Replacement, replacement_test
from diptych.rsvc.results import RSVCResult
from diptych.rsvc.run import run
from diptych.rsvc.run_result import ClassRow, RunResult
from diptych.rsvc.similarity import layerwise, max_similarity, predicted_similarity
from diptych.rsvc.sweep import sweep

__all__ = [
    "ClassPatches",
    "ClassRow",
    "ConceptRegression",
    "Concepts",
    "RSVCResult",
    "Replacement",
    "RunResult",
    "compare",
    "compare_classes",
    "concept_integrated_gradients",
    "extract",
    "extract_many",
    "layerwise",
    "max_similarity",
    "mean_importance",
    "predict",
    "predicted_similarity",
    "refit",
    "replacement_test",
    "run",
    "sweep",
]
