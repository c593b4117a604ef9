"""How far actions move a scene in the embedding."""

from dataclasses import dataclass

import numpy as np

from diptych.numerosity.actions import ACTIONS
from diptych.numerosity.inputs import Floats, Integers, action_vector, matrix, pair_rows
from diptych.ops import _checks
from diptych.ops._arrays import Array


@dataclass(frozen=True, eq=False)
class ActionDistances:
    """Distances between the scenes before and after each kind of action.

    Attributes:
        edges: (bins + 1,) ends of the bins, from 0 to the largest distance.
        histogram: (3, bins) int64, pairs of each action in each bin; rows in the order of
            :data:`~diptych.numerosity.ACTIONS`.
        pairs: (3,) int64, pairs of each action.
        mean: (3,) mean distance; NaN of an action that does not occur.
        spread: (3,) standard deviation; NaN of fewer than two pairs.
        unit: The length that distances are told in.
    """

    edges: Floats
    histogram: Integers
    pairs: Integers
    mean: Floats
    spread: Floats
    unit: float = 1.0


def action_distances(
    embeddings: Array, pairs: Array, actions: Array, *, bins: int = 50, unit: float = 1.0
) -> ActionDistances:
    """Histograms of |z_after − z_before| for each action, on common bins.

    Args:
        embeddings: (N, d).
        pairs: (P, 2) items before and after each action.
        actions: (P,) 0 put, 1 take, 2 shake.
        bins: Number of bins, all of one width.
        unit: Length that distances are divided by, above 0; :func:`~diptych.numerosity.analyze` gives that
            between the centers of counts 0 and 1.

    Returns:
        :class:`ActionDistances`.

    Complexity:
        O(P d) time and memory.

    Raises:
        ValueError: Pairs of items that are not there, other numbers of actions than pairs, no bins, a unit
            that is not above 0, NaN or Inf.
        TypeError: Not arrays of real numbers.
    """
    z = matrix("embeddings", embeddings)
    rows = pair_rows(pairs, len(z))
    done = action_vector("actions", actions, len(rows))
    _checks.integer("bins", bins, 1)
    _checks.positive("unit", unit)
    lengths = np.linalg.norm(z[rows[:, 1]] - z[rows[:, 0]], axis=1) / unit
    edges = np.linspace(0, lengths.max() or 1.0, bins + 1)
    of_each = [lengths[done == number] for number in range(len(ACTIONS))]
    return ActionDistances(
        edges,
        np.stack([np.histogram(each, edges)[0] for each in of_each]).astype(np.int64),
        np.array([len(each) for each in of_each], np.int64),
        np.array([each.mean() if len(each) else np.nan for each in of_each]),
        np.array([each.std(ddof=1) if len(each) > 1 else np.nan for each in of_each]),
        float(unit),
    )
