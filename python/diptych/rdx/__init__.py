"""Representational Difference Explanations: what one representation groups together and another does not.

Kondapaneni, Mac Aodha & Perona, "Representational Difference Explanations", 2025 (arXiv 2505.23917).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from diptych.rdx.align import Alignment, align_by_cka
from diptych.rdx.aligned import compare_aligned
from diptych.rdx.class_groups import CLASS_GROUPS, ClassGroup, choose
from diptych.rdx.image_models import ImagePair, image_pair
from diptych.rdx.method import compare
from diptych.rdx.planning import Plan, plan
from diptych.rdx.results import Explanations, Parameters, RDXResult
from diptych.rdx.score import binary_success_rate
from diptych.rdx.sweep import gamma_sweep

if TYPE_CHECKING:
    from diptych.rdx.concepts import ConceptBottleneck, concept_recovery, remove_concept

__all__ = [
    "CLASS_GROUPS",
    "Alignment",
    "ClassGroup",
    "ConceptBottleneck",
    "Explanations",
    "ImagePair",
    "Parameters",
    "Plan",
    "RDXResult",
    "align_by_cka",
    "binary_success_rate",
    "choose",
    "compare",
    "compare_aligned",
    "concept_recovery",
    "gamma_sweep",
    "image_pair",
    "plan",
    "remove_concept",
]


def __getattr__(name: str) -> Any:
    # Concept removal needs scikit-learn, a comparison does not: it loads when first asked for.
    if name in ("ConceptBottleneck", "concept_recovery", "remove_concept"):
        return getattr(import_module("diptych.rdx.concepts"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
