"""RSVC: which visual concepts of one network another cannot express, and whether they matter.

Kondapaneni, Marks, Mac Aodha & Perona, "Representational Similarity via Interpretable Visual Concepts", ICLR
2025 (arXiv 2503.15699).
"""

from diptych.rsvc.concepts import Concepts, extract, extract_many, refit
from diptych.rsvc.importance import concept_integrated_gradients, mean_importance
from diptych.rsvc.replacement import Replacement, replacement_test

__all__ = [
    "Concepts",
    "Replacement",
    "concept_integrated_gradients",
    "extract",
    "extract_many",
    "mean_importance",
    "refit",
    "replacement_test",
]
