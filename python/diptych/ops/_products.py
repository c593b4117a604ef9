"""Inner products of items, prepared so that distances made from them are exact where they can be."""

import numpy as np
import torch

from diptych import _cpu
from diptych.ops._arrays import numpy_view

#: Products of n, m and d up to which distances are made directly: a GEMM and what it needs cost more.
TINY = 1 << 19

# Rows multiplied at once for the norms. Their summation order may still differ from that of a larger
# product: that duplicates come out alike is the work of `duplicates`, not of this size.
_BLOCK = 384


def product(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
    """Matrix product that keeps float32 whole where the user lets torch round to tf32 or bfloat16."""
    allowed = torch.get_float32_matmul_precision()
    if allowed == "highest":
        return torch.mm(a, b, out=out)
    torch.set_float32_matmul_precision("highest")
    try:
        return torch.mm(a, b, out=out)
    finally:
        torch.set_float32_matmul_precision(allowed)


def centered(x: torch.Tensor) -> torch.Tensor:
    """Subtract a point near the mean from every row, (n, d) -> a new (n, d).

    The expanded form |x|² + |y|² - 2<x,y> loses digits when the data lies far from the origin. The exact
    mean would make integer-valued data inexact; each column's mean is therefore rounded to a multiple of a
    power of two no larger than the column's own spread, and to an integer where the whole column is one:
    fractions would cost the products of integers the bits that keep them exact.
    """
    if x.device.type == "cpu":
        out = torch.empty(x.shape, dtype=x.dtype)
        _cpu.shift_to_center(numpy_view(x.contiguous()), numpy_view(out), torch.get_num_threads())
        return out
    deviation, mean = torch.std_mean(x, dim=0, correction=0)
    spread = torch.exp2(torch.floor(torch.log2(deviation)))
    spread = torch.where((x == x.round()).all(0), spread.clamp(min=1), spread)
    centre = torch.where(deviation > 0, torch.round(mean / spread) * spread, x[0])
    return x - torch.where(torch.isfinite(centre), centre, torch.zeros_like(centre))


def direct_distances(
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    root: bool = True,
    factor: float = 1.0,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Distances (n, m) of x (n, d) to y (m, d) from differences of coordinates: O(n m d), nothing cancels.

    Without ``root`` squared distances times ``factor``.
    """
    if x.device.type != "cpu":
        distances = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
        return distances if root else distances.square_().mul_(factor)
    if out is None:
        out = torch.empty(x.shape[0], y.shape[0], dtype=x.dtype)
    _cpu.direct_distances(
        numpy_view(x.contiguous()),
        numpy_view(y.contiguous()),
        root,
        factor,
        numpy_view(out),
        torch.get_num_threads(),
    )
    return out


def unit_rows(x: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Divide the rows of a CPU tensor by their length, (n, d) -> a new (n, d), wider if asked to."""
    out = torch.empty(x.shape, dtype=dtype or x.dtype)
    _cpu.unit_rows(numpy_view(x.contiguous()), numpy_view(out), torch.get_num_threads())
    return out


def squared_distances(
    x: torch.Tensor, norms: torch.Tensor, groups: torch.Tensor | None, rows: torch.Tensor
) -> torch.Tensor:
    """Squared distances (m, n) of the given rows (m,) of a centred x to all rows.

    ``norms`` are the rows' squared norms and ``groups`` what :func:`duplicates` said, both of all of x.
    """
    products = product(x[rows], x.T)
    if groups is not None:
        make_duplicates_alike(products, norms[rows], groups[rows], groups)
    return products.mul_(-2).add_(norms[rows, None]).add_(norms).clamp_(min=0)


def squared_norms(x: torch.Tensor, groups: torch.Tensor | None) -> torch.Tensor:
    """Squared norms (n,) of the rows of x, by the same summation order as a matrix product's diagonal.

    Blocks have one shape: the last of several is padded. Rows of one number in ``groups`` have one norm.
    """
    n, d = x.shape
    norms = x.new_empty(n)
    for start in range(0, n, _BLOCK):
        block = x[start : start + _BLOCK]
        if len(block) < _BLOCK < n:
            block = torch.cat([block, x.new_zeros(_BLOCK - len(block), d)])
        stop = min(start + _BLOCK, n)
        norms[start:stop] = product(block, block.T).diagonal()[: stop - start]
    return norms if groups is None else norms[first_of_each(groups)]


def duplicates(x: torch.Tensor) -> torch.Tensor | None:
    """Number the rows of x that have equals, (n,): each by the first of its equals, all others by -1.

    None if no two are equal, and on a GPU, where asking would wait for it. -0.0 and 0.0 are the same.
    """
    if x.device.type != "cpu":
        return None
    groups = np.empty(x.shape[0], np.int64)
    found = _cpu.duplicates(numpy_view(x.contiguous()), groups, torch.get_num_threads())
    return torch.from_numpy(groups) if found else None


def first_of_each(groups: torch.Tensor) -> torch.Tensor:
    """The index (n,) of the first item that carries each item's number; of itself where that is -1."""
    index = torch.arange(len(groups))
    first = torch.full((int(groups.max()) + 2,), len(groups))
    first.scatter_reduce_(0, groups + 1, index, "amin")
    return torch.where(groups < 0, index, first[groups + 1])


def make_duplicates_alike(
    products: torch.Tensor, norms: torch.Tensor, row_groups: torch.Tensor, groups: torch.Tensor
) -> None:
    """Give equal rows equal products, in place: a GEMM's summation order depends on the place in it.

    Distances to duplicates then tie, and those between duplicates are zero.

    Args:
        products: (rows, n), of the items that row_groups and groups number.
        norms: (rows,) squared norms of the rows' items, the same for duplicates.
        row_groups: (rows,) from :func:`duplicates`.
        groups: (n,) from the same call.
    """
    columns = (groups >= 0).nonzero()[:, 0]
    sources = first_of_each(groups)[columns]
    for start, stop in row_blocks(len(products), len(groups), products.element_size(), 1 << 24):
        block = products[start:stop]
        block[:, columns] = block[:, sources]
        rows = (row_groups[start:stop] >= 0).nonzero()
        same = row_groups[start:stop][rows] == groups[columns]
        block[rows, columns] = torch.where(same, norms[start:stop][rows], block[rows, columns])


def row_blocks(n: int, columns: int, itemsize: int, budget: int = 1 << 26) -> list[tuple[int, int]]:
    """Cut n rows into (start, stop) blocks whose (rows, columns) scratch stays within ``budget`` bytes."""
    rows = max(1, budget // max(1, columns * itemsize))
    rows = max(_BLOCK, rows // _BLOCK * _BLOCK)
    return [(start, min(start + rows, n)) for start in range(0, n, rows)]
