"""Learners' steps side by side, padded to one length, as models take them."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.tracing.models.model import Batch
from diptych.tracing.sequences import Sequences


@dataclass(frozen=True, eq=False)
class Padded:
    """The steps of B learners, padded to T, without their images' features.

    Attributes:
        items: (B, T) int64 images shown, 0 where none is.
        labels: (B, T) int64 their true classes.
        responses: (B, T) int64 answers.
        test: (B, T) bool steps without feedback.
        shown: (B, T) bool, False where a learner has no more steps.
        seconds: (B, T) float32 response times, 0 where unknown; None where not measured.
    """

    items: torch.Tensor
    labels: torch.Tensor
    responses: torch.Tensor
    test: torch.Tensor
    shown: torch.Tensor
    seconds: torch.Tensor | None

    def __len__(self) -> int:
        """How many learners there are."""
        return len(self.items)

    def of(self, learners: torch.Tensor) -> "Padded":
        """Some of the learners, by number, cut after the last step that one of them has."""
        steps = int(self.shown[learners].sum(1).max())
        return self._each(lambda column: column[learners, :steps])

    def to(self, device: torch.device | str) -> "Padded":
        """The same on a device."""
        return self._each(lambda column: column.to(device))

    def images(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Which images are shown, each once.

        Returns:
            (k,) their numbers, in order; and (B, T) which of these each step shows, 0 where none is.
        """
        numbers, which = self.items[self.shown].unique(return_inverse=True)
        places = torch.zeros_like(self.items)
        places[self.shown] = which
        return numbers, places

    def batch(self, features: torch.Tensor, places: torch.Tensor | None = None) -> Batch:
        """Sequences with the features of their images.

        Args:
            features: (k, d) of the images.
            places: (B, T) which of them each step shows; by default they are all images, in order.
        """
        shown = features[self.items if places is None else places]
        return Batch(shown, self.labels, self.responses, self.test, self.shown, self.seconds)

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Padded":
        columns = [getattr(self, column.name) for column in fields(self)]
        return Padded(*(None if column is None else change(column) for column in columns))  # type: ignore[arg-type]


def pad(sequences: Sequences) -> Padded:
    """Lay learners' steps side by side.

    Args:
        sequences: Of B learners, the longest of T steps.

    Complexity:
        About 26 bytes for each of B * T steps.

    Raises:
        ValueError: A learner's steps do not stand together, or its training not before its test.
    """
    _check_order(sequences)
    shape = len(sequences), int(sequences.lengths.max(initial=0))
    place = sequences.learner, sequences.step

    def laid(column: NDArray[np.generic]) -> torch.Tensor:
        table = np.zeros(shape, column.dtype)
        table[place] = column
        return torch.from_numpy(table)

    seconds = sequences.seconds
    return Padded(
        laid(sequences.item),
        laid(sequences.label),
        laid(sequences.response),
        laid(sequences.test),
        laid(np.ones(len(sequences.learner), bool)),
        None if seconds is None else laid(np.nan_to_num(seconds, nan=0.0).astype(np.float32)),
    )


def _check_order(sequences: Sequences) -> None:
    """Demand what :class:`Sequences` says of the order of its rows, without which steps would be lost."""
    learner, test = sequences.learner, sequences.test
    apart = learner[1:] < learner[:-1]
    late = (learner[1:] == learner[:-1]) & test[:-1] & ~test[1:]
    for bad, wanted in ((apart, "learners in order"), (late, "a learner's training before its test")):
        if bad.any():
            raise ValueError(f"sequences: expected {wanted}, found another order in row {bad.argmax() + 1}")
