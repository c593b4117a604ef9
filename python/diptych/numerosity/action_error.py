"""How often the action is named wrongly, by the number of objects in the scene."""

from dataclasses import dataclass

import numpy as np

from diptych.numerosity.actions import ACTIONS
from diptych.numerosity.inputs import Floats, Integers, action_vector, count_vector, lawful
from diptych.ops import _checks
from diptych.ops._arrays import Array
from diptych.stats import beta_interval

#: What a pair's number of objects is: that of the larger side, of the scene before or of the one after.
SIDES = ("largest", "before", "after")


@dataclass(frozen=True, eq=False)
class ActionError:
    """Errors of action naming by number of objects.

    Attributes:
        objects: (k,) int64, the numbers of objects that occur, ascending.
        pairs: (k,) int64, pairs with so many.
        errors: (k,) int64, those whose action was named wrongly.
        low: (k,) lower end of the 95 % interval of the error.
        high: (k,) upper end.
        confusion: (3, 3) int64, pairs by true (row) and named (column) action.
        by: What the number of objects of a pair is; one of :data:`SIDES`.
    """

    objects: Integers
    pairs: Integers
    errors: Integers
    low: Floats
    high: Floats
    confusion: Integers
    by: str = "largest"

    @property
    def share(self) -> Floats:
        """(k,) errors / pairs."""
        return self.errors / self.pairs

    @property
    def overall(self) -> tuple[float, float, float]:
        """Error over all pairs, and its 95 % interval."""
        return self._pooled(np.ones(len(self.objects), bool))

    def within(self, limit: int) -> tuple[float, float, float]:
        """As :attr:`overall`, over the pairs of at most ``limit`` objects; NaN where there is none."""
        return self._pooled(self.objects <= limit)

    def beyond(self, limit: int) -> tuple[float, float, float]:
        """As :meth:`within`, of the pairs of more than ``limit`` objects."""
        return self._pooled(self.objects > limit)

    def _pooled(self, rows: np.ndarray) -> tuple[float, float, float]:
        errors, pairs = int(self.errors[rows].sum()), int(self.pairs[rows].sum())
        if pairs == 0:
            return float("nan"), float("nan"), float("nan")
        low, high = beta_interval(errors, pairs)
        return errors / pairs, float(low), float(high)


def action_error(
    before: Array, after: Array, actions: Array, predicted: Array, *, by: str = "largest"
) -> ActionError:
    """Count wrongly named actions by the number of objects, with Bayesian intervals.

    The intervals are the equal-tailed 95 % ones of a Beta posterior under a uniform prior (Kondapaneni &
    Perona 2024, Sci. Rep. 14:6858, doi 10.1038/s41598-024-56828-2).

    Args:
        before: (P,) objects in each scene before the action.
        after: (P,) objects after it.
        actions: (P,) what was done: 0 put, 1 take, 2 shake.
        predicted: (P,) what was named.
        by: The number of objects of a pair: ``"largest"`` is that of the larger side, so that training that
            never showed more than so many objects ends at one number; ``"before"``, ``"after"``.

    Returns:
        :class:`ActionError`.

    Complexity:
        O(P) time.

    Raises:
        ValueError: Other lengths, a put that lowers the count, a take that raises it or a shake that changes
            it, actions outside 0 to 2, an unknown ``by``.
        TypeError: Not arrays of real numbers.
    """
    _checks.one_of("by", by, SIDES)
    first = count_vector("before", before)
    second = count_vector("after", after, len(first))
    done = action_vector("actions", actions, len(first))
    named = action_vector("predicted", predicted, len(first))
    lawful(first, second, done)
    of = {"largest": np.maximum(first, second), "before": first, "after": second}[by]
    objects, place = np.unique(of, return_inverse=True)
    pairs = np.bincount(place, minlength=len(objects))
    errors = np.bincount(place[done != named], minlength=len(objects))
    low, high = beta_interval(errors, pairs)
    confusion = np.zeros((len(ACTIONS), len(ACTIONS)), np.int64)
    np.add.at(confusion, (done, named), 1)
    return ActionError(objects, pairs, errors, low, high, confusion, by)
