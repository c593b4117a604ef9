"""Direct response modelling: a network predicts a learner's answer from all that is known."""

from typing import Any, ClassVar

import torch

from diptych.tracing.models.inputs import one_hot
from diptych.tracing.models.model import Batch, Step
from diptych.tracing.models.readout import readout
from diptych.tracing.models.recurrent import Recurrent


class Direct(Recurrent):
    """A recurrent network whose output are the answer's probabilities.

    In step t the LSTM is told the answer of step t - 1, zeros in the first. What the variants are told
    beside it is the true class (``y``) and the image (``z``) of step t itself, as Sec. 2.12.2 times them. Two
    things are our reading where the text is silent: the base is told answers alone; and in all variants the
    image of step t joins what is read out of the LSTM, without which two of them would be blind.

    Kondapaneni, Perona, Mac Aodha, "Visual Knowledge Tracing", ECCV 2022. Arguments are those of
    :class:`~diptych.tracing.models.recurrent.Recurrent`.
    """

    labelled: ClassVar[bool] = False

    def __init__(self, classes: int, dimension: int, **options: Any) -> None:
        super().__init__(classes, dimension, **options)
        hidden = self.lstm.hidden_size
        self.answer = readout(hidden + dimension, hidden, classes)

    def width_of_past(self) -> int:
        """Of the answer."""
        return self.classes

    def past(self, step: Step | Batch) -> torch.Tensor:
        """The answer."""
        return one_hot(step.responses, self.classes, step.features)

    def read(self, hidden: torch.Tensor, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """From what the LSTM came to and the image."""
        return self.answer(torch.cat([hidden, features], -1)).log_softmax(-1)


class DirectY(Direct):
    """Direct response modelling: a recurrent network that is told the step's true class."""

    sees = ("y",)
    labelled = True


class DirectYZ(Direct):
    """Direct response modelling: a recurrent network that is told the step's true class and image."""

    sees = ("y", "z")
    labelled = True
