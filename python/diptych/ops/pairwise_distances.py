"""Distances between all pairs of items."""

import torch

from diptych import _cpu
from diptych.ops import _checks, _products
from diptych.ops._arrays import Array, floating, numpy_view, returner, to_output, to_tensor
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

    One matrix product and one pass over the result: d² = |x|² + |y|² - 2<x,y> on centred data; on the CPU
    differences of coordinates instead where n m d is below 2¹⁴. There duplicate rows are looked for, and are
    at distance exactly zero.

    Args:
        x: (n, d) embeddings. float32 and float64 are computed as such; float16, bfloat16 and short
            integers as float32, long integers as float64.
        y: (m, d) embeddings, or None for x itself.
        metric: ``"euclidean"``, ``"sqeuclidean"`` or ``"cosine"`` (1 - cosine of the angle).
        out: (n, m) contiguous array of the result's dtype to write into.
        backend: ``"cpu"``, ``"torch"``, or None to choose by device.
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
    for name, tensor in (("x", tensor_x), ("y", tensor_y)):
        _checks.matrix(name, tensor)
    _checks.same_columns("x", tensor_x, "y", tensor_y)
    _checks.same_device(x=tensor_x, y=tensor_y)
    if tensor_y.dtype != tensor_x.dtype:
        tensor_x, tensor_y = tensor_x.double(), tensor_y.double()
    if check is None:
        check = tensor_x.device.type == "cpu"
    if check:
        _checks.finite("x", tensor_x)
        if y is not None:
            _checks.finite("y", tensor_y)
        if metric == "cosine":
            _refuse_zero_rows("x", tensor_x)
            _refuse_zero_rows("y", tensor_y)
        else:
            _checks.squarable("x", tensor_x)
            _checks.squarable("y", tensor_y)
    shape = (tensor_x.shape[0], tensor_y.shape[0])
    if out is None:
        result = tensor_x.new_empty(shape)
    else:
        result = to_output("out", out)
        _checks.output("out", result, shape, tensor_x.dtype, (tensor_x, tensor_y))
    run = choose("pairwise_distances", tensor_x.device, backend, _IMPLEMENTATIONS)
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
    if x.shape[1] * out.numel() <= _products.DIRECT:
        rows = numpy_view(x.contiguous())
        others = rows if y is None else numpy_view(y.contiguous())
        _cpu.direct_distances(rows, others, metric == "sqeuclidean", numpy_view(out))
        return
    both = _products.centered(x if y is None else torch.cat([x, y]))
    left, right = both[: len(x)], both[0 if y is None else len(x) :]
    _products.product(left, right.T, out=out)
    groups = _products.duplicates(both)
    norms = _products.squared_norms(both, groups) if y is not None else out.diagonal().contiguous()
    if groups is not None:
        norms = norms[_products.first_of_each(groups)]
        _products.make_duplicates_alike(out, norms[: len(x)], groups[: len(x)], groups[-len(right) :])
    norms_x, norms_y = norms[: len(x)], norms[-len(right) :]
    view = numpy_view(out)
    _cpu.distances(
        view,
        numpy_view(norms_x),
        numpy_view(norms_y),
        metric == "sqeuclidean",
        view,
        torch.get_num_threads(),
    )


def _cosine(x: torch.Tensor, y: torch.Tensor | None, out: torch.Tensor) -> None:
    left = _unit_rows(x)
    right = left if y is None else _unit_rows(y)
    # Halved products and norms make the pass for squared distances, 1/2 + 1/2 - 2 <x,y>/2, that for cosines.
    _products.product(left / 2, right.T, out=out)
    half = out.new_full((max(out.shape),), 0.5)
    view, norms = numpy_view(out), numpy_view(half)
    _cpu.distances(view, norms, norms, True, view, torch.get_num_threads())
    if y is None:
        out.fill_diagonal_(0)


def _unit_rows(x: torch.Tensor) -> torch.Tensor:
    """Divide rows by their length; by their largest entry first, so that no square over- or underflows."""
    scaled = x / x.abs().amax(1, keepdim=True)
    return scaled / torch.linalg.vector_norm(scaled, dim=1, keepdim=True)


def _run_torch(x: torch.Tensor, y: torch.Tensor | None, metric: str, out: torch.Tensor) -> None:
    out.copy_(reference(x, y, metric))


def _refuse_zero_rows(name: str, tensor: torch.Tensor) -> None:
    zero = (tensor == 0).all(1)
    if bool(zero.any()):
        row = int(zero.nonzero()[0])
        raise ValueError(f"{name}: row {row} is all zero, its cosine distance is not defined")


_IMPLEMENTATIONS = {"cpu": _run_cpu, "torch": _run_torch}
