"""What every model of a learner is: a state that each step moves on, and answers that follow from a state."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import torch

#: What a model knows of its learners: tensors whose first axis is the learner, in nested tuples. Where
#: one grows with the steps its second axis does, and zeros at its end stand for nothing.
State = Any


class Step(NamedTuple):
    """One step of each of n learners: features (n, d), labels, responses and seconds (n,)."""

    features: torch.Tensor
    labels: torch.Tensor
    responses: torch.Tensor
    seconds: torch.Tensor | None = None


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

    @property
    def training(self) -> torch.Tensor:
        """(B, T) bool steps with feedback."""
        return self.shown & ~self.test

    def step(self, t: int) -> Step:
        """Step number t, from 0, of all learners."""
        seconds = None if self.seconds is None else self.seconds[:, t]
        return Step(self.features[:, t], self.labels[:, t], self.responses[:, t], seconds)

    def first(self, steps: int) -> "Batch":
        """The same up to a step."""
        return Batch(*(None if each is None else each[:, :steps] for each in self))  # type: ignore[arg-type]


class TracingModel(torch.nn.Module, ABC):
    """A model of how learners answer.

    A step's answer follows from the state before it. Only training steps move the state on: in a test it is
    frozen, and every image is scored alone. :func:`step_by_step` is that sentence as a loop, and so the
    definition of :meth:`forward`.

    A model of C classes in features of width d is made by ``Model(classes, dimension, **options)``.

    Attributes:
        labelled: Whether :meth:`respond` reads the labels.
        learning_rate: Adam's, unless another is asked for.
        linear: Whether :meth:`respond` is the softmax of what :meth:`classifiers` score, and no more.
    """

    labelled: ClassVar[bool] = True
    learning_rate: ClassVar[float] = 1e-3
    linear: ClassVar[bool] = False

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

    def classifiers(self, state: State) -> tuple[torch.Tensor, torch.Tensor]:
        """The linear classifiers that the learners are taken to answer by, one for each true class.

        Args:
            state: Of n learners.

        Returns:
            W (n, K, C, d) and b (n, K, C): the answers to an image z of class y have the probabilities
            softmax(W[:, y] z + b[:, y]). K is C, or 1 where the true class plays no part.

        Raises:
            TypeError: The model has none.
        """
        raise TypeError(f"{type(self).__name__} has no linear classifier of its learners")

    def follow(self, batch: Batch) -> tuple[torch.Tensor, State]:
        """Follow learners through their training.

        This is the loop over the steps; models override it by as few calls as can be.

        Args:
            batch: Sequences of B learners, one step or more; only training steps are looked at.

        Returns:
            (B, T, C) log-probabilities of the answers in training steps, each from what came before it, of no
            meaning elsewhere; and the state after each learner's last training step.
        """
        answers, state = _stepped(self, batch)
        return answers, state

    def forward(self, batch: Batch) -> torch.Tensor:
        """(B, T, C) log-probabilities of all answers, each from what came before it, in few calls.

        The same as :func:`step_by_step`; rows of steps that are not shown have no meaning.
        """
        training = batch.training
        counts = training.sum(1)
        least, most = int(counts.min()), int(counts.max())
        if most == 0:
            return self.respond(self.start(len(counts)), batch.features, batch.labels)
        answers, state = self.follow(batch.first(most))
        if least == training.shape[1]:
            return answers
        alone = self.respond(state, batch.features[:, least:], batch.labels[:, least:])
        if least == most:
            return torch.cat([answers, alone], 1)
        mixed = training[:, least:most, None]
        between = torch.where(mixed, answers[:, least:], alone[:, : most - least])
        return torch.cat([answers[:, :least], between, alone[:, most - least :]], 1)

    def zeros(self, *shape: int) -> torch.Tensor:
        """Zeros where the weights are, in their precision."""
        like = next(self.parameters())
        return torch.zeros(shape, dtype=like.dtype, device=like.device)


def step_by_step(model: TracingModel, batch: Batch) -> torch.Tensor:
    """What a model makes of learners, one step after the other: the definition of its ``forward``.

    Args:
        model: Any model.
        batch: Sequences of B learners, in the model's precision.

    Returns:
        (B, T, C) log-probabilities of all answers.
    """
    return _stepped(model, batch)[0]


def _stepped(model: TracingModel, batch: Batch) -> tuple[torch.Tensor, State]:
    learners, steps = batch.labels.shape
    state, answers = model.start(learners), []
    for t, moved in zip(range(steps), batch.training.T, strict=True):
        step = batch.step(t)
        answers.append(model.respond(state, step.features[:, None], step.labels[:, None])[:, 0])
        if moved.any():
            state = _moved(moved, model.advance(state, step), state)
    return torch.stack(answers, 1), state


def _moved(moved: torch.Tensor, after: State, before: State) -> State:
    """The state after a step of those who made it, the one before it of the others."""
    if isinstance(after, tuple):
        parts = [_moved(moved, new, old) for new, old in zip(after, before, strict=True)]
        return type(after)(*parts) if hasattr(after, "_fields") else tuple(parts)
    if after.shape != before.shape:
        grown = after.new_zeros(after.shape)
        grown[:, : before.shape[1]] = before
        before = grown
    return torch.where(moved.view(-1, *(1,) * (after.ndim - 1)), after, before)
