"""What every model of a learner is: a state that each step moves on, and answers that follow from a state."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch

#: What a model knows of its learners: tensors whose first axis is the learner, in any nesting of tuples.
State = Any


class Batch(NamedTuple):
    """Sequences of B learners, padded to T steps; each learner's training steps precede its test steps.

    Attributes:
        features: (B, T, d) float32 of the images shown.
        labels: (B, T) int64 their true classes.
        responses: (B, T) int64 the learners' answers.
        test: (B, T) bool steps without feedback.
        shown: (B, T) bool, False where a learner has no more steps.
        seconds: (B, T) float32 response times, 0 where unknown; None where not measured.
    """

    features: torch.Tensor
    labels: torch.Tensor
    responses: torch.Tensor
    test: torch.Tensor
    shown: torch.Tensor
    seconds: torch.Tensor | None = None


class Step(NamedTuple):
    """One step of each of n learners: features (n, d), labels, responses and seconds (n,)."""

    features: torch.Tensor
    labels: torch.Tensor
    responses: torch.Tensor
    seconds: torch.Tensor | None = None


class TracingModel(torch.nn.Module, ABC):
    """A model of how learners answer.

    A step's answer follows from the state before it. Only training steps move the state on: in a test it is
    frozen, and every image is scored alone.
    """

    @abstractmethod
    def start(self, n: int) -> State:
        """The state of n learners who have seen nothing yet."""

    @abstractmethod
    def advance(self, state: State, step: Step) -> State:
        """The state after a training step of each learner."""

    @abstractmethod
    def respond(self, state: State, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """How the learners would answer m images each, scored alone.

        Args:
            state: Of n learners.
            features: (n, m, d).
            labels: (n, m) int64 true classes; models that do not use them ignore them.

        Returns:
            (n, m, C) log-probabilities.
        """

    @abstractmethod
    def forward(self, batch: Batch) -> torch.Tensor:
        """(B, T, C) log-probabilities of all answers, each from what came before it, in as few calls as can be.

        The same as :func:`step_by_step`, faster.
        """
