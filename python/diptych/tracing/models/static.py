"""Everybody sees the same in an image, from the first step to the last."""

import torch
from torch import nn

from diptych.ops import _checks
from diptych.tracing.models.model import Batch, State, Step, TracingModel


class Static(TracingModel):
    """One linear classifier of the image, the same for all learners at all times.

    Args:
        classes: C.
        dimension: d, width of the features.

    Raises:
        ValueError: A number below 1.
    """

    labelled = False
    linear = True

    def __init__(self, classes: int, dimension: int) -> None:
        super().__init__()
        _checks.integer("classes", classes, 1)
        _checks.integer("dimension", dimension, 1)
        self.classifier = nn.Linear(dimension, classes)

    def start(self, n: int) -> State:
        """A row of nothing for each learner."""
        return self.zeros(n, 0)

    def advance(self, state: State, step: Step) -> State:
        """Nothing is learned of a learner."""
        return state

    def respond(self, state: State, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """From the image alone."""
        return self.classifier(features).log_softmax(-1)

    def classifiers(self, state: State) -> tuple[torch.Tensor, torch.Tensor]:
        """The one there is."""
        weights, offsets = self.classifier.weight, self.classifier.bias
        return weights.expand(len(state), 1, -1, -1), offsets.expand(len(state), 1, -1)

    def follow(self, batch: Batch) -> tuple[torch.Tensor, State]:
        """All steps alike."""
        return self.respond((), batch.features, batch.labels), self.start(len(batch.labels))
