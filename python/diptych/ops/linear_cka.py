"""Linear centred kernel alignment, plain and debiased, differentiable."""

import torch

from diptych.ops import _checks
from diptych.ops._arrays import Array, floating, returner, to_tensor
from diptych.ops._dispatch import choose


def linear_cka(
    x: Array,
    y: Array,
    *,
    debiased: bool = False,
    backend: str | None = None,
    check: bool | None = None,
) -> Array:
    """Linear CKA of two representations of the same items.

    CKA = HSIC(x,y) / sqrt(HSIC(x,x) HSIC(y,y)) (Kornblith et al. 2019, eq. 1) with HSIC of linear kernels:
    the biased estimator |XᵀY|² of centred data, or the unbiased one of Song et al. 2012 (eq. 4). On
    centred data the latter reduces to
    |XᵀY|² - n/(n-2) sum_i |x_i|²|y_i|² + (sum_i |x_i|²)(sum_i |y_i|²) / ((n-1)(n-2)),
    up to a factor that cancels. Works in feature or in item space, whichever is cheaper.

    Differentiable in both arguments (first order), and usable under ``torch.compile``, where values are not
    checked unless asked for: it is the custom operator ``torch.ops.diptych.linear_cka``.

    Args:
        x: (n, d_x) embeddings; halves are computed in float32.
        y: (n, d_y) embeddings of the same items.
        debiased: Use the unbiased estimator of HSIC; needs n >= 4, and may come out below 0.
        backend: ``"torch"`` or None.
        check: Refuse NaN, Inf and representations whose HSIC with themselves is zero. Default: on the CPU
            yes, on a GPU no.

    Returns:
        A scalar: a 0-d tensor for torch input, else a 0-d array of the same kind.

    Complexity:
        O(n d_x d_y) time and O(n (d_x + d_y) + d_x d_y) memory in feature space; O(n² (d_x + d_y)) and
        O(n²) in item space, chosen when that is less.

    Raises:
        ValueError: Different numbers of items, too few of them, NaN or Inf, a representation without
            variance (debiased: with all items equally far apart), different devices.
        TypeError: Not an array of real numbers.
    """
    tensor_x, tensor_y = floating(to_tensor("x", x)), floating(to_tensor("y", y))
    for name, tensor in (("x", tensor_x), ("y", tensor_y)):
        _checks.matrix(name, tensor)
    _checks.same_rows("x", tensor_x, "y", tensor_y)
    _checks.same_device(x=tensor_x, y=tensor_y)
    least = 4 if debiased else 2
    if tensor_x.shape[0] < least:
        raise ValueError(f"x: expected at least {least} items, found {tensor_x.shape[0]}")
    dtype = torch.promote_types(tensor_x.dtype, tensor_y.dtype)
    tensor_x, tensor_y = tensor_x.to(dtype), tensor_y.to(dtype)
    if check is None:
        check = tensor_x.device.type == "cpu" and not torch.compiler.is_compiling()
    if check:
        _check_values("x", tensor_x, debiased)
        _check_values("y", tensor_y, debiased)
    run = choose("linear_cka", tensor_x.device, backend, {"torch": _run_torch})
    return returner(x)(run(tensor_x, tensor_y, debiased))


def reference(x: torch.Tensor, y: torch.Tensor, debiased: bool = False) -> torch.Tensor:
    """The definition, from the two Gram matrices."""
    gram_x, gram_y = x @ x.T, y @ y.T
    hsic = _unbiased_hsic if debiased else _biased_hsic
    return hsic(gram_x, gram_y) / torch.sqrt(hsic(gram_x, gram_x) * hsic(gram_y, gram_y))


