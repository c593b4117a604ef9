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

# Bytes of float64 logits, or of activations, that are worked on at once.
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
        :class:`Replacement` of arrays of the kind of ``coefficients``.

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
    shifts = []
    for name, predicted in (("same", same), ("cross", cross)):
        tensor = floating(to_tensor(name, predicted)).detach()
        _checks.same_shape("coefficients", u, name, tensor)
        _checks.finite(name, tensor)
        _checks.same_device(**{"coefficients": u, name: tensor})
        shifts.append(tensor.double() - u.double())
    pearson = (
        [ops.correlation(u.double(), u.double() + shift, constant="nan").diagonal() for shift in shifts]
        if len(u) > 1
        else [u.new_full((len(w),), torch.nan, dtype=torch.float64)] * 2
    )
    if conventions == "published-code":
        shifts = [shift / 2 for shift in shifts]
    residual = None if activations is None else _residual(activations, u, w)
    found = as_head(head, w.shape[1], u.device, u.dtype)
    truth = None if labels is None else _labels(labels, u)
    with evaluating(head), torch.no_grad():
        if isinstance(found, LinearHead):
            blocks = _linear_blocks(u, w, residual, shifts, found)
        else:
            blocks = _general_blocks(u, w, residual, shifts, found)
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
    """Logits of a block of patches, float64, where the coefficients are."""

    rows: slice
    original: Tensor  #: (r, c)
    replaced: Iterator[tuple[Tensor, Tensor]]  #: per concept (r, c) with same and with cross predictions


def _linear_blocks(
    u: Tensor, w: Tensor, residual: Tensor | None, shifts: list[Tensor], head: LinearHead
) -> Iterator[_Block]:
    """A replaced column changes the activations, and so the logits, by a matrix of rank one."""
    effects = w.double() @ head.weight.T
    for rows in _slices(len(u), len(head.weight) * 8):
        logits = u[rows].double() @ effects + head.bias
        if residual is not None:
            logits += residual[rows] @ head.weight.T
        yield _Block(rows, logits, _changed(logits, [shift[rows] for shift in shifts], effects, lambda x: x))


def _general_blocks(
    u: Tensor, w: Tensor, residual: Tensor | None, shifts: list[Tensor], head: GeneralHead
) -> Iterator[_Block]:
    def logits(activations: Tensor) -> Tensor:
        return head.logits(activations.to(head.device, head.dtype)).to(u.device, torch.float64)

    basis = w.double()
    for rows in _slices(len(u), w.shape[1] * 8):
        activations = u[rows].double() @ basis
        if residual is not None:
            activations += residual[rows]
        parts = [shift[rows] for shift in shifts]
        yield _Block(rows, logits(activations), _changed(activations, parts, basis, logits))


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
            gain = log_same - log_cross
            kl[j] += (log_same.exp() * gain).sum()
            # The entropy of p is in both divergences.
            delta_kl[j] += (p * gain).sum()
            match[j] += (same_class == cross_class).sum()
            delta_accuracy[j] += (cross_class == right).sum() - (same_class == right).sum()
    return kl / len(u), match / len(u), delta_kl / len(u), delta_accuracy / len(u)


def _slices(n: int, row_bytes: int) -> Iterator[slice]:
    rows = max(1, _BLOCK_BYTES // row_bytes)
    for start in range(0, n, rows):
        yield slice(start, min(start + rows, n))


def _residual(activations: Array, u: Tensor, w: Tensor) -> Tensor:
    """(n, d) float64 of what the concepts leave."""
    tensor = floating(to_tensor("activations", activations)).detach()
    if tensor.shape != (len(u), w.shape[1]):
        raise ValueError(f"activations: expected shape {(len(u), w.shape[1])}, found {tuple(tensor.shape)}")
    _checks.finite("activations", tensor)
    _checks.same_device(coefficients=u, activations=tensor)
    return tensor.double() - u.double() @ w.double()


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
