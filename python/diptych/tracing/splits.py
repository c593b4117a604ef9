"""Learners to train with, to stop by and to test with."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diptych.ops import _checks
from diptych.ops._counter import derived_seed, numbers
from diptych.tracing.sequences import Sequences

#: Of 30 learners those that train, validate and test: 70, 13.3 and 16.7 %.
SHARES = (21, 4, 5)
#: How often learners are shuffled anew: what is reported is mean and spread over so many splits.
SPLITS = 5

# Learners are shuffled by another seed than whatever else a caller draws with the same.
_SHUFFLE = 7


class Split(NamedTuple):
    """Numbers of learners, ascending, each in one of the parts."""

    train: NDArray[np.int64]  #: To learn from.
    validation: NDArray[np.int64]  #: To tell when to stop.
    test: NDArray[np.int64]  #: To report.


def split(learners: Sequences | int, number: int = 0, seed: int = 0) -> Split:
    """Divide learners at random.

    A learner is in one part with all its steps: what a model is tested with are people it never saw.
    Validation and test get 4/30 and 5/30 of the learners, each rounded to the nearest (halves up), but one at
    least; the rest trains: 105, 20 and 25 of 150, 1, 1 and 1 of 3.

    Args:
        learners: The sequences, or how many learners there are.
        number: Which of the shuffles, from 0; each is another one and can be had without the others.
        seed: 0 to 2^63 - 1.

    Returns:
        The numbers of the learners in each part, as :meth:`~diptych.tracing.sequences.Sequences.of` takes
        them.

    Complexity:
        O(L log L).

    Raises:
        ValueError: Fewer learners than parts, a negative number, a seed out of range.
        TypeError: Not integers.
    """
    n = len(learners) if isinstance(learners, Sequences) else learners
    _checks.integer("learners", n, 0)
    _checks.integer("number", number, 0)
    _checks.seed(seed)
    if n < len(SHARES):
        raise ValueError(f"learners: expected at least {len(SHARES)}, one for each part, found {n}")
    whole = sum(SHARES)
    validation, test = (max(1, (2 * n * share + whole) // (2 * whole)) for share in SHARES[1:])
    order = np.argsort(numbers(derived_seed(seed, _SHUFFLE), number, n), kind="stable")
    ends = [n - validation - test, n - test]
    return Split(*(np.sort(part) for part in np.split(order, ends)))


def checked_split(parts: Split, learners: int) -> Split:
    """Demand a split of one's own that a model can be trained with.

    Args:
        parts: The split; nobody need be left for the test.
        learners: How many there are.

    Returns:
        The same in int64.

    Raises:
        ValueError: Nobody to learn from or to stop by, a number that no learner has, or one that comes twice.
        TypeError: No whole numbers.
    """
    for name, part in parts._asdict().items():
        numbers_of = np.asarray(part)
        if numbers_of.ndim != 1 or (len(numbers_of) == 0 and name != "test"):
            raise ValueError(f"split: expected learners in {name}, found shape {numbers_of.shape}")
        if len(numbers_of) and numbers_of.dtype.kind not in "iu":
            raise TypeError(f"split: expected whole numbers in {name}, found {numbers_of.dtype}")
    whole = Split(*(np.asarray(part, np.int64) for part in parts))
    everybody = np.concatenate(whole)
    if everybody.min() < 0 or everybody.max() >= learners:
        found = f"{everybody.min()} to {everybody.max()}"
        raise ValueError(f"split: expected learners 0 to {learners - 1}, found {found}")
    if len(np.unique(everybody)) < len(everybody):
        raise ValueError("split: expected each learner once, found one in two parts or twice in one")
    return whole


def splits(learners: Sequences | int, n: int = SPLITS, seed: int = 0) -> tuple[Split, ...]:
    """The first n splits of :func:`split`.

    Raises:
        ValueError: As :func:`split`, or n below 1.
        TypeError: Not integers.
    """
    _checks.integer("n", n, 1)
    return tuple(split(learners, number, seed) for number in range(n))
