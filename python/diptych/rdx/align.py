"""Linear alignment of one representation to another by CKA."""

from dataclasses import dataclass

import torch

from diptych.ops import _checks
from diptych.ops._arrays import Array, floating, returner, to_tensor
from diptych.rdx.distances import safely_scaled


@dataclass(frozen=True)
class Alignment:
    """A linear map of one representation towards another.

    Attributes:
        matrix: (d, d); aligned embeddings are ``x @ matrix``.
        cka_before: Linear CKA on the validation items before alignment.
        cka_after: The same with ``matrix``.
        step: The step that was kept, 0 for the identity.
    """

    matrix: Array
    cka_before: float
    cka_after: float
    step: int


def align_by_cka(
    x: Array,
    target: Array,
    *,
    steps: int = 100,
    learning_rate: float = 1e-3,
    validation_share: float = 0.3,
    seed: int = 0,
) -> Alignment:
    """Learn M (d, d), from the identity, that minimises 1 - CKA(x M, target).

    Full-batch Adam on a random 70 % of the items; the step of best CKA on the other 30 % is kept
    (Kondapaneni, Mac Aodha & Perona 2025, sec. 3). With S_xx = XᵀX and S_xy = XᵀY of centred data,
    CKA(XM, Y) = |Mᵀ S_xy|² / (|Mᵀ S_xx M| |S_yy|), so a step costs nothing that grows with n.

    Args:
        x: (n, d) embeddings to move.
        target: (n, d_t) embeddings of the same items.
        steps: Adam steps.
        learning_rate: Of Adam.
        validation_share: Share of items held out, in (0, 1).
        seed: Of the split.

    Returns:
        :class:`Alignment`, its matrix of the kind of array x is, in float32 (float64 for float64 input).

    Complexity:
        O(n d (d + d_t)) once, then O(d³ + d² d_t) per step.

    Raises:
        ValueError: Different numbers of items, fewer than two on either side of the split, NaN or Inf,
            all items the same, an option out of range.
        TypeError: Not an array of real numbers.
    """
    tensor_x = floating(to_tensor("x", x)).detach()
    tensor_y = floating(to_tensor("target", target)).detach()
    for name, tensor in (("x", tensor_x), ("target", tensor_y)):
        _checks.matrix(name, tensor)
        _checks.finite(name, tensor)
        if bool((tensor == tensor[0]).all()):
            raise ValueError(f"{name}: all items are the same, CKA is not defined")
    _checks.same_rows("x", tensor_x, "target", tensor_y)
    _checks.same_device(x=tensor_x, target=tensor_y)
    _checks.integer("steps", steps, 0)
    _checks.seed(seed)
    _checks.positive("learning_rate", learning_rate)
    _checks.within("validation_share", validation_share, 0, 1)
    n = len(tensor_x)
    held_out = round(validation_share * n)
    if not 2 <= held_out <= n - 2:
        raise ValueError(
            f"validation_share: {validation_share} of {n} items leaves {held_out} to validate and "
            f"{n - held_out} to train on, expected at least 2 of each"
        )
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).to(tensor_x.device)
    dtype = torch.promote_types(tensor_x.dtype, tensor_y.dtype)
    tensor_x, tensor_y = safely_scaled(tensor_x.to(dtype)), safely_scaled(tensor_y.to(dtype))
    # The caller may have switched gradients off around everything that is no training of theirs.
    with torch.inference_mode(False), torch.enable_grad():
        train = _Moments(tensor_x[order[held_out:]], tensor_y[order[held_out:]])
        validation = _Moments(tensor_x[order[:held_out]], tensor_y[order[:held_out]])
        alignment = _descend(train, validation, steps, learning_rate)
    matrix = returner(x)(alignment.matrix)
    return Alignment(matrix, alignment.cka_before, alignment.cka_after, alignment.step)


class _Moments:
    """Second moments of centred data: all that CKA needs to know of the items."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor) -> None:
        x, y = x - x.mean(0), y - y.mean(0)
        # Unit scale keeps float32 from over- and underflowing; CKA does not depend on it.
        x, y = x / torch.linalg.matrix_norm(x), y / torch.linalg.matrix_norm(y)
        self.xx, self.xy = x.T @ x, x.T @ y
        self.y_norm = torch.linalg.matrix_norm(y.T @ y)

    def cka(self, m: torch.Tensor) -> torch.Tensor:
        """CKA(XM, Y)."""
        aligned = torch.linalg.matrix_norm(m.T @ self.xx @ m)
        return (m.T @ self.xy).square().sum() / (aligned * self.y_norm)


def _descend(train: _Moments, validation: _Moments, steps: int, learning_rate: float) -> Alignment:
    m = torch.eye(len(train.xx), dtype=train.xx.dtype, device=train.xx.device, requires_grad=True)
    optimizer = torch.optim.Adam([m], lr=learning_rate)
    best, best_cka, best_step = m.detach().clone(), float(validation.cka(m.detach())), 0
    before = best_cka
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        (1 - train.cka(m)).backward()
        optimizer.step()
        cka = float(validation.cka(m.detach()))
        if cka > best_cka:
            best, best_cka, best_step = m.detach().clone(), cka, step
    return Alignment(best, before, best_cka, best_step)
