"""Everybody sees the same in an image at the same step."""

import torch
from torch import nn

from diptych.ops import _checks
from diptych.tracing.models.model import Batch, State, Step, TracingModel

# Steps that count as 1 beside the features: the training of the published experiments.
_UNIT = 30


class StaticTime(TracingModel):
    """One linear classifier of the image and the step's number, the same for all learners.

    Steps are counted from 0, in units of 30. In a test the number stands still, as all that is known does:
    each image is taken for the first one after the training.

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
        self.classifier = nn.Linear(dimension + 1, classes)

    def start(self, n: int) -> State:
        """(n,) zeros: training steps made."""
        return self.zeros(n)

    def advance(self, state: State, step: Step) -> State:
        """One more."""
        return state + 1

    def respond(self, state: State, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """From the image and the steps made."""
        return self._at(state[:, None].expand(features.shape[:2]), features)

    def classifiers(self, state: State) -> tuple[torch.Tensor, torch.Tensor]:
        """The one of the step, whose offset alone moves."""
        weights = self.classifier.weight
        offsets = self.classifier.bias + state[:, None] / _UNIT * weights[:, -1]
        return weights[:, :-1].expand(len(state), 1, -1, -1), offsets[:, None]

    def follow(self, batch: Batch) -> tuple[torch.Tensor, State]:
        """All steps at once."""
        training = batch.training.to(batch.features.dtype)
        return self._at(training.cumsum(1) - training, batch.features), training.sum(1)

    def _at(self, steps: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        told = torch.cat([features, steps[..., None] / _UNIT], -1)
        return self.classifier(told).log_softmax(-1)
