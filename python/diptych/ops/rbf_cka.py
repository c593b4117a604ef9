"""Centred kernel alignment with Gaussian kernels, plain and debiased, differentiable, in little memory."""

from typing import NamedTuple

import torch

from diptych.ops import _checks
from diptych.ops._arrays import Array, floating, returner, to_tensor
from diptych.ops._dispatch import choose
from diptych.ops._hsic import check_hsics, standardized, upper_sum, with_ratio
from diptych.ops._pair_distances import median_squared_distance, squared_distances, squared_norms, tile_bounds
from diptych.ops._precision import full_precision
from diptych.ops.linear_cka import biased_hsic, unbiased_hsic


def rbf_cka(
    x: Array,
    y: Array,
    *,
    sigma: float = 0.4,
    bandwidth: str = "median",
    debiased: bool = False,
    backend: str | None = None,
    check: bool | None = None,
) -> Array:
    """CKA of two representations of the same items with Gaussian (RBF) kernels.

    CKA = HSIC(K,L) / sqrt(HSIC(K,K) HSIC(L,L)) (Kornblith et al. 2019, eq. 1) with
    K_ij = exp(-|x_i - x_j|² / (2 s²)), where s is ``sigma`` times the median distance between distinct items
    of the same representation (sec. 3 there; 0.4 and 0.8 tell layers apart best in its table 2). HSIC is the
    biased estimator tr(KHLH), or the unbiased one of Song et al. 2012 (eq. 4).

    The median is the lower one, the ceil(N/2)-th smallest distance of N = n(n-1)/2 pairs, found exactly and
    the same on every run.

    Differentiable in both arguments (first order), and usable under ``torch.compile``, where values are not
    checked: it is the custom operator ``torch.ops.diptych.rbf_cka``. The derivative holds both bandwidths
    fixed. Distances are never made from products rounded to tf32 or bfloat16.

    Args:
        x: (n, d_x) embeddings; halves are computed in float32.
        y: (n, d_y) embeddings of the same items.
        sigma: The kernels' width, above 0.
        bandwidth: ``"median"``: sigma counts in median distances. ``"absolute"``: it is itself a distance.
        debiased: Use the unbiased estimator of HSIC; needs n >= 4, and may come out below 0.
        backend: ``"torch"`` or None.
        check: Refuse NaN, Inf and kernels whose HSIC with themselves is zero. Default: on the CPU yes, on a
            GPU and under ``torch.compile`` no.

    Returns:
        A scalar: a 0-d tensor for torch input, else a 0-d array of the same kind.

    Complexity:
        O(n² (d_x + d_y)) time: half the Gram matrices once, and for the median once more (above 1,448 items
        twice in float32, four times in float64). Memory: centred copies, and tiles of 256 rows (GPU: 1024) of
        n numbers, never n × n. The gradient costs about three times as much again.

    Raises:
        ValueError: Different numbers of items, too few of them, NaN or Inf, a representation most of whose
            items are the same (median distance 0), a kernel without variance, an option out of range,
            different devices.
        TypeError: Not an array of real numbers, sigma not a number.
    """
    tensor_x, tensor_y = floating(to_tensor("x", x)), floating(to_tensor("y", y))
    for name, tensor in (("x", tensor_x), ("y", tensor_y)):
        _checks.matrix(name, tensor)
    _checks.same_rows("x", tensor_x, "y", tensor_y)
    _checks.same_device(x=tensor_x, y=tensor_y)
    _checks.positive("sigma", sigma)
    _checks.one_of("bandwidth", bandwidth, ("median", "absolute"))
    least = 4 if debiased else 2
    if tensor_x.shape[0] < least:
        raise ValueError(f"x: expected at least {least} items, found {tensor_x.shape[0]}")
    dtype = torch.promote_types(tensor_x.dtype, tensor_y.dtype)
    tensor_x, tensor_y = tensor_x.to(dtype), tensor_y.to(dtype)
    if check is None:
        check = tensor_x.device.type == "cpu"
    check = check and not torch.compiler.is_compiling()
    if check:
        _checks.finite("x", tensor_x)
        _checks.finite("y", tensor_y)
    run = choose("rbf_cka", tensor_x.device, backend, {"torch": _run_torch})
    result = run(tensor_x, tensor_y, float(sigma), bandwidth == "median", debiased)
    if check:
        _check_rates(result[2])
        check_hsics(result[1], x=tensor_x, y=tensor_y)
    return returner(x)(result[0])


