"""Hilbert-Schmidt independence criteria of linear kernels, by tiles of symmetric products."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from diptych import _cpu
from diptych.ops import _checks
from diptych.ops._arrays import empty, numpy_view

#: Rows and columns of a part of a matrix.
Block = tuple[slice, slice]

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
        out, _, widest = center_columns(x, False)
        return out, math.ldexp(1.0, -math.frexp(widest)[1]) if math.isfinite(widest) else 1.0
    low, high = torch.aminmax(x, dim=0)
    spread = high - low
    inverse = torch.exp2(-torch.floor(torch.log2(spread.amax())))
    mean = torch.where(spread == 0, low, x.mean(0))
    # A product with a power of two is exact: this is (x - mean) * inverse in one pass.
    return torch.addcmul(-mean * inverse, x, inverse), inverse


def center_columns(x: torch.Tensor, per_column: bool) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Centre x (n, d) on the CPU and scale it by a power of two, or each column by its own.

    Returns:
        The result (n, d), the columns' sums of squares (d,) in float64, zero for constant columns alone, and
        the widest column's range before.
    """
    out = empty(tuple(x.shape), x.dtype, x.device)
    squares = torch.empty(x.shape[1], dtype=torch.float64)
    threads = torch.get_num_threads()
    widest = _cpu.center(
        numpy_view(x.contiguous()), per_column, numpy_view(out), numpy_view(squares), threads
    )
    return out, squares, widest


class Hsics(NamedTuple):
    """HSIC of (x, y), (x, x) and (y, y), standardised, up to a common factor; the biased last two; CKA.

    ``values`` is (6,) float64; the biased ones are what the unbiased estimator's rounding is measured
    against. ``products`` are what the derivative is made of, if it was asked for: XᵀX, YᵀY and XᵀY, or in
    item space XXᵀ, YYᵀ and an empty tensor.
    """

    values: torch.Tensor
    products: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None


def in_item_space(x: torch.Tensor, y: torch.Tensor) -> bool:
    """Whether Gram matrices of the items cost less than products of the features."""
    return x.shape[0] < x.shape[1] + y.shape[1]


def few_hsics(x: torch.Tensor, y: torch.Tensor, debiased: bool) -> Sequence[float] | None:
    """The values of :class:`Hsics` of so few items that tensors of any kind would cost more; else None."""
    n, d_x = x.shape
    if n * n * (d_x + y.shape[1]) > _SMALL or x.device.type != "cpu":
        return None
    return _cpu.linear_hsics(numpy_view(x.contiguous()), numpy_view(y.contiguous()), debiased)


def linear_hsics(x: torch.Tensor, y: torch.Tensor, debiased: bool, keep: bool = False) -> Hsics:
    """HSICs of two representations as they are, and the products they are made of if ``keep``."""
    if not keep and (values := few_hsics(x, y, debiased)) is not None:
        return Hsics(torch.tensor(values, dtype=torch.float64), None)
    x, y = standardized(x)[0], standardized(y)[0]
    products = None
    if keep:
        products = kept_products(x, y)
        left, right = products[:2] if in_item_space(x, y) else products[2:] * 2
        pairs = ((left, right), (products[0],) * 2, (products[1],) * 2)
        sums = torch.stack([(a * b).sum() for a, b in pairs])
    elif in_item_space(x, y):
        sums = _gram_sums(x, y)
    else:
        sums = torch.stack([_cross_sum(x, y), _self_sum(x), _self_sum(y)])
    sums = sums.double()
    return Hsics(with_ratio(_unbiased(x, y, sums) if debiased else sums, sums[1:]), products)


