"""How much each concept matters to a decision: integrated gradients of a class logit."""

import torch
from torch import Tensor

from diptych.ops import _checks
from diptych.ops._arrays import Array, floating, returner, to_tensor
from diptych.rsvc.heads import GeneralHead, Head, LinearHead, as_head, check_target, evaluating

# Bytes of activations that go through a head at once.
_BLOCK_BYTES = 1 << 24


def concept_integrated_gradients(
    coefficients: Array, basis: Array, head: Head, target: int, steps: int = 30
) -> Array:
    """Attribute a class logit to the concepts, patch by patch.

    Integrated gradients (Sundararajan, Taly & Yan 2017, eq. 1) of f(u) = head(u W)_target with respect to the
    coefficients, along the line from the baseline 0 to U:

        IG_ij = U_ij ∫₀¹ ∂f(αU_i)/∂u_j dα.

    The integral is taken by the midpoint rule at α = (s − 1/2)/steps, s = 1..steps. It is exact where f is
    quadratic along the line; otherwise its error is at most U_ij max|f'''|/(24 steps²), primes being
    derivatives by α of ∂f/∂u_j, and where the head has kinks (ReLU) half a step times the gradient's jump at
    each. For a linear head, given as ``nn.Linear`` or (weight, bias), the integral has the closed form
    U_ij (W h_target)_j with h the row of the weight, and ``steps`` does not matter.

    Completeness: the concepts' attributions of a patch sum to f(U_i) − f(0) = head(U_i W) − head(0), exactly
    for a linear head, otherwise to the error of the rule. What the concepts do not reconstruct, A − U W, has
    no part in it: the sum is not that of the logit of the patch' activations A_i themselves.

    Args:
        coefficients: (n, k) U.
        basis: (k, d) W.
        head: A module or function from (n, d) activations to (n, c) logits, a patch' logits depending on that
            patch alone; or (weight (c, d), bias (c,) or None). A module is run in evaluation mode, on its own
            device and in its own dtype.
        target: The class, 0 to c − 1.
        steps: Points of the midpoint rule.

    Returns:
        (n, k) attributions in logits, in the wider dtype of the coefficients and the basis.

    Complexity:
        Linear: O(n k + k d). Otherwise ``steps`` passes of the head forward and backward, in blocks of
        patches of 16 MiB of activations (what the head itself allocates for one comes on top), and O(n d k).

    Raises:
        ValueError: Shapes that do not match, NaN or Inf, no such class, steps below 1, logits of another
            shape or without a gradient.
        TypeError: Not an array of real numbers, an unusable head, target or steps no integer.
    """
    u, w = checked_concepts(coefficients, basis)
    _checks.integer("steps", steps, 1)
    found = as_head(head, w.shape[1], u.device, u.dtype)
    if isinstance(found, LinearHead):
        result = u * (w.double() @ found.row(target)).to(u.dtype)
    else:
        with evaluating(head):
            result = _integrated(u, w, found, target, steps)
    return returner(coefficients)(result)


def mean_importance(attributions: Array) -> Array:
    """One importance per concept: the mean of its attributions over the patches of the class.

    Args:
        attributions: (n, k) from :func:`concept_integrated_gradients`, of the patches whose class is the
            target.

    Returns:
        (k,) in logits, of either sign, in the dtype of the attributions; summed in float64.

    Raises:
        ValueError: Not a matrix, NaN or Inf.
        TypeError: Not an array of real numbers.
    """
    tensor = floating(to_tensor("attributions", attributions)).detach()
    _checks.matrix("attributions", tensor)
    _checks.finite("attributions", tensor)
    return returner(attributions)(tensor.mean(0, dtype=torch.float64).to(tensor.dtype))


def checked_concepts(coefficients: Array, basis: Array) -> tuple[Tensor, Tensor]:
    """(n, k) coefficients and their (k, d) basis as tensors of one dtype on one device.

    Raises:
        ValueError: Not matrices, k differs, NaN or Inf, different devices.
        TypeError: Not an array of real numbers.
    """
    u = floating(to_tensor("coefficients", coefficients)).detach()
    w = floating(to_tensor("basis", basis)).detach()
    for name, tensor in (("coefficients", u), ("basis", w)):
        _checks.matrix(name, tensor)
        _checks.finite(name, tensor)
    if u.shape[1] != len(w):
        raise ValueError(
            f"coefficients and basis: expected the same concepts, found {u.shape[1]} columns, {len(w)} rows"
        )
    _checks.same_device(coefficients=u, basis=w)
    dtype = torch.promote_types(u.dtype, w.dtype)
    return u.to(dtype), w.to(dtype)


def _integrated(u: Tensor, w: Tensor, head: GeneralHead, target: int, steps: int) -> Tensor:
    result = torch.empty_like(u)
    rows = max(1, _BLOCK_BYTES // (w.shape[1] * w.element_size()))
    for block, out in zip(u.split(rows), result.split(rows), strict=True):
        end = (block @ w).to(head.device, head.dtype)
        total = torch.zeros_like(end)
        for step in range(steps):
            total += _gradient(end * ((step + 0.5) / steps), head, target)
        out.copy_(block * ((total / steps).to(w) @ w.T))
    return result


def _gradient(activations: Tensor, head: GeneralHead, target: int) -> Tensor:
    with torch.enable_grad():
        activations.requires_grad_()
        logits = head.logits(activations)
        check_target(target, logits.shape[1])
        if not logits.requires_grad:
            raise ValueError(
                "head: its logits have no gradient, they do not come from torch operations on it"
            )
        (gradient,) = torch.autograd.grad(logits[:, target].sum(), activations, allow_unused=True)
    if gradient is None:
        raise ValueError("head: its logits do not depend on the activations")
    return gradient
