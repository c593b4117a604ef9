"""Deep knowledge tracing: which classes a learner knows, without a look at any image."""

from typing import Any

import torch

from diptych.tracing.models.inputs import one_hot
from diptych.tracing.models.model import Batch, Step
from diptych.tracing.models.readout import readout
from diptych.tracing.models.recurrent import Recurrent


class DeepKnowledgeTracing(Recurrent):
    """An LSTM over which class was asked and whether the answer was right, and nothing else.

    In step t it is told the true class of step t - 1 crossed with right or wrong, 2 C numbers of which one is
    1 (Piech et al., "Deep Knowledge Tracing", NIPS 2015, arXiv 1506.05908). There the output is, for each
    class, the probability of a right answer; here it is for each class those of all answers, C x C, so that
    it can be compared with the others. The row of the true class is what the answer is taken from. The image
    plays no part: two images of a class have the same probabilities.

    Arguments are those of :class:`~diptych.tracing.models.recurrent.Recurrent`.
    """

    def __init__(self, classes: int, dimension: int, **options: Any) -> None:
        super().__init__(classes, dimension, **options)
        hidden = self.lstm.hidden_size
        self.answers = readout(hidden, hidden, classes * classes)

    def width_of_past(self) -> int:
        """Of the class, right or wrong."""
        return 2 * self.classes

    def past(self, step: Step | Batch) -> torch.Tensor:
        """The true class, in the first half if the answer was right, in the second if not."""
        wrong = (step.labels != step.responses).long()
        return one_hot(step.labels + self.classes * wrong, 2 * self.classes, step.features)

    def read(self, hidden: torch.Tensor, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The answers to an image of the class, whatever it is."""
        rows = self.answers(hidden).unflatten(-1, (self.classes, self.classes))
        which = labels[..., None, None].expand(*labels.shape, 1, self.classes)
        return rows.gather(-2, which)[..., 0, :].log_softmax(-1)
