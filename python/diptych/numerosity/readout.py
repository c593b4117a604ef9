"""Actions read from embeddings that were never taught any: the task of the number sense, for any network."""

import numpy as np
from numpy.typing import NDArray

from diptych.numerosity.actions import ACTIONS
from diptych.numerosity.data import pair_up
from diptych.ops import _checks

#: Fewer items of a count cannot both teach and be named.
TOO_FEW = 4

# What lbfgs may take; at widths of thousands it needs hundreds.
_ITERATIONS = 2000


def name_actions(
    embeddings: NDArray[np.floating],
    counts: NDArray[np.integer],
    *,
    taught: int = 3,
    limit: int = 8,
    actions: int = 2000,
    seed: int = 0,
    amounts: tuple[int, int] = (1, 1),
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Teach a linear classifier the actions among few objects, and have it name those among more.

    It sees the embeddings before and after, side by side and standardised, as the classifier of
    :class:`diptych.numerosity.NumberNet` does. Half of the items of each count teach, the others are named.

    Args:
        embeddings: (n, d) of scenes.
        counts: (n,) objects in each; four scenes or more of each count up to ``limit``.
        taught: Most objects of the scenes that it learns from.
        limit: Most objects of the others.
        actions: How many it is taught, and how many it names.
        seed: Of the halves and the actions.
        amounts: Least and largest number of objects that an action moves.

    Returns:
        ``pairs`` (p, 2) rows before and after, the true ``actions`` (p,) and the ``predicted`` (p,).

    Complexity:
        O(actions d) time and memory for each of at most some hundred iterations.

    Raises:
        ValueError: Too few items of a count, or numbers out of range.
        TypeError: No whole number where one is wanted.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    _checks.integer("taught", taught, 1)
    _checks.integer("limit", limit, 1)
    _checks.integer("actions", actions, 2 * len(ACTIONS))
    _checks.seed(seed)
    taught = min(taught, limit)
    first, second = _halves(counts, limit, seed)
    lessons, right = pair_up(counts[first], actions, taught, seed, amounts=amounts)
    questions, true = pair_up(counts[second], actions, limit, (seed + 1) % 2**63, amounts=amounts)
    lessons, questions = first[lessons], second[questions]
    reader = make_pipeline(StandardScaler(), LogisticRegression(max_iter=_ITERATIONS))
    reader.fit(_beside(embeddings, lessons), right)
    return questions, true, reader.predict(_beside(embeddings, questions))


def _beside(embeddings: NDArray[np.floating], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.hstack([embeddings[side] for side in pairs.T]).astype(np.float64)


def _halves(
    counts: NDArray[np.integer], limit: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of two halves of the items of each count."""
    rng = np.random.default_rng(seed)
    halves: tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]] = ([], [])
    for count in range(limit + 1):
        rows = rng.permutation(np.flatnonzero(counts == count))
        if len(rows) < TOO_FEW:
            raise ValueError(
                f"counts: expected at least {TOO_FEW} items of each count up to {limit}, to teach actions "
                f"and to name them, found {len(rows)} of count {count}"
            )
        middle = len(rows) // 2
        halves[0].append(rows[:middle])
        halves[1].append(rows[middle:])
    return np.concatenate(halves[0]), np.concatenate(halves[1])
