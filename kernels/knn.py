"""The two passes of a nearest-neighbor search on a GPU through Triton.

The first multiplies and keeps of every group of 32 items only the least key: 4 n m / 32 bytes are written
instead of 4 n m, and the limit is the n m d multiply-adds of float32. An item among the k nearest of a row
lies in one of the k groups that come first by their least key, ties by position, for every group before its
own holds an item before it. The second pass takes exact distances in float64 to the items of the chosen
groups: 3 x 32 (k + 8) d operations a row.
"""

import torch
import triton
import triton.language as tl

GROUP = 32
_ROWS, _COLUMNS, _DEPTH = 64, 128, 32


@triton.jit
def _least_keys_kernel(
    x_ptr: tl.tensor,
    y_ptr: tl.tensor,
    norms_ptr: tl.tensor,
    out_ptr: tl.tensor,
    n: tl.tensor,
    m: tl.tensor,
    d: tl.tensor,
    groups: tl.tensor,
    first_row: tl.tensor,
    EXCLUDE_SELF: tl.constexpr,
    GROUP: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
) -> None:
    row_tiles = tl.cdiv(n, ROWS)
    tile = tl.program_id(0)
    rows = (tile % row_tiles) * ROWS + tl.arange(0, ROWS)
    columns = (tile // row_tiles) * COLUMNS + tl.arange(0, COLUMNS)
    x_rows = rows.to(tl.int64)[:, None] * d
    y_rows = columns.to(tl.int64)[None, :] * d
    products = tl.zeros((ROWS, COLUMNS), dtype=tl.float32)
    for start in range(0, d, DEPTH):
        at = start + tl.arange(0, DEPTH)
        a = tl.load(x_ptr + x_rows + at[None, :], mask=(rows[:, None] < n) & (at[None, :] < d), other=0.0)
        b = tl.load(y_ptr + y_rows + at[:, None], mask=(columns[None, :] < m) & (at[:, None] < d), other=0.0)
        products = tl.dot(a, b, products, input_precision="ieee")
    norms = tl.load(norms_ptr + columns, mask=columns < m, other=float("inf"))
    keys = norms[None, :] - 2 * products
    if EXCLUDE_SELF:
        keys = tl.where(first_row + rows[:, None] == columns[None, :], float("inf"), keys)
    least = tl.min(tl.reshape(keys, (ROWS, COLUMNS // GROUP, GROUP)), axis=2)
    places = (tile // row_tiles) * (COLUMNS // GROUP) + tl.arange(0, COLUMNS // GROUP)
    inside = (rows[:, None] < n) & (places[None, :] < groups)
    tl.store(out_ptr + rows.to(tl.int64)[:, None] * groups + places[None, :], least, mask=inside)


@triton.jit
def _squares_kernel(
    x_ptr: tl.tensor,
    y_ptr: tl.tensor,
    chosen_ptr: tl.tensor,
    out_ptr: tl.tensor,
    m: tl.tensor,
    d: tl.tensor,
    chosen: tl.tensor,
    first_row: tl.tensor,
    EXCLUDE_SELF: tl.constexpr,
    GROUP: tl.constexpr,
    DEPTH: tl.constexpr,
) -> None:
    place = tl.program_id(0).to(tl.int64)
    row = place // chosen
    items = tl.load(chosen_ptr + place) * GROUP + tl.arange(0, GROUP)
    squares = tl.zeros((GROUP,), dtype=tl.float64)
    for start in range(0, d, DEPTH):
        at = start + tl.arange(0, DEPTH)
        a = tl.load(x_ptr + row * d + at, mask=at < d, other=0.0).to(tl.float64)
        inside = (items[:, None] < m) & (at[None, :] < d)
        b = tl.load(y_ptr + items[:, None] * d + at[None, :], mask=inside, other=0.0).to(tl.float64)
        gaps = tl.where(inside, a[None, :] - b, 0.0)
        squares += tl.sum(gaps * gaps, axis=1)
    allowed = items < m
    if EXCLUDE_SELF:
        allowed = allowed & (items != first_row + row)
    tl.store(out_ptr + place * GROUP + tl.arange(0, GROUP), tl.where(allowed, squares, float("inf")))


def least_keys(
    x: torch.Tensor, y: torch.Tensor, norms: torch.Tensor, first_row: int, exclude_self: bool
) -> torch.Tensor:
    """The least |y|² - 2 <x, y> of every group of ``GROUP`` items y, (rows, groups).

    Args:
        x: (rows, d) contiguous float32, the items from ``first_row`` on of those asked about.
        y: (m, d) contiguous float32.
        norms: (m,) float32, the squared norms of y.
        first_row: Number of the first row.
        exclude_self: Whether item ``first_row + i`` of y is left out for row i.
    """
    n, m = len(x), len(y)
    groups = triton.cdiv(m, GROUP)
    out = torch.empty(n, groups, dtype=torch.float32, device=x.device)
    with torch.cuda.device_of(x):
        _least_keys_kernel[(triton.cdiv(n, _ROWS) * triton.cdiv(m, _COLUMNS),)](
            x,
            y,
            norms,
            out,
            n,
            m,
            x.shape[1],
            groups,
            first_row,
            EXCLUDE_SELF=exclude_self,
            GROUP=GROUP,
            ROWS=_ROWS,
            COLUMNS=_COLUMNS,
            DEPTH=_DEPTH,
        )
    return out


def squares_of_groups(
    x: torch.Tensor, y: torch.Tensor, chosen: torch.Tensor, first_row: int, exclude_self: bool
) -> torch.Tensor:
    """Squared distances in float64 to the items of chosen groups, (rows, chosen * GROUP); inf for no item.

    Args:
        x: (rows, d) contiguous float32 or float64, the items from ``first_row`` on of those asked about.
        y: (m, d) of the same type.
        chosen: (rows, chosen) contiguous int64, numbers of groups.
        first_row: Number of the first row.
        exclude_self: Whether item ``first_row + i`` of y is left out for row i.
    """
    count = chosen.shape[1]
    out = torch.empty(len(x), count * GROUP, dtype=torch.float64, device=x.device)
    with torch.cuda.device_of(x):
        _squares_kernel[(len(x) * count,)](
            x,
            y,
            chosen,
            out,
            len(y),
            x.shape[1],
            count,
            first_row,
            EXCLUDE_SELF=exclude_self,
            GROUP=GROUP,
            DEPTH=_DEPTH,
        )
    return out
