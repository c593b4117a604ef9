"""The order of islands, as puts and takes lead from one to the next."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse.csgraph import connected_components

from diptych.numerosity.actions import ACTIONS
from diptych.numerosity.inputs import Floats, Integers, action_vector, integers, pair_rows
from diptych.ops._arrays import Array


@dataclass(frozen=True, eq=False)
class IslandOrder:
    """Islands in the order of number, found without counts.

    Attributes:
        sequence: Islands by their place, from the one that stands for nothing on; those that no links connect
            with them are missing.
        places: (islands,) place of each, in steps of one action from the first; NaN of the missing ones.
        links: (islands, islands) int64, pairs that lead from an island (row) to another (column) by a put, or
            back by a take; on the diagonal those that stay.
        agreement: Kendall's τ between place in the sequence and mean true count, −1 to 1; NaN with fewer than
            three islands, whose order says nothing.
    """

    sequence: Integers
    places: Floats
    links: Integers
    agreement: float


def island_order(labels: Array, pairs: Array, actions: Array, counts: Array | None = None) -> IslandOrder:
    """Order islands by following the puts and takes between them.

    A put leads from fewer objects to more, a take backwards: the links of takes are turned round. Each link
    says that the island it enters is one step beyond the one it leaves; the islands' places are those that
    agree best with all links, by least squares (Jiang, Lim, Yao & Ye 2011, Math. Program. 127:203), and the
    first is the one that links leave and do not enter. On a chain that is following it from link to link;
    few links that contradict it (items in the wrong island) change no order. Kondapaneni & Perona 2024 (doi
    10.1038/s41598-024-56828-2) order islands by these links.

    Args:
        labels: (N,) the island of each item; below 0 in none.
        pairs: (P, 2) items before and after each action.
        actions: (P,) 0 put, 1 take, 2 shake. Shakes are no links.
        counts: (N,) true counts, for ``agreement`` alone.

    Returns:
        :class:`IslandOrder`.

    Complexity:
        O(N + P + m³) time for m islands.

    Raises:
        ValueError: Pairs of items that are not there, other numbers of actions than pairs, other numbers of
            counts than items.
        TypeError: Not arrays of real numbers.
    """
    island = integers("labels", labels)
    rows = pair_rows(pairs, len(island))
    done = action_vector("actions", actions, len(rows))
    number = None if counts is None else integers("counts", counts, len(island))
    n = int(island.max()) + 1 if island.max() >= 0 else 0
    put, take = (done == ACTIONS.index(action) for action in ("put", "take"))
    ways = island[np.concatenate([rows[put], rows[take][:, ::-1]])]
    ways = ways[(ways >= 0).all(1)]
    links = np.zeros((n, n), np.int64)
    np.add.at(links, (ways[:, 0], ways[:, 1]), 1)
    places = _places(links)
    sequence = np.argsort(places, kind="stable")[: int(np.isfinite(places).sum())]
    agreement = float("nan")
    if number is not None and len(sequence) > 2:
        agreement = _rising(np.array([number[island == each].mean() for each in sequence]))
    return IslandOrder(sequence, places, links, agreement)


def _rising(values: Floats) -> float:
    """Kendall's τ (b, which allows for ties) of values and their places."""
    signs = np.sign(values - values[:, None])[np.triu_indices(len(values), 1)]
    untied = int(np.count_nonzero(signs))
    return float(signs.sum() / np.sqrt(len(signs) * untied)) if untied else float("nan")


def _places(links: Integers) -> Floats:
    """Least-squares places of the islands that links connect, the first at 0; NaN of the others."""
    between = links * ~np.eye(len(links), dtype=bool)
    both = between + between.T
    places = np.full(len(links), np.nan)
    if not both.any():
        return places
    part = connected_components(both)[1]
    chosen = np.flatnonzero(part == np.argmax(np.bincount(part, both.sum(1))))
    weights = both[np.ix_(chosen, chosen)].astype(np.float64)
    laplacian = np.diag(weights.sum(1)) - weights
    net = (between.sum(0) - between.sum(1))[chosen].astype(np.float64)
    found = np.linalg.lstsq(laplacian, net, rcond=None)[0]
    places[chosen] = found - found.min()
    return places
