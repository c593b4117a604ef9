"""Classifier prediction: a network predicts the linear classifier that a learner holds."""

from typing import Any, ClassVar

import torch

from diptych.tracing.models.inputs import one_hot
from diptych.tracing.models.model import Batch, Step
from diptych.tracing.models.readout import readout
from diptych.tracing.models.recurrent import Memory, Recurrent


class ClassifierPrediction(Recurrent):
    """A recurrent network whose output (W, b) classifies the current image as the learner would.

    The answer to image z has the probabilities softmax(W z + b). In step t the LSTM is told the answer of
    step t - 1, zeros in the first, and no more: this is the base. What the variants see beside it is the
    true class of step t (``y``), and the image of step t - 1 (``z``), as Sec. 2.12.2 times them; so (W, b)
    depends on the current image through its class alone. Which of the names in Table 2.1 sees what, the text
    leaves to this reading.

    Kondapaneni, Perona, Mac Aodha, "Visual Knowledge Tracing", ECCV 2022. Arguments are those of
    :class:`~diptych.tracing.models.recurrent.Recurrent`.
    """

    labelled: ClassVar[bool] = False
    linear = True
    #: Whether the LSTM is told the image of the step before.
    remembers: ClassVar[bool] = False

    def __init__(self, classes: int, dimension: int, **options: Any) -> None:
        super().__init__(classes, dimension, **options)
        hidden = self.lstm.hidden_size
        self.classifier = readout(hidden, hidden, classes * (dimension + 1))

    def width_of_past(self) -> int:
        """Of the answer and the image."""
        return self.classes + self.dimension * self.remembers

    def past(self, step: Step | Batch) -> torch.Tensor:
        """The answer and, where it is remembered, the image."""
        answer = one_hot(step.responses, self.classes, step.features)
        return torch.cat([answer, step.features], -1) if self.remembers else answer

    def read(self, hidden: torch.Tensor, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Classify each image by the classifier of its step."""
        weights, offsets = self._classifier(hidden)
        return ((weights @ features[..., None])[..., 0] + offsets).log_softmax(-1)

    def respond(self, state: Memory, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """By a classifier for each class, or one for each image, whichever are fewer."""
        if self.labelled and features.shape[1] <= self.classes:
            return super().respond(state, features, labels)
        weights, offsets = self.classifiers(state)
        each = weights.shape[1]
        scores = features @ weights.flatten(1, 2).mT + offsets.flatten(1)[:, None]
        scores = scores.unflatten(2, (each, self.classes))
        which = labels if self.labelled else torch.zeros_like(labels)
        own = scores.gather(2, which[..., None, None].expand(*which.shape, 1, self.classes))
        return own[:, :, 0].log_softmax(-1)

    def classifiers(self, state: Memory) -> tuple[torch.Tensor, torch.Tensor]:
        """For each class of the next image, or one where it is not told."""
        return self._classifier(self._of_each_class(state))

    def _classifier(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """W (..., C, d) and b (..., C)."""
        both = self.classifier(hidden).unflatten(-1, (self.classes, self.dimension + 1))
        return both[..., :-1], both[..., -1]


class ClassifierPredictionY(ClassifierPrediction):
    """A recurrent network that predicts the learner's classifier, told the true class of the step."""

    sees = ("y",)
    labelled = True


class ClassifierPredictionYZ(ClassifierPrediction):
    """A recurrent network that predicts the learner's classifier, told class and the image before."""

    sees = ("y",)
    labelled = True
    remembers = True