def kept_products(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The products of :class:`Hsics`, of standardised x and y."""
    if in_item_space(x, y):
        return symmetric_product(x.T), symmetric_product(y.T), x.new_empty(0, 0)
    cross = x.new_empty(x.shape[1], y.shape[1])
    return symmetric_product(x), symmetric_product(y), torch.mm(x.T, y, out=cross)


def _unbiased(x: torch.Tensor, y: torch.Tensor, sums: torch.Tensor) -> torch.Tensor:
    """The unbiased HSICs (3,) of centred data, from the biased ones."""
    n = len(x)
    norms_x, norms_y = (torch.linalg.vector_norm(z, dim=1).double().square() for z in (x, y))
    diagonals = torch.stack([norms_x.dot(norms_y), norms_x.dot(norms_x), norms_y.dot(norms_y)])
    total_x, total_y = norms_x.sum(), norms_y.sum()
    totals = torch.stack([total_x * total_y, total_x.square(), total_y.square()])
    return sums - n / (n - 2) * diagonals + totals / ((n - 1) * (n - 2))


def with_ratio(hsics: torch.Tensor, biased: torch.Tensor) -> torch.Tensor:
    """Put the HSICs (3,), the biased ones (2,) and CKA together, (6,)."""
    cka = hsics[0] / (torch.sqrt(hsics[1]) * torch.sqrt(hsics[2]))
    return torch.cat([hsics, biased, cka[None]])


def check_hsics(hsics: torch.Tensor | Sequence[float], **representations: torch.Tensor) -> None:
    """Refuse representations whose HSIC with themselves is not a number or zero, by name."""
    values = hsics.detach().tolist() if isinstance(hsics, torch.Tensor) else hsics
    for (name, x), own, biased in zip(representations.items(), values[1:3], values[3:5], strict=True):
        if own > _ROUNDINGS * torch.finfo(x.dtype).eps * biased > 0:
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
    """Sum of the squares of XᵀX, by blocks of its upper triangle."""
    blocks = triangle_blocks(x.shape[1], x.device)
    scratch = x.new_empty(max(_area(block) for block in blocks))
    total = x.new_zeros(())
    for block in blocks:
        rows, columns = (x[:, part] for part in block)
        product = scratch[: _area(block)].view(rows.shape[1], columns.shape[1])
        total = total + _weight(block) * torch.mm(rows.T, columns, out=product).square_().sum()
    return total


def _gram_sums(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Sums (3,) of K∘L, K∘K and L∘L for the Gram matrices of x and y, by blocks of their upper triangles."""
    blocks = triangle_blocks(len(x), x.device)
    scratch = x.new_empty(3, max(_area(block) for block in blocks))
    total = x.new_zeros(3)
    for block in blocks:
        rows, columns = block
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        gram_x, gram_y, both = (memory[: _area(block)].view(shape) for memory in scratch)
        torch.mm(x[rows], x[columns].T, out=gram_x)
        torch.mm(y[rows], y[columns].T, out=gram_y)
        torch.mul(gram_x, gram_y, out=both)
        sums = [values.sum() for values in (both, gram_x.square_(), gram_y.square_())]
        total = total + _weight(block) * torch.stack(sums)
    return total


def triangle_blocks(n: int, device: torch.device) -> list[Block]:
    """Cut the upper triangle of an (n, n) matrix into blocks that suit a GEMM, squares at the diagonal last.

    Halves are cut in halves: the blocks beside the diagonal are about square, and no more than
    :func:`row_tile` rows high; those at the diagonal a quarter of that, below which a GEMM loses more to its
    calls than the triangle saves.
    """
    tile = row_tile(device)
    blocks = []
    parts = [(0, n)]
    while parts:
        start, stop = parts.pop()
        if stop - start <= tile // 4:
            blocks.append((slice(start, stop), slice(start, stop)))
            continue
        middle = (start + stop) // 2
        for first in range(start, middle, tile):
            blocks.append((slice(first, min(first + tile, middle)), slice(middle, stop)))
        parts += [(start, middle), (middle, stop)]
    return blocks


def _area(block: Block) -> int:
    rows, columns = block
    return (rows.stop - rows.start) * (columns.stop - columns.start)


def _weight(block: Block) -> int:
    """How often a block of the upper triangle counts in the whole: with its mirror image, or alone."""
    return 1 if block[0] == block[1] else 2


def symmetric_product(x: torch.Tensor) -> torch.Tensor:
    """XᵀX, of which only the upper triangle is multiplied."""
    out = x.new_empty(x.shape[1], x.shape[1])
    for rows, columns in triangle_blocks(x.shape[1], x.device):
        torch.mm(x[:, rows].T, x[:, columns], out=out[rows, columns])
        if rows != columns:
            out[columns, rows] = out[rows, columns].T
    return out


def upper_sum(tile: torch.Tensor) -> torch.Tensor:
    """Sum of a tile that begins at the diagonal and of its mirror image."""
    rows, columns = tile.shape
    square = tile[:, :rows].sum()
    return square if rows == columns else square + 2 * tile[:, rows:].sum()
