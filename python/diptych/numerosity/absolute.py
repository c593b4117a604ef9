"""Absolute quantity: how perceived number grows with the true one."""

from dataclasses import dataclass

import numpy as np

from diptych.numerosity.inputs import Floats, Integers, count_vector, matrix, needs_unit
from diptych.numerosity.perceived import by_count
from diptych.ops import _checks
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
        sampling_interval: 95 % interval of the plain law's exponent over samples of the items
            (:func:`exponent_sampling_interval`); NaN where it was not asked for.
    """

    counts: Integers
    mean: Floats
    spread: Floats
    power: PowerLaw | None
    broken: BrokenPowerLaw | None
    sampling_interval: tuple[float, float] = (float("nan"), float("nan"))


def absolute_quantity(perceived: Array, counts: Array) -> AbsoluteQuantity:
    """Fit a power law, and one with a kink, to mean perceived number against count.

    Count 0 takes no part (Kondapaneni & Perona 2024, doi 10.1038/s41598-024-56828-2). The laws' own intervals
    tell how well the means lie on a power law, each count weighing the same. What other items would have
    given is another question, which :func:`exponent_sampling_interval` answers.

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


def exponent_sampling_interval(
    embeddings: Array, counts: Array, *, bootstrap: int = 200, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of the power law's exponent, by bootstrap over the items of each count.

    The items of count 0 are drawn anew as well: where their center lies moves all perceived numbers at once.

    Args:
        embeddings: (N, d).
        counts: (N,) true number; some items have 0, some 1, and three counts are above 0.
        bootstrap: Number of resamples, at least 1.
        seed: Of the resamples.

    Returns:
        The 2.5 % and the 97.5 % quantile of the exponents.

    Complexity:
        O(m N d + b m N) time and O(m N) memory for m items of count 0 and b resamples.

    Raises:
        ValueError: Other numbers of items, no item of count 0 or of count 1, fewer than three counts above 0,
            NaN or Inf, an option out of range.
        TypeError: Not arrays of real numbers.
    """
    z = matrix("embeddings", embeddings)
    number = count_vector("counts", counts, len(z))
    needs_unit(number)
    _checks.integer("bootstrap", bootstrap, 1)
    _checks.seed(seed)
    numbers, place, sizes = np.unique(number, return_inverse=True, return_counts=True)
    if len(numbers) < _PLAIN + 1:
        raise ValueError(f"counts: expected at least {_PLAIN} numbers above 0, found {len(numbers) - 1}")
    zeros = z[number == 0]
    z, zeros = z - zeros.mean(0), zeros - zeros.mean(0)
    squares, products, gram = (z**2).sum(1), z @ zeros.T, zeros @ zeros.T
    rows = [np.flatnonzero(place == each) for each in range(len(numbers))]
    log_number = np.log(numbers[1:])
    slope = (log_number - log_number.mean()) / ((log_number - log_number.mean()) ** 2).sum()
    generator = np.random.default_rng(seed)
    exponents = []
    for _ in range(bootstrap):
        times = np.empty(len(z))
        for items in rows:
            times[items] = generator.multinomial(len(items), np.full(len(items), 1 / len(items)))
        share = times[number == 0] / sizes[0]
        # |z − c|² about the resampled center c, from products alone: one matrix serves all resamples.
        distances = np.sqrt(np.maximum(squares - 2 * (products @ share) + share @ gram @ share, 0))
        means = (np.bincount(place, times * distances) / sizes)[1:]
        # A center can come to lie on all items of a count only where these are no different from count 0.
        exponents.append(slope @ np.log(np.maximum(means, np.finfo(np.float64).tiny)))
    low, high = np.quantile(exponents, [0.025, 0.975])
    return float(low), float(high)
