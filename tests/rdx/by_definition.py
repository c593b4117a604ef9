"""RDX written down a second time, slowly, in numpy and float64, from the definitions in the design.

Shares no computation with the library; the tests of this folder compare the library with it. Small n only.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import networkx
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from diptych.rdx import Explanations, RDXResult

Matrix = NDArray[np.float64]

DISTANCES = ("neighborhood", "max", "local")
DIFFERENCES = ("locally_biased", "subtraction")
CONVENTIONS = ("default", "paper", "published-code")
VARIANTS = list(itertools.product(DISTANCES, DIFFERENCES, CONVENTIONS))


def lists(side: Explanations) -> list[list[int]]:
    return [grid.tolist() for grid in side.grids]


def sets(side: Explanations) -> list[list[int]]:
    return [sorted(grid.tolist()) for grid in side.grids]


def sides(
    result: RDXResult, a: NDArray[Any], b: NDArray[Any]
) -> Iterator[tuple[Explanations, NDArray[Any], NDArray[Any]]]:
    """Each side of a result with the representation it explains and the other."""
    yield result.a, a, b
    yield result.b, b, a


def ranks(x: ArrayLike) -> Matrix:
    """Row i: the place of j when all items are sorted by distance to i, i itself first, ties by index."""
    distances = euclidean(x)
    np.fill_diagonal(distances, -1)
    order = np.argsort(distances, axis=1, kind="stable")
    return np.argsort(order, axis=1, kind="stable").astype(np.float64)


def euclidean(x: ArrayLike) -> Matrix:
    values = np.asarray(x, dtype=np.float64)
    return cdist(values, values)


def seventh_neighbor(distances: Matrix) -> NDArray[np.float64]:
    """Distance of the 7th nearest other item (of the farthest, where there are fewer)."""
    scales = []
    for i, row in enumerate(distances):
        others = np.sort(np.delete(row, i))
        scale = others[min(7, len(others)) - 1]
        if scale == 0:
            positive = others[others > 0]
            scale = positive[0] if len(positive) else 1.0
        scales.append(scale)
    return np.array(scales)


def distance_matrix(x: ArrayLike, distance: str, published: bool = False) -> Matrix:
    if distance == "neighborhood":
        return ranks(x)
    distances = euclidean(x)
    if distance == "max":
        return distances / distances.max()
    scales = seventh_neighbor(distances)
    if published:
        return distances**2 / np.outer(scales, scales)
    return distances / scales[:, None]


def difference(a: Matrix, b: Matrix, gamma: float, kind: str, distance: str, published: bool) -> Matrix:
    """G of a against b."""
    n = len(a)
    if kind == "subtraction":
        if distance == "neighborhood":
            return (a - b) / (n - 1)
        return a / a.max() - b / b.max()
    gap = a - b
    nearest = np.minimum(a, b) + (1 if published else 0)
    ratio = np.divide(gap, nearest, out=np.zeros((n, n)), where=nearest > 0)
    g = np.where(nearest > 0, np.tanh(gamma * ratio), np.sign(gap))
    np.fill_diagonal(g, 0)
    return g


def affinity(a: ArrayLike, b: ArrayLike, **options: Any) -> Matrix:
    """F of what a groups together and b does not."""
    distance = options.get("distance", "neighborhood")
    kind = options.get("difference", "locally_biased")
    published = options.get("conventions") == "published-code"
    near_a = distance_matrix(a, distance, published)
    near_b = distance_matrix(b, distance, published)
    g = difference(near_a, near_b, options.get("gamma", 0.1), kind, distance, published)
    f = np.exp(-options.get("beta", 5.0) * g)
    return (f + f.T) / 2


def pairs_sum(f: Matrix, items: ArrayLike) -> float:
    """Sum of the affinities of all ordered pairs of different items."""
    chosen = np.asarray(items)
    among = f[np.ix_(chosen, chosen)]
    return float(among.sum() - np.trace(among))


def mean_affinity(f: Matrix, members: ArrayLike) -> float:
    size = len(np.asarray(members))
    return pairs_sum(f, members) / (size * (size - 1))


def kept_clusters(f: Matrix, labels: ArrayLike) -> list[NDArray[np.int64]]:
    """Members of each cluster by falling mean affinity, without the lowest."""
    tags = np.asarray(labels)
    clusters = [np.flatnonzero(tags == tag) for tag in np.unique(tags)]
    clusters.sort(key=lambda members: -mean_affinity(f, members))
    return clusters[:-1]


def max_kna_grid(f: Matrix, members: NDArray[np.int64], k: int) -> list[int]:
    """The paper's grid: the seed of the largest sum over its k - 1 most affine cluster mates, and those."""
    best, best_score = [], -np.inf
    for i in members:
        mates = sorted((j for j in members if j != i), key=lambda j: (-f[i, j], j))[: k - 1]
        score = sum(f[i, j] for j in mates)
        if score > best_score:
            best, best_score = [int(i), *map(int, mates)], score
    return best


