"""Learners who do not learn."""

import numpy as np
from numpy.typing import NDArray

from diptych.tracing.learners.laws import Laws, Traits
from diptych.tracing.learners.learner import Floats, Integers, Learners, Pool, scores, softmax, with_constant


class StaticLearners(Learners):
    """Noisy observers with the classifier of an ideal one, from the first step to the last.

    p = softmax(ability (D + S) (z, 1)): D is the discriminant of Gaussian classes with the pool's means μ_c
    and a common spherical variance v, rows (μ_c / v, -|μ_c|² / 2v), so that ability 1 is the ideal observer
    of such classes; S is what a learner starts with, nothing unless a spread is asked for.
    """

    LAWS = Laws(ability=(0.18, 0.28), learning_rate=0.0, forgetting=0.0, lapse=(0.0, 0.1))

    def __init__(self, traits: Traits, careless: NDArray[np.bool_], start: Floats, pool: Pool) -> None:
        super().__init__(traits, careless, start, pool)
        self.matrix = traits.ability[:, None, None] * (discriminant(pool) + start)

    def choice(self, features: Floats) -> Floats:  # noqa: D102
        return softmax(scores(self.matrix, with_constant(features)))

    def learn(self, features: Floats, labels: Integers) -> None:
        """Nothing comes of it."""


def discriminant(pool: Pool) -> Floats:
    """(C, d + 1) weights and offsets of the best classifier, were the classes spherical Gaussians alike."""
    means = np.stack([pool.features[pool.labels == each].mean(0) for each in range(pool.n_classes)])
    variance = np.square(pool.features - means[pool.labels]).mean()
    offsets = -np.square(means).sum(1, keepdims=True) / 2
    # Images that do not differ within a class leave no variance to divide by.
    return np.concatenate([means, offsets], 1) / max(variance, 1e-6)
