"""The grid of an explanation: k items of a cluster that one representation alone holds together."""

from collections.abc import Iterator

import torch

from diptych import ops
from diptych.ops._dispatch import asking_is_cheap
from diptych.rdx.affinities import Exact, LookedUp

CONVENTIONS = ("default", "paper", "published-code")

# Entries of the scratch in which submatrices are summed; fewer where indices stand beside it.
_SCRATCH, _LOOKED_UP_SCRATCH = 1 << 22, 1 << 20

# Grids improved by swaps per cluster: a single start often ends beside the optimum, eight seldom do.
_STARTS = 8

# Neighborhoods of a cluster that are looked at again where affinities are rounded.
_PROMISING = 64

# Steps between two looks, on a GPU, at whether any grid still improves.
_PATIENCE = 8

# Entries of the scratch up to which a GPU improves the grids of all clusters side by side.
_SIDE_BY_SIDE = 1 << 28


def cluster_grids(
    affinity: LookedUp,
    labels: torch.Tensor,
    grid_size: int,
    conventions: str,
    source: torch.Tensor,
    exact: Exact | None = None,
) -> list[torch.Tensor]:
    """Choose one grid per cluster, seed item first.

    ``"paper"``: the item whose grid_size-1 largest affinities inside the cluster have the largest sum
    (max-KNA), with those neighbors. ``"published-code"``: as the authors' public code does, each item
    with its nearest neighbors in the source representation inside the cluster, scored by the sum of all
    affinities among them. ``"default"``: each item with its largest affinities, scored likewise; the
    eight best are improved by swaps until no exchange of one item raises the geometric mean of the
    affinities in the grid, and the best is taken (a local search for the densest k-subgraph, which is
    NP-hard to solve exactly). The plain sum is carried by its few largest terms and leaves pairs in the
    grid that do not belong together; the logarithm is the symmetrised difference itself, which is bounded.

    Args:
        affinity: (n, n) symmetric difference affinity; or an operator that knows its ``entries`` and ``knn``.
        labels: (n,) int64, clusters 0 to m-1; -1 for items in none.
        grid_size: Items per grid; a smaller cluster gives a smaller grid.
        conventions: One of ``CONVENTIONS``.
        source: (n, d) embeddings of the representation explained; read by ``"published-code"`` only.
        exact: From items to the affinities among them, for an ``affinity`` that is rounded: each cluster's
            64 most promising items and their neighbors are then looked at again; the grid is one of these.

    Returns:
        m int64 index tensors.

    Complexity:
        O(n²) time for the neighbors, O(n k²) for the scores, O(|cluster| k) per swap and start; O(n k)
        memory.
    """
    scores, neighbors = _neighborhoods(affinity, labels, grid_size, conventions, source)
    if isinstance(affinity, torch.Tensor):
        return _chosen(affinity, labels, scores, neighbors, grid_size, conventions)
    assert exact is not None
    pool, leads = _promising(labels, scores, neighbors)
    few, tags = exact(pool), labels[pool]
    if conventions == "published-code":
        place = labels.new_full((len(labels) + 1,), -1)  # the last for "none"
        place[pool] = torch.arange(len(pool), device=pool.device)
        near = place[neighbors[pool]]
        sums = _submatrix_sums(few, near).masked_fill(~leads[pool], -torch.inf)
    else:
        sums, near = _neighborhoods(few, tags, grid_size, conventions, source[pool])
    return [pool[grid] for grid in _chosen(few, tags, sums, near, grid_size, conventions)]


