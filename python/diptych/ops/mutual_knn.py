"""How many nearest neighbors two representations share."""

import torch

from diptych.ops import _checks, _products
from diptych.ops._arrays import Array, floating, to_tensor
from diptych.ops._dispatch import choose


def mutual_knn(
    x: Array, y: Array, k: int = 10, *, backend: str | None = None, check: bool | None = None
) -> float:
    """Mean share of common k nearest neighbors, over items (Huh et al. 2024, app. A).

    Of neighbors at one distance those of lower index come first, as in :func:`diptych.ops.neighbor_ranks`.

    Args:
        x: (n, d_x) embeddings.
        y: (n, d_y) embeddings of the same items.
        k: Neighbors per item, the item itself not counted; 1 to n-1.
        backend: ``"torch"`` or None.
        check: Refuse NaN and Inf. Default: on the CPU yes, on a GPU (where it synchronises) no.

    Returns:
        A number in [0, 1]: 1 when all neighborhoods agree, about k/(n-1) for unrelated representations.

    Complexity:
        O(n² (d_x + d_y)) time; a few row blocks of at most 64 MiB. Synchronises with a GPU.

    Raises:
        ValueError: Different numbers of items, k out of range, NaN, Inf, entries too large or too small to
            be squared, different devices.
        TypeError: Not an array of real numbers, or k not an integer.
    """
    tensor_x, tensor_y = floating(to_tensor("x", x)).detach(), floating(to_tensor("y", y)).detach()
    for name, tensor in (("x", tensor_x), ("y", tensor_y)):
        _checks.matrix(name, tensor)
        if tensor.device.type == "cpu" if check is None else check:
            _checks.squarable(name, tensor)
    _checks.same_rows("x", tensor_x, "y", tensor_y)
    _checks.same_device(x=tensor_x, y=tensor_y)
    _checks.integer("k", k, 1, tensor_x.shape[0] - 1)
    run = choose("mutual_knn", tensor_x.device, backend, {"torch": _mutual_knn})
    return float(run(tensor_x, tensor_y, k))


def reference(x: torch.Tensor, y: torch.Tensor, k: int) -> float:
    """The definition, from the ranks of all items."""
    from diptych.ops.neighbor_ranks import reference as ranks

    near_x, near_y = ((ranks(z) >= 1) & (ranks(z) <= k) for z in (x, y))
    return float((near_x & near_y).sum(1).double().mean() / k)


def _mutual_knn(x: torch.Tensor, y: torch.Tensor, k: int) -> torch.Tensor:
    x, y = _products.centered(x), _products.centered(y)
    groups_x, groups_y = _products.duplicates(x), _products.duplicates(y)
    norms_x, norms_y = _products.squared_norms(x, groups_x), _products.squared_norms(y, groups_y)
    n = len(x)
    common = torch.zeros((), dtype=torch.int64, device=x.device)
    for start, stop in _products.row_blocks(n, n, x.element_size()):
        near_x = _nearest(_products.squared_distances(x, norms_x, groups_x, start, stop), start, k)
        near_y = _nearest(_products.squared_distances(y, norms_y, groups_y, start, stop), start, k)
        common += (near_x & near_y).sum()
    return common.double() / (n * k)


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
