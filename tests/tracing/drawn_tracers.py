"""Tracers that have learned nothing, for tests that need no more."""

from typing import Any

import torch

from diptych.tracing.extractor import Known
from diptych.tracing.models import MODELS
from diptych.tracing.sequences import Sequences
from diptych.tracing.tracer import Tracer

SIZED = ("direct", "cls_pred", "dkt", "saint")


def drawn(name: str, sequences: Sequences, about: dict[str, Any] | None = None, **options: Any) -> Tracer:
    """A small one, whose weights are the same each time."""
    torch.manual_seed(0)
    if name.startswith(SIZED):
        options = {"hidden": 8, "layers": 1, **options}
    assert sequences.features is not None
    extractor = Known(sequences.features.shape[1])
    extractor.measure(torch.from_numpy(sequences.features))
    model = MODELS[name](len(sequences.classes), extractor.dimension, **options)
    return Tracer(name, options, model, extractor, sequences.classes, about)
