"""Distances of all pairs of rows, product and epilogue in one kernel, on a GPU through Triton.

What must be done: 2 n m d operations in float32, as fused multiply-adds of full precision (no tf32). What
must move: the result once, 4 n m bytes, and tiles of the rows, mostly out of the second-level cache.

d² = |x|² + |y|² - 2<x,y>, of rows that were centred. The squared norms are diagonals of tiles that add up
the same products in the same order as all others: two equal rows are at distance exactly zero wherever they
stand. Products of integers, and their sums, are exact below 2²⁴.
"""

import torch
import triton
import triton.language as tl

# A tile of 64 x 64, 16 products at a time, by four warps: 32 sums per thread, three programs per processor.
_TILE = 64
_DEPTH = 16
_WARPS = 4
# Rows of tiles that share the second-level cache.
_GROUP = 8

METRICS = ("sqeuclidean", "euclidean", "cosine")


@triton.jit
def _products(
    x_ptr: tl.tensor,
    y_ptr: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    n: tl.tensor,
    m: tl.tensor,
    d: tl.tensor,
    TILE: tl.constexpr,
    DEPTH: tl.constexpr,
) -> tl.tensor:
    """Inner products (TILE, TILE) of rows of x (n, d) with rows of y (m, d)."""
    x_start = rows.to(tl.int64)[:, None] * d
    y_start = columns.to(tl.int64)[:, None] * d
    products = tl.full((TILE, TILE), 0.0, tl.float32)
    for start in range(0, d, DEPTH):
        features = start + tl.arange(0, DEPTH)
        inside = features[None, :] < d
        x = tl.load(x_ptr + x_start + features[None, :], mask=(rows[:, None] < n) & inside, other=0.0)
        y = tl.load(y_ptr + y_start + features[None, :], mask=(columns[:, None] < m) & inside, other=0.0)
        products = tl.dot(x, tl.trans(y), products, input_precision="ieee")
    return products


@triton.jit
def _norms_kernel(
    x_ptr: tl.tensor,
    norms_ptr: tl.tensor,
    n: tl.tensor,
    d: tl.tensor,
    TILE: tl.constexpr,
    DEPTH: tl.constexpr,
) -> None:
    own = tl.arange(0, TILE)
    rows = tl.program_id(0) * TILE + own
    products = _products(x_ptr, x_ptr, rows, rows, n, n, d, TILE, DEPTH)
    diagonal = (own[:, None] == own[None, :]) & (rows[:, None] < n)
    tl.store(norms_ptr + rows[:, None] + 0 * own[None, :], products, mask=diagonal)


@triton.jit
def _distances_kernel(
    x_ptr: tl.tensor,
    y_ptr: tl.tensor,
    x_norms_ptr: tl.tensor,
    y_norms_ptr: tl.tensor,
    out_ptr: tl.tensor,
    n: tl.tensor,
    m: tl.tensor,
    d: tl.tensor,
    METRIC: tl.constexpr,
    TILE: tl.constexpr,
    DEPTH: tl.constexpr,
    GROUP: tl.constexpr,
) -> None:
    # Programs of one group go down its rows of tiles first.
    tiles_n = (n + TILE - 1) // TILE
    in_group = GROUP * ((m + TILE - 1) // TILE)
    first = tl.program_id(0) // in_group * GROUP
    height = tl.minimum(tiles_n - first, GROUP)
    within = tl.program_id(0) % in_group
    rows = (first + within % height) * TILE + tl.arange(0, TILE)
    columns = within // height * TILE + tl.arange(0, TILE)

    products = _products(x_ptr, y_ptr, rows, columns, n, m, d, TILE, DEPTH)
    x_norms = tl.load(x_norms_ptr + rows, mask=rows < n, other=1.0)[:, None]
    y_norms = tl.load(y_norms_ptr + columns, mask=columns < m, other=1.0)[None, :]
    if METRIC == 2:
        # Of equal rows product and norms are one number: its square's root, rounded, is the number again.
        distances = 1.0 - tl.div_rn(products, tl.sqrt_rn(x_norms * y_norms))
    else:
        distances = (x_norms + y_norms) - (products + products)
    distances = tl.maximum(distances, 0.0)
    if METRIC == 1:
        distances = tl.sqrt_rn(distances)
    # n m may pass 2^31: places are 64-bit.
    places = rows.to(tl.int64)[:, None] * m + columns[None, :]
    tl.store(out_ptr + places, distances, mask=(rows[:, None] < n) & (columns[None, :] < m))


def pairwise_distances(x: torch.Tensor, y: torch.Tensor, *, metric: str, out: torch.Tensor) -> None:
    """Write the distances; see :func:`diptych.ops.pairwise_distances`.

    Args:
        x: (n, d) contiguous float32: centred, or for ``"cosine"`` of lengths whose fourth powers are normal.
        y: (m, d), the same; may be x itself.
        metric: One of ``METRICS``.
        out: (n, m) contiguous float32, apart from the inputs.

    Raises:
        TypeError: A tensor is not float32.
        ValueError: A tensor is strided or of another shape, devices differ, or the metric is unknown.
    """
    if metric not in METRICS:
        raise ValueError(f"metric: expected one of {', '.join(METRICS)}, found {metric!r}")
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"x and y: expected (n, d) and (m, d), found {tuple(x.shape)} and {tuple(y.shape)}")
    (n, d), m = x.shape, y.shape[0]
    for name, tensor, shape in (("x", x, (n, d)), ("y", y, (m, d)), ("out", out, (n, m))):
        if tensor.dtype != torch.float32:
            raise TypeError(f"{name}: expected float32, found {tensor.dtype}")
        if tensor.shape != shape or not tensor.is_contiguous():
            layout = "contiguous" if tensor.is_contiguous() else "strided"
            found = f"a {layout} tensor of shape {tuple(tensor.shape)}"
            raise ValueError(f"{name}: expected a contiguous tensor of shape {shape}, found {found}")
        if tensor.device != x.device:
            raise ValueError(f"{name}: expected it on {x.device} as x is, found it on {tensor.device}")
    if n == 0 or m == 0:
        return
    sizes = {"TILE": _TILE, "DEPTH": _DEPTH, "num_warps": _WARPS}
    with torch.cuda.device_of(x):
        norms = [_norms(rows, sizes) for rows in ([x] if y is x else [x, y])]
        _distances_kernel[(triton.cdiv(n, _TILE) * triton.cdiv(m, _TILE),)](
            x, y, norms[0], norms[-1], out, n, m, d, METRIC=METRICS.index(metric), GROUP=_GROUP, **sizes
        )


def _norms(x: torch.Tensor, sizes: dict[str, int]) -> torch.Tensor:
    norms = torch.empty(len(x), dtype=torch.float32, device=x.device)
    _norms_kernel[(triton.cdiv(len(x), _TILE),)](x, norms, len(x), x.shape[1], **sizes)
    return norms
