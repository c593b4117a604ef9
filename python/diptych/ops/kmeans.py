"""k-means with restarts that run side by side, deterministic for a seed on every device."""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from diptych import _cpu
from diptych.ops import _checks
from diptych.ops._arrays import Array, floating, numpy_view, returner, to_tensor
from diptych.ops._dispatch import choose, cuda_module, stream_of


class KMeansResult(NamedTuple):
    """The best of the restarts of :func:`kmeans`."""

    labels: Array  #: (n,) int64
    centers: Array  #: (k, d) float64
    inertia: float  #: sum of squared distances to the nearest centre


def kmeans(
    x: Array,
    n_clusters: int,
    *,
    n_init: int = 10,
    max_iter: int = 300,
    tolerance: float = 1e-4,
    seed: int = 0,
    backend: str | None = None,
    check: bool | None = None,
) -> KMeansResult:
    """Cluster the rows of x by Lloyd's algorithm, all restarts in one batch.

    Greedy k-means++ seeding (Arthur & Vassilvitskii 2007, with several candidates per centre as in
    scikit-learn), float64 throughout. Meant for low-dimensional embeddings; random numbers are drawn on
    the CPU, so a seed means the same start on every device.

    Args:
        x: (n, d) embeddings.
        n_clusters: 1 to n.
        n_init: Restarts; the one of least inertia is returned, the first on a tie.
        max_iter: Most steps of Lloyd's algorithm.
        tolerance: A restart stops when its centres move (summed, squared) by no more than this times the
            mean variance of the columns.
        seed: Of the seeding.
        backend: ``"cpu"``, ``"cuda"``, ``"torch"``, or None to choose by device.
        check: Refuse NaN and Inf. Default: on the CPU yes, on a GPU no.

    Returns:
        :class:`KMeansResult`. Clusters are numbered by size, largest first, ties by their first item.

    Complexity:
        O(n d k n_init) time per step, log k times that for the seeding; O(n n_init) memory on the CPU,
        O(n n_init log k) with ``"cuda"``, O(n k n_init) in torch. Synchronises with a GPU: ``"cuda"`` a few
        times in all, ``"torch"`` once per step.

    Raises:
        ValueError: Wrong rank, n_clusters, n_init, max_iter, tolerance or seed out of range, NaN or Inf.
        TypeError: Not an array of real numbers, or parameters that are not integers.
    """
    tensor = floating(to_tensor("x", x)).detach()
    _checks.matrix("x", tensor)
    _checks.integer("n_clusters", n_clusters, 1, tensor.shape[0])
    _checks.integer("n_init", n_init, 1)
    _checks.integer("max_iter", max_iter, 1)
    _checks.within("tolerance", tolerance, 0, math.inf)
    _checks.seed(seed)
    if tensor.device.type == "cpu" if check is None else check:
        _checks.finite("x", tensor)
    run = choose("kmeans", tensor.device, backend, _IMPLEMENTATIONS)
    labels, centers, inertia = _kmeans(tensor.double(), n_clusters, n_init, max_iter, tolerance, seed, run)
    give_back = returner(x)
    return KMeansResult(give_back(labels), give_back(centers), inertia)


class _Start(NamedTuple):
    """Centred items and the random numbers that choose the first centres among them."""

    x: torch.Tensor  #: (n, d)
    k: int
    firsts: torch.Tensor  #: (r,) items, the first centres
    draws: torch.Tensor  #: (k - 1, r, c) in [0, 1), a candidate for each next centre


#: Items with what to start from, most steps and the threshold to the restarts' centres, labels and inertias.
Run: TypeAlias = Callable[[_Start, int, float], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]


def _kmeans(
    x: torch.Tensor, k: int, n_init: int, max_iter: int, tolerance: float, seed: int, run: Run
) -> tuple[torch.Tensor, torch.Tensor, float]:
    mean = x.mean(0)
    x = (x - mean).contiguous()
    flat = x.view(-1)
    threshold = tolerance * float(torch.dot(flat, flat)) / len(flat)
    generator = torch.Generator().manual_seed(seed)
    firsts = torch.randint(len(x), (n_init,), generator=generator)
    draws = torch.rand(k - 1, n_init, 2 + int(math.log(k)), generator=generator, dtype=x.dtype)
    centers, labels, inertia = run(_Start(x, k, firsts, draws), max_iter, threshold)
    best = int(inertia.argmin())
    order, numbered = _by_size(labels[best].cpu().numpy(), k)
    centers = centers[best].index_select(0, torch.from_numpy(order).to(x.device)).add_(mean)
    return torch.from_numpy(numbered).to(x.device), centers, float(inertia[best])


