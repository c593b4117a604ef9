"""Learners who remember what each class looks like in the mean."""

import numpy as np
from numpy.typing import NDArray

from diptych.tracing.learners.laws import Laws, Traits
from diptych.tracing.learners.learner import Floats, Integers, Learners, Pool, softmax


class PrototypeLearners(Learners):
    """One prototype per class, the mean of its past images; the nearer an image, the likelier the class.

    p = softmax(-ability |z - μ_c|²), μ_c = (s_c + learning rate * sum of z_i) / (1 + learning rate * n_c):
    the prototype s_c that a learner starts with, Gaussian, counts as one image, each that was told as c as
    ``learning_rate`` images. Past images' counts are multiplied by 1 - forgetting at each step.
    """

    LAWS = Laws(
        ability=(2.0, 6.0), learning_rate=(0.3, 3.0), forgetting=(0.0, 0.05), lapse=(0.0, 0.1), spread=0.3
    )

    def __init__(self, traits: Traits, careless: NDArray[np.bool_], start: Floats, pool: Pool) -> None:
        super().__init__(traits, careless, start, pool)
        self.total = start[:, :, :-1].copy()
        self.count = np.ones(start.shape[:2])
        self.start = self.total

    @property
    def prototypes(self) -> Floats:
        """(L, C, d) the means."""
        return self.total / self.count[:, :, None]

    def choice(self, features: Floats) -> Floats:  # noqa: D102
        means = self.prototypes
        distances = np.square(features[:, :, None] - means[:, None]).sum(-1)
        return softmax(-self.traits.ability[:, None, None] * distances)

    def learn(self, features: Floats, labels: Integers) -> None:  # noqa: D102
        kept = 1 - self.traits.forgetting[:, None]
        self.total = self.start + kept[:, :, None] * (self.total - self.start)
        self.count = 1 + kept * (self.count - 1)
        rows = np.arange(len(labels))
        self.total[rows, labels] += self.traits.learning_rate[:, None] * features
        self.count[rows, labels] += self.traits.learning_rate
