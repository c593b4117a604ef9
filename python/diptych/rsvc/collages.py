"""Which patches show a concept, and which concepts are worth showing."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.ops import _checks
from diptych.ops._arrays import Array, to_tensor
from diptych.rsvc.regression import image_names

#: Patches that hold most of a concept and are not shown again as wrongly predicted (thesis sec. 3.4.4).
EXCLUDED = 10

#: Concepts to show, and the percentile of delta KL above which they are looked for.
SHOWN, PERCENTILE = 15, 75.0

#: SMCS − CMCS from which a concept counts as one that the other network has not; the limit is ours.
LACKING = 0.3

Indices = NDArray[np.int64]


class Collages(NamedTuple):
    """The patches that show a concept, best first, each of another image; see :func:`collages`."""

    top: Indices  #: largest real coefficients
    under: Indices  #: largest real − predicted
    over: Indices  #: largest predicted − real


def collages(
    real: Array, predicted: Array, groups: Array | None = None, *, n: int = 9, excluded: int = EXCLUDED
) -> Collages:
    """Choose the patches that show a concept, and those where it is predicted too low and too high.

    Three collages (thesis sec. 3.4.4; Kondapaneni, Mac Aodha & Perona 2025, arXiv 2503.15699): the patches of
    the largest real coefficients, of the largest real − predicted, and of the largest predicted − real. A
    collage has one patch of an image, its best. The first ``excluded`` patches by real coefficient, one of
    an image, are in neither of the latter two.

    Args:
        real: (m,) coefficients of a concept.
        predicted: (m,) what a network predicts for them.
        groups: (m,) integers or strings, the image each patch is of; None: every patch is an image.
        n: Patches in a collage.
        excluded: How many of the patches with the most of the concept the latter two leave out.

    Returns:
        :class:`Collages` of indices of patches. Ties go to the patch that comes first. Fewer than n where
        there are not as many images with a patch that qualifies: one that has the concept (above 0), is
        under-predicted, or is over-predicted.

    Complexity:
        O(m log m) time, O(m) memory.

    Raises:
        ValueError: Other numbers of patches, NaN or Inf, n below 1 or excluded below 0.
        TypeError: Not arrays of real numbers; groups neither integers nor strings.
    """
    _checks.integer("n", n, 1)
    _checks.integer("excluded", excluded, 0)
    truth = values("real", real)
    guess = values("predicted", predicted, len(truth))
    names = np.arange(len(truth)) if groups is None else image_names("groups", groups, len(truth))
    held = _one_per_image(truth, names)
    error = truth - guess
    allowed = np.ones(len(truth), bool)
    allowed[held[:excluded]] = False
    return Collages(
        held[:n], _one_per_image(error, names, allowed)[:n], _one_per_image(-error, names, allowed)[:n]
    )


def top_patches(scores: Array, groups: Array | None = None, *, n: int = 9) -> Indices:
    """The n patches with the largest scores, one of an image.

    Args:
        scores: (m,) coefficients of a concept, activations of a neuron.
        groups: (m,) integers or strings, the image each patch is of; None: every patch is an image.
        n: Patches wanted.

    Returns:
        (n,) indices or fewer, best first, ties in order; patches whose score is not above 0 are never chosen.

    Raises:
        ValueError: NaN or Inf, another number of groups, n below 1.
        TypeError: Not an array of real numbers; groups neither integers nor strings.
    """
    _checks.integer("n", n, 1)
    found = values("scores", scores)
    names = np.arange(len(found)) if groups is None else image_names("groups", groups, len(found))
    return _one_per_image(found, names)[:n]


def chosen_concepts(
    delta_pearson: Array,
    delta_kl: Array | None = None,
    *,
    count: int = SHOWN,
    percentile: float = PERCENTILE,
) -> Indices:
    """Choose the concepts to show: those that matter, and that the other network predicts worst.

    Of the concepts whose delta KL is above its 75th percentile the 15 with the lowest delta Pearson (thesis
    sec. 3.4.4). Dead concepts, whose delta Pearson is NaN, take no part, not in the percentile either. Where
    no delta KL is above the percentile (a single concept, or many that tie for the largest) those that
    reach it count, if it is above 0.

    Args:
        delta_pearson: (k,) CMCS − SMCS of concepts, of one class or of many; NaN is undefined.
        delta_kl: (k,) what the replacement test says of them; None, without a head: all of them matter.
        count: Concepts wanted.
        percentile: 0 to 100.

    Returns:
        (count,) indices or fewer, the lowest delta Pearson first, ties in order.

    Raises:
        ValueError: Other numbers of concepts, Inf, a delta KL that is NaN where delta Pearson is not, count
            below 1, a percentile outside of 0 to 100.
        TypeError: Not arrays of real numbers.
    """
    _checks.integer("count", count, 1)
    _checks.within("percentile", percentile, 0, 100)
    fall = values("delta_pearson", delta_pearson, undefined=True)
    living = np.flatnonzero(~np.isnan(fall))
    if delta_kl is not None and len(living):
        harm = values("delta_kl", delta_kl, len(fall), undefined=True)[living]
        if np.isnan(harm).any():
            row = living[np.isnan(harm).argmax()]
            raise ValueError(
                f"delta_kl: expected a number where delta_pearson is one, found NaN in row {row}"
            )
        limit = np.percentile(harm, percentile)
        above = harm > limit
        living = living[above if above.any() else (harm >= limit) & (harm > 0)]
    return living[np.argsort(fall[living], kind="stable")[:count]]


def lacking(cross: Array, same: Array, *, gap: float = LACKING) -> NDArray[np.bool_]:
    """Which concepts of a network the other network has not.

    Args:
        cross: (k,) CMCS: how well the other network's activations predict each concept.
        same: (k,) SMCS: how well the concept's own network does.
        gap: SMCS − CMCS from which a concept counts.

    Returns:
        (k,) bool; never a dead concept, whose similarity is NaN.

    Raises:
        ValueError: Other numbers of concepts, Inf.
        TypeError: Not arrays of real numbers.
    """
    own = values("same", same, undefined=True)
    return np.asarray(own - values("cross", cross, len(own), undefined=True) >= gap)


def values(name: str, array: Array, n: int | None = None, *, undefined: bool = False) -> NDArray[np.float64]:
    """A vector as float64 in numpy, checked.

    Args:
        name: The argument's name, for errors.
        array: (n,) numbers.
        n: Length wanted.
        undefined: Whether NaN is allowed.

    Raises:
        ValueError: Not a vector, empty, of another length, Inf, NaN that is not allowed.
        TypeError: Not an array of real numbers.
    """
    tensor = to_tensor(name, array)
    if tensor.ndim != 1 or len(tensor) == 0 or n not in (None, len(tensor)):
        wanted = "(m,)" if n is None else f"({n},)"
        raise ValueError(f"{name}: expected shape {wanted}, found {tuple(tensor.shape)}")
    found = tensor.detach().to("cpu", torch.float64).numpy()
    wrong = np.isinf(found) if undefined else ~np.isfinite(found)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(f"{name}: expected finite numbers, found {found[row]} in row {row}")
    return found


def _one_per_image(
    scores: NDArray[np.float64], names: NDArray[np.generic], allowed: NDArray[np.bool_] | None = None
) -> Indices:
    """The best patch of each image whose score is above 0, best first."""
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > 0]
    if allowed is not None:
        order = order[allowed[order]]
    first = np.unique(names[order], return_index=True)[1]
    return order[np.sort(first)]
