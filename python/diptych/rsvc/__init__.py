"""RSVC: the concepts of two networks, how well each expresses the other's, and which of them matter.

Kondapaneni, Mac Aodha & Perona, "Representational Similarity via Interpretable Visual Concepts", ICLR 2025
(arXiv 2503.15699).
"""

from diptych.rsvc.concepts import Concepts, extract, extract_many, refit
from diptych.rsvc.regression import ConceptRegression, predict
from diptych.rsvc.similarity import layerwise, max_similarity, predicted_similarity

__all__ = [
    "ConceptRegression",
    "Concepts",
    "extract",
    "extract_many",
    "layerwise",
    "max_similarity",
    "predict",
    "predicted_similarity",
    "refit",
]
