"""Linear centred kernel alignment, plain and debiased, differentiable."""

from collections.abc import Sequence

import torch

from diptych.ops import _checks
from diptych.ops._arrays import Array, floating, returner, to_tensor
from diptych.ops._dispatch import choose
from diptych.ops._hsic import (
    check_hsics,
    few_hsics,
    in_item_space,
    kept_products,
    linear_hsics,
    standardized,
)
from diptych.ops._precision import without_autocast


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
    up to a factor that cancels. Works in feature or in item space, whichever is cheaper: |XᵀY|² is also the
    sum of the products of the Gram matrices' entries. Of XᵀX, YᵀY and Gram matrices, which are symmetric,
    only the upper triangle of blocks is multiplied, and no product is kept beyond the tile in work.

    Differentiable in both arguments (first order), and usable under ``torch.compile``, where values are not
    checked: it is the custom operator ``torch.ops.diptych.linear_cka``. Autocast does not reach inside.
    Products of float32 follow ``torch.set_float32_matmul_precision``, whose default rounds nothing: a loss
    may gain from tf32 where its user has allowed it, and every other result stays whole.

    Args:
        x: (n, d_x) embeddings; halves are computed in float32.
        y: (n, d_y) embeddings of the same items.
        debiased: Use the unbiased estimator of HSIC; needs n >= 4, and may come out below 0.
        backend: ``"torch"`` or None.
        check: Refuse NaN, Inf and representations whose HSIC with themselves is zero. Default: on the CPU
            yes, on a GPU and under ``torch.compile`` no; CKA is then NaN, or noise where all items are
            equally far apart. Costs nothing beyond waiting for the result.

    Returns:
        A scalar: a 0-d tensor for torch input, else a 0-d array of the same kind.

    Complexity:
        O(n (d_x + d_y)²) time in feature space, O(n² (d_x + d_y)) in item space, chosen when n < d_x + d_y:
        about half of what full products cost. Memory: centred copies of both inputs and tiles of 512 rows
        (GPU: 2048) of a product. Where a gradient is needed the products
        are kept for it, O((d_x + d_y)²) or O(n²) memory, and it costs about twice as much again.

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
    if tensor_x.dtype != tensor_y.dtype:
        dtype = torch.promote_types(tensor_x.dtype, tensor_y.dtype)
        tensor_x, tensor_y = tensor_x.to(dtype), tensor_y.to(dtype)
    if check is None:
        check = tensor_x.device.type == "cpu"
    run = choose("linear_cka", tensor_x.device, backend, {"torch": _run_torch})
    cka, hsics = run(tensor_x, tensor_y, debiased)
    if check and not torch.compiler.is_compiling():
        check_hsics(hsics, x=tensor_x, y=tensor_y)
    return returner(x)(cka)


def reference(x: torch.Tensor, y: torch.Tensor, debiased: bool = False) -> torch.Tensor:
    """The definition, from the two Gram matrices."""
    gram_x, gram_y = x @ x.T, y @ y.T
    hsic = unbiased_hsic if debiased else biased_hsic
    return hsic(gram_x, gram_y) / torch.sqrt(hsic(gram_x, gram_x) * hsic(gram_y, gram_y))


