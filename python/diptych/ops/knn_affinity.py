"""The k most affine neighbors of every item inside its own cluster."""

from typing import NamedTuple

import torch

from diptych import _cpu
from diptych.ops import _checks, _products
from diptych.ops._arrays import Array, floating, numpy_view, returner, to_tensor
from diptych.ops._dispatch import choose, cuda_module, stream_of


class KnnAffinity(NamedTuple):
    """Scores (n,) and neighbors (n, k) of :func:`knn_affinity`."""

    scores: Array
    neighbors: Array


def knn_affinity(
    affinity: Array,
    labels: Array,
    k: int,
    *,
    backend: str | None = None,
    check: bool | None = None,
) -> KnnAffinity:
    """Find each item's k largest affinities inside its cluster, and their sum (KNA).

    KNA_i = sum of the k largest F_ij over the j != i of i's cluster: the score by which RDX picks the
    neighborhood that explains a cluster (Kondapaneni, Mac Aodha & Perona 2025, sec. 3).

    Args:
        affinity: (n, n), row i the affinities of item i; float32 or float64.
        labels: (n,) integers, the cluster of each item; negative for items in no cluster.
        k: Neighbors per item, 1 to 256.
        backend: ``"cpu"``, ``"cuda"``, ``"torch"``, or None to choose by device.
        check: Refuse NaN and Inf. Default: on the CPU yes, on a GPU (where it synchronises) no.

    Returns:
        ``scores`` (n,) in the dtype of affinity, 0 for an item alone or in no cluster; ``neighbors``
        (n, k) int64, largest affinity first, ties by index, -1 where the cluster has fewer.

    Complexity:
        O(n²) time and O(n k) memory; the torch backend holds a masked row block of 64 MiB.

    Raises:
        ValueError: Not square, labels of another length, k out of range, NaN or Inf.
        TypeError: Labels or k not integers, not an array of real numbers.
    """
    tensor = floating(to_tensor("affinity", affinity)).detach()
    _checks.square("affinity", tensor)
    tags = checked_labels(labels, tensor.shape[0])
    _checks.same_device(affinity=tensor, labels=tags)
    _checks.integer("k", k, 1, _cpu.MAX_NEIGHBORS)
    if tensor.device.type == "cpu" if check is None else check:
        _checks.finite("affinity", tensor)
    run = choose("knn_affinity", tensor.device, backend, _IMPLEMENTATIONS)
    scores, neighbors = run(tensor.contiguous(), tags, k)
    give_back = returner(affinity)
    return KnnAffinity(give_back(scores), give_back(neighbors))


def checked_labels(labels: Array, n: int) -> torch.Tensor:
    """View the clusters of n items as contiguous int64."""
    tags = to_tensor("labels", labels)
    if tags.is_floating_point() or tags.dtype == torch.bool:
        raise TypeError(f"labels: expected integers, found {tags.dtype}")
    if tags.shape != (n,):
        raise ValueError(f"labels: expected shape ({n},), found {tuple(tags.shape)}")
    return tags.long().contiguous()


def reference(
    affinity: torch.Tensor, labels: torch.Tensor, k: int, first_row: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """The definition, by a stable sort of each masked row.

    ``affinity`` may be the rows from ``first_row`` on of the whole matrix.
    """
    rows, n = affinity.shape
    own = torch.arange(first_row, first_row + rows, device=affinity.device)
    mates = (labels[own, None] == labels) & (labels[own, None] >= 0)
    mates[torch.arange(rows, device=affinity.device), own] = False
    masked = affinity.masked_fill(~mates, -torch.inf)
    values, neighbors = masked.sort(dim=1, descending=True, stable=True)
    values, neighbors = values[:, :k], neighbors[:, :k]
    missing = torch.isinf(values)
    if n < k:
        padding = (0, k - n)
        values = torch.nn.functional.pad(values, padding)
        missing = torch.nn.functional.pad(missing, padding, value=True)
        neighbors = torch.nn.functional.pad(neighbors, padding)
    return values.masked_fill(missing, 0).sum(1), neighbors.masked_fill(missing, -1)


def rows(
    affinity: torch.Tensor, labels: torch.Tensor, k: int, first: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores and neighbors of the items from ``first`` on, whose rows (rows, n) of the affinity are given."""
    if affinity.device.type == "cpu":
        return _run_cpu(affinity, labels, k, first)
    return reference(affinity, labels, k, first)


def _run_cpu(
    affinity: torch.Tensor, labels: torch.Tensor, k: int, first: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    scores = affinity.new_empty(len(affinity))
    neighbors = torch.empty(len(affinity), k, dtype=torch.int64)
    _cpu.knn_affinity(
        numpy_view(affinity),
        numpy_view(labels),
        first,
        numpy_view(scores),
        numpy_view(neighbors),
        torch.get_num_threads(),
    )
    return scores, neighbors


def _run_cuda(affinity: torch.Tensor, labels: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    run = getattr(cuda_module(), f"knn_affinity_{str(affinity.dtype).removeprefix('torch.')}")
    scores = affinity.new_empty(len(affinity))
    neighbors = labels.new_empty(len(affinity), k)
    with torch.cuda.device(affinity.device):
        run(
            affinity.data_ptr(),
            labels.data_ptr(),
            len(affinity),
            k,
            scores.data_ptr(),
            neighbors.data_ptr(),
            stream_of(affinity),
        )
    return scores, neighbors


def _run_torch(affinity: torch.Tensor, labels: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    blocks = [
        reference(affinity[start:stop], labels, k, start)
        for start, stop in _products.row_blocks(len(affinity), len(affinity), affinity.element_size())
    ]
    scores, neighbors = zip(*blocks, strict=True)
    return torch.cat(scores), torch.cat(neighbors)


_IMPLEMENTATIONS = {"cpu": _run_cpu, "cuda": _run_cuda, "torch": _run_torch}
