"""The replacement test: does it matter that another network cannot express a concept?"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from diptych import ops
from diptych.ops import _checks
from diptych.ops._arrays import Array, floating, returner, to_tensor
from diptych.rsvc.heads import GeneralHead, Head, LinearHead, as_head, evaluating
from diptych.rsvc.importance import checked_concepts

CONVENTIONS = ("default", "published-code")

# Bytes of logits, or of activations, that are worked on at once.
_BLOCK_BYTES = 1 << 22


class Replacement(NamedTuple):
    """What :func:`replacement_test` finds, (k,) float64 each: one number per replaced concept.

    A is the activations as the concepts have them, A_same and A_cross those with one concept's coefficients
    replaced by same-model and by cross-model predictions, p the softmax of their logits.
    """

    l2: Array  #: mean over patches of |A_cross − A_same|
    kl: Array  #: mean of KL(p_same ‖ p_cross) = Σ p_same ln(p_same / p_cross), in nats
    match: Array  #: share of patches with the same most probable class in p_same and p_cross
    delta_l2: Array  #: mean of |A_cross − A| − |A_same − A|
    delta_kl: Array  #: mean of KL(p ‖ p_cross) − KL(p ‖ p_same), in nats
    delta_accuracy: Array  #: share of patches classified rightly with A_cross, minus that with A_same
    delta_pearson: Array  #: Pearson(real, cross) − Pearson(real, same); NaN where one is undefined


def replacement_test(
    coefficients: Array,
    basis: Array,
    same: Array,
    cross: Array,
    head: Head,
    *,
    activations: Array | None = None,
    labels: Array | None = None,
    conventions: str = "default",
) -> Replacement:
    """Replace each concept's coefficients in turn by predicted ones, and see what the head makes of it.

    For concept j column U_j of the coefficients is replaced by its prediction U'_j, from the same network's
    activations and from the other's, and the activations are reconstructed: A' = U W + (U'_j − U_j) w_j, all
    other concepts being real (thesis sec. 3.4.3; arXiv 2503.15699). ``l2``, ``kl`` and ``match`` compare the
    cross-model replacement with the same-model one, so that what no regression can predict does not count
    against the other network. The deltas (thesis fig. 3.4) take the difference of how far either is from
    the unreplaced reconstruction: above 0 in ``delta_l2`` and ``delta_kl``, and below 0 in ``delta_accuracy``
    and ``delta_pearson``, the other network is the worse predictor.

    Args:
        coefficients: (n, k) U, real.
        basis: (k, d) W.
        same: (n, k) coefficients predicted from the network's own activations, in the units of the real ones;
            predictions below 0 are used as they are.
        cross: (n, k) the same, predicted from the other network's activations.
        head: As :func:`concept_integrated_gradients` takes it.
        activations: (n, d) the patches' own activations. Given, the residual A − U W that the concepts leave
            is kept, so that what is unreplaced is the network's own output; None drops it.
        labels: (n,) right classes for ``delta_accuracy``; None takes the predictions before replacement.
        conventions: ``"published-code"`` replaces by the mean of the prediction and the real coefficients, as
            the authors' code does: l2 and delta_l2 are halved.

    Returns:
        :class:`Replacement` of arrays of the kind of ``coefficients``. Logits are computed in the wider dtype
        of the coefficients and the basis: in float32 divergences are good to about 1e-6 nats.

    Complexity:
        A linear head: O(n k c) time for the logits, O(n c) exponentials per concept and prediction, and with
        ``activations`` O(n d c) once. Otherwise 2 k + 1 passes of the head. Memory: blocks of 4 MiB (and what
        the head allocates for one).

    Raises:
        ValueError: Shapes that do not match, NaN or Inf, labels that are no class, an unknown option.
        TypeError: Not an array of real numbers, labels that are no integers, an unusable head.
    """
    _checks.one_of("conventions", conventions, CONVENTIONS)
    u, w = checked_concepts(coefficients, basis)
    predictions = []
    for name, predicted in (("same", same), ("cross", cross)):
        tensor = floating(to_tensor(name, predicted)).detach()
        _checks.same_shape("coefficients", u, name, tensor)
        _checks.finite(name, tensor)
        _checks.same_device(**{"coefficients": u, name: tensor})
        predictions.append(tensor.double())
    pearson = [_correlations(u.double(), each) for each in predictions]
    shifts = [each - u.double() for each in predictions]
    if conventions == "published-code":
        shifts = [shift / 2 for shift in shifts]
    residual = None if activations is None else _residual(activations, u, w)
    found = as_head(head, w.shape[1], u.device, u.dtype)
    truth = None if labels is None else _labels(labels, u)
    with evaluating(head), torch.no_grad():
        if isinstance(found, LinearHead):
            blocks = _linear_blocks(u, w, residual, [each.to(u.dtype) for each in shifts], found)
        else:
            blocks = _general_blocks(u, w, residual, [each.to(u.dtype) for each in shifts], found)
        kl, match, delta_kl, delta_accuracy = _compared(blocks, len(w), truth, u)
    lengths = torch.linalg.vector_norm(w.double(), dim=1)
    own, other = shifts
    give_back = returner(coefficients)
    return Replacement(
        l2=give_back((other - own).abs().mean(0) * lengths),
        kl=give_back(kl),
        match=give_back(match),
        delta_l2=give_back((other.abs() - own.abs()).mean(0) * lengths),
        delta_kl=give_back(delta_kl),
        delta_accuracy=give_back(delta_accuracy),
        delta_pearson=give_back(pearson[1] - pearson[0]),
    )


class _Block(NamedTuple):
    """Logits of a block of patches, where the coefficients are and in their dtype."""

    rows: slice
    original: Tensor  #: (r, c)
    replaced: Iterator[tuple[Tensor, Tensor]]  #: per concept (r, c) with same and with cross predictions


def _linear_blocks(
    u: Tensor, w: Tensor, residual: Tensor | None, shifts: list[Tensor], head: LinearHead
) -> Iterator[_Block]:
    """A replaced column changes the activations, and so the logits, by a matrix of rank one."""
    weight, bias = head.in_float64()
    effects = (w.double() @ weight.T).to(u.dtype)
    weight, bias = weight.to(u), bias.to(u)
    for rows in _slices(len(u), len(weight) * u.element_size()):
        logits = torch.addmm(bias, u[rows], effects)
        if residual is not None:
            logits += residual[rows] @ weight.T
        yield _Block(rows, logits, _changed(logits, [shift[rows] for shift in shifts], effects, lambda x: x))


def _general_blocks(
    u: Tensor, w: Tensor, residual: Tensor | None, shifts: list[Tensor], head: GeneralHead
) -> Iterator[_Block]:
    def logits(activations: Tensor) -> Tensor:
        return head.logits(activations.to(head.device, head.dtype)).to(u)

    for rows in _slices(len(u), w.shape[1] * w.element_size()):
        activations = u[rows] @ w
        if residual is not None:
            activations += residual[rows]
        parts = [shift[rows] for shift in shifts]
        yield _Block(rows, logits(activations), _changed(activations, parts, w, logits))


def _changed(
    start: Tensor, shifts: list[Tensor], directions: Tensor, finish: Callable[[Tensor], Tensor]
) -> Iterator[tuple[Tensor, Tensor]]:
    """For every concept, ``start`` moved along its direction by either shift."""
    for j, direction in enumerate(directions):
        same, cross = (finish(torch.addcmul(start, shift[:, j, None], direction)) for shift in shifts)
        yield same, cross


def _compared(
    blocks: Iterator[_Block], k: int, truth: Tensor | None, u: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Means over patches of the figures made from logits, (k,) each."""
    kl, match, delta_kl, delta_accuracy = u.new_zeros(4, k, dtype=torch.float64)
    for block in blocks:
        log_p = torch.log_softmax(block.original, 1)
        p = log_p.exp()
        if truth is None:
            right = block.original.argmax(1)
        else:
            right = truth[block.rows]
            _check_classes(truth, block.original.shape[1])
        for j, (same, cross) in enumerate(block.replaced):
            same_class, cross_class = same.argmax(1), cross.argmax(1)
            log_same, log_cross = torch.log_softmax(same, 1), torch.log_softmax(cross, 1)
            gain = log_same.sub(log_cross)
            # The entropy of p is in both divergences. Sums over classes are dot products, patch by patch.
            delta_kl[j] += torch.linalg.vecdot(p, gain).sum(dtype=torch.float64)
            kl[j] += torch.linalg.vecdot(log_same.exp_(), gain).sum(dtype=torch.float64)
            match[j] += (same_class == cross_class).sum()
            delta_accuracy[j] += (cross_class == right).sum() - (same_class == right).sum()
    return kl / len(u), match / len(u), delta_kl / len(u), delta_accuracy / len(u)


def _slices(n: int, row_bytes: int) -> Iterator[slice]:
    rows = max(1, _BLOCK_BYTES // row_bytes)
    for start in range(0, n, rows):
        yield slice(start, min(start + rows, n))


def _residual(activations: Array, u: Tensor, w: Tensor) -> Tensor:
    """(n, d) of what the concepts leave, in their dtype."""
    tensor = floating(to_tensor("activations", activations)).detach()
    if tensor.shape != (len(u), w.shape[1]):
        raise ValueError(f"activations: expected shape {(len(u), w.shape[1])}, found {tuple(tensor.shape)}")
    _checks.finite("activations", tensor)
    _checks.same_device(coefficients=u, activations=tensor)
    return torch.addmm(tensor.to(u.dtype), u, w, alpha=-1)


def _correlations(real: Tensor, predicted: Tensor) -> Tensor:
    """(k,) Pearson correlations of columns, NaN where one is constant or there is a single patch."""
    if len(real) < 2:
        return real.new_full((real.shape[1],), torch.nan)
    return ops.correlation(real, predicted, constant="nan").diagonal()


def _labels(labels: Array, u: Tensor) -> Tensor:
    tensor = to_tensor("labels", labels)
    if tensor.is_floating_point() or tensor.dtype == torch.bool:
        raise TypeError(f"labels: expected integers, found {tensor.dtype}")
    if tensor.shape != (len(u),):
        raise ValueError(f"labels: expected shape ({len(u)},), found {tuple(tensor.shape)}")
    return tensor.to(u.device, torch.int64)


def _check_classes(labels: Tensor, classes: int) -> None:
    wrong = (labels < 0) | (labels >= classes)
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        raise ValueError(f"labels: expected 0 to {classes - 1}, found {int(labels[row])} in row {row}")
