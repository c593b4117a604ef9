"""A linear classifier of embeddings: multinomial logistic regression."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

# Embeddings that are widened to float64 at once.
_BLOCK = 4096
# Largest entry of the gradient at the end, and smallest relative step: those of scikit-learn, more strictly.
_GRADIENT, _STEP = 1e-6, 64 * np.finfo(float).eps


@dataclass(frozen=True)
class LinearClassifier:
    """A classifier ``features @ weight.T + bias``.

    Attributes:
        weight: (c, d) float64.
        bias: (c,) float64.
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def predict(self, features: torch.Tensor) -> torch.Tensor:
        """(n, d) to the (n,) classes of the largest logits."""
        weight, bias = self.weight.to(features), self.bias.to(features)
        return torch.cat([(rows @ weight.T + bias).argmax(1) for rows in features.split(_BLOCK)])


def fit_linear_classifier(
    features: torch.Tensor,
    labels: torch.Tensor,
    classes: int,
    *,
    penalty: float,
    label_smoothing: float = 0.0,
    iterations: int = 1000,
    after_iteration: Callable[[LinearClassifier, float], None] | None = None,
) -> LinearClassifier:
    """Minimise the mean cross-entropy and (penalty / 2) ‖W‖², by L-BFGS from zero.

    W multiplies standardised features (each column's mean taken off, divided by its standard deviation; the
    constant ones left out), so that a penalty means the same for networks whose activations differ in
    scale; the bias is not penalised. The problem is convex with one minimum, there is no learning rate or
    order of batches to choose, and nothing is random. It is scikit-learn's ``LogisticRegression(C=1 / (n
    penalty))`` behind a ``StandardScaler``, by the same solver (scipy's), where the features are: sums are
    taken in float64 there.

    Args:
        features: (n, d) float32 or float64, on any device.
        labels: (n,) int64 classes, on the same device.
        classes: Number of classes, c.
        penalty: At least 0.
        label_smoothing: Share of each label's weight that is spread over all classes.
        iterations: At most so many.
        after_iteration: Called with the classifier and its mean cross-entropy, in nats, after each.

    Returns:
        The classifier, for the features as they are.

    Complexity:
        4 n d c operations an iteration, or a little more; a block of 4,096 rows in float64.
    """
    n, d = features.shape
    mean, scale = _moments(features)

    def unpacked(theta: NDArray[np.float64]) -> tuple[torch.Tensor, LinearClassifier]:
        both = torch.tensor(theta, device=features.device).view(classes, d + 1)
        weight = both[:, :d] / scale
        return both[:, :d], LinearClassifier(weight, both[:, d] - weight @ mean)

    def objective(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        standardised, found = unpacked(theta)
        loss = torch.zeros((), dtype=torch.float64, device=features.device)
        slope = torch.zeros_like(found.weight)
        lift = torch.zeros_like(found.bias)
        for rows, of_rows in zip(features.split(_BLOCK), labels.split(_BLOCK), strict=True):
            wide = rows.double()
            logs = torch.log_softmax(wide @ found.weight.T + found.bias, 1)
            wanted = torch.full_like(logs, label_smoothing / classes)
            wanted[torch.arange(len(wanted)), of_rows] += 1 - label_smoothing
            loss -= (wanted * logs).sum()
            error = logs.exp() - wanted
            slope += error.T @ wide
            lift += error.sum(0)
        slope = (slope - torch.outer(lift, mean)) / scale / n + penalty * standardised
        gradient = torch.cat([slope, (lift / n)[:, None]], 1)
        return float(loss / n + penalty / 2 * standardised.square().sum()), gradient.cpu().numpy().ravel()

    def told(intermediate_result: Any) -> None:
        if after_iteration is not None:
            standardised, found = unpacked(intermediate_result.x)
            penalised = float(penalty / 2 * standardised.square().sum())
            after_iteration(found, float(intermediate_result.fun) - penalised)

    options = {"maxiter": iterations, "gtol": _GRADIENT, "ftol": _STEP, "maxfun": 20 * iterations}
    start = np.zeros(classes * (d + 1))
    done = minimize(objective, start, method="L-BFGS-B", jac=True, options=options, callback=told)
    if done.nit == 0:  # the minimum is where it began
        told(done)
    return unpacked(done.x)[1]


def _moments(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each column, (d,) float64 each; infinite where a column is constant."""
    n, blocks = len(features), features.split(_BLOCK)
    mean = sum((rows.double().sum(0) for rows in blocks), start=torch.zeros(())) / n
    spread = sum(((rows.double() - mean).square().sum(0) for rows in blocks), start=torch.zeros(())) / n
    # What is left of a constant column by rounding is no feature.
    constant = spread.sqrt() <= 1e-7 * mean.abs()
    return mean, torch.where(constant, torch.inf, spread.sqrt())
