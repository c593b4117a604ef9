"""How many nearest neighbors two representations share."""

import torch

from diptych import _cpu
from diptych.ops import _checks, _products
from diptych.ops._arrays import Array, floating, numpy_view, to_tensor
from diptych.ops._dispatch import choose
from diptych.ops.knn import ALONE, FEW, multiplications, search


def mutual_knn(
    x: Array | None = None,
    y: Array | None = None,
    k: int = 10,
    *,
    ranks: tuple[Array, Array] | None = None,
    backend: str | None = None,
    check: bool | None = None,
) -> float:
    """Mean share of common k nearest neighbors, over items: the mutual k-NN alignment of Huh et al. 2024.

    With N_k(i) the k nearest other items of item i, mean over i of |N_k^x(i) ∩ N_k^y(i)| / k (The Platonic
    Representation Hypothesis, app. A; there by inner product of rows at unit length, whose neighbors are
    those of this Euclidean distance on rows divided by their norms). Of neighbors at one distance those of
    lower index come first, as in :func:`diptych.ops.neighbor_ranks`.

    Args:
        x: (n, d_x) embeddings.
        y: (n, d_y) embeddings of the same items.
        k: Neighbors per item, the item itself not counted; 1 to n-1.
        ranks: Instead of x and y, the two results (n, n) int32 of :func:`diptych.ops.neighbor_ranks` on
            them: with ranks at hand there is no need to search. Values are not checked.
        backend: ``"cpu"``, ``"torch"``, or None to choose by device.
        check: Refuse NaN and Inf. Default: on the CPU yes, on a GPU (where it synchronises) no.

    Returns:
        A number in [0, 1]: 1 when all neighborhoods agree, about k/(n-1) for unrelated representations.

    Complexity:
        O(n² (d_x + d_y)) time and the memory of two :func:`diptych.ops.knn` on the CPU, a few row blocks of
        at most 64 MiB on a GPU, with which it synchronises. From ranks one read of the first of them.

    Raises:
        ValueError: Neither or both of embeddings and ranks, different numbers of items, k out of range, NaN,
            Inf, entries too large or too small to be squared, different devices, ranks that are not square.
        TypeError: Not an array of real numbers, k not an integer, ranks that are not int32.
    """
    if ranks is not None:
        if x is not None or y is not None:
            raise ValueError("expected either x and y or ranks, found both")
        return _from_ranks(ranks, k, backend)
    if x is None or y is None:
        raise ValueError(f"expected x and y or ranks, found no {'x' if x is None else 'y'}")
    tensor_x, tensor_y = floating(to_tensor("x", x)).detach(), floating(to_tensor("y", y)).detach()
    for name, tensor in (("x", tensor_x), ("y", tensor_y)):
        _checks.matrix(name, tensor)
        if tensor.device.type == "cpu" if check is None else check:
            _checks.squarable(name, tensor)
    _checks.same_rows("x", tensor_x, "y", tensor_y)
    _checks.same_device(x=tensor_x, y=tensor_y)
    _checks.integer("k", k, 1, tensor_x.shape[0] - 1)
    run = choose("mutual_knn", tensor_x.device, backend, _IMPLEMENTATIONS)
    return float(run(tensor_x, tensor_y, k)) / (len(tensor_x) * k)


def _from_ranks(ranks: tuple[Array, Array], k: int, backend: str | None) -> float:
    if not isinstance(ranks, tuple | list) or len(ranks) != 2:
        raise TypeError(f"ranks: expected a pair of (n, n) arrays, found {type(ranks).__name__}")
    first, second = (to_tensor(f"ranks[{side}]", given) for side, given in enumerate(ranks))
    for side, tensor in enumerate((first, second)):
        _checks.square(f"ranks[{side}]", tensor)
        if tensor.dtype != torch.int32:
            raise TypeError(f"ranks[{side}]: expected int32, found {tensor.dtype}")
    _checks.same_shape("ranks[0]", first, "ranks[1]", second)
    _checks.same_device(**{"ranks[0]": first, "ranks[1]": second})
    _checks.integer("k", k, 1, len(first) - 1)
    run = choose("mutual_knn", first.device, backend, _FROM_RANKS)
    return float(run(first, second, k)) / (len(first) * k)


