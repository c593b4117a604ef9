"""Everybody is right, as often as everybody else."""

import math
from typing import Any

import torch
from torch import nn

from diptych.ops import _checks
from diptych.tracing.models.inputs import one_hot
from diptych.tracing.models.model import Batch, State, Step, TracingModel


class TrueLabel(TracingModel):
    """The true class has one probability, the same for all classes, learners and steps.

    The others share the rest. That one number is what is learned, from 1/2 on: the share of right answers
    among the learners it is fitted to.

    Args:
        classes: C.
        dimension: d, of which nothing depends.

    Raises:
        ValueError: Fewer than two classes.
    """

    def __init__(self, classes: int, dimension: int) -> None:
        super().__init__()
        _checks.integer("classes", classes, 2)
        self.classes = classes
        self.chance = nn.Parameter(torch.zeros(()))

    def start(self, n: int) -> State:
        """Nothing is known of a learner."""
        return ()

    def advance(self, state: State, step: Step) -> State:
        """Nothing is learned of one."""
        return ()

    def respond(self, state: State, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """From the true class alone."""
        right = one_hot(labels, self.classes, features)
        wrong = nn.functional.logsigmoid(-self.chance) - math.log(self.classes - 1)
        return right * nn.functional.logsigmoid(self.chance) + (1 - right) * wrong

    def follow(self, batch: Batch) -> tuple[torch.Tensor, Any]:
        """All steps alike."""
        return self.respond((), batch.features, batch.labels), ()
