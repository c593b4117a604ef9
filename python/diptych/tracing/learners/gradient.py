"""Learners who descend the gradient of their error."""

import numpy as np
from numpy.typing import NDArray

from diptych.tracing.learners.laws import Laws, Traits
from diptych.tracing.learners.learner import Floats, Integers, Learners, Pool, scores, softmax, with_constant


class GradientLearners(Learners):
    """Linear classifiers that feedback moves down the gradient of the true class' cross-entropy.

    p = softmax(ability W (z, 1)), and being told y, with e_y its one-hot vector,

        W <- W + learning rate (e_y - p) (z, 1)ᵀ - forgetting (W - W_0),

    after Barry and Love; what is forgotten falls back to where the learner came from, which is ours. W_0 is
    Gaussian, each learner's own: its confusions persist until feedback undoes them.
    """

    LAWS = Laws(
        ability=(0.6, 1.2), learning_rate=(1.5, 6.0), forgetting=(0.0, 0.03), lapse=(0.0, 0.1), spread=2.0
    )

    def __init__(self, traits: Traits, careless: NDArray[np.bool_], start: Floats, pool: Pool) -> None:
        super().__init__(traits, careless, start, pool)
        self.start = start
        self.matrix = start

    def choice(self, features: Floats) -> Floats:  # noqa: D102
        return softmax(self.traits.ability[:, None, None] * scores(self.matrix, with_constant(features)))

    def learn(self, features: Floats, labels: Integers) -> None:  # noqa: D102
        wrong = -self.choice(features[:, None])[:, 0]
        wrong[np.arange(len(labels)), labels] += 1
        rate = self.traits.learning_rate[:, None, None]
        lost = self.traits.forgetting[:, None, None] * (self.matrix - self.start)
        self.matrix = self.matrix + rate * wrong[:, :, None] * with_constant(features)[:, None] - lost