def _neighborhoods(
    affinity: LookedUp, labels: torch.Tensor, grid_size: int, conventions: str, source: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Each item's score (n,) as the lead of a grid, and the others of that grid (n, grid_size - 1)."""
    if grid_size == 1:
        return torch.zeros(len(labels), device=labels.device), labels.new_empty(len(labels), 0)
    if conventions == "published-code":
        neighbors = _nearest_in_cluster(source, labels, grid_size - 1)
        return _submatrix_sums(affinity, neighbors), neighbors
    if isinstance(affinity, torch.Tensor):
        scores, neighbors = ops.knn_affinity(affinity, labels, grid_size - 1, check=False)
    else:
        scores, neighbors = affinity.knn(labels, grid_size - 1)
    return (_submatrix_sums(affinity, neighbors) if conventions == "default" else scores), neighbors


def _promising(
    labels: torch.Tensor, scores: torch.Tensor, neighbors: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The items of the best neighborhoods of each cluster (k,), ascending, and which lead one (n,)."""
    leads = torch.zeros(len(labels), dtype=torch.bool, device=labels.device)
    for cluster in range(int(labels.max()) + 1):
        members = (labels == cluster).nonzero()[:, 0]
        leads[members[scores[members].argsort(descending=True, stable=True)[:_PROMISING]]] = True
    wanted = leads.clone()
    others = neighbors[leads]
    wanted[others[others >= 0]] = True
    return wanted.nonzero()[:, 0], leads


def _chosen(
    affinity: torch.Tensor,
    labels: torch.Tensor,
    scores: torch.Tensor,
    neighbors: torch.Tensor,
    grid_size: int,
    conventions: str,
) -> list[torch.Tensor]:
    """The grid of each cluster, from the neighborhoods of :func:`_neighborhoods`."""
    grids: list[torch.Tensor] = []
    crowded: list[tuple[int, torch.Tensor, torch.Tensor]] = []
    for cluster in range(int(labels.max()) + 1):
        members = (labels == cluster).nonzero()[:, 0]
        best = members[scores[members].argsort(descending=True, stable=True)[:_STARTS]]
        starts = torch.cat([best[:, None], neighbors[best]], 1)
        if conventions != "default":
            grids.append(starts[0][starts[0] >= 0])
        elif len(members) <= grid_size:
            grids.append(_hub_first(affinity, members))
        else:
            crowded.append((cluster, members, starts))
            grids.append(starts[0])
    for cluster, grid in _densest_of_each(affinity, labels, crowded):
        grids[cluster] = _hub_first(affinity, grid)
    return grids


def _densest_of_each(
    affinity: torch.Tensor, labels: torch.Tensor, crowded: list[tuple[int, torch.Tensor, torch.Tensor]]
) -> Iterator[tuple[int, torch.Tensor]]:
    """Improve the starts of each (cluster, members, starts) and yield its densest grid.

    On a GPU, which is idle between small steps, all clusters go side by side, where their scratch is small.
    """
    entries = len(labels) * sum(starts.numel() for _, _, starts in crowded)
    if not crowded or asking_is_cheap(affinity) or entries > _SIDE_BY_SIDE:
        for cluster, members, starts in crowded:
            grids = _improved(affinity, members, starts, None)
            yield cluster, grids[_sums_among(affinity, grids).sum(1).argmax()]
        return
    items = torch.arange(len(labels), device=labels.device)
    together = torch.cat([starts for _, _, starts in crowded])
    grids = _improved(affinity, items, together, labels[together[:, :1]] == labels)
    groups = grids.split([len(starts) for _, _, starts in crowded])
    for (cluster, _, _), group in zip(crowded, groups, strict=True):
        yield cluster, group[_sums_among(affinity, group).sum(1).argmax()]


def _submatrix_sums(affinity: LookedUp, neighbors: torch.Tensor) -> torch.Tensor:
    """Sum of all affinities among each item and its neighbors (n, k), -1 for none."""
    n = len(neighbors)
    sums = torch.empty(n, dtype=affinity.dtype, device=affinity.device)
    own = torch.arange(n, device=affinity.device)[:, None]
    present = torch.cat([torch.ones_like(own, dtype=torch.bool), neighbors >= 0], 1)
    groups = torch.cat([own, neighbors.clamp(min=0)], 1)
    scratch = _SCRATCH if isinstance(affinity, torch.Tensor) else _LOOKED_UP_SCRATCH
    rows = max(1, scratch // groups.shape[1] ** 2)
    for start in range(0, n, rows):
        group, mask = groups[start : start + rows], present[start : start + rows]
        pairs = mask[:, :, None] & mask[:, None, :]
        i, j = group[:, :, None], group[:, None, :]
        among = (affinity[i, j] if isinstance(affinity, torch.Tensor) else affinity.entries(i, j)) * pairs
        sums[start : start + rows] = among.sum((1, 2)) - among.diagonal(dim1=1, dim2=2).sum(1)
    return sums


def _nearest_in_cluster(x: torch.Tensor, labels: torch.Tensor, k: int) -> torch.Tensor:
    """Each item's k nearest others of its own cluster by Euclidean distance, (n, k), -1 padded."""
    neighbors = labels.new_full((len(labels), k), -1)
    for cluster in range(int(labels.max()) + 1):
        members = (labels == cluster).nonzero()[:, 0]
        count = min(k, len(members) - 1)
        if count > 0:
            neighbors[members, :count] = members[ops.knn(x[members], count, check=False).indices]
    return neighbors


def _improved(
    affinity: torch.Tensor, members: torch.Tensor, starts: torch.Tensor, eligible: torch.Tensor | None
) -> torch.Tensor:
    """Improve grids (s, k) by swaps with the members (p,) until none raises the density, side by side.

    ``eligible`` (s, p) tells which members each grid may take; None: all of them.
    """
    waits = asking_is_cheap(affinity)
    runs = torch.arange(len(starts), device=starts.device)
    grids = starts.clone()
    # (s, k, p); the affinity is symmetric, so rows serve as columns.
    columns = _logarithm(affinity[grids][:, :, members])
    closed = (grids[:, :, None] == members).any(1)  # (s, p)
    if eligible is not None:
        closed |= ~eligible
    for step in range(100 * grids.shape[1]):
        own = _sums_among(affinity, grids)
        gain = columns.sum(1)[:, None, :] - columns - own[:, :, None]
        gain.masked_fill_(closed[:, None, :], -torch.inf)
        best, place = gain.flatten(1).max(1)
        # Rounding of float32 sums must not keep two equal grids swapping for ever.
        improved = best > 1e-5 * grids.shape[1]
        if (waits or step % _PATIENCE == _PATIENCE - 1) and not bool(improved.any()):
            break
        # On a GPU grids without a gain swap an item for itself: to leave them out would wait for it.
        moving = runs[improved] if waits else runs
        leaving, entering = place[moving] // len(members), place[moving] % len(members)
        old = grids[moving, leaving]
        new = torch.where(improved[moving], members[entering], old)
        closed[moving] = (closed[moving] & (members != old[:, None])) | (members == new[:, None])
        grids[moving, leaving] = new
        columns[moving, leaving] = _logarithm(affinity[new][:, members])
    return grids


def _sums_among(affinity: torch.Tensor, grids: torch.Tensor) -> torch.Tensor:
    """Each item's sum of log-affinities to the others of its grid, (s, k)."""
    among = _logarithm(affinity[grids[:, :, None], grids[:, None, :]])
    return among.sum(2) - among.diagonal(dim1=1, dim2=2)


def _logarithm(affinity: torch.Tensor) -> torch.Tensor:
    """Logarithm, with a finite floor for an affinity of zero."""
    return affinity.clamp(min=torch.finfo(affinity.dtype).tiny).log()


def _hub_first(affinity: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Order a grid: the item most affine to the rest first, the others by their affinity to it."""
    among = affinity[grid][:, grid].fill_diagonal_(0)
    hub = among.sum(1).argmax()
    order = among[hub].clone()
    order[hub] = torch.inf
    return grid[order.argsort(descending=True, stable=True)]
