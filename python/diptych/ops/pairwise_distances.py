"""Distances between all pairs of items."""

import math

import torch

from diptych import _cpu
from diptych.ops import _checks, _products
from diptych.ops._arrays import Array, empty, floating, numpy_view, returner, to_output, to_tensor
from diptych.ops._dispatch import choose

METRICS = ("euclidean", "sqeuclidean", "cosine")


def pairwise_distances(
    x: Array,
    y: Array | None = None,
    *,
    metric: str = "euclidean",
    out: Array | None = None,
    backend: str | None = None,
    check: bool | None = None,
) -> Array:
    """Distance of every row of x to every row of y (to every row of x where y is not given).

    One matrix product and one pass over the result: d² = |x|² + |y|² - 2<x,y> on centred data. Duplicate rows
    are at distance exactly zero: on the CPU they are looked for, in Triton all products are summed alike.

    Args:
        x: (n, d) embeddings. float32 and float64 are computed as such; float16, bfloat16 and short
            integers as float32, long integers as float64.
        y: (m, d) embeddings, or None for x itself.
        metric: ``"euclidean"``, ``"sqeuclidean"`` or ``"cosine"`` (1 - cosine of the angle).
        out: (n, m) contiguous array of the result's dtype to write into.
        backend: ``"cpu"``, ``"triton"`` (float32), ``"torch"``, or None to choose by device.
        check: Refuse NaN and Inf. Default: on the CPU yes, on a GPU (where it synchronises) no.

    Returns:
        (n, m) distances, float32 or float64, in the units of x (``"sqeuclidean"``: squared).

    Complexity:
        O(n m d) time; beyond the result four copies of each input, and 64 MiB where rows are duplicates.

    Raises:
        ValueError: Wrong rank, features or devices differ, NaN or Inf, entries too large or too small to be
            squared, a zero row under ``"cosine"``, an unknown metric, an ``out`` that does not fit or
            overlaps an input.
        TypeError: Not an array of real numbers.
    """
    tensor_x = floating(to_tensor("x", x)).detach()
    tensor_y = tensor_x if y is None else floating(to_tensor("y", y)).detach()
    _checks.one_of("metric", metric, METRICS)
    _checks.matrix("x", tensor_x)
    if y is not None:
        _checks.matrix("y", tensor_y)
        _checks.same_columns("x", tensor_x, "y", tensor_y)
        _checks.same_device(x=tensor_x, y=tensor_y)
    if tensor_y.dtype != tensor_x.dtype:
        tensor_x, tensor_y = tensor_x.double(), tensor_y.double()
    if check is None:
        check = tensor_x.device.type == "cpu"
    if check:
        usable = _checks.rows_with_a_direction if metric == "cosine" else _checks.squarable
        usable("x", tensor_x)
        if y is not None:
            usable("y", tensor_y)
    shape = (tensor_x.shape[0], tensor_y.shape[0])
    if out is None:
        result = empty(shape, tensor_x.dtype, tensor_x.device)
    else:
        result = to_output("out", out)
        _checks.output("out", result, shape, tensor_x.dtype, (tensor_x, tensor_y))
    offered = _IMPLEMENTATIONS if tensor_x.dtype == torch.float32 else _DOUBLE_IMPLEMENTATIONS
    run = choose("pairwise_distances", tensor_x.device, backend, offered)
    run(tensor_x, None if y is None else tensor_y, metric, result)
    return returner(x)(result) if out is None else out


def reference(x: torch.Tensor, y: torch.Tensor | None = None, metric: str = "euclidean") -> torch.Tensor:
    """The definition: differences of coordinates, squared and summed; cosine from normalised rows."""
    y = x if y is None else y
    if metric == "cosine":
        distances = 1 - _unit_rows(x) @ _unit_rows(y).T
        if y is x:
            distances.fill_diagonal_(0)
        return distances.clamp_(min=0)
    distances = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    return distances if metric == "euclidean" else distances.square_()


def _run_cpu(x: torch.Tensor, y: torch.Tensor | None, metric: str, out: torch.Tensor) -> None:
    if metric == "cosine":
        _cosine(x, y, out)
        return
    n, m = out.shape
    if n * m * x.shape[1] <= _products.TINY:
        _products.direct_distances(x, x if y is None else y, root=metric == "euclidean", out=out)
        return
    if y is None:
        both = left = right = _products.centered(x)
    else:
        both = _products.centered(torch.cat([x, y]))
        left, right = both[:n], both[n:]
    _products.product(left, right.T, out=out)
    groups = _products.duplicates(both)
    norms = out.diagonal().contiguous() if y is None else _products.squared_norms(both, groups)
    if groups is not None:
        norms = norms[_products.first_of_each(groups)]
        _products.make_duplicates_alike(out, norms[:n], groups[:n], groups[-m:])
    norms_x, norms_y = (norms, norms) if y is None else (norms[:n], norms[n:])
    _epilogue(out, norms_x, norms_y, squared=metric == "sqeuclidean")


def _epilogue(products: torch.Tensor, norms_x: torch.Tensor, norms_y: torch.Tensor, squared: bool) -> None:
    """Turn products into distances, in place."""
    view, threads = numpy_view(products), torch.get_num_threads()
    _cpu.distances(view, numpy_view(norms_x), numpy_view(norms_y), squared, view, threads)


def _cosine(x: torch.Tensor, y: torch.Tensor | None, out: torch.Tensor) -> None:
    """One minus the product of unit rows, which is half their squared distance."""
    right = _products.unit_rows(x if y is None else y)
    left = right if y is None else _products.unit_rows(x)
    if out.numel() * x.shape[1] <= _products.TINY:
        _products.direct_distances(left, right, root=False, factor=0.5, out=out)
        return
    _products.product(left / 2, right.T, out=out)
    halves = out.new_full((max(out.shape),), 0.5)
    _epilogue(out, halves, halves, squared=True)
    if y is None:
        out.fill_diagonal_(0)


def _unit_rows(x: torch.Tensor) -> torch.Tensor:
    """Divide rows by their length; by their largest entry first, so that no square over- or underflows."""
    scaled = x / torch.linalg.vector_norm(x, math.inf, 1, keepdim=True)
    return scaled.div_(torch.linalg.vector_norm(scaled, dim=1, keepdim=True))


def _run_triton(x: torch.Tensor, y: torch.Tensor | None, metric: str, out: torch.Tensor) -> None:
    from diptych.kernels import pairwise_distances as kernel

    if metric == "cosine":
        left = _unit_rows(x).contiguous()
        right = left if y is None else _unit_rows(y).contiguous()
    else:
        both = _products.centered(x if y is None else torch.cat([x, y])).contiguous()
        left, right = (both, both) if y is None else (both[: len(x)], both[len(x) :])
    kernel.pairwise_distances(left, right, metric=metric, out=out)


def _run_torch(x: torch.Tensor, y: torch.Tensor | None, metric: str, out: torch.Tensor) -> None:
    out.copy_(reference(x, y, metric))


_IMPLEMENTATIONS = {"cpu": _run_cpu, "triton": _run_triton, "torch": _run_torch}
_DOUBLE_IMPLEMENTATIONS = {"cpu": _run_cpu, "torch": _run_torch}
