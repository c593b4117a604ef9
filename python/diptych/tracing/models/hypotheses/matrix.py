"""Hypotheses of learners who answer by a matrix, each from a start of its own, whether or not they learn."""

import math
from typing import NamedTuple

import torch
from torch import nn

from diptych.tracing.models.hypotheses.hypotheses import Hypotheses, between
from diptych.tracing.models.model import Step

# Least variances of the logits and of a step's noise: rounding shall leave no covariance without a root.
_JITTER, _LEAST_NOISE = 1e-4, 1e-3
# Who learns less than this from an image is static.
_LEAST_RATE = 0.2
# Logits of the matrices' means per unit of what is learned of them.
_UNIT = 4.0


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


class Gates(NamedTuple):
    """What moves the matrix under each of K hypotheses.

    Attributes:
        rate: (K, 1, 1) learning rate.
        forgetting: (K, 1, 1) share of what was learned that a step loses.
        noise: (K, c D, c D) covariance that a step adds.
        beginning: (K, c, D) mean of the matrix before any step.
    """

    rate: torch.Tensor
    forgetting: torch.Tensor
    noise: torch.Tensor
    beginning: torch.Tensor


class MatrixHypotheses(Hypotheses):
    """A matrix of fast weights that a delta rule moves, or one that stays, and a belief of what it is.

    The learner answers by (1 - λ) softmax(f) + λ / C, f = W (z, 1), and is then told y, which moves

        W <- W + η (e_y - softmax(f)) (z, 1)ᵀ - φ (W - M) + noise,

    the learning rate η and the forgetting φ being its gates. Who descends the gradient has η of at least 0.2;
    who is static, neither η nor φ. W starts Gaussian about M, one for each of both kinds, with variance σ².

    What happens in a step depends on W through f alone, so the step is assumed-density filtering (Minka 2001)
    in few dimensions: points spread as f is believed to be are weighted by how likely they make the answer;
    they tell the moments of f and of softmax(f), and the regression of W on f tells those of W once it has
    moved. Answers show what a learner held; feedback shows what it must hold now, whatever it held. A softmax
    depends on C - 1 contrasts of its logits, and W is held in these.

    Args:
        moving: How many learn; they differ in η, φ, σ, λ and noise.
        staying: How many, behind those, are static; they differ in σ and λ.
        classes: C.
        width: r, of the images as they are seen.
        points: S, even.
    """

    def __init__(self, moving: int, staying: int, classes: int, width: int, points: int) -> None:
        super().__init__(moving + staying)
        self.moving, self.staying = moving, staying
        self.log_rate = between(0.4, 8.0, moving)
        self.forgetting_logit = nn.Parameter(torch.full((moving,), 0.02).logit())
        self.log_noise = nn.Parameter(torch.full((moving,), 0.05).log())
        spreads = torch.full((moving,), 1.5).log(), between(0.1, 3.0, staying).detach()
        self.log_spread = nn.Parameter(torch.cat(spreads))
        self.beginnings = nn.Parameter(torch.zeros(2, classes - 1, width + 1))
        self.basis: torch.Tensor
        self.normal: torch.Tensor
        self.eye: torch.Tensor
        self.register_buffer("basis", contrasts(classes), persistent=False)
        self.register_buffer("normal", normal_points(points, classes - 1), persistent=False)
        self.register_buffer("eye", torch.eye(classes - 1), persistent=False)

    def start(self, learners: int) -> Belief:
        """What is believed of those who have seen nothing yet."""
        covariance = self._spherical((2 * self.log_spread).exp())
        shape = learners, -1, -1, -1
        return Belief(self._beginning().expand(shape), covariance.expand(shape))

    def gates(self) -> Gates:
        """What moves the matrices, the same in all steps."""
        none = self.log_rate.new_zeros(self.staying)
        rate = torch.cat([_LEAST_RATE + self.log_rate.exp(), none])[:, None, None]
        forgetting = torch.cat([self.forgetting_logit.sigmoid(), none])[:, None, None]
        noise = _LEAST_NOISE + torch.cat([self.log_noise.exp(), none])
        return Gates(rate, forgetting, self._spherical(noise), self._beginning())

    def outlook(self, belief: Belief, images: torch.Tensor) -> Outlook:
        """Of an image (n, D) of each learner, with its 1."""
        n, K, c, D = belief.mean.shape
        z = images[:, None, :, None]
        cross = (belief.covariance.reshape(n, K, c * D * c, D) @ z).view(n, K, c * D, c)
        variance = (cross.view(n, K, c, D, c) * z[:, :, None]).sum(3)
        mean = (belief.mean @ z)[..., 0]
        root = torch.linalg.cholesky(variance + _JITTER * self.eye)
        contrasts = mean[:, :, None] + self.normal @ root.mT
        return Outlook(cross, mean, root, contrasts, (contrasts @ self.basis.T).softmax(-1))

    def after(self, gates: Gates, belief: Belief, seen: Outlook, step: Step) -> Belief:
        """What is believed after an answer and feedback.

        Args:
            gates: What moves the matrices.
            belief: Before the step.
            seen: What it makes of the step's images.
            step: With features (n, D), images as they are seen and a 1.
        """
        n, K, c, D = belief.mean.shape
        said = step.responses[:, None, None, None].expand(n, K, seen.choice.shape[2], 1)
        weight = self.lapsing(seen.choice).gather(3, said)
        weight = weight / weight.sum(2, keepdim=True)
        both = torch.cat([seen.contrasts, seen.choice @ self.basis], -1)
        mean = (weight * both).sum(2)
        away = both - mean[:, :, None]
        learned = (weight * away).mT @ away
        gain = torch.cholesky_solve(seen.cross.mT, seen.root).mT
        told = belief.mean + (gain @ (mean[..., :c] - seen.mean)[..., None]).view(n, K, c, D)
        error = self.basis[step.labels][:, None, :, None] - mean[..., c:, None]
        moved = told + gates.rate * error * step.features[:, None, None]
        moved = moved - gates.forgetting * (told - gates.beginning)
        # How the matrix after the step depends on the contrasts and on the choice in it.
        through = (self.eye[:, None] * step.features[:, None, :, None]).view(n, 1, c * D, c)
        slope = torch.cat([(1 - gates.forgetting) * gain, -gates.rate * through], -1)
        known = nn.functional.pad(seen.root @ seen.root.mT, (0, c, 0, c))
        kept = (1 - gates.forgetting) ** 2 * belief.covariance + gates.noise
        return Belief(moved, kept + slope @ (learned - known) @ slope.mT)

    def answers(self, belief: Belief, images: torch.Tensor) -> torch.Tensor:
        """(n, K, m, C) probabilities of the answers to images (n, m, D), each with its 1."""
        n, K, c, D = belief.mean.shape
        many = images.shape[1]
        mean = images[:, None] @ belief.mean.mT
        by_image = belief.covariance.view(n, K, c, D, c * D).transpose(2, 3).reshape(n, K, D, c * c * D)
        cross = (images[:, None] @ by_image).view(n, K, many, c * c, D)
        variance = (cross @ images[:, None, :, :, None]).view(n, K, many, c, c)
        root = torch.linalg.cholesky(variance + _JITTER * self.eye)
        contrasts = mean[..., None, :] + self.normal @ root.mT
        return self.lapsing((contrasts @ self.basis.T).softmax(-1).mean(-2))

    def classifiers(self, belief: Belief) -> torch.Tensor:
        """(n, K, C, r + 1) mean of the matrix in force."""
        return self.basis @ belief.mean

    def _beginning(self) -> torch.Tensor:
        """(K, c, D)."""
        parts = [
            part.expand(k, -1, -1)
            for part, k in zip(self.beginnings, (self.moving, self.staying), strict=True)
        ]
        return _UNIT * torch.cat(parts)

    def _spherical(self, variance: torch.Tensor) -> torch.Tensor:
        """(K, c D, c D) covariances of variances (K,)."""
        return torch.diag_embed(variance[:, None].expand(-1, self.beginnings[0].numel()))


def contrasts(classes: int) -> torch.Tensor:
    """(C, C - 1) orthonormal columns that sum to 0 each: what of C logits a softmax depends on (Helmert)."""
    columns = torch.ones(classes, classes - 1, dtype=torch.float64).triu()
    rows = torch.arange(1, classes)
    columns[rows, rows - 1] = -rows.double()
    return (columns / columns.norm(dim=0)).float()


def normal_points(count: int, dimension: int) -> torch.Tensor:
    """(S, c) points in pairs of opposite signs, of mean 0 and covariance 1, spread like normal ones."""
    engine = torch.quasirandom.SobolEngine(dimension, scramble=True, seed=0)
    half = engine.draw(count // 2, dtype=torch.float64)
    points = math.sqrt(2) * torch.erfinv((2 * half - 1).clamp(-1 + 1e-9, 1 - 1e-9))
    points = torch.cat([points, -points])
    root = torch.linalg.cholesky(points.T @ points / count)
    return torch.linalg.solve_triangular(root, points.T, upper=False).T.float()
