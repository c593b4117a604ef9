"""Islands: clusters of embeddings, and which numbers they stand for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from diptych._progress import track
from diptych.numerosity.inputs import Floats, Integers, count_vector, integers, matrix
from diptych.numerosity.order import IslandOrder
from diptych.ops import _checks
from diptych.ops._arrays import Array

#: Cluster sizes that islands are looked for with, besides the one asked for.
SWEEP = tuple(range(5, 100, 5))

# From so many features on all pairs of items, by matrix products, cost less than a search tree; up to so many
# items, of which the three matrices of float64 stay below 2.5 GB.
_WIDE, _ALL_PAIRS = 64, 10_000


@dataclass(frozen=True, eq=False)
class Islands:
    """The clusters of an embedding and the true counts of their items.

    Attributes:
        labels: (N,) int64, the island of each item; −1 outside all. Islands are numbered by the mean true
            count of their items, from 0.
        counts: (k,) int64, the counts that occur, ascending.
        confusion: (islands, k) int64, items of each island (row) and count (column).
        outside: (k,) int64, items of each count in no island.
        order: The islands in the order that puts and takes lead along; None where none were given.
    """

    labels: Integers
    counts: Integers
    confusion: Integers
    outside: Integers
    order: IslandOrder | None = None

    @property
    def n(self) -> int:
        """Number of islands."""
        return len(self.confusion)

    @property
    def majority(self) -> Integers:
        """(islands,) the count that most items of each island have."""
        return self.counts[self.confusion.argmax(1)] if self.n else np.empty(0, np.int64)

    @property
    def subitizing_limit(self) -> int:
        """The largest number up to which islands and counts match; see :func:`subitizing_limit`."""
        return subitizing_limit(self.confusion, self.outside, self.counts)


@dataclass(frozen=True, eq=False)
class Sweep:
    """Islands over the smallest size that a cluster may have.

    Attributes:
        min_cluster_size: (m,) int64, ascending.
        n_islands: (m,) int64, islands found.
        subitizing_limit: (m,) int64, as :func:`subitizing_limit`.
        outside: (m,) share of the items in no island.
    """

    min_cluster_size: Integers
    n_islands: Integers
    subitizing_limit: Integers
    outside: Floats


def find_islands(embeddings: Array, counts: Array, *, min_cluster_size: int = 90) -> Islands:
    """Cluster embeddings by density (HDBSCAN), and count the true numbers in each cluster.

    scikit-learn's HDBSCAN with its defaults but for ``min_cluster_size``; counts play no part in the
    clusters. Kondapaneni & Perona 2024 (doi 10.1038/s41598-024-56828-2) use 90 for 150 items of each count
    (30 with jitter, 50 with imprecise actions).

    Args:
        embeddings: (N, d).
        counts: (N,) number of objects of each item.
        min_cluster_size: Items of the smallest island, 2 to N; also the neighbor whose distance tells an
            item's density.

    Returns:
        :class:`Islands`, without order.

    Complexity:
        O(N²) time and O(N d) memory below 64 features or beyond 10,000 items, where a tree finds neighbors;
        else O(N² d) time, as matrix products, and three (N, N) matrices of float64.

    Raises:
        ValueError: Other numbers of items, ``min_cluster_size`` below 2 or above N, NaN or Inf.
        TypeError: Not arrays of real numbers, a size that is no integer.
    """
    z = matrix("embeddings", embeddings)
    number = count_vector("counts", counts, len(z))
    _checks.integer("min_cluster_size", min_cluster_size, 2, len(z))
    return described(_clustered(z, int(min_cluster_size)), number)


def described(labels: Array, counts: Array) -> Islands:
    """Number given clusters by the mean true count of their items, and tell what they hold.

    Args:
        labels: (N,) whole numbers, the cluster of each item; below 0 in none.
        counts: (N,) number of objects of each item.

    Returns:
        :class:`Islands`, without order.

    Raises:
        ValueError: Other numbers of items, counts below 0.
        TypeError: Not arrays of real numbers.
    """
    given = integers("labels", labels)
    number = count_vector("counts", counts, len(given))
    inside = given >= 0
    names, place = np.unique(given[inside], return_inverse=True)
    rank = np.empty(len(names), np.int64)
    rank[np.argsort(np.bincount(place, number[inside]) / np.bincount(place), kind="stable")] = np.arange(
        len(names)
    )
    found = np.full(len(given), -1, np.int64)
    found[inside] = rank[place]
    present, column = np.unique(number, return_inverse=True)
    table = np.zeros((len(names) + 1, len(present)), np.int64)
    np.add.at(table, (found, column), 1)
    return Islands(found, present, table[:-1], table[-1])


def subitizing_limit(confusion: Array, outside: Array, counts: Array) -> int:
    """The largest number k such that each of 0, 1, …, k has an island of its own.

    A count has an island of its own where more than half of the items of that count lie in the island, and
    more than half of the items of the island have that count. More than half, because no two islands can hold
    that of one count, nor two counts make it up of one island: the match is one to one by itself.

    Args:
        confusion: (islands, k) items of each island and count.
        outside: (k,) items of each count in no island.
        counts: (k,) the counts, ascending.

    Returns:
        k, up to the first number that no item has; −1 where not even 0 has an island.

    Raises:
        ValueError: Shapes that do not fit together.
        TypeError: Not arrays of real numbers.
    """
    numbers = count_vector("counts", counts)
    apart = count_vector("outside", outside, len(numbers))
    table = np.asarray(confusion, np.int64)
    if table.ndim != 2 or table.shape[1] != len(numbers):
        raise ValueError(f"confusion: expected shape (islands, {len(numbers)}), found {table.shape}")
    items, sizes = table.sum(0) + apart, table.sum(1)
    own = ((2 * table > items) & (2 * table > sizes[:, None])).any(0)
    limit = -1
    for number, has_own in zip(numbers, own, strict=True):
        if number != limit + 1 or not has_own:
            break
        limit += 1
    return limit


def island_sweep(
    embeddings: Array, counts: Array, sizes: Sequence[int] = SWEEP, *, progress: bool = False
) -> Sweep:
    """Look for islands with several smallest sizes.

    Args:
        embeddings: (N, d).
        counts: (N,) number of objects of each item.
        sizes: Values of ``min_cluster_size``, 2 to N each.
        progress: Show a progress bar on stderr when it takes longer than two seconds.

    Returns:
        :class:`Sweep`.

    Complexity:
        :func:`find_islands` for each size.

    Raises:
        ValueError: As :func:`find_islands`; no sizes.
        TypeError: As :func:`find_islands`.
    """
    z = matrix("embeddings", embeddings)
    number = count_vector("counts", counts, len(z))
    if len(sizes) == 0:
        raise ValueError("sizes: expected at least one, found none")
    for size in sizes:
        _checks.integer("sizes", size, 2, len(z))
    return swept(z, number, track(sorted(set(sizes)), "Islands by size", shown=progress))


def swept(embeddings: Floats, counts: Integers, sizes: Iterable[int]) -> Sweep:
    """As :func:`island_sweep`, of checked arguments."""
    tried = []
    found = []
    for size in sizes:
        tried.append(size)
        found.append(described(_clustered(embeddings, size), counts))
    return Sweep(
        np.array(tried, np.int64),
        np.array([each.n for each in found], np.int64),
        np.array([each.subitizing_limit for each in found], np.int64),
        np.array([(each.labels < 0).mean() for each in found], np.float64),
    )


def _clustered(z: Floats, min_cluster_size: int) -> Integers:
    from sklearn.cluster import HDBSCAN

    all_pairs = z.shape[1] >= _WIDE and len(z) <= _ALL_PAIRS
    model = HDBSCAN(min_cluster_size=min_cluster_size, algorithm="brute" if all_pairs else "auto", copy=True)
    return model.fit(z).labels_.astype(np.int64)
