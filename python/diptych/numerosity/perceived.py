"""Perceived number: the distance from where nothing is seen, in units of one object."""

import numpy as np

from diptych import ops
from diptych.numerosity.inputs import Floats, Integers, count_vector, matrix, needs_unit, vector
from diptych.ops import _checks
from diptych.ops._arrays import Array


def perceived_number(embeddings: Array, counts: Array) -> Floats:
    """Each item's distance from the center of count 0, the distance from there to that of count 1 being one.

    Needs no line: it is defined for embeddings of any width, and does not change when they are rotated,
    moved or scaled (Kondapaneni & Perona 2024, doi 10.1038/s41598-024-56828-2). The true counts of the other
    items play no part.

    Args:
        embeddings: (N, d).
        counts: (N,) number of objects of each item; some items have none, and some have one.

    Returns:
        (N,) float64, at least 0.

    Complexity:
        O(N d) time.

    Raises:
        ValueError: Other numbers of items, no item of count 0 or of count 1, centers of both in one place,
            NaN or Inf.
        TypeError: Not arrays of real numbers.
    """
    z = matrix("embeddings", embeddings)
    number = count_vector("counts", counts, len(z))
    needs_unit(number)
    zero = z[number == 0].mean(0)
    return np.linalg.norm(z - zero, axis=1) / unit(z, number)


def unit(embeddings: Floats, counts: Integers) -> float:
    """The distance between the centers of counts 0 and 1.

    Raises:
        ValueError: It is zero, but for rounding.
    """
    zero, one = (embeddings[counts == number].mean(0) for number in (0, 1))
    length = float(np.linalg.norm(one - zero))
    if length <= 8 * np.finfo(np.float64).eps * float(np.abs(embeddings).max()):
        raise ValueError("embeddings: counts 0 and 1 have the same center, which leaves no unit of number")
    return length


def rank_agreement(perceived: Array, counts: Array) -> float:
    """Spearman's correlation of perceived and true number over all items; ties share their mean rank.

    Args:
        perceived: (N,).
        counts: (N,) of at least two numbers of objects.

    Returns:
        −1 to 1; NaN where all are perceived alike.

    Complexity:
        O(N log N) time.

    Raises:
        ValueError: Other numbers of items, one number of objects alone, NaN or Inf.
        TypeError: Not arrays of real numbers.
    """
    estimate = vector("perceived", perceived)
    number = count_vector("counts", counts, len(estimate))
    if number.min() == number.max():
        raise ValueError(f"counts: expected several numbers of objects, found {number[0]} alone")
    columns = estimate[:, None], number[:, None].astype(np.float64)
    return float(ops.correlation(*columns, kind="spearman", constant="nan")[0, 0])


def share_near(perceived: Array, counts: Array, *, tolerance: float = 0.15) -> float:
    """Share of the counts above 0 whose mean perceived number is within a fraction of the count.

    Args:
        perceived: (N,).
        counts: (N,) of at least one number above 0.
        tolerance: The fraction, above 0.

    Returns:
        0 to 1.

    Complexity:
        O(N log N) time.

    Raises:
        ValueError: Other numbers of items, counts of 0 alone, a tolerance not above 0, NaN or Inf.
        TypeError: Not arrays of real numbers.
    """
    _checks.positive("tolerance", tolerance)
    numbers, means, _ = by_count(perceived, counts)
    above = numbers > 0
    if not above.any():
        raise ValueError("counts: expected numbers of objects above 0, found 0 alone")
    return float((np.abs(means[above] / numbers[above] - 1) <= tolerance).mean())


def by_count(perceived: Array, counts: Array) -> tuple[Integers, Floats, Floats]:
    """Mean and standard deviation of perceived number for each count that occurs.

    Args:
        perceived: (N,).
        counts: (N,).

    Returns:
        (k,) counts, ascending, (k,) means and (k,) standard deviations (with k − 1; NaN of a single item).
    """
    estimate = vector("perceived", perceived)
    numbers, place, sizes = np.unique(
        count_vector("counts", counts, len(estimate)), return_inverse=True, return_counts=True
    )
    means = np.bincount(place, estimate) / sizes
    squares = np.bincount(place, (estimate - means[place]) ** 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return numbers, means, np.sqrt(squares / np.where(sizes > 1, sizes - 1, np.nan))