def reference(x: torch.Tensor, y: torch.Tensor, k: int) -> float:
    """The definition, from the ranks of all items."""
    from diptych.ops.neighbor_ranks import reference as ranks

    near_x, near_y = ((ranks(z) >= 1) & (ranks(z) <= k) for z in (x, y))
    return float((near_x & near_y).sum(1).double().mean() / k)


def _run_cpu(x: torch.Tensor, y: torch.Tensor, k: int) -> int:
    work = multiplications(len(x), len(x), max(x.shape[1], y.shape[1]))
    if work <= FEW and x.dtype == y.dtype:
        views = numpy_view(x.contiguous()), numpy_view(y.contiguous())
        return _cpu.common_neighbors(*views, k, torch.get_num_threads() if work > ALONE else 1)
    near = torch.empty(2, len(x), k, dtype=torch.int64)
    for z, indices in ((x, near[0]), (y, near[1])):
        search(z, None, k, "euclidean", True, torch.empty(len(x), k, dtype=z.dtype), indices)
    return _cpu.common_indices(numpy_view(near[0]), numpy_view(near[1]), torch.get_num_threads())


def _run_torch(x: torch.Tensor, y: torch.Tensor, k: int) -> torch.Tensor:
    x, y = _products.centered(x), _products.centered(y)
    groups_x, groups_y = _products.duplicates(x), _products.duplicates(y)
    norms_x, norms_y = _products.squared_norms(x, groups_x), _products.squared_norms(y, groups_y)
    n = len(x)
    common = torch.zeros((), dtype=torch.int64, device=x.device)
    for start, stop in _products.row_blocks(n, n, x.element_size()):
        own = torch.arange(start, stop, device=x.device)
        near_x = _nearest(_products.squared_distances(x, norms_x, groups_x, own), start, k)
        near_y = _nearest(_products.squared_distances(y, norms_y, groups_y, own), start, k)
        common += (near_x & near_y).sum()
    return common


def _nearest(distances: torch.Tensor, start: int, k: int) -> torch.Tensor:
    """Mark the k nearest other items in rows ``start`` and on of a distance matrix; ties go by index."""
    rows = torch.arange(len(distances), device=distances.device)
    distances[rows, rows + start] = torch.inf
    farthest = distances.topk(k, dim=1, largest=False).values[:, -1:]
    near = distances <= farthest
    crowded = (near.sum(1) > k).nonzero()[:, 0]
    tied = distances[crowded] == farthest[crowded]
    room = k - (near[crowded] & ~tied).sum(1, keepdim=True)
    near[crowded] &= ~tied | (tied.cumsum(1, dtype=torch.int32) <= room)
    return near


def common_neighbors(first: torch.Tensor, second: torch.Tensor, k: int) -> int | torch.Tensor:
    """How many neighbors are among the k nearest in both, over rows (rows, n) of int32 ranks."""
    return (_ranks_cpu if first.device.type == "cpu" else _ranks_torch)(first, second, k)


def _ranks_cpu(first: torch.Tensor, second: torch.Tensor, k: int) -> int:
    views = numpy_view(first.contiguous()), numpy_view(second.contiguous())
    # An item's own rank is 0 in both, and no neighbor.
    return _cpu.common_ranks(*views, k, torch.get_num_threads()) - len(first)


def _ranks_torch(first: torch.Tensor, second: torch.Tensor, k: int) -> torch.Tensor:
    common = torch.full((), -len(first), dtype=torch.int64, device=first.device)
    for rows, others in zip(first.split(1024), second.split(1024), strict=True):
        common += (torch.maximum(rows, others) <= k).sum()
    return common


_IMPLEMENTATIONS = {"cpu": _run_cpu, "torch": _run_torch}
_FROM_RANKS = {"cpu": _ranks_cpu, "torch": _ranks_torch}
