"""Absolute quantity: how perceived number grows with the true one."""

from dataclasses import dataclass

import numpy as np

from diptych.numerosity.inputs import Floats, Integers
from diptych.numerosity.perceived import by_count
from diptych.ops._arrays import Array
from diptych.stats import BrokenPowerLaw, PowerLaw, broken_power_law, power_law

#: Exponent of people's estimates of number, and its spread among them, as the thesis gives it (ch. 7).
HUMAN_EXPONENT = 0.83
HUMAN_EXPONENT_SPREAD = 0.2

# Counts that each fit takes at least.
_PLAIN, _BROKEN = 3, 6


@dataclass(frozen=True, eq=False)
class AbsoluteQuantity:
    """Perceived number over true number.

    Attributes:
        counts: (k,) int64, the counts above 0 that occur, ascending.
        mean: (k,) mean perceived number.
        spread: (k,) its standard deviation over items; NaN of a single item.
        power: The power law through the means; None with fewer than three counts.
        broken: That with a kink; None with fewer than six counts.
    """

    counts: Integers
    mean: Floats
    spread: Floats
    power: PowerLaw | None
    broken: BrokenPowerLaw | None


def absolute_quantity(perceived: Array, counts: Array) -> AbsoluteQuantity:
    """Fit a power law, and one with a kink, to mean perceived number against count.

    Count 0 takes no part (Kondapaneni & Perona 2024, doi 10.1038/s41598-024-56828-2). The intervals of the
    exponents tell how well the means lie on a power law, each count weighing the same.

    Args:
        perceived: (N,) perceived number of each item.
        counts: (N,) true number.

    Returns:
        :class:`AbsoluteQuantity`.

    Complexity:
        O(N log N + k²) time.

    Raises:
        ValueError: Other numbers of items, a mean perceived number that is not above 0, NaN or Inf.
        TypeError: Not arrays of real numbers.
    """
    numbers, means, spreads = by_count(perceived, counts)
    above = numbers > 0
    numbers, means, spreads = numbers[above], means[above], spreads[above]
    if len(means) and means.min() <= 0:
        raise ValueError(
            f"perceived: expected means above 0, found {means.min():g} at count {numbers[np.argmin(means)]}"
        )
    return AbsoluteQuantity(
        numbers,
        means,
        spreads,
        power_law(numbers, means) if len(numbers) >= _PLAIN else None,
        broken_power_law(numbers, means) if len(numbers) >= _BROKEN else None,
    )
