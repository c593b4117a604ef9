"""Hilbert-Schmidt independence criteria of linear kernels, by tiles of symmetric products."""

import math

import torch

from diptych import _cpu
from diptych.ops import _checks
from diptych.ops._arrays import numpy_view

#: How far the three sums of the unbiased estimator, each of about the biased one's size, may round off zero.
_ROUNDINGS = 32

#: Multiplications that take less time than calling a GEMM and what surrounds it.
_SMALL = 1 << 17


def row_tile(device: torch.device) -> int:
    """Rows of a product to make at once: enough for the GEMM's speed, few enough for the caches."""
    return 2048 if device.type == "cuda" else 512


def standardized(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | float]:
    """Centre x and bring its range to about one by a power of two, which is also returned.

    CKA does not depend on the scale, but fourth powers of the data leave float32's range easily. Constant
    columns become exactly zero.
    """
    if x.device.type == "cpu":
        out = torch.empty(x.shape, dtype=x.dtype)
        widest = _cpu.center(numpy_view(x.contiguous()), numpy_view(out), torch.get_num_threads())
        return out, math.ldexp(1.0, -math.frexp(widest)[1]) if math.isfinite(widest) else 1.0
    low, high = torch.aminmax(x, dim=0)
    spread = high - low
    inverse = torch.exp2(-torch.floor(torch.log2(spread.amax())))
    mean = torch.where(spread == 0, low, x.mean(0))
    # A product with a power of two is exact: this is (x - mean) * inverse in one pass.
    return torch.addcmul(-mean * inverse, x, inverse), inverse


def linear_hsics(x: torch.Tensor, y: torch.Tensor, debiased: bool) -> torch.Tensor:
    """HSIC of (x, y), (x, x) and (y, y), standardised, up to a common factor; then the biased last two.

    Returns:
        (5,) float64; the last two are what the unbiased estimator's rounding is measured against.
    """
    n, d_x, d_y = len(x), x.shape[1], y.shape[1]
    if x.device.type == "cpu" and n * n * (d_x + d_y) <= _SMALL:
        out = torch.empty(5, dtype=torch.float64)
        _cpu.linear_hsics(numpy_view(x.contiguous()), numpy_view(y.contiguous()), debiased, numpy_view(out))
        return out
    x, y = standardized(x)[0], standardized(y)[0]
    in_items = n < d_x + d_y
    sums = _gram_sums(x, y) if in_items else torch.stack([_cross_sum(x, y), _self_sum(x), _self_sum(y)])
    sums = sums.double()
    if not debiased:
        return torch.cat([sums, sums[1:]])
    norms_x, norms_y = (torch.linalg.vector_norm(z, dim=1).double().square() for z in (x, y))
    diagonals = torch.stack([norms_x.dot(norms_y), norms_x.dot(norms_x), norms_y.dot(norms_y)])
    totals = torch.stack([norms_x.sum(), norms_y.sum()])
    products = torch.stack([totals[0] * totals[1], totals[0].square(), totals[1].square()])
    return torch.cat([sums - n / (n - 2) * diagonals + products / ((n - 1) * (n - 2)), sums[1:]])


def ratio(hsics: torch.Tensor) -> torch.Tensor:
    """CKA out of the three HSICs."""
    return hsics[0] / (torch.sqrt(hsics[1]) * torch.sqrt(hsics[2]))


def check_hsics(hsics: torch.Tensor, dtype: torch.dtype, **representations: torch.Tensor) -> None:
    """Refuse representations whose HSIC with themselves is not a number or zero, by name."""
    values = hsics.detach().tolist()
    rounding = _ROUNDINGS * torch.finfo(dtype).eps
    for (name, x), own, biased in zip(representations.items(), values[1:3], values[3:], strict=True):
        if own > rounding * biased > 0:
            continue
        _checks.finite(name, x)
        if bool((x == x[0]).all()):
            raise ValueError(f"{name}: all items are the same, CKA is not defined")
        if biased > 0:
            raise ValueError(f"{name}: all items are equally far apart, debiased CKA is not defined")
        raise ValueError(f"{name}: expected numbers whose differences {x.dtype} can hold")


def _cross_sum(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Sum of the squares of XᵀY, by tiles of its rows."""
    d_x, d_y, tile = x.shape[1], y.shape[1], row_tile(x.device)
    scratch = x.new_empty(min(tile, d_x), d_y)
    total = x.new_zeros(())
    for start in range(0, d_x, tile):
        rows = x[:, start : start + tile].T
        # An output of its own keeps autocast away.
        total = total + torch.mm(rows, y, out=scratch[: len(rows)]).square_().sum()
    return total


def _self_sum(x: torch.Tensor) -> torch.Tensor:
    """Sum of the squares of XᵀX, by tiles of its upper triangle."""
    d, tile = x.shape[1], row_tile(x.device) // 2
    scratch = x.new_empty(min(tile, d) * d)
    total = x.new_zeros(())
    for start in range(0, d, tile):
        rows = x[:, start : start + tile].T
        width = d - start
        product = scratch[: len(rows) * width].view(len(rows), width)
        total = total + upper_sum(torch.mm(rows, x[:, start:], out=product).square_())
    return total


def _gram_sums(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Sums (3,) of K∘L, K∘K and L∘L for the Gram matrices of x and y, by tiles of their upper triangles."""
    n, tile = len(x), row_tile(x.device) // 2
    scratch = x.new_empty(3, min(tile, n) * n)
    total = x.new_zeros(3)
    for start in range(0, n, tile):
        rows, width = min(tile, n - start), n - start
        gram_x, gram_y, both = (memory[: rows * width].view(rows, width) for memory in scratch)
        torch.mm(x[start : start + tile], x[start:].T, out=gram_x)
        torch.mm(y[start : start + tile], y[start:].T, out=gram_y)
        torch.mul(gram_x, gram_y, out=both)
        tiles = (both, gram_x.square_(), gram_y.square_())
        total = total + torch.stack([upper_sum(values) for values in tiles])
    return total


def upper_sum(tile: torch.Tensor) -> torch.Tensor:
    """Sum of a tile that begins at the diagonal and of its mirror image."""
    rows, columns = tile.shape
    square = tile[:, :rows].sum()
    return square if rows == columns else square + 2 * tile[:, rows:].sum()