def _run_cpu(
    start: _Start, max_iter: int, threshold: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Seed and iterate every restart on a thread of its own."""
    x, k, firsts, draws = start
    threads, restarts = torch.get_num_threads(), len(firsts)
    items = numpy_view(x)
    centers = torch.empty(restarts, k, x.shape[1], dtype=torch.float64)
    labels = torch.empty(restarts, len(x), dtype=torch.int64)
    inertia = torch.empty(restarts, dtype=torch.float64)
    _cpu.kmeans_seeds(items, numpy_view(firsts), numpy_view(draws), numpy_view(centers), threads)
    views = numpy_view(centers), numpy_view(labels), numpy_view(inertia)
    _cpu.kmeans(items, *views, max_iter, threshold, threads)
    return centers, labels, inertia


def _run_cuda(
    start: _Start, max_iter: int, threshold: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Run every restart's Lloyd iteration in a block of its own."""
    x, centers = start.x, _seed_centers(start).contiguous()
    cuda, (restarts, k, d) = cuda_module(), centers.shape
    assert cuda is not None
    labels = torch.empty(restarts, len(x), dtype=torch.int64, device=x.device)
    inertia = x.new_empty(restarts)
    bytes_needed = cuda.kmeans_workspace(d, k, restarts)
    workspace = torch.empty(bytes_needed, dtype=torch.uint8, device=x.device)
    with torch.cuda.device(x.device):
        cuda.kmeans(
            x.data_ptr(),
            len(x),
            d,
            k,
            restarts,
            max_iter,
            threshold,
            centers.data_ptr(),
            labels.data_ptr(),
            inertia.data_ptr(),
            workspace.data_ptr(),
            bytes_needed,
            stream_of(x),
        )
    return centers, labels, inertia


def _run_torch(
    start: _Start, max_iter: int, threshold: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Run the Lloyd iterations of all restarts as one batch; settled restarts stay where they are."""
    x, centers = start.x, _seed_centers(start)
    settled = torch.zeros(len(centers), dtype=torch.bool, device=x.device)
    for _ in range(max_iter):
        moved = _means(x, _squared_distances(x, centers), centers)
        moved = torch.where(settled[:, None, None], centers, moved)
        shift = (moved - centers).square().sum((1, 2))
        centers, settled = moved, settled | (shift <= threshold)
        if bool(settled.all()):
            break
    nearest, labels = _squared_distances(x, centers).min(2)
    return centers, labels, nearest.sum(1)


def _squared_distances(x: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
    """x (n, d) and centers (r, k, d) -> (r, n, k)."""
    r, k, d = centers.shape
    products = (x @ centers.reshape(r * k, d).T).reshape(len(x), r, k).transpose(0, 1)
    norms = x.square().sum(1)[None, :, None] + centers.square().sum(2)[:, None, :]
    return (norms - 2 * products).clamp_(min=0)


def _means(x: torch.Tensor, distances: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
    """Move each centre to the mean of its items; one that has none, to the worst served item."""
    nearest, labels = distances.min(2)
    members = torch.nn.functional.one_hot(labels, centers.shape[1]).to(x.dtype)  # (r, n, k)
    counts = members.sum(1)
    means = (members.transpose(1, 2) @ x) / counts.clamp(min=1)[:, :, None]
    worst = x[nearest.argmax(1)][:, None, :]
    return torch.where((counts > 0)[:, :, None], means, worst)


def _seed_centers(start: _Start) -> torch.Tensor:
    """Greedy k-means++: each next centre is the best of a few drawn in proportion to squared distance."""
    x = start.x
    firsts, draws_of_all = start.firsts.to(x.device), start.draws.to(x.device)
    restart = torch.arange(len(firsts), device=x.device)
    centers = x[firsts][:, None, :]
    nearest = _squared_distances(x, centers)[:, :, 0]
    for draws in draws_of_all:
        cumulative = nearest.cumsum(1)
        chosen = torch.searchsorted(cumulative, draws * cumulative[:, -1:]).clamp_(max=len(x) - 1)
        options = torch.minimum(_squared_distances(x, x[chosen]), nearest[:, :, None])  # (r, n, c)
        best = options.sum(1).argmin(1)
        centers = torch.cat([centers, x[chosen[restart, best]][:, None, :]], 1)
        nearest = options[restart, :, best]
    return centers


def _by_size(labels: NDArray[np.int64], k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Renumber clusters, largest first, ties by first item; returns the old numbers and new labels."""
    sizes = np.bincount(labels, minlength=k)
    first = np.full(k, len(labels))
    first[labels[::-1]] = np.arange(len(labels) - 1, -1, -1)  # what is written last stays: the least
    order = np.lexsort((first, -sizes))
    place = np.empty_like(order)
    place[order] = np.arange(k)
    return order, place[labels]


_IMPLEMENTATIONS: dict[str, Run] = {"cpu": _run_cpu, "cuda": _run_cuda, "torch": _run_torch}
