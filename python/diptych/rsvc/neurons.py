"""Which neurons of a network a concept is predicted from."""

from typing import NamedTuple

import numpy as np
import torch

from diptych.ops import _checks
from diptych.ops._arrays import Array, returner, to_tensor
from diptych.rsvc.regression import ConceptRegression

# A variance that is so small a part of the terms it is the sum of is their rounding.
_ROUNDING = 1e-12


class NeuronContribution(NamedTuple):
    """What :func:`neuron_contribution` finds, float64.

    p neurons (features of the activations) and t concepts.
    """

    fall: Array  #: (p, t) mean over repeats of the fall of the correlation; 0 where a neuron has no weight
    spread: Array  #: (p, t) standard deviation of that fall over repeats
    correlation: Array  #: (t,) Pearson correlation of predicted and real coefficients, nothing shuffled

    def strongest(self, concept: int, count: int = 5) -> Array:
        """The neurons that contribute most to a concept, at most ``count``, none that contributes nothing."""
        fall = to_tensor("fall", self.fall)[:, concept]
        order = fall.argsort(descending=True, stable=True)[:count]
        return returner(self.fall)(order[fall[order] > 0])


def neuron_contribution(
    regression: ConceptRegression,
    activations: Array,
    coefficients: Array,
    *,
    repeats: int = 5,
    seed: int = 0,
) -> NeuronContribution:
    """Measure what each neuron contributes to the prediction of each concept, by permutation importance.

    The activations of one neuron are shuffled among patches, and the fall of the correlation of predicted and
    real coefficients is its contribution (thesis fig. 3.11; Breiman, "Random forests", 2001, sec. 10), the
    mean of five shuffles. The model being linear, a shuffled neuron j moves its prediction by w_j (x_π(j) −
    x_j), and the correlation follows from a few inner products: nothing is predicted again.

    Args:
        regression: From the network's activations to the concepts.
        activations: (n, p) activations of that network, on patches that were not trained on where there are.
        coefficients: (n, t) real coefficients of the regression's concepts on the same patches.
        repeats: How often each neuron is shuffled; all neurons and concepts share the shuffles.
        seed: Of the shuffles.

    Returns:
        :class:`NeuronContribution` of arrays of the kind of ``activations``. NaN for a concept whose
        coefficients are constant.

    Complexity:
        O(repeats n p t) time in matrix products; memory twice the activations in float64.

    Raises:
        ValueError: Shapes that do not match, fewer than two patches, NaN or Inf, repeats below 1.
        TypeError: Not arrays of real numbers.
    """
    _checks.integer("repeats", repeats, 1)
    _checks.seed(seed)
    source = to_tensor("activations", activations).detach()
    weights, scale = to_tensor("weights", regression.weights), to_tensor("scale", regression.source_scale)
    _checks.matrix("activations", source)
    if source.shape[1] != len(scale) or len(source) < 2:
        raise ValueError(
            f"activations: expected at least two rows of {len(scale)} features as in training, found shape "
            f"{tuple(source.shape)}"
        )
    _checks.finite("activations", source)
    target = to_tensor("coefficients", coefficients).detach()
    if target.shape != (len(source), weights.shape[2]):
        raise ValueError(
            f"coefficients: expected shape {(len(source), weights.shape[2])}, found {tuple(target.shape)}"
        )
    _checks.finite("coefficients", target)
    _checks.same_device(activations=source, coefficients=target, weights=weights)
    x = source.double() - source.double().mean(0)
    # In standard deviations of each concept, which a correlation does not see.
    w = weights.double().mean(0) / torch.where(scale > 0, scale, 1).double()[:, None]
    y = target.double() - target.double().mean(0)
    y.masked_fill_((target == target[0]).all(0), 0)
    before, falls = _falls(x, w, y, repeats, int(seed))
    give_back = returner(activations)
    spread = falls.std(0, correction=0)
    return NeuronContribution(give_back(falls.mean(0)), give_back(spread), give_back(before))


def _falls(
    x: torch.Tensor, w: torch.Tensor, y: torch.Tensor, repeats: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Correlations (t,) and their falls (repeats, p, t); x and y are centred.

    With z = x w predicted, d_j = x_π(j) − x_j and z' = z + w_j d_j:
    z'ᵀy = zᵀy + w_j d_jᵀy and |z'|² = |z|² + 2 w_j d_jᵀz + w_j² |d_j|². A shuffle keeps the mean at 0.
    """
    z = x @ w
    both = torch.cat([y, z], 1)
    agreement, energy, truth = (y * z).sum(0), z.square().sum(0), y.square().sum(0)
    before = _correlation(agreement, energy, energy, truth)
    generator = np.random.default_rng(seed)
    falls = []
    for _ in range(repeats):
        order = torch.from_numpy(generator.permutation(len(x))).to(x.device)
        moved = x[order].sub_(x)
        with_truth, with_guess = (moved.T @ both).tensor_split(2, 1)
        size = energy + w.square() * torch.linalg.vector_norm(moved, dim=0).square()[:, None]
        changed = size + 2 * w * with_guess
        after = _correlation(agreement + w * with_truth, changed, size, truth)
        falls.append(torch.where(w == 0, 0, before - after).masked_fill(truth == 0, torch.nan))
    return before, torch.stack(falls)


def _correlation(
    agreement: torch.Tensor, energy: torch.Tensor, size: torch.Tensor, truth: torch.Tensor
) -> torch.Tensor:
    """Pearson; 0 of a prediction that is constant, NaN of a truth that is."""
    told = energy > _ROUNDING * size
    found = agreement / (torch.where(told, energy, 1) * torch.where(truth > 0, truth, 1)).sqrt()
    return torch.where(told, found, 0).masked_fill(truth == 0, torch.nan)
