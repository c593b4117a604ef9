"""The order of islands, as puts and takes lead from one to the next."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau

from diptych.numerosity.actions import ACTIONS
from diptych.numerosity.inputs import Integers, action_vector, integers, pair_rows
from diptych.ops._arrays import Array


@dataclass(frozen=True, eq=False)
class IslandOrder:
    """Islands in the order of number, found without counts.

    Attributes:
        sequence: Islands from the one that stands for nothing on; those without links to any other are
            missing.
        links: (islands, islands) int64, pairs that lead from an island (row) to another (column) by a put, or
            back by a take; on the diagonal those that stay.
        agreement: Kendall's τ between place in the sequence and mean true count, −1 to 1; NaN with fewer than
            two islands.
    """

    sequence: Integers
    links: Integers
    agreement: float


def island_order(labels: Array, pairs: Array, actions: Array, counts: Array | None = None) -> IslandOrder:
    """Order islands by following the puts and takes between them.

    A put leads from fewer objects to more, a take backwards: the links of takes are turned round. The first
    island is the one that links leave and do not enter; it is set aside, and the next is what links leave and
    do not enter among the rest. Where links contradict each other (items in the wrong island, actions of
    several objects that overtake each other) the island is taken whose links enter least, as a share of all
    its links to the rest; of equals the one most often reached from the last. On a chain that is following
    it from link to link. Kondapaneni & Perona 2024 (doi 10.1038/s41598-024-56828-2) order islands by these
    links.

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
    sequence = _followed(links)
    agreement = float("nan")
    if number is not None and len(sequence) > 1:
        means = [number[island == each].mean() for each in sequence]
        agreement = float(kendalltau(np.arange(len(sequence)), means).statistic)
    return IslandOrder(sequence, links, agreement)


def _followed(links: Integers) -> Integers:
    between = links * ~np.eye(len(links), dtype=bool)
    rest = [each for each in range(len(links)) if between[each].any() or between[:, each].any()]
    sequence: list[int] = []
    while rest:
        among = between[np.ix_(rest, rest)]
        enter, leave = among.sum(0), among.sum(1)
        # An island without links to the rest neither leads nor follows.
        share = np.where(enter + leave > 0, enter / np.maximum(enter + leave, 1), 0.5)
        reached = between[sequence[-1], rest] if sequence else np.zeros(len(rest))
        best = int(np.lexsort((-reached, share))[0])
        sequence.append(rest.pop(best))
    return np.array(sequence, np.int64)
