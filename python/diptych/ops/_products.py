"""Inner products of items, prepared so that distances made from them are exact where they can be."""

import torch

# A multiple of every register tile that CPU GEMMs use (16, 24, 32, 48), so that no row of a block falls
# into an edge kernel with another summation order.
_BLOCK = 384


def centered(x: torch.Tensor) -> torch.Tensor:
    """Subtract a point near the mean from every row, (n, d) -> a new (n, d).

    The expanded form |x|² + |y|² - 2<x,y> loses digits when the data lies far from the origin. The exact
    mean would make integer-valued data inexact; each column's mean is therefore rounded to a power of two
    no larger than the column's own spread, which keeps integers exact and is as good a centre.
    """
    deviation, mean = torch.std_mean(x, dim=0, correction=0)
    spread = torch.exp2(torch.floor(torch.log2(deviation)))
    centre = torch.where(deviation > 0, torch.round(mean / spread) * spread, x[0])
    return x - torch.where(torch.isfinite(centre), centre, torch.zeros_like(centre))


def squared_norms(x: torch.Tensor) -> torch.Tensor:
    """Squared norms (n,) of the rows of x, by the same summation order as a matrix product's diagonal.

    Duplicate rows then come out at distance zero. Blocks have one shape: the last one is padded.
    """
    n, d = x.shape
    norms = x.new_empty(n)
    for start in range(0, n, _BLOCK):
        block = x[start : start + _BLOCK]
        if len(block) < _BLOCK:
            block = torch.cat([block, x.new_zeros(_BLOCK - len(block), d)])
        stop = min(start + _BLOCK, n)
        norms[start:stop] = torch.mm(block, block.T).diagonal()[: stop - start]
    return norms


def row_blocks(n: int, columns: int, itemsize: int, budget: int = 1 << 26) -> list[tuple[int, int]]:
    """Cut n rows into (start, stop) blocks whose (rows, columns) scratch stays within ``budget`` bytes."""
    rows = max(1, budget // max(1, columns * itemsize))
    rows = max(_BLOCK, rows // _BLOCK * _BLOCK)
    return [(start, min(start + rows, n)) for start in range(0, n, rows)]
