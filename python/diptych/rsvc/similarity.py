"""How alike concepts are: predicted and real coefficients, best matches, and all pairs of layers."""

import math
from collections.abc import Sequence

import torch
from torch.nn.functional import pad

from diptych import ops
from diptych.ops import _checks
from diptych.ops._arrays import Array, floating, returner, to_tensor

KINDS = ("pearson", "spearman")
DIRECTIONS = ("both", "1to2", "2to1")


def predicted_similarity(predicted: Array, real: Array, *, kind: str = "pearson") -> Array:
    """Correlate the predicted and the real coefficients of each concept.

    Called CMCS where another network's activations predict, SMCS where the concepts' own do (Kondapaneni,
    Mac Aodha & Perona 2025, arXiv 2503.15699, sec. 3).

    Args:
        predicted: (n, k) predicted coefficients of k concepts on n patches.
        real: (n, k) real ones.
        kind: ``"pearson"`` or ``"spearman"``.

    Returns:
        (k,) in [-1, 1]. NaN, undefined, where the real coefficients are constant (a dead concept); 0 where
        the prediction alone is constant: the activations tell nothing of that concept.

    Complexity:
        O(n k²) time.

    Raises:
        ValueError: Shapes that differ, fewer than two patches, NaN or Inf, an unknown kind.
        TypeError: Not arrays of real numbers.
    """
    guess, truth = (to_tensor(name, x) for name, x in (("predicted", predicted), ("real", real)))
    _checks.matrix("predicted", guess)
    _checks.same_shape("predicted", guess, "real", truth)
    _checks.one_of("kind", kind, KINDS)
    found = ops.correlation(guess, truth, kind=kind, constant="zero").diagonal()
    return returner(predicted)(found.masked_fill(constant_columns(truth), math.nan))


def max_similarity(coefficients: Array, others: Array, *, kind: str = "pearson") -> Array:
    """The largest correlation of each concept with any concept of another network (MCS).

    Coefficients are non-negative, so that concepts are alike where they rise together: the largest
    correlation by its sign is taken, not by its size. No regression takes part.

    Args:
        coefficients: (n, k1) coefficients of the concepts on n patches.
        others: (n, k2) those of the other network's concepts on the same patches.
        kind: ``"pearson"`` or ``"spearman"``.

    Returns:
        (k1,) in [-1, 1]; NaN where a concept's coefficients are constant (a dead concept), or all of the
        others' are. Dead concepts of the other network are no candidates.

    Complexity:
        O(n k1 k2) time.

    Raises:
        ValueError: Other numbers of patches, fewer than two, NaN or Inf, an unknown kind.
        TypeError: Not arrays of real numbers.
    """
    own = to_tensor("coefficients", coefficients)
    other = to_tensor("others", others)
    _checks.matrix("coefficients", own)
    _checks.matrix("others", other)
    _checks.same_rows("coefficients", own, "others", other)
    _checks.one_of("kind", kind, KINDS)
    return returner(coefficients)(_largest(ops.correlation(own, other, kind=kind, constant="nan"), 1))


def layerwise(
    list_1: Sequence[Array], list_2: Sequence[Array], *, direction: str = "both", kind: str = "pearson"
) -> Array:
    """Mean max concept similarity (MMCS) of all pairs of layers of two networks.

    MMCS(1→2) of two layers is the mean over the first one's concepts of their MCS (:func:`max_similarity`)
    among the second one's; the other direction averages over the second one's. All pairs are one product of
    standardised coefficients.

    Args:
        list_1: L1 arrays (n, k), the coefficients of each layer's concepts on the same n patches; k may
            differ.
        list_2: L2 arrays (n, k) of the other network's layers.
        direction: ``"both"``, the mean of the two directions, which makes the matrix of (2, 1) the
            transpose of that of (1, 2); or ``"1to2"``, ``"2to1"`` for one of them.
        kind: ``"pearson"`` or ``"spearman"``.

    Returns:
        (L1, L2) in [-1, 1]. Means are over concepts that are not dead; NaN where there is none.

    Complexity:
        O(n K1 K2) time for K1 and K2 concepts in all layers, O(n (K1 + K2) + K1 K2) memory.

    Raises:
        ValueError: No layers, arrays of other shapes than (n, k) with one n, NaN or Inf, an unknown option.
        TypeError: Not arrays of real numbers.
    """
    first, second = _stacked("list_1", list_1), _stacked("list_2", list_2)
    _checks.same_rows("list_1", first, "list_2", second)
    _checks.one_of("direction", direction, DIRECTIONS)
    _checks.one_of("kind", kind, KINDS)
    pairs = ops.correlation(first.flatten(1), second.flatten(1), kind=kind, constant="nan")
    pairs = pairs.view(*first.shape[1:], *second.shape[1:])  # (L1, k, L2, k)
    means = []
    if direction != "2to1":
        means.append(_largest(pairs, 3).nanmean(1))
    if direction != "1to2":
        means.append(_largest(pairs, 1).nanmean(2))
    return returner(list_1[0])(means[0] if len(means) == 1 else (means[0] + means[1]) / 2)


def constant_columns(x: torch.Tensor) -> torch.Tensor:
    """Which columns (k,) of x (n, k) hold one number only."""
    return (x == x[0]).all(0)


def _stacked(name: str, layers: Sequence[Array]) -> torch.Tensor:
    """All layers' coefficients (n, L, k); a layer of fewer concepts gets dead ones, which do not count."""
    if len(layers) == 0:
        raise ValueError(f"{name}: expected the coefficients of at least one layer, found none")
    tensors = [floating(to_tensor(f"{name}[{i}]", layer)) for i, layer in enumerate(layers)]
    if any(x.ndim != 2 or x.shape[0] != tensors[0].shape[0] or not x.numel() for x in tensors):
        for i, tensor in enumerate(tensors):
            _checks.matrix(f"{name}[{i}]", tensor)
            _checks.same_rows(f"{name}[0]", tensors[0], f"{name}[{i}]", tensor)
    most = max(tensor.shape[1] for tensor in tensors)
    alike = [x if x.shape[1] == most else pad(x, (0, most - x.shape[1])) for x in tensors]
    return torch.stack(alike, 1)


def _largest(correlations: torch.Tensor, axis: int) -> torch.Tensor:
    """The maximum along an axis of what is not NaN, or NaN."""
    found = correlations.nan_to_num(-math.inf).amax(axis)
    return found.masked_fill_(found == -math.inf, math.nan)
