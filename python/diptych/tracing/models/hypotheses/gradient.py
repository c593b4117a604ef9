"""Hypotheses of learners who descend the gradient of their error, from a start of their own."""

import math
from typing import NamedTuple

import torch
from torch import nn

from diptych.tracing.models.hypotheses.hypotheses import Hypotheses, between

# Least variances of the logits and of the matrix' noise: rounding shall not leave a covariance without root.
_JITTER, _LEAST_NOISE = 1e-4, 1e-3


class Belief(NamedTuple):
    """What is believed of n learners' matrices under K hypotheses, a Gaussian each.

    Attributes:
        mean: (n, K, c, D) in c = C - 1 contrasts of the classes, D = r + 1.
        covariance: (n, K, c D, c D).
    """

    mean: torch.Tensor
    covariance: torch.Tensor


class Outlook(NamedTuple):
    """What a belief makes of the contrasts f = W (z, 1) of one image.

    Attributes:
        cross: (n, K, c D, c) covariance of matrix and contrasts.
        mean: (n, K, c) of the contrasts.
        root: (n, K, c, c) of their covariance, lower triangular.
        contrasts: (n, K, S, c) points as good as drawn from them.
        choice: (n, K, S, C) softmax of the points.
    """

    cross: torch.Tensor
    mean: torch.Tensor
    root: torch.Tensor
    contrasts: torch.Tensor
    choice: torch.Tensor