def _biased_hsic(k: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
    centre = torch.eye(len(k), dtype=k.dtype, device=k.device) - 1 / len(k)
    return torch.trace(centre @ k @ centre @ m)


def _unbiased_hsic(k: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
    n = len(k)
    k, m = k - torch.diag(k.diagonal()), m - torch.diag(m.diagonal())
    total = torch.trace(k @ m) + k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 * (k @ m).sum() / (n - 2)
    return total / (n * (n - 3))


def _run_torch(x: torch.Tensor, y: torch.Tensor, debiased: bool) -> torch.Tensor:
    # The first call of any custom operator imports a thousand modules, which takes a second: where
    # nobody differentiates or compiles, the plain function does the same.
    plain = not (x.requires_grad or y.requires_grad or torch.compiler.is_compiling())
    return _cka(x, y, debiased) if plain else _linear_cka(x, y, debiased)


@torch.library.custom_op("diptych::linear_cka", mutates_args=())
def _linear_cka(x: torch.Tensor, y: torch.Tensor, debiased: bool) -> torch.Tensor:
    return _cka(x, y, debiased)


@_linear_cka.register_fake
def _(x: torch.Tensor, y: torch.Tensor, debiased: bool) -> torch.Tensor:
    return x.new_empty(())


def _setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    x, y, ctx.debiased = inputs
    ctx.save_for_backward(x, y)


def _backward(ctx, gradient):  # type: ignore[no-untyped-def]
    x, y = ctx.saved_tensors
    (x, scale_x), (y, scale_y) = _standardized(x), _standardized(y)
    debiased = ctx.debiased
    xy, xx, yy = (_hsic(*pair, debiased) for pair in ((x, y), (x, x), (y, y)))
    cka = _ratio(xy, xx, yy)
    # d CKA/dx = CKA (d xy / xy - d xx / (2 xx)), written without dividing by xy, which may be zero. The
    # derivative by the scale is zero: CKA does not depend on it.
    norm = _ratio(torch.ones_like(xy), xx, yy)
    need_x, need_y, _ = ctx.needs_input_grad
    grad_x = grad_y = None
    if need_x:
        slope = norm * _hsic_slope(x, y, debiased) - cka / xx * _hsic_slope(x, x, debiased)
        grad_x = gradient * (slope - slope.mean(0)) / scale_x
    if need_y:
        slope = norm * _hsic_slope(y, x, debiased) - cka / yy * _hsic_slope(y, y, debiased)
        grad_y = gradient * (slope - slope.mean(0)) / scale_y
    return grad_x, grad_y, None


_linear_cka.register_autograd(_backward, setup_context=_setup_context)


def _cka(x: torch.Tensor, y: torch.Tensor, debiased: bool) -> torch.Tensor:
    (x, _), (y, _) = _standardized(x), _standardized(y)
    return _ratio(_hsic(x, y, debiased), _hsic(x, x, debiased), _hsic(y, y, debiased))


def _ratio(xy: torch.Tensor, xx: torch.Tensor, yy: torch.Tensor) -> torch.Tensor:
    return xy / (torch.sqrt(xx) * torch.sqrt(yy))


def _standardized(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Centre x and divide it by its largest entry, which is also returned.

    CKA does not depend on the scale, but fourth powers of the data leave float32's range easily.
    """
    centred = x - x.mean(0)
    scale = centred.abs().amax()
    return centred / scale, scale


def _check_values(name: str, x: torch.Tensor, debiased: bool) -> None:
    _checks.finite(name, x)
    if bool((x == x[0]).all()):
        raise ValueError(f"{name}: all items are the same, CKA is not defined")
    if debiased:
        x, _ = _standardized(x.detach())
        # Three sums of about the biased estimator's size cancel; what rounding leaves of zero is below this.
        rounding = 32 * torch.finfo(x.dtype).eps * _hsic(x, x, False)
        if bool(_hsic(x, x, True) <= rounding):
            raise ValueError(f"{name}: all items are equally far apart, debiased CKA is not defined")


def _item_space_is_cheaper(x: torch.Tensor, y: torch.Tensor) -> bool:
    n, d_x, d_y = x.shape[0], x.shape[1], y.shape[1]
    return n * (d_x + d_y) < d_x * d_y


def _hsic(x: torch.Tensor, y: torch.Tensor, debiased: bool) -> torch.Tensor:
    """HSIC of centred data, up to a factor that depends on n alone."""
    in_item_space = _item_space_is_cheaper(x, y)
    cross = ((x @ x.T) * (y @ y.T)).sum() if in_item_space else (x.T @ y).square().sum()
    if not debiased:
        return cross
    n, norms_x, norms_y = len(x), x.square().sum(1), y.square().sum(1)
    diagonal = n / (n - 2) * (norms_x * norms_y).sum()
    return cross - diagonal + norms_x.sum() * norms_y.sum() / ((n - 1) * (n - 2))


def _hsic_slope(x: torch.Tensor, y: torch.Tensor, debiased: bool) -> torch.Tensor:
    """Derivative of :func:`_hsic` by its first argument; the second is held fixed even if it is x."""
    pulled = (y @ y.T) @ x if _item_space_is_cheaper(x, y) else y @ (y.T @ x)
    if not debiased:
        return 2 * pulled
    n, norms = len(x), y.square().sum(1)
    weights = norms.sum() / ((n - 1) * (n - 2)) - n / (n - 2) * norms
    return 2 * (pulled + weights[:, None] * x)
