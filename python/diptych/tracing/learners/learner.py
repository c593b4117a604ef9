"""What every kind of simulated learner is: traits, a state, answers, and learning from feedback."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diptych.tracing.learners.laws import Laws, Traits

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Pool(NamedTuple):
    """The images that learners are shown, as they see them.

    Attributes:
        features: (m, d), of mean 0 and mean square norm 1.
        labels: (m,) true classes 0 to C - 1.
    """

    features: Floats
    labels: Integers

    @classmethod
    def of(cls, features: NDArray[np.float32], labels: Integers) -> "Pool":
        """Shift and scale features, so that traits mean the same whatever they are.

        Raises:
            ValueError: All images have the same features.
        """
        centred = features.astype(float) - features.mean(0, dtype=float)
        norm = np.sqrt(np.square(centred).sum(1).mean())
        if norm == 0:
            raise ValueError(f"features: expected images that differ, found {len(features)} alike")
        return cls(centred / norm, labels)

    @property
    def n_classes(self) -> int:
        """C."""
        return int(self.labels.max()) + 1


class Learners(ABC):
    """L learners of one kind, at some step; no learner's numbers depend on the others'.

    Args:
        traits: (L,) each.
        careless: (L,) whether the lapse is that of careless learners.
        start: (L, C, d + 1) what each starts with, as deviations from what all have in common; the last
            column goes with the constant 1 that kinds with a linear classifier add to the features.
        pool: What they are to learn.

    Attributes:
        LAWS: What :func:`~diptych.tracing.simulate` draws the kind's traits from.
    """

    LAWS: ClassVar[Laws]

    def __init__(self, traits: Traits, careless: NDArray[np.bool_], start: Floats, pool: Pool) -> None:
        self.traits = traits
        self.careless = careless

    def probabilities(self, features: Floats) -> Floats:
        """How they would answer now.

        Args:
            features: (L, n, d) n images for each, as in :class:`Pool`.

        Returns:
            (L, n, C): with probability lapse any class, otherwise by the kind's law.
        """
        lapse = self.traits.lapse[:, None, None]
        choice = self.choice(features)
        return (1 - lapse) * choice + lapse / choice.shape[-1]

    @abstractmethod
    def choice(self, features: Floats) -> Floats:
        """(L, n, C) probabilities of the answers of those who do not lapse."""

    @abstractmethod
    def learn(self, features: Floats, labels: Integers) -> None:
        """Be told the true class of an image each: features (L, d), labels (L,)."""


def softmax(logits: Floats) -> Floats:
    """Over the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def with_constant(features: Floats) -> Floats:
    """Append a 1 to each image's features, (..., d + 1)."""
    return np.concatenate([features, np.ones_like(features[..., :1])], -1)


def scores(matrix: Floats, features: Floats) -> Floats:
    """Scores of (L, n, d) images by a matrix (L, C, d) of each learner: (L, n, C)."""
    return features @ matrix.swapaxes(1, 2)