def reference(
    x: torch.Tensor, y: torch.Tensor, sigma: float = 0.4, median: bool = True, debiased: bool = False
) -> torch.Tensor:
    """The definition, from the two kernel matrices; the bandwidths are held fixed in its derivative."""
    kernels = []
    for z in (x, y):
        squares = (z[:, None] - z).square().sum(2)
        above = torch.triu_indices(len(z), len(z), 1, device=z.device)
        unit = squares[above[0], above[1]].detach().median() if median else 1
        kernels.append(torch.exp(-squares / (2 * sigma**2 * unit)))
    hsic = unbiased_hsic if debiased else biased_hsic
    k, m = kernels
    return hsic(k, m) / torch.sqrt(hsic(k, k) * hsic(m, m))


class _Sums(NamedTuple):
    """What a pass over the kernels leaves.

    ``cka`` (); ``hsics`` (6,) as in :class:`diptych.ops._hsic.Hsics`; ``rates`` (2,), 1 / (2 s²) of the
    standardised data; ``rows`` (2, n), the kernels' row sums, and ``shifts`` (2,), what was taken off their
    entries before. All float64 but the first.
    """

    cka: torch.Tensor
    hsics: torch.Tensor
    rates: torch.Tensor
    rows: torch.Tensor
    shifts: torch.Tensor


def _run_torch(
    x: torch.Tensor, y: torch.Tensor, sigma: float, median: bool, debiased: bool
) -> tuple[torch.Tensor, ...]:
    # As in linear_cka: custom operators are slow to load, and of use only where somebody differentiates.
    plain = not (x.requires_grad or y.requires_grad or torch.compiler.is_compiling())
    return (_cka if plain else _rbf_cka)(x, y, sigma, median, debiased)


_Five = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


@torch.library.custom_op("diptych::rbf_cka", mutates_args=())
def _rbf_cka(x: torch.Tensor, y: torch.Tensor, sigma: float, median: bool, debiased: bool) -> _Five:
    return tuple(_cka(x, y, sigma, median, debiased))  # type: ignore[return-value]


@_rbf_cka.register_fake
def _(x: torch.Tensor, y: torch.Tensor, sigma: float, median: bool, debiased: bool) -> _Five:
    shapes = ((6,), (2,), (2, x.shape[0]), (2,))
    hsics, rates, rows, shifts = (x.new_empty(shape, dtype=torch.float64) for shape in shapes)
    return x.new_empty(()), hsics, rates, rows, shifts


def _setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    x, y, _, _, ctx.debiased = inputs
    ctx.save_for_backward(x, y, *output[1:])


def _backward(ctx, gradient, *_):  # type: ignore[no-untyped-def]
    need_x, need_y = ctx.needs_input_grad[:2]
    slopes = _rbf_cka_slopes(*ctx.saved_tensors, ctx.debiased, need_x, need_y)
    grad_x = gradient * slopes[0] if need_x else None
    return grad_x, gradient * slopes[1] if need_y else None, None, None, None


_rbf_cka.register_autograd(_backward, setup_context=_setup_context)


def _cka(x: torch.Tensor, y: torch.Tensor, sigma: float, median: bool, debiased: bool) -> _Sums:
    n, dtype = len(x), x.dtype
    (x, inverse_x), (y, inverse_y) = standardized(x), standardized(y)
    rates = torch.stack([_rate(x, inverse_x, sigma, median), _rate(y, inverse_y, sigma, median)])
    sums, rows = rates.new_zeros(3), rates.new_zeros(2, n)
    shifts = rates.new_zeros(2)
    items = [(z, squared_norms(z)) for z in (x, y)]
    for number, (start, stop) in enumerate(tile_bounds(n, x.device)):
        kernels = [_kernel(*z, start, stop, rate) for z, rate in zip(items, rates, strict=True)]
        # HSIC does not change when a number is taken off a kernel, but the sums that cancel become smaller.
        if number == 0:
            shifts = torch.stack([kernel.mean() for kernel in kernels]).double()
        k, m = (kernel.sub_(shift.to(dtype)) for kernel, shift in zip(kernels, shifts, strict=True))
        height = stop - start
        for row, kernel in zip(rows, (k, m), strict=True):
            row[start:stop] += kernel.sum(1)
            row[stop:] += kernel[:, height:].sum(0)
        products = [k * m, k.square(), m.square()]
        sums += torch.stack([upper_sum(product) for product in products])
    shifts = shifts.to(dtype).double()
    hsics = _hsics(sums, rows, shifts, debiased)
    return _Sums(hsics[5].to(dtype, copy=True), hsics, rates, rows, shifts)


def _rate(x: torch.Tensor, inverse: torch.Tensor | float, sigma: float, median: bool) -> torch.Tensor:
    """1 / (2 s²), with s in the units of the standardised x."""
    unit = median_squared_distance(x).double() if median else x.new_ones((), dtype=torch.float64) * inverse**2
    return 1 / (2 * sigma**2 * unit)


def _kernel(x: torch.Tensor, norms: torch.Tensor, start: int, stop: int, rate: torch.Tensor) -> torch.Tensor:
    return squared_distances(x, norms, start, stop).mul_(-rate.to(x.dtype)).exp_()