def biased_hsic(k: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
    """tr(KHMH), for references."""
    centre = torch.eye(len(k), dtype=k.dtype, device=k.device) - 1 / len(k)
    return torch.trace(centre @ k @ centre @ m)


def unbiased_hsic(k: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
    """HSIC_1 of Song et al. 2012, eq. 4, for references."""
    n = len(k)
    k, m = k - torch.diag(k.diagonal()), m - torch.diag(m.diagonal())
    total = torch.trace(k @ m) + k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 * (k @ m).sum() / (n - 2)
    return total / (n * (n - 3))


def _run_torch(
    x: torch.Tensor, y: torch.Tensor, debiased: bool
) -> tuple[torch.Tensor, torch.Tensor | Sequence[float]]:
    # The first call of any custom operator imports a thousand modules, which takes a second: where
    # nobody differentiates or compiles, the plain function does the same.
    differentiable = x.requires_grad or y.requires_grad
    keep = differentiable and torch.is_grad_enabled()
    if not keep and not torch.compiler.is_compiling():
        if differentiable:
            x, y = x.detach(), y.detach()
        few = few_hsics(x, y, debiased)
        if few is not None:
            return torch.tensor(few[5], dtype=x.dtype), few
        hsics = linear_hsics(x, y, debiased).values
        return hsics[5].to(x.dtype), hsics
    return _linear_cka(x, y, debiased, keep)[:2]


_Five = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


@torch.library.custom_op("diptych::linear_cka", mutates_args=())
def _linear_cka(x: torch.Tensor, y: torch.Tensor, debiased: bool, keep: bool) -> _Five:
    """CKA, the HSICs, and the products that the derivative takes: empty unless ``keep``."""
    hsics, products = linear_hsics(x.detach(), y.detach(), debiased, keep)
    if products is None:
        products = (x.new_empty(0, 0), x.new_empty(0, 0), x.new_empty(0, 0))
    # Outputs of an operator share no memory.
    return hsics[5].to(x.dtype, copy=True), hsics, *products


@_linear_cka.register_fake
def _(x: torch.Tensor, y: torch.Tensor, debiased: bool, keep: bool) -> _Five:
    n, d_x, d_y = x.shape[0], x.shape[1], y.shape[1]
    shapes: tuple[tuple[int, ...], ...] = ((d_x, d_x), (d_y, d_y), (d_x, d_y))
    if not keep:
        shapes = ((0, 0), (0, 0), (0, 0))
    elif in_item_space(x, y):
        shapes = ((n, n), (n, n), (0, 0))
    first, second, third = (x.new_empty(shape) for shape in shapes)
    return x.new_empty(()), x.new_empty(6, dtype=torch.float64), first, second, third


def _setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    x, y, ctx.debiased, _ = inputs
    ctx.save_for_backward(x, y, *output[1:])


def _backward(ctx, gradient, *_):  # type: ignore[no-untyped-def]
    need_x, need_y = ctx.needs_input_grad[:2]
    slope_x, slope_y = _linear_cka_slopes(*ctx.saved_tensors, ctx.debiased, need_x, need_y)
    return gradient * slope_x if need_x else None, gradient * slope_y if need_y else None, None, None


_linear_cka.register_autograd(_backward, setup_context=_setup_context)


@torch.library.custom_op("diptych::linear_cka_slopes", mutates_args=())
def _linear_cka_slopes(
    x: torch.Tensor,
    y: torch.Tensor,
    hsics: torch.Tensor,
    product_x: torch.Tensor,
    product_y: torch.Tensor,
    cross: torch.Tensor,
    debiased: bool,
    need_x: bool,
    need_y: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Derivatives of CKA by x and y; an empty tensor for the one that is not needed."""
    (x, inverse_x), (y, inverse_y) = standardized(x.detach()), standardized(y.detach())
    if product_x.numel() == 0:
        product_x, product_y, cross = kept_products(x, y)
    norm = (1 / (torch.sqrt(hsics[1]) * torch.sqrt(hsics[2]))).to(x.dtype)
    own_x, own_y = (hsics[5] / hsics[1:3]).to(x.dtype)
    slope_x, slope_y = x.new_empty(0), x.new_empty(0)
    # d CKA/dx = CKA (d xy / xy - d xx / (2 xx)), written without dividing by xy, which may be zero. The
    # derivative by the scale is zero: CKA does not depend on it.
    with without_autocast(x.device):
        if need_x:
            slope_x = _slope(x, y, product_x, product_y, cross, norm, own_x, debiased).mul_(inverse_x)
        if need_y:
            slope_y = _slope(y, x, product_y, product_x, cross.mT, norm, own_y, debiased).mul_(inverse_y)
    return slope_x, slope_y


@_linear_cka_slopes.register_fake
def _(
    x: torch.Tensor,
    y: torch.Tensor,
    hsics: torch.Tensor,
    product_x: torch.Tensor,
    product_y: torch.Tensor,
    cross: torch.Tensor,
    debiased: bool,
    need_x: bool,
    need_y: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    return x.new_empty(x.shape if need_x else 0), y.new_empty(y.shape if need_y else 0)


def _slope(
    x: torch.Tensor,
    y: torch.Tensor,
    product_x: torch.Tensor,
    product_y: torch.Tensor,
    cross: torch.Tensor,
    norm: torch.Tensor,
    own: torch.Tensor,
    debiased: bool,
) -> torch.Tensor:
    """norm dHSIC(x, y)/dx - own/2 dHSIC(x, x)/dx for standardised x and y.

    The first is 2 Y (YᵀX) = 2 (YYᵀ) X, and in the unbiased estimator each row of X once more, weighted.
    """
    if in_item_space(x, y):
        slope = torch.mm(product_y * norm - product_x * own, x)
    else:
        slope = torch.mm(y, cross.mT * norm)
        slope -= torch.mm(x, product_x * own)
    if debiased:
        slope.addcmul_(x, (norm * _row_weights(y) - own * _row_weights(x))[:, None])
    slope *= 2
    return slope.sub_(slope.mean(0))


def _row_weights(x: torch.Tensor) -> torch.Tensor:
    n, norms = len(x), torch.linalg.vector_norm(x, dim=1).square()
    return norms.sum() / ((n - 1) * (n - 2)) - n / (n - 2) * norms
