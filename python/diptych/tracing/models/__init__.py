"""Models of learners, one file each."""

from diptych.tracing.models.cls_pred import (
    ClassifierPrediction,
    ClassifierPredictionY,
    ClassifierPredictionYZ,
)
from diptych.tracing.models.direct import Direct, DirectY, DirectYZ
from diptych.tracing.models.dkt import DeepKnowledgeTracing
from diptych.tracing.models.exemplar import Exemplar, ExemplarSoftmax
from diptych.tracing.models.fast_weight import FastWeight
from diptych.tracing.models.gt_label import TrueLabel
from diptych.tracing.models.model import Batch, State, Step, TracingModel, step_by_step
from diptych.tracing.models.prototype import Prototype, PrototypeSoftmax
from diptych.tracing.models.saint import Saint
from diptych.tracing.models.static import Static
from diptych.tracing.models.static_time import StaticTime

#: Models by name, each made by ``Model(classes, dimension, **options)``.
MODELS: dict[str, type[TracingModel]] = {
    "gt_label": TrueLabel,
    "static": Static,
    "static_time": StaticTime,
    "direct": Direct,
    "direct_y": DirectY,
    "direct_yz": DirectYZ,
    "cls_pred": ClassifierPrediction,
    "cls_pred_y": ClassifierPredictionY,
    "cls_pred_yz": ClassifierPredictionYZ,
    "dkt": DeepKnowledgeTracing,
    "saint": Saint,
    "prototype": Prototype,
    "prototype_softmax": PrototypeSoftmax,
    "exemplar": Exemplar,
    "exemplar_softmax": ExemplarSoftmax,
    "fast_weight": FastWeight,
}

__all__ = [
    "MODELS",
    "Batch",
    "ClassifierPrediction",
    "ClassifierPredictionY",
    "ClassifierPredictionYZ",
    "DeepKnowledgeTracing",
    "Direct",
    "DirectY",
    "DirectYZ",
    "Exemplar",
    "ExemplarSoftmax",
    "FastWeight",
    "Prototype",
    "PrototypeSoftmax",
    "Saint",
    "State",
    "Static",
    "StaticTime",
    "Step",
    "TracingModel",
    "TrueLabel",
    "step_by_step",
]
