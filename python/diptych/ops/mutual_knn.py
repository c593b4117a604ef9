"""How many nearest neighbors two representations share."""

import torch

from diptych.ops import _checks, _products
from diptych.ops._arrays import Array, floating, to_tensor
from diptych.ops._dispatch import choose


def mutual_knn(
    x: Array, y: Array, k: int = 10, *, backend: str | None = None, check: bool | None = None
) -> float:
    """Mean share of common k nearest neighbors, over items (Huh et al. 2024, app. A).

    Args:
        x: (n, d_x) embeddings.
        y: (n, d_y) embeddings of the same items.
        k: Neighbors per item, the item itself not counted; 1 to n-1.
        backend: ``"torch"`` or None.
        check: Refuse NaN and Inf. Default: on the CPU yes, on a GPU (where it synchronises) no.

    Returns:
        A number in [0, 1]: 1 when all neighborhoods agree, about k/(n-1) for unrelated representations.

    Complexity:
        O(n² (d_x + d_y)) time; row blocks of at most 64 MiB.

    Raises:
        ValueError: Different numbers of items, k out of range, NaN or Inf, different devices.
        TypeError: Not an array of real numbers.
    """
    tensor_x, tensor_y = floating(to_tensor("x", x)), floating(to_tensor("y", y))
    for name, tensor in (("x", tensor_x), ("y", tensor_y)):
        _checks.matrix(name, tensor)
        if tensor.device.type == "cpu" if check is None else check:
            _checks.finite(name, tensor)
    _checks.same_rows("x", tensor_x, "y", tensor_y)
    _checks.same_device(x=tensor_x, y=tensor_y)
    _checks.within("k", k, 1, tensor_x.shape[0] - 1)
    run = choose("mutual_knn", tensor_x.device, backend, {"torch": _mutual_knn})
    return float(run(tensor_x, tensor_y, k))


def reference(x: torch.Tensor, y: torch.Tensor, k: int) -> float:
    """The definition, from the ranks of all items."""
    from diptych.ops.neighbor_ranks import reference as ranks

    near_x, near_y = ((ranks(z) >= 1) & (ranks(z) <= k) for z in (x, y))
    return float((near_x & near_y).sum(1).double().mean() / k)


def _mutual_knn(x: torch.Tensor, y: torch.Tensor, k: int) -> torch.Tensor:
    x, y = _products.centered(x), _products.centered(y)
    norms_x, norms_y = _products.squared_norms(x), _products.squared_norms(y)
    n = len(x)
    common = torch.zeros((), dtype=torch.int64, device=x.device)
    for start, stop in _products.row_blocks(n, n, x.element_size()):
        first = _nearest(x, norms_x, start, stop, k)
        second = _nearest(y, norms_y, start, stop, k)
        common += (first[:, :, None] == second[:, None, :]).sum()
    return common.double() / (n * k)


def _nearest(x: torch.Tensor, norms: torch.Tensor, start: int, stop: int, k: int) -> torch.Tensor:
    """Indices of the k nearest other items of rows start..stop."""
    scores = torch.addmm(norms, x[start:stop], x.T, alpha=-2)
    rows = torch.arange(stop - start, device=x.device)
    scores[rows, rows + start] = torch.inf
    return scores.topk(k, dim=1, largest=False, sorted=False).indices
