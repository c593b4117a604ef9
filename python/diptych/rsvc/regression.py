"""Predicting the concepts of one network from the activations of a network, by lasso over folds of images."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diptych import ops
from diptych.ops import _checks
from diptych.ops._arrays import Array, floating, returner, to_tensor
from diptych.ops._products import product

# Rounding errors of its mean below which the standard deviation of a column is one of them.
_ROUNDINGS = 4


@dataclass(frozen=True)
class ConceptRegression:
    """Concept coefficients predicted linearly from activations; see :func:`predict`.

    K fold models of t concepts from p features, fitted on n patches. Arrays are of the kind and on the device
    of the activations.

    Attributes:
        weights: (K, p, t) change of a concept, in its standard deviations, with each standardised feature.
        source_mean: (p,) mean of each feature over the training patches.
        source_scale: (p,) its standard deviation there, 0 where it is constant: it then has no weight.
        target_mean: (t,) mean of each concept's coefficients over the training patches.
        target_scale: (t,) their standard deviation there, 0 where they are constant.
        folds: (n,) int64, the fold of each training patch.
        held_out: (n, t) what the one fold model that did not see a patch's image predicts for it.
        gaps: (K, t) float64 duality gaps of the standardised problems.
        alpha: Weight of the penalty, or (t,) one for each concept.
    """

    weights: Array
    source_mean: Array
    source_scale: Array
    target_mean: Array
    target_scale: Array
    folds: Array
    held_out: Array
    gaps: Array
    alpha: float | Array

    @property
    def nonzero(self) -> Array:
        """(K, t) number of features that each fold model gives a weight."""
        return (self.weights != 0).sum(1)

    def predict(self, activations: Array) -> Array:
        """Predict (m, t) concept coefficients from (m, p) activations: the mean of the fold models.

        The models being linear, their mean is the model of the mean weights. O(m p t) time.

        Raises:
            ValueError: Not a matrix of p features, NaN or Inf, another device.
            TypeError: Not an array of real numbers.
        """
        source = to_tensor("activations", activations)
        own = self._tensors()
        _checks.matrix("activations", source)
        if source.shape[1] != len(own["source_mean"]):
            raise ValueError(
                f"activations: expected {len(own['source_mean'])} features as in training, "
                f"found {source.shape[1]}"
            )
        _checks.same_device(activations=source, weights=own["weights"])
        source = source.to(own["weights"].dtype)
        _checks.finite("activations", source)
        scale = own["source_scale"]
        weights = own["weights"].mean(0) * (own["target_scale"] / scale.masked_fill(scale == 0, 1)[:, None])
        return returner(activations)(product(source - own["source_mean"], weights) + own["target_mean"])

    def of_concepts(self, columns: slice) -> "ConceptRegression":
        """The same regression of some of the concepts."""
        alpha = self.alpha if isinstance(self.alpha, (int, float)) else self.alpha[columns]
        return replace(
            self,
            weights=self.weights[:, :, columns],
            target_mean=self.target_mean[columns],
            target_scale=self.target_scale[columns],
            held_out=self.held_out[:, columns],
            gaps=self.gaps[:, columns],
            alpha=alpha,
        )

    def _tensors(self) -> dict[str, torch.Tensor]:
        names = [field.name for field in fields(self) if field.name != "alpha"]
        return {name: to_tensor(name, getattr(self, name)) for name in names}


def predict(
    activations_src: Array,
    coefficients_tgt: Array,
    groups: Array | None = None,
    alpha: float | Array = 0.1,
    folds: int = 5,
    *,
    tol: float = 1e-5,
) -> ConceptRegression:
    """Learn to predict concept coefficients from the activations of a network, the same or another.

    The regression of RSVC (Kondapaneni, Mac Aodha & Perona 2025, arXiv 2503.15699, sec. 3): the lasso
    |y - Xw|²/2n + alpha |w|₁ of every concept (:func:`diptych.ops.lasso`), activations and coefficients
    standardised to mean 0 and variance 1 over all patches given here. The images, in the order of their
    names, are dealt to the folds in turn; a fold model is trained on the patches of all other folds' images;
    predictions for new patches are the mean of the fold models'. The concepts of several networks side by
    side, as columns of ``coefficients_tgt``, share the work on the activations.

    What is held out of a fold model still takes part in the means and standard deviations of the
    standardisation.

    Args:
        activations_src: (n, p) activations of the source network on n patches; RSVC takes those of 5 to 200
            images of a class.
        coefficients_tgt: (n, t) concept coefficients of the same patches.
        groups: (n,) integers or strings, the image each patch is of; None: every patch is an image.
        alpha: Weight of the penalty, above 0; a number, or (t,) one for each concept.
        folds: Number of folds K, at least 2.
        tol: A problem is solved when its duality gap is at most tol |y|²/n.

    Returns:
        :class:`ConceptRegression`. A concept whose coefficients are constant gets no weights; its prediction
        is that constant.

    Complexity:
        Those of :func:`diptych.ops.lasso` for t targets and K folds, one copy of the activations, and
        O(n p t) time for the held-out predictions.

    Raises:
        ValueError: Other numbers of patches, fewer images than folds, activations that are constant or leave
            the range whose squares their dtype holds, NaN or Inf, alpha or tol not above 0.
        TypeError: Not an array of real numbers; groups neither integers nor strings.
    """
    source, target = (
        floating(to_tensor(name, value).detach())
        for name, value in (("activations_src", activations_src), ("coefficients_tgt", coefficients_tgt))
    )
    _checks.matrix("activations_src", source)
    _checks.matrix("coefficients_tgt", target)
    _checks.same_rows("activations_src", source, "coefficients_tgt", target)
    _checks.same_device(activations_src=source, coefficients_tgt=target)
    _checks.squarable("activations_src", source)
    _checks.squarable("coefficients_tgt", target)
    fold_of = torch.from_numpy(image_folds(groups, len(source), folds)).to(source.device)
    # Sorted by fold once, here, every fold is a slice of the one copy that is made anyway.
    order = fold_of.argsort(stable=True)
    x, source_mean, source_scale = _standardised(source.index_select(0, order))
    y, target_mean, target_scale = _standardised(target.index_select(0, order).to(x.dtype))
    if not bool((source_scale > 0).any()):
        raise ValueError("activations_src: all patches have the same activations, which predict nothing")
    found = ops.lasso(x, y, alpha, fold_of[order], tol=tol, check=False)
    held_out = torch.empty_like(y)
    sizes = torch.bincount(fold_of).tolist()
    parts = zip(x.split(sizes), found.coef, order.split(sizes), strict=True)
    for rows, weights, places in parts:
        held_out[places] = product(rows, weights) * target_scale + target_mean
    give_back = returner(activations_src)
    return ConceptRegression(
        weights=give_back(found.coef),
        source_mean=give_back(source_mean),
        source_scale=give_back(source_scale),
        target_mean=give_back(target_mean),
        target_scale=give_back(target_scale),
        folds=give_back(fold_of),
        held_out=give_back(held_out),
        gaps=give_back(found.gap),
        alpha=alpha,
    )


def image_folds(groups: Array | None, n: int, folds: int) -> NDArray[np.int64]:
    """The fold 0..folds-1 of each of n patches: images, in sorted order, dealt to the folds in turn.

    Patches of an image share a fold, whatever order they come in. Images that come sorted by what they show
    are spread over all folds.

    Raises:
        ValueError: Another number of patches, fewer images than folds, folds below 2.
        TypeError: Groups neither integers nor strings.
    """
    _checks.integer("folds", folds, 2)
    names = np.arange(n) if groups is None else image_names("groups", groups, n)
    images, image_of = np.unique(names, return_inverse=True)
    if len(images) < folds:
        raise ValueError(
            f"groups: {folds} folds need patches of at least {folds} images, found {len(images)}"
        )
    return image_of.astype(np.int64) % folds


def image_names(name: str, groups: Array, n: int) -> NDArray[Any]:
    """The names (n,) of the images that patches are of, integers or strings.

    Raises:
        ValueError: Not one for each of n patches.
        TypeError: Neither integers nor strings.
    """
    names = groups.detach().cpu().numpy() if isinstance(groups, torch.Tensor) else np.asarray(groups)
    if names.shape != (n,):
        raise ValueError(f"{name}: expected the image of each patch, shape ({n},), found {names.shape}")
    if names.dtype.kind not in "iuUS":
        raise TypeError(f"{name}: expected integers or strings, found {names.dtype}")
    return names


def _standardised(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Standardise the columns of x in place; also their means and standard deviations, 0 for constant ones.

    The first row goes before the mean does: constant columns become exactly zero, and those that vary no more
    than their rounding are taken for constant.
    """
    first = x[0].clone()
    x -= first
    mean = x.mean(0)
    x -= mean
    mean += first
    scale = x.square().mean(0).sqrt_()
    scale.masked_fill_(scale <= _ROUNDINGS * torch.finfo(x.dtype).eps * mean.abs(), 0)
    x *= torch.where(scale > 0, 1 / scale, 0)
    return x, mean, scale
