"""Hypotheses of learners who compare with the mean of each class's images."""

import torch
from torch import nn

from diptych.tracing.models.hypotheses.hypotheses import Hypotheses, Remembered, between, kept


class PrototypeHypotheses(Hypotheses):
    """softmax(-a |z - μ_c|²), μ_c the mean of the class's past images and of a prototype to begin with.

    The prototype to begin with, s_c, is learned and counts as one image, a past image of age g as η (1 - φ)^g
    images.

    Args:
        count: K, which differ in their abilities a, learning rates η, forgetting φ and lapses.
        classes: C.
        width: r, of the images as they are seen.
    """

    def __init__(self, count: int, classes: int, width: int) -> None:
        super().__init__(count)
        self.log_ability = between(1.0, 10.0, count)
        self.log_rate = nn.Parameter(torch.zeros(count))
        self.forgetting_logit = nn.Parameter(torch.full((count,), 0.02).logit())
        self.beginning = nn.Parameter(torch.zeros(classes, width))

    def answers(self, images: torch.Tensor, past: Remembered) -> torch.Tensor:
        """(n, K, m, C) probabilities of the answers to images (n, m, r)."""
        matrix = self.classifiers(past)
        scores = (matrix[..., :-1] @ images[:, None, :, :, None])[..., 0] + matrix[..., -1]
        return self.lapsing(scores.softmax(-1))

    def classifiers(self, past: Remembered) -> torch.Tensor:
        """(n, K, m or 1, C, r + 1) the matrix in force: rows (2 a μ_c, -a |μ_c|²)."""
        counted = self.log_rate.exp()[:, None, None] * kept(self.forgetting_logit.sigmoid(), past.age)
        of_class = (past.classes[..., None] * past.images[:, :, None]).flatten(2)
        total = (counted @ of_class[:, None]).unflatten(-1, self.beginning.shape)
        count = counted @ past.classes[:, None]
        means = (self.beginning + total) / (1 + count[..., None])
        ability = self.log_ability.exp()[:, None, None, None]
        return ability * torch.cat([2 * means, -means.square().sum(-1, keepdim=True)], -1)
