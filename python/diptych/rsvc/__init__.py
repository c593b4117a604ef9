"""RSVC: the concepts of two networks, how well each expresses the other's, and which of them matter.

Kondapaneni, Mac Aodha & Perona, "Representational Similarity via Interpretable Visual Concepts", ICLR 2025
(arXiv 2503.15699).
"""

from diptych.rsvc.collages import Collages, chosen_concepts, collages, lacking, top_patches
from diptych.rsvc.concepts import Concepts, extract, extract_many, refit
from diptych.rsvc.finetune import finetune
from diptych.rsvc.finetuned import Finetuned
from diptych.rsvc.importance import concept_integrated_gradients, mean_importance
from diptych.rsvc.inputs import ClassPatches
from diptych.rsvc.layers_result import LayersClass, LayersResult
from diptych.rsvc.method import compare, compare_classes
from diptych.rsvc.neurons import NeuronContribution, neuron_contribution
from diptych.rsvc.regression import ConceptRegression, predict
from diptych.rsvc.replacement import Replacement, replacement_test
from diptych.rsvc.results import ConceptScores, RSVCResult
from diptych.rsvc.run import run
from diptych.rsvc.run_layers import run_layers
from diptych.rsvc.run_result import ClassRow, RunResult
from diptych.rsvc.similarity import layerwise, max_similarity, predicted_similarity
from diptych.rsvc.sweep import sweep

__all__ = [
    "ClassPatches",
    "ClassRow",
    "Collages",
    "ConceptRegression",
    "ConceptScores",
    "Concepts",
    "Finetuned",
    "LayersClass",
    "LayersResult",
    "NeuronContribution",
    "RSVCResult",
    "Replacement",
    "RunResult",
    "chosen_concepts",
    "collages",
    "compare",
    "compare_classes",
    "concept_integrated_gradients",
    "extract",
    "extract_many",
    "finetune",
    "lacking",
    "layerwise",
    "max_similarity",
    "mean_importance",
    "neuron_contribution",
    "predict",
    "predicted_similarity",
    "refit",
    "replacement_test",
    "run",
    "run_layers",
    "sweep",
    "top_patches",
]
