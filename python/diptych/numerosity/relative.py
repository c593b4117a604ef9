"""Relative quantity: which of two scenes has more, and the Weber fraction."""

from dataclasses import dataclass

import numpy as np

from diptych.numerosity.inputs import Floats, Integers, count_vector, vector
from diptych.ops import _checks
from diptych.ops._arrays import Array
from diptych.stats import CumulativeGaussian, fit_cumulative_gaussian


@dataclass(frozen=True, eq=False)
class RelativeQuantity:
    """Judgements of every item against every item of a reference count.

    Attributes:
        reference: The reference's number of objects.
        counts: (k,) int64, the numbers of objects it was compared with, ascending, its own among them.
        share: (k,) share of the comparisons in which the item is judged to have more than the reference.
        comparisons: (k,) int64, number of comparisons behind each share.
        curve: The cumulative Gaussian through them.
        interval: 95 % interval of the Weber fraction, by bootstrap over items; NaN where none was asked for.
    """

    reference: int
    counts: Integers
    share: Floats
    comparisons: Integers
    curve: CumulativeGaussian
    interval: tuple[float, float] = (float("nan"), float("nan"))

    @property
    def weber_fraction(self) -> float:
        """The curve's standard deviation over the reference: 0 for a step, Inf where the curve is flat."""
        return self.curve.sigma / self.reference


def relative_quantity(
    perceived: Array, counts: Array, reference: int = 16, *, bootstrap: int = 0, seed: int = 0
) -> RelativeQuantity:
    """Compare every item with every item of a reference count by their perceived numbers.

    The share of items judged larger, over the true count, is a psychometric curve; the standard deviation of
    the cumulative Gaussian fitted to it, divided by the reference, is the Weber fraction, as in experiments
    with people (Ross & Burr 2010, J. Vis. 10(2):10, doi 10.1167/10.2.10; Kondapaneni & Perona 2024, doi
    10.1038/s41598-024-56828-2). Both sides of a comparison are noisy, as they are there: where perceived
    number has the same standard deviation s at all counts, that of the curve is √2 s.

    Args:
        perceived: (N,) perceived number of each item, in any unit.
        counts: (N,) true number.
        reference: The reference count, at least 1; some items have it. An item is also compared with itself,
            a tie; ties count half, so that the reference's own share is one half.
        bootstrap: Number of resamples of the items of each count, for the interval of the Weber fraction; 0
            for none.
        seed: Of the resamples.

    Returns:
        :class:`RelativeQuantity`.

    Complexity:
        O(N log N) time, for each resample anew.

    Raises:
        ValueError: Other numbers of items, no item of the reference count or of another, NaN or Inf, a
            reference below 1.
        TypeError: Not arrays of real numbers.
    """
    _checks.integer("reference", reference, 1)
    _checks.integer("bootstrap", bootstrap, 0)
    _checks.seed(seed)
    estimate = vector("perceived", perceived)
    number = count_vector("counts", counts, len(estimate))
    numbers = np.unique(number)
    if reference not in numbers:
        raise ValueError(f"reference: expected a count that items have, found {reference}")
    if len(numbers) < 2:
        raise ValueError(f"counts: expected several numbers of objects, found {numbers[0]} alone")
    groups = [np.sort(estimate[number == each]) for each in numbers]
    at = int(np.searchsorted(numbers, reference))
    shares = _shares(groups, at)
    sizes = np.array([len(group) for group in groups])
    comparisons = sizes * sizes[at]
    generator = np.random.default_rng(seed)
    resampled = [
        fit_cumulative_gaussian(
            numbers, _shares([np.sort(generator.choice(each, len(each))) for each in groups], at), comparisons
        ).sigma
        / reference
        for _ in range(bootstrap)
    ]
    low, high = (
        np.quantile(resampled, [0.025, 0.975], method="inverted_cdf") if resampled else (np.nan, np.nan)
    )
    return RelativeQuantity(
        int(reference),
        numbers,
        shares,
        comparisons,
        fit_cumulative_gaussian(numbers, shares, comparisons),
        (float(low), float(high)),
    )


def _shares(groups: list[Floats], reference: int) -> Floats:
    """Of each sorted group, the share of pairs with the reference in which it is the larger."""
    other = groups[reference]
    shares = []
    for group in groups:
        below = np.searchsorted(other, group, "left")
        not_above = np.searchsorted(other, group, "right")
        shares.append((below + not_above).sum() / (2 * len(group) * len(other)))
    return np.array(shares)
