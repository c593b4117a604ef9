"""Learners' answers, step by step: what all of tracing works on."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Training and test, as tables call them.
PHASES = ("train", "test")


@dataclass(frozen=True, eq=False)
class Sequences:
    """What each of L learners was shown and answered, one step after the other.

    The n steps of all learners stand in one table: those of a learner together, in their order, its training
    before its test.

    Attributes:
        classes: Names of the C classes.
        items: Names of the m images; where ``folder`` is given, their files under it.
        labels: (m,) int64 true class of each image.
        learners: Names of the L learners.
        learner: (n,) int64 whose step it is, non-decreasing.
        item: (n,) int64 which image was shown.
        response: (n,) int64 which class was answered.
        test: (n,) bool whether the learner was not told the true class.
        rankings: (n, min(3, C)) int64 classes thought likeliest, the response first; None where not asked.
        seconds: (n,) float32 response times, NaN where unknown; None where not measured.
        truth: (n, C) float64 probabilities of the responses, which only simulated learners have.
        features: (m, d) float32 known features of the images; None where they are to be learned.
        images: (m, height, width, 3) uint8; None where they are files, or features alone are known.
        folder: Where the images' files lie.
        about: Where all of it comes from, as JSON can hold it.
    """

    classes: tuple[str, ...]
    items: tuple[str, ...]
    labels: NDArray[np.int64]
    learners: tuple[str, ...]
    learner: NDArray[np.int64]
    item: NDArray[np.int64]
    response: NDArray[np.int64]
    test: NDArray[np.bool_]
    rankings: NDArray[np.int64] | None = None
    seconds: NDArray[np.float32] | None = None
    truth: NDArray[np.float64] | None = None
    features: NDArray[np.float32] | None = None
    images: NDArray[np.uint8] | None = None
    folder: Path | None = None
    about: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many learners there are."""
        return len(self.learners)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(L,) steps of each learner."""
        return np.bincount(self.learner, minlength=len(self.learners))

    @cached_property
    def step(self) -> NDArray[np.int64]:
        """(n,) the number of each step among its learner's, from 0."""
        return np.arange(len(self.learner)) - self._firsts[self.learner]

    @cached_property
    def _firsts(self) -> NDArray[np.int64]:
        """(L,) the row of each learner's first step; of one without steps, where it would be."""
        return np.cumsum(self.lengths) - self.lengths

    @property
    def label(self) -> NDArray[np.int64]:
        """(n,) the true class of what was shown."""
        return self.labels[self.item]

    def phases(self) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """Training, then test, as far as there are answers: the name of each, and (n,) which they are."""
        for name, asked in zip(PHASES, (~self.test, self.test), strict=True):
            if asked.any():
                yield name, asked

    def of(self, learners: NDArray[np.int64]) -> "Sequences":
        """The same for some of the learners, by number, in the order given; all images are kept.

        Complexity:
            O(n + k log k) in time for k learners; what is copied are their steps.

        Raises:
            ValueError: A number that no learner has, or one that comes twice.
        """
        chosen = np.asarray(learners, np.int64)
        if len(np.unique(chosen)) != len(chosen) or not ((chosen >= 0) & (chosen < len(self))).all():
            raise ValueError(
                f"learners: expected different numbers from 0 to {len(self) - 1}, found {chosen}"
            )
        lengths = self.lengths[chosen]
        # A learner's rows stand together, so that they follow from where they begin.
        moved = self._firsts[chosen] - (np.cumsum(lengths) - lengths)
        rows = np.repeat(moved, lengths) + np.arange(lengths.sum())
        columns = ((name, getattr(self, name)) for name in ("rankings", "seconds", "truth"))
        kept: dict[str, Any] = {name: None if each is None else each[rows] for name, each in columns}
        return replace(
            self,
            learners=tuple(self.learners[each] for each in chosen),
            learner=np.repeat(np.arange(len(chosen)), lengths),
            item=self.item[rows],
            response=self.response[rows],
            test=self.test[rows],
            **kept,
        )
