"""Representational Difference Explanations: what one representation groups together and another does not.

Kondapaneni, Mac Aodha & Perona, "Representational Difference Explanations", 2025 (arXiv 2505.23917).
"""

from diptych.rdx.align import Alignment, align_by_cka
from diptych.rdx.method import compare
from diptych.rdx.results import Explanations, Parameters, RDXResult
from diptych.rdx.score import binary_success_rate
from diptych.rdx.sweep import gamma_sweep

__all__ = [
    "Alignment",
    "Explanations",
    "Parameters",
    "RDXResult",
    "align_by_cka",
    "binary_success_rate",
    "compare",
    "gamma_sweep",
]