class GradientHypotheses(Hypotheses):
    """A matrix of fast weights that a delta rule moves, and a Gaussian belief of where it is.

    The learner answers by (1 - λ) softmax(f) + λ / C, f = W (z, 1), and is then told y, which moves

        W <- W + η (e_y - softmax(f)) (z, 1)ᵀ - φ (W - M) + noise,

    the learning rate η and the forgetting φ being its gates. W starts Gaussian about M with variance σ². What
    happens in a step depends on W through f alone, so the step is assumed-density filtering (Minka 2001) in
    few dimensions: points spread as f is believed to be are weighted by how likely they make the answer;
    they tell the moments of f and of softmax(f), and the regression of W on f tells those of W once it has
    moved. Answers show what a learner held; feedback shows what it must hold now, whatever it held.

    A softmax depends on C - 1 contrasts of its logits, and W is held in these.

    Args:
        count: K, which differ in η, φ, σ, λ and the variance of the noise.
        classes: C.
        width: r, of the images as they are seen.
        points: S, even.
    """

    def __init__(self, count: int, classes: int, width: int, points: int) -> None:
        super().__init__(count)
        self.log_rate = between(0.5, 8.0, count)
        self.log_spread = nn.Parameter(torch.full((count,), 1.5).log())
        self.log_noise = nn.Parameter(torch.full((count,), 0.05).log())
        self.forgetting_logit = nn.Parameter(torch.full((count,), 0.02).logit())
        self.beginning = nn.Parameter(torch.zeros(classes - 1, width + 1))
        self.basis: torch.Tensor
        self.normal: torch.Tensor
        self.register_buffer("basis", contrasts(classes), persistent=False)
        self.register_buffer("normal", normal_points(points, classes - 1), persistent=False)

    def start(self, learners: int) -> Belief:
        """What is believed of those who have seen nothing yet."""
        variance = (2 * self.log_spread).exp()[:, None, None]
        covariance = variance * self._eye(self.beginning.numel())
        shape = learners, self.count, -1, -1
        return Belief(self.beginning.expand(shape), covariance.expand(shape))

    def outlook(self, belief: Belief, images: torch.Tensor) -> Outlook:
        """Of an image (n, D) of each learner, with its 1."""
        n, K, c, D = belief.mean.shape
        z = images[:, None, :, None]
        cross = (belief.covariance.reshape(n, K, c * D * c, D) @ z).view(n, K, c * D, c)
        variance = (cross.view(n, K, c, D, c) * z[:, :, None]).sum(3)
        mean = (belief.mean @ z)[..., 0]
        root = torch.linalg.cholesky(variance + _JITTER * self._eye(c))
        contrasts = mean[:, :, None] + self.normal @ root.mT
        return Outlook(cross, mean, root, contrasts, (contrasts @ self.basis.T).softmax(-1))

    def after(
        self,
        belief: Belief,
        seen: Outlook,
        images: torch.Tensor,
        labels: torch.Tensor,
        responses: torch.Tensor,
    ) -> Belief:
        """What is believed after an answer and feedback: images (n, D), labels and responses (n,)."""
        n, K, c, D = belief.mean.shape
        said = responses[:, None, None, None].expand(n, K, seen.choice.shape[2], 1)
        weight = self.lapsing(seen.choice).gather(3, said)
        weight = weight / weight.sum(2, keepdim=True)
        both = torch.cat([seen.contrasts, seen.choice @ self.basis], -1)
        mean = (weight * both).sum(2)
        away = both - mean[:, :, None]
        learned = (weight * away).mT @ away
        gain = torch.cholesky_solve(seen.cross.mT, seen.root).mT
        forgetting = self.forgetting_logit.sigmoid()[:, None, None]
        rate = self.log_rate.exp()[:, None, None]
        told = belief.mean + (gain @ (mean[..., :c] - seen.mean)[..., None]).view(n, K, c, D)
        error = self.basis[labels][:, None] - mean[..., c:]
        moved = told - forgetting * (told - self.beginning) + rate * error[..., None] * images[:, None, None]
        # How the matrix after the step depends on the contrasts and on the choice in it.
        through = (self._eye(c)[:, None] * images[:, None, :, None]).reshape(n, 1, c * D, c)
        slope = torch.cat([(1 - forgetting) * gain, (-rate * through)], -1)
        known = nn.functional.pad(seen.root @ seen.root.mT, (0, c, 0, c))
        noise = _LEAST_NOISE + self.log_noise.exp()[:, None, None]
        kept = (1 - forgetting) ** 2 * belief.covariance + noise * self._eye(c * D)
        return Belief(moved, kept + slope @ (learned - known) @ slope.mT)

    def answers(self, belief: Belief, images: torch.Tensor) -> torch.Tensor:
        """(n, K, m, C) probabilities of the answers to images (n, m, D), each with its 1."""
        n, K, c, D = belief.mean.shape
        many = images.shape[1]
        mean = images[:, None] @ belief.mean.mT
        by_image = belief.covariance.view(n, K, c, D, c * D).transpose(2, 3).reshape(n, K, D, c * c * D)
        cross = (images[:, None] @ by_image).view(n, K, many, c * c, D)
        variance = (cross @ images[:, None, :, :, None]).view(n, K, many, c, c)
        root = torch.linalg.cholesky(variance + _JITTER * self._eye(c))
        contrasts = mean[..., None, :] + self.normal @ root.mT
        return self.lapsing((contrasts @ self.basis.T).softmax(-1).mean(-2))

    def classifiers(self, belief: Belief) -> torch.Tensor:
        """(n, K, C, r + 1) mean of the matrix in force."""
        return self.basis @ belief.mean

    def _eye(self, size: int) -> torch.Tensor:
        return torch.eye(size, dtype=self.beginning.dtype, device=self.beginning.device)


def contrasts(classes: int) -> torch.Tensor:
    """(C, C - 1) orthonormal columns that sum to 0 each: what of C logits a softmax depends on (Helmert)."""
    columns = torch.ones(classes, classes - 1, dtype=torch.float64).triu()
    rows = torch.arange(1, classes)
    columns[rows, rows - 1] = -rows.double()
    return (columns / columns.norm(dim=0)).float()


def normal_points(count: int, dimension: int) -> torch.Tensor:
    """(S, c) points in pairs of opposite signs, of mean 0 and covariance 1, spread like normal ones."""
    half = torch.quasirandom.SobolEngine(dimension, scramble=True, seed=0).draw(
        count // 2, dtype=torch.float64
    )
    points = math.sqrt(2) * torch.erfinv((2 * half - 1).clamp(-1 + 1e-9, 1 - 1e-9))
    points = torch.cat([points, -points])
    root = torch.linalg.cholesky(points.T @ points / count)
    return torch.linalg.solve_triangular(root, points.T, upper=False).T.float()
