"""From a difference affinity to groups of items: spectral clusters or PageRank."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from diptych import ops
from diptych.ops._thin_product import thin_product
from diptych.rdx.affinities import Exact, LookedUp
from diptych.rdx.grids import cluster_grids

SAMPLINGS = ("spectral", "pagerank")

# Clusters whose mean affinities differ by less than this share count as tied for being discarded.
_NEAR_TIE = 0.01
_DAMPING = 0.85

# Edges beyond those of a grid that are looked at again where affinities are rounded.
_PROMISING = 64


@dataclass
class Sample:
    """Grids, labels and mean affinities of one direction, and what a reader should know of them."""

    grids: list[torch.Tensor]
    labels: torch.Tensor
    mean_affinity: torch.Tensor
    notes: list[str]


@contextmanager
def told_of_too_few(neighbors: int | None, samples: int | None) -> Iterator[None]:
    """Say what to do where sampled affinities' clusters cannot be found: few pairs tell mostly noise."""
    try:
        yield
    except RuntimeError as error:
        if neighbors is None or "no convergence" not in str(error):
            raise
        raise RuntimeError(
            f"{error}: neighbors={neighbors} and samples={samples} are too few, ask for more"
        ) from error


def spectral_sample(
    affinity: LookedUp,
    n_explanations: int,
    grid_size: int,
    conventions: str,
    source: torch.Tensor,
    seed: int,
    exact: Exact | None = None,
) -> Sample:
    """Cut into n_explanations + 1 clusters, discard the one of lowest mean affinity, choose grids.

    A near-tie for the lowest (within 1 %) is broken by size, the larger being discarded, and noted.
    Explanations are ordered by the mean affinity of their cluster, largest first.
    """
    labels = ops.spectral_clusters(affinity, n_explanations + 1, seed=seed, check=False)
    means, sizes = (few.cpu() for few in _cluster_means(affinity, labels, n_explanations + 1))
    discarded, notes = _discarded(means, sizes)
    kept = [int(c) for c in means.argsort(descending=True, stable=True) if c != discarded and sizes[c] > 0]
    renumbered = torch.full((n_explanations + 1,), -1)
    renumbered[kept] = torch.arange(len(kept))
    labels = renumbered.to(labels.device)[labels]
    grids = cluster_grids(affinity, labels, grid_size, conventions, source, exact)
    for number, grid in enumerate(grids):
        if len(grid) < grid_size:
            notes.append(f"Explanation {number + 1} has {len(grid)} items: its cluster holds no more.")
    return Sample(grids, labels, means[kept], notes)


def pagerank_sample(
    affinity: LookedUp, n_explanations: int, grid_size: int, exact: Exact | None = None
) -> Sample:
    """Take the top node by PageRank with its largest edges, remove them, and repeat.

    Page, Brin et al. 1999 with damping 0.85 on the weighted graph of the affinity without its diagonal.
    Items in no grid are labelled -1. Of an affinity that is rounded, which ``exact`` tells, the largest edges
    are looked at again.
    """
    n = len(affinity)
    alive = torch.ones(n, dtype=torch.bool, device=affinity.device)
    labels = torch.full((n,), -1, device=affinity.device)
    grids: list[torch.Tensor] = []
    notes: list[str] = []
    scores = torch.full((n,), 1 / n, dtype=affinity.dtype, device=affinity.device)
    for number in range(n_explanations):
        left = int(alive.sum())
        if left == 0:
            notes.append(f"No items are left for explanation {number + 1} and after.")
            break
        scores = pagerank(affinity, alive, scores)
        top = scores.masked_fill(~alive, -torch.inf).argmax()
        grid = _with_largest_edges(affinity, int(top), alive, min(grid_size, left), left, exact)
        if len(grid) < grid_size:
            notes.append(f"Explanation {number + 1} has {len(grid)} items: no more are left.")
        grids.append(grid)
        labels[grid] = number
        alive[grid] = False
    means, _ = _cluster_means(affinity, labels, len(grids))
    return Sample(grids, labels, means, notes)


def pagerank(affinity: LookedUp, alive: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    """PageRank of the items that are alive, by power iteration from ``start``; sums to 1.

    Stops when the scores move by less than 1e-6 in sum, which float32 resolves.
    """
    weight = alive.to(affinity.dtype)
    diagonal = affinity.diagonal()
    degrees = _apply(affinity, weight) - diagonal * weight
    scale = torch.where((degrees > 0) & alive, 1 / degrees, torch.zeros_like(degrees))
    uniform = weight / weight.sum()
    scores = start * weight
    scores = scores / scores.sum()
    for _ in range(200):
        flow = scores * scale
        moved = weight * (_apply(affinity, flow) - diagonal * flow)
        moved = _DAMPING * moved
        moved = moved + (1 - moved.sum()) * uniform
        change = float((moved - scores).abs().sum())
        scores = moved
        if change < 1e-6:
            break
    return scores


def _with_largest_edges(
    affinity: LookedUp, top: int, alive: torch.Tensor, size: int, left: int, exact: Exact | None
) -> torch.Tensor:
    """A node and those of the ``left`` alive with the largest edges to it, (size,); ties by index."""
    edges = _row(affinity, top).masked_fill(~alive, -torch.inf)
    edges[top] = torch.inf
    order = edges.argsort(descending=True, stable=True)
    if exact is None:
        return order[:size]
    pool = order[: min(size + _PROMISING, left)].sort().values
    place = int((pool == top).nonzero())
    again = exact(pool)[place]
    again[place] = torch.inf
    return pool[again.argsort(descending=True, stable=True)[:size]]


def _apply(affinity: LookedUp, vector: torch.Tensor) -> torch.Tensor:
    if isinstance(affinity, torch.Tensor):
        return affinity @ vector
    return (affinity @ vector[:, None])[:, 0]


def _row(affinity: LookedUp, item: int) -> torch.Tensor:
    return affinity[item] if isinstance(affinity, torch.Tensor) else affinity.rows(item, item + 1)[0]


def _cluster_means(affinity: LookedUp, labels: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean affinity between different items of each cluster, and the sizes.

    An item alone has affinity 1, that of a pair which both representations see alike; a cluster without
    items, infinity: it is neither kept nor the one discarded.
    """
    members = torch.nn.functional.one_hot(labels + 1, k + 1)[:, 1:].to(affinity.dtype)
    within = (members * thin_product(affinity, members)).sum(0) - members.T @ affinity.diagonal()
    sizes = members.sum(0)
    means = within.double() / (sizes * (sizes - 1)).double()
    means[sizes == 1] = 1
    means[sizes == 0] = torch.inf
    return means, sizes.long()


def _discarded(means: torch.Tensor, sizes: torch.Tensor) -> tuple[int, list[str]]:
    """The cluster to leave out, and a note if the choice was close."""
    order = means.argsort(stable=True)
    lowest, second = int(order[0]), int(order[1])
    if float(means[second]) > (1 + _NEAR_TIE) * float(means[lowest]):
        return lowest, []
    kept, dropped = (lowest, second) if sizes[second] > sizes[lowest] else (second, lowest)
    note = (
        f"Two clusters have nearly the same lowest mean affinity ({float(means[lowest]):.3f} and "
        f"{float(means[second]):.3f}): the larger, of {int(sizes[dropped])} items, was discarded, the "
        f"other, of {int(sizes[kept])}, is shown."
    )
    return dropped, [note]