def _hsics(sums: torch.Tensor, rows: torch.Tensor, shifts: torch.Tensor, debiased: bool) -> torch.Tensor:
    """HSICs (6,) from the sums of products (3,) and the row sums (2, n) of shifted kernels."""
    n = rows.shape[1]
    biased = _combine(sums, rows, 1 / n, 1 / n**2)
    if not debiased:
        return with_ratio(biased, biased[1:])
    corner = 1 - shifts  # every diagonal entry
    sums = sums - n * torch.stack([corner[0] * corner[1], corner[0].square(), corner[1].square()])
    unbiased = _combine(sums, rows - corner[:, None], 1 / (n - 2), 1 / ((n - 1) * (n - 2)))
    return with_ratio(unbiased, biased[1:])


def _combine(sums: torch.Tensor, rows: torch.Tensor, per_row: float, per_total: float) -> torch.Tensor:
    k, m = rows
    crossed = torch.stack([k.dot(m), k.dot(k), m.dot(m)])
    totals = torch.stack([k.sum() * m.sum(), k.sum().square(), m.sum().square()])
    return sums - 2 * per_row * crossed + per_total * totals


@torch.library.custom_op("diptych::rbf_cka_slopes", mutates_args=())
def _rbf_cka_slopes(
    x: torch.Tensor,
    y: torch.Tensor,
    hsics: torch.Tensor,
    rates: torch.Tensor,
    rows: torch.Tensor,
    shifts: torch.Tensor,
    debiased: bool,
    need_x: bool,
    need_y: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Derivatives of CKA by x and y; an empty tensor for the one that is not needed.

    CKA = sum_ij K_ij C(L)_ij / sqrt(...), where C centres a kernel; with W = dCKA/dK ∘ dK/d|x_i - x_j|², the
    derivative by x_i is 4 sum_j W_ij (x_i - x_j).
    """
    (x, inverse_x), (y, inverse_y) = standardized(x), standardized(y)
    n, items = len(x), [(z, squared_norms(z)) for z in (x, y)]
    norm = 1 / (torch.sqrt(hsics[1]) * torch.sqrt(hsics[2]))
    own = hsics[5] / hsics[1:3]
    slopes = [torch.zeros_like(z) if need else z.new_empty(0) for z, need in ((x, need_x), (y, need_y))]
    if debiased:
        rows = rows - (1 - shifts[:, None])
    per_row, per_total = (1 / (n - 2), 1 / ((n - 1) * (n - 2))) if debiased else (1 / n, 1 / n**2)
    for start, stop in tile_bounds(n, x.device):
        kernels = [_kernel(*z, start, stop, rate) for z, rate in zip(items, rates, strict=True)]
        centred = []
        for kernel, row, shift in zip(kernels, rows, shifts, strict=True):
            means = (row * per_row).to(x.dtype)
            constant = (row.sum() * per_total - shift).to(x.dtype)
            centred.append((kernel + constant).sub_(means[start:stop, None]).sub_(means[start:]))
        for z, slope, kernel, mine, other, factor, rate in zip(
            (x, y), slopes, kernels, centred, centred[::-1], own, rates, strict=True
        ):
            if slope.numel() > 0:
                weights = other * norm.to(x.dtype) - mine * factor.to(x.dtype)
                _add_slope(slope, z, weights.mul_(kernel).mul_(-4 * rate.to(x.dtype)), start, stop)
    slope_x, slope_y = slopes
    return slope_x.mul_(inverse_x), slope_y.mul_(inverse_y)


@_rbf_cka_slopes.register_fake
def _(
    x: torch.Tensor,
    y: torch.Tensor,
    hsics: torch.Tensor,
    rates: torch.Tensor,
    rows: torch.Tensor,
    shifts: torch.Tensor,
    debiased: bool,
    need_x: bool,
    need_y: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    return x.new_empty(x.shape if need_x else 0), y.new_empty(y.shape if need_y else 0)


def _add_slope(slope: torch.Tensor, x: torch.Tensor, weights: torch.Tensor, start: int, stop: int) -> None:
    """Add sum_j W_ij (x_i - x_j) over a tile's pairs and their mirror images; the diagonal adds nothing."""
    beside = weights[:, stop - start :]
    with full_precision(x.device):
        slope[start:stop] += weights.sum(1, keepdim=True) * x[start:stop] - weights @ x[start:]
        slope[stop:] += beside.sum(0)[:, None] * x[stop:] - beside.T @ x[start:stop]


def _check_rates(rates: torch.Tensor) -> None:
    for name, rate in zip("xy", rates.tolist(), strict=True):
        if not 0 < rate < float("inf"):
            raise ValueError(f"{name}: the median distance between items is 0, the kernel has no bandwidth")
