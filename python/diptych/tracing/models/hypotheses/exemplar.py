"""Hypotheses of learners who compare with every past image."""

import torch
from torch import nn

from diptych.tracing.models.hypotheses.hypotheses import Hypotheses, Remembered, between, kept


class ExemplarHypotheses(Hypotheses):
    """E^γ / Σ E^γ, E_c = 1 + η Σ (1 - φ)^g exp(-a |z - z_i|²) over the class's past images, g their ages.

    Args:
        count: K, which differ in their abilities a, learning rates η, forgetting φ, exponents γ and lapses.
        classes: C.
        width: r, of the images as they are seen.
    """

    def __init__(self, count: int, classes: int, width: int) -> None:
        super().__init__(count)
        self.log_ability = between(1.0, 8.0, count)
        self.log_rate = nn.Parameter(torch.full((count,), 15.0).log())
        self.log_gamma = nn.Parameter(torch.full((count,), 2.5).log())
        self.forgetting_logit = nn.Parameter(torch.full((count,), 0.02).logit())

    def answers(self, images: torch.Tensor, past: Remembered) -> torch.Tensor:
        """(n, K, m, C) probabilities of the answers to images (n, m, r)."""
        votes = self._nearness(images, past) @ past.classes[:, None]
        return self.lapsing((self.log_gamma.exp()[:, None, None] * votes.log1p()).softmax(-1))

    def classifiers(self, past: Remembered) -> torch.Tensor:
        """(n, K, C, r + 1) the plane that touches γ log E at the mean of all images, 0."""
        centre = past.images.new_zeros(len(past.images), 1, past.images.shape[2])
        nearness = self._nearness(centre, past)
        votes = (nearness @ past.classes[:, None])[:, :, 0]
        slopes = (
            2
            * self.log_ability.exp()[:, None, None]
            * (nearness.mT * past.classes[:, None]).mT
            @ past.images[:, None]
        )
        gamma = self.log_gamma.exp()[:, None, None]
        return gamma * torch.cat([slopes / (1 + votes[..., None]), votes.log1p()[..., None]], -1)

    def _nearness(self, images: torch.Tensor, past: Remembered) -> torch.Tensor:
        """(n, K, m, t) what each past image counts for each image."""
        squares = images.square().sum(-1)[:, :, None] + past.images.square().sum(-1)[:, None]
        distances = (squares - 2 * images @ past.images.mT).clamp(min=0)
        nearness = (-self.log_ability.exp()[:, None, None] * distances[:, None]).exp()
        return self.log_rate.exp()[:, None, None] * kept(self.forgetting_logit.sigmoid(), past.age) * nearness