def published_grid(f: Matrix, x: ArrayLike, members: NDArray[np.int64], k: int) -> list[int]:
    """That of the authors' code: Euclidean neighbors in the source, scored by all affinities among them."""
    distances = euclidean(x)
    best, best_score = [], -np.inf
    for i in members:
        mates = sorted((j for j in members if j != i), key=lambda j: (distances[i, j], j))[: k - 1]
        group = [int(i), *map(int, mates)]
        score = f[np.ix_(group, group)].sum()
        if score > best_score:
            best, best_score = group, score
    return best


def pagerank_grids(f: Matrix, n_explanations: int, k: int) -> list[list[int]]:
    """Top node by PageRank and its k - 1 largest edges; without them, again."""
    alive = list(range(len(f)))
    grids = []
    for _ in range(n_explanations):
        if not alive:
            break
        scores = pagerank(f, alive)
        top = max(alive, key=lambda i: (scores[i], -i))
        mates = sorted((j for j in alive if j != top), key=lambda j: (-f[top, j], j))[: k - 1]
        grids.append([top, *mates])
        alive = [i for i in alive if i not in grids[-1]]
    return grids


def pagerank(f: Matrix, alive: list[int]) -> dict[int, float]:
    graph = networkx.Graph()
    graph.add_nodes_from(alive)
    graph.add_weighted_edges_from((i, j, f[i, j]) for i, j in itertools.combinations(alive, 2) if f[i, j] > 0)
    return networkx.pagerank(graph, alpha=0.85, tol=1e-12, max_iter=1000)


def success_rate(
    grids: list[Any], a: ArrayLike, b: ArrayLike, distance: str, published: bool = False
) -> float:
    """BSR by a loop over the ordered pairs of the full matrices."""
    near_a, near_b = distance_matrix(a, distance, published), distance_matrix(b, distance, published)
    outcomes = [
        near_a[i, j] < near_b[i, j] for grid in grids for i, j in itertools.permutations(map(int, grid), 2)
    ]
    return float(np.mean(outcomes)) if outcomes else float("nan")


def planted(per_group: int = 40, seed: int = 0) -> tuple[Matrix, Matrix, NDArray[np.int64]]:
    """Six groups of items; a merges groups 0 and 1, b merges groups 2 and 3, and nothing else differs.

    The groups lie 20 apart, with unit noise in four further dimensions that both share, so that the
    merging is the only difference.
    """
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(6), per_group)
    noise = rng.normal(size=(len(groups), 4))
    centers_a, centers_b = 20 * np.eye(6), 20 * np.eye(6)
    centers_a[1] = centers_a[0]
    centers_b[3] = centers_b[2]
    return np.hstack([centers_a[groups], noise]), np.hstack([centers_b[groups], noise]), groups


def gathered(n: int = 240, size: int = 30, seed: int = 0) -> tuple[Matrix, Matrix]:
    """Items 0 to size-1 lie together in a alone, the next ``size`` in b alone, all others alike in both."""
    rng = np.random.default_rng(seed)
    a = 10 * rng.normal(size=(n, 6))
    b = a.copy()
    a[:size] = 30 + 0.5 * rng.normal(size=(size, 6))
    b[size : 2 * size] = -30 + 0.5 * rng.normal(size=(size, 6))
    return a, b


def integer_pair(n: int = 90, seed: int = 0) -> tuple[Matrix, Matrix]:
    """Integer-valued embeddings, whose ranks are exact, ties broken by index included."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-9, 9, size=(n, 4)), rng.integers(-9, 9, size=(n, 3))
    return a.astype(np.float64), b.astype(np.float64)


def normalized_cut(f: Matrix, labels: ArrayLike) -> float:
    """Sum over clusters of the affinity that leaves them over all that they have."""
    tags = np.asarray(labels)
    hollow = f - np.diag(np.diag(f))
    members = [tags == tag for tag in np.unique(tags)]
    return float(sum(hollow[inside][:, ~inside].sum() / hollow[inside].sum() for inside in members))


def mutual_neighbors(a: ArrayLike, b: ArrayLike, k: int = 10) -> float:
    """Mean share of an item's k nearest others that both representations have."""
    ranks_a, ranks_b = ranks(a), ranks(b)
    shares = []
    for i in range(len(ranks_a)):
        near_a = set(np.flatnonzero(ranks_a[i] <= k)) - {i}
        near_b = set(np.flatnonzero(ranks_b[i] <= k)) - {i}
        shares.append(len(near_a & near_b) / k)
    return float(np.mean(shares))
