"""Learners who remember every image."""

import numpy as np
from numpy.typing import NDArray

from diptych.tracing.learners.laws import Laws, Traits
from diptych.tracing.learners.learner import Floats, Integers, Learners, Pool


class ExemplarLearners(Learners):
    """The generalised context model (Nosofsky 1986): past images vote for their class, near ones most.

    E_c = 1 + learning rate * sum over past images of class c of w_i exp(-ability |z - z_i|²), and p = E^γ / Σ
    E^γ; the weight w_i is 1 at first and multiplied by 1 - forgetting at each later step. The 1 keeps those
    who have seen nothing from answering with certainty, and is ours.
    """

    LAWS = Laws(
        ability=(1.5, 5.0),
        learning_rate=(5.0, 50.0),
        forgetting=(0.0, 0.05),
        lapse=(0.0, 0.1),
        gamma=(1.5, 5.0),
    )

    def __init__(self, traits: Traits, careless: NDArray[np.bool_], start: Floats, pool: Pool) -> None:
        super().__init__(traits, careless, start, pool)
        self.past = np.empty((len(start), 0, pool.features.shape[1]))
        self.votes = np.empty((len(start), 0, pool.n_classes))

    def choice(self, features: Floats) -> Floats:  # noqa: D102
        squares = np.square(features).sum(-1)[:, :, None] + np.square(self.past).sum(-1)[:, None]
        # Rounding may leave the distance of an image to itself a little below 0, to no harm.
        distances = squares - 2 * features @ self.past.swapaxes(1, 2)
        evidence = 1 + np.exp(-self.traits.ability[:, None, None] * distances) @ self.votes
        powers = (evidence / evidence.max(-1, keepdims=True)) ** self.traits.gamma[:, None, None]
        return powers / powers.sum(-1, keepdims=True)

    def learn(self, features: Floats, labels: Integers) -> None:  # noqa: D102
        vote = np.zeros((len(labels), 1, self.votes.shape[-1]))
        vote[np.arange(len(labels)), 0, labels] = self.traits.learning_rate
        kept = 1 - self.traits.forgetting[:, None, None]
        self.votes = np.concatenate([kept * self.votes, vote], 1)
        self.past = np.concatenate([self.past, features[:, None]], 1)
