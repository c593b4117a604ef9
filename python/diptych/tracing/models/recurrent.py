"""What recurrent models have in common: an LSTM that is told each step, and what came of the one before."""

from abc import abstractmethod
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import nn

from diptych.ops import _checks
from diptych.tracing.models.inputs import Tally, class_accuracy, log_seconds, one_hot
from diptych.tracing.models.model import Batch, Step, TracingModel


class Memory(NamedTuple):
    """What a recurrent model knows of n learners.

    Attributes:
        hidden: (n, layers, hidden) states of the LSTM.
        cell: (n, layers, hidden) states of its cells.
        last: (n, p) what the last step came to, zeros before the first.
        tally: (n, 2, C) how often each class was seen, and how often it was answered rightly.
    """

    hidden: torch.Tensor
    cell: torch.Tensor
    last: torch.Tensor
    tally: torch.Tensor


class Recurrent(TracingModel):
    """An LSTM over a learner's training; subclasses say what it is told and how answers are read out.

    In each step the network is told :meth:`present`, what is known before the answer, and :meth:`past`, what
    the step before came to, zeros in the first.

    Args:
        classes: C.
        dimension: d, width of the features.
        hidden: Width of the LSTM and of the read-out.
        layers: Of the LSTM.
        accuracy: Tell each class's share of right answers so far, too, -1 for one not seen.
        seconds: Tell how long the answer before took, too, as log(1 + s).

    Raises:
        ValueError: A number below 1.
    """

    #: Which of the true class ("y") and the image ("z") of a step the LSTM is told in that step.
    sees: ClassVar[tuple[Literal["y", "z"], ...]] = ()

    def __init__(
        self,
        classes: int,
        dimension: int,
        *,
        hidden: int = 128,
        layers: int = 3,
        accuracy: bool = False,
        seconds: bool = False,
    ) -> None:
        super().__init__()
        sizes = {"classes": classes, "dimension": dimension, "hidden": hidden, "layers": layers}
        for name, value in sizes.items():
            _checks.integer(name, value, 1)
        self.classes, self.dimension = classes, dimension
        self.accuracy, self.seconds = accuracy, seconds
        self.past_width = self.width_of_past() + seconds
        present = classes * ("y" in self.sees) + dimension * ("z" in self.sees)
        told = self.past_width + present + classes * accuracy
        self.lstm = nn.LSTM(told, hidden, layers, batch_first=True)

    @abstractmethod
    def width_of_past(self) -> int:
        """How many numbers :meth:`past` gives."""

    @abstractmethod
    def past(self, step: Step | Batch) -> torch.Tensor:
        """(..., p) what a step came to, which the LSTM is told in the next one."""

    @abstractmethod
    def read(self, hidden: torch.Tensor, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """(..., C) log-probabilities of answers to features (..., d) of labels (...).

        Args:
            hidden: (..., hidden) what the LSTM came to.
            features: (..., d).
            labels: (...).
        """

    def present(self, features: torch.Tensor, labels: torch.Tensor) -> list[torch.Tensor]:
        """What the LSTM is told of a step in that step: each (..., width)."""
        told = {"y": lambda: one_hot(labels, self.classes, features), "z": lambda: features}
        return [told[name]() for name in self.sees]

    def start(self, n: int) -> Memory:
        """Zeros, as the LSTM has them."""
        states = (n, self.lstm.num_layers, self.lstm.hidden_size)
        last, tally = self.zeros(n, self.past_width), self.zeros(n, 2, self.classes)
        return Memory(self.zeros(*states), self.zeros(*states), last, tally)

    def advance(self, state: Memory, step: Step) -> Memory:
        """A step of the LSTM."""
        told = self._told(state, self.present(step.features, step.labels))
        _, (hidden, cell) = self.lstm(told[:, None], _layers_first(state))
        tally = state.tally + Tally.of(step.labels, step.responses, self.classes, told)
        return Memory(hidden.transpose(0, 1), cell.transpose(0, 1), self._past(step), tally)

    def respond(self, state: Memory, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """A step of the LSTM for each image, or for each class where it sees no more of an image."""
        return self.read(self._foreseen(state, features, labels), features, labels)

    def follow(self, batch: Batch) -> tuple[torch.Tensor, Memory]:
        """One call of the LSTM over all steps."""
        training = batch.training
        counts = training.sum(1)
        past = self._past(batch)
        told = [torch.cat([torch.zeros_like(past[:, :1]), past[:, :-1]], 1)]
        told += self.present(batch.features, batch.labels)
        if self.accuracy:
            told.append(class_accuracy(batch.labels, batch.responses, training, self.classes, past))
        hidden, (last, cell) = self._over(torch.cat(told, -1), counts)
        tally = Tally.of(batch.labels, batch.responses, self.classes, past) * training[..., None, None]
        # Learners without any training have state 0, as at the start.
        some = (counts > 0).to(past.dtype)[:, None, None]
        newest = past[torch.arange(len(past), device=past.device), (counts - 1).clamp(min=0)] * some[:, 0]
        state = Memory(last.transpose(0, 1) * some, cell.transpose(0, 1) * some, newest, tally.sum(1))
        return self.read(hidden, batch.features, batch.labels), state

    def _over(
        self, told: torch.Tensor, counts: torch.Tensor
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """The LSTM over sequences (B, T, width), whose states are to be those after so many steps."""
        steps = told.shape[1]
        if bool((counts == steps).all()):
            return self.lstm(told)
        packed = nn.utils.rnn.pack_padded_sequence(
            told, counts.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
        )
        hidden, states = self.lstm(packed)
        return nn.utils.rnn.pad_packed_sequence(hidden, batch_first=True, total_length=steps)[0], states

    def _past(self, step: Step | Batch) -> torch.Tensor:
        past = self.past(step)
        return torch.cat([past, log_seconds(step.seconds, past)], -1) if self.seconds else past

    def _told(self, state: Memory, present: list[torch.Tensor]) -> torch.Tensor:
        told = [state.last, *present]
        if self.accuracy:
            told.append(Tally.share(state.tally))
        return torch.cat(told, -1)

    def _foreseen(self, state: Memory, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """(n, m, hidden) what the LSTM would come to with images of features (n, m, d) in the next step."""
        images = features.shape[1]
        if "z" in self.sees:
            return self._ahead(state, self.present(features, labels))
        if "y" in self.sees and images > self.classes:
            ahead = self._of_each_class(state)
            return ahead.gather(1, labels[..., None].expand(*labels.shape, ahead.shape[2]))
        if "y" in self.sees:
            return self._ahead(state, self.present(features, labels))
        return self._of_each_class(state).expand(-1, images, -1)

    def _of_each_class(self, state: Memory) -> torch.Tensor:
        """(n, K, hidden) what the LSTM would come to with an image of each class; K is 1 if it sees none."""
        if "y" not in self.sees:
            return self._ahead(state, [self.zeros(len(state.last), 1, 0)])
        classes = torch.eye(self.classes, dtype=state.last.dtype, device=state.last.device)
        return self._ahead(state, [classes.expand(len(state.last), -1, -1)])

    def _ahead(self, state: Memory, present: list[torch.Tensor]) -> torch.Tensor:
        """(n, m, hidden) one step ahead of each state, on m inputs (n, m, width) apart from each other."""
        learners, images = present[0].shape[:2]

        def repeated(each: torch.Tensor) -> torch.Tensor:
            return each[:, None].expand(learners, images, *each.shape[1:]).flatten(0, 1)

        copies = Memory(*(repeated(each) for each in state))
        told = self._told(copies, [each.flatten(0, 1) for each in present])
        hidden, _ = self.lstm(told[:, None], _layers_first(copies))
        return hidden.view(learners, images, -1)


def _layers_first(state: Memory) -> tuple[torch.Tensor, torch.Tensor]:
    """The states as the LSTM takes them, (layers, n, hidden)."""
    return state.hidden.transpose(0, 1).contiguous(), state.cell.transpose(0, 1).contiguous()
