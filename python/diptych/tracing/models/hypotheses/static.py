"""Hypotheses of learners who do not learn."""

import torch
from torch import nn

from diptych.tracing.models.hypotheses.hypotheses import Hypotheses, between


class StaticHypotheses(Hypotheses):
    """One classifier that all share: softmax(a_k W (z, 1)).

    Args:
        count: K, which differ in their abilities a and lapses.
        classes: C.
        width: r, of the images as they are seen.
    """

    def __init__(self, count: int, classes: int, width: int) -> None:
        super().__init__(count)
        # Entries of the matrix are of the order 1 then, as other parameters are, and learned as fast.
        self.log_ability = between(2.0, 8.0, count)
        self.matrix = nn.Parameter(torch.zeros(classes, width + 1))

    def answers(self, images: torch.Tensor) -> torch.Tensor:
        """(n, K, m, C) probabilities of the answers to images (n, m, r)."""
        scores = images @ self.matrix[:, :-1].T + self.matrix[:, -1]
        return self.lapsing((self.log_ability.exp()[:, None, None] * scores[:, None]).softmax(-1))

    def classifiers(self, learners: int) -> torch.Tensor:
        """(n, K, C, r + 1) the matrix in force."""
        return (self.log_ability.exp()[:, None, None] * self.matrix).expand(learners, -1, -1, -1)
