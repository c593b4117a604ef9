"""Whether number is judged by what goes along with it: brightness, area, hull."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diptych.numerosity.inputs import (
    COVARIATES,
    Floats,
    Integers,
    count_vector,
    covariate_columns,
    vector,
)
from diptych.ops import _checks
from diptych.ops._arrays import Array
from diptych.stats import beta_interval

#: The counts that judgements are made against (Kondapaneni & Perona 2024).
REFERENCES = (3, 9, 16, 24)

#: What the fractional change is of: the count itself, then the covariates.
QUANTITIES = ("count", *COVARIATES)

#: Ends of the bins of fractional change, test / reference − 1: steps of a quarter octave, 1/8 to 16 times.
EDGES = np.concatenate([[-1.0], 2.0 ** (np.arange(-12, 17) / 4) - 1, [np.inf]])

# Spread within counts, as a share of the largest value, below which a covariate is taken for constant there:
# sums in float32 are not rounded alike.
_CONSTANT = 1e-6


@dataclass(frozen=True, eq=False)
class CovariateErrors:
    """Wrong judgements against one reference, by the fractional change of each quantity.

    Rows are the :data:`QUANTITIES`, columns the bins between :data:`EDGES`; NaN where a bin is empty.

    Attributes:
        reference: The reference's number of objects.
        comparisons: (4, bins) int64, comparisons whose change falls in the bin.
        change: (4, bins) mean change of these.
        error: (4, bins) share of them judged wrongly.
        low: (4, bins) lower end of the 95 % interval of the error.
        high: (4, bins) upper end.
        left_out: (4,) int64, comparisons without a fractional change: the reference item's quantity is 0.
    """

    reference: int
    comparisons: Integers
    change: Floats
    error: Floats
    low: Floats
    high: Floats
    left_out: Integers


@dataclass(frozen=True, eq=False)
class CovariateAnalysis:
    """What covariates have to do with perceived number.

    Attributes:
        errors: Wrong judgements, for each reference.
        partial: (3,) correlation of perceived number with each of the
            :data:`~diptych.numerosity.COVARIATES` at fixed count; NaN where the covariate, or perceived
            number, does not vary at fixed count.
        partial_low: (3,) lower end of its 95 % interval.
        partial_high: (3,) upper end.
    """

    errors: tuple[CovariateErrors, ...]
    partial: Floats
    partial_low: Floats
    partial_high: Floats


def analyze_covariates(
    perceived: Array, counts: Array, covariates: object, *, references: Sequence[int] = REFERENCES
) -> CovariateAnalysis:
    """:func:`covariate_errors` for each reference that items have, and :func:`partial_correlations`.

    Args:
        perceived: (N,) perceived number of each item.
        counts: (N,) true number.
        covariates: DataFrame, or mapping, of N rows with the columns ``mean_intensity``, ``summed_area`` and
            ``hull_area``.
        references: Counts to compare with; those that no item has are passed over.

    Returns:
        :class:`CovariateAnalysis`.

    Complexity:
        O(N m) time for m items of the references, O(N) memory.

    Raises:
        ValueError: Other numbers of items, a column missing or below 0, NaN or Inf.
        TypeError: Not arrays of real numbers.
    """
    estimate = vector("perceived", perceived)
    number = count_vector("counts", counts, len(estimate))
    columns = covariate_columns(covariates, len(estimate))
    present = set(number.tolist())
    errors = tuple(
        covariate_errors(estimate, number, columns, each)
        for each in references
        if each in present and len(present) > 1
    )
    return CovariateAnalysis(errors, *partial_correlations(estimate, number, columns))


def covariate_errors(perceived: Array, counts: Array, covariates: object, reference: int) -> CovariateErrors:
    """Judge every item of another count against every item of the reference, and look where it goes wrong.

    A judgement is wrong where the item of fewer objects has the larger perceived number; a tie is half wrong.
    If number were judged by a covariate, errors would be most where the covariate hardly changes, or changes
    against the count; if by number, where the count hardly changes (Kondapaneni & Perona 2024, doi
    10.1038/s41598-024-56828-2).

    The comparisons of a bin share items and are not independent: the variance of such a share is at most that
    of as many independent comparisons as the smaller side has items (Birnbaum & Klose 1957, Ann. Math. Stat.
    28:933, for the Mann-Whitney statistic of all pairs), and the intervals are those of a Beta posterior with
    so many trials.

    Args:
        perceived: (N,) perceived number of each item.
        counts: (N,) true number.
        covariates: As :func:`analyze_covariates`.
        reference: The reference count, at least 1.

    Returns:
        :class:`CovariateErrors`.

    Complexity:
        O(N m) time for m items of the reference, O(N) memory.

    Raises:
        ValueError: As :func:`analyze_covariates`; no item of the reference count, or none of another.
        TypeError: As :func:`analyze_covariates`.
    """
    _checks.integer("reference", reference, 1)
    estimate = vector("perceived", perceived)
    number = count_vector("counts", counts, len(estimate))
    columns = covariate_columns(covariates, len(estimate))
    table = np.stack([number.astype(np.float64), *(columns[name] for name in COVARIATES)])
    own, others = np.flatnonzero(number == reference), np.flatnonzero(number != reference)
    if len(own) == 0 or len(others) == 0:
        found = "no item has it" if len(own) == 0 else "all items have it"
        raise ValueError(f"reference: expected a count of some items, {reference}: {found}")
    larger = number[others] > reference
    bins = len(EDGES) - 1
    total, wrong, change_sum = (np.zeros((len(QUANTITIES), bins)) for _ in range(3))
    test_items = np.zeros((len(QUANTITIES), bins, len(others)), bool)
    reference_items = np.zeros((len(QUANTITIES), bins), np.int64)
    left_out = np.zeros(len(QUANTITIES), np.int64)
    for item in own:
        ahead = estimate[others] - estimate[item]
        error = np.where(ahead == 0, 0.5, (ahead > 0) != larger)
        for row in range(len(QUANTITIES)):
            if table[row, item] == 0:
                left_out[row] += len(others)
                continue
            change = table[row, others] / table[row, item] - 1
            place = np.clip(np.searchsorted(EDGES, change, "right") - 1, 0, bins - 1)
            hits = np.bincount(place, minlength=bins)
            total[row] += hits
            wrong[row] += np.bincount(place, error, bins)
            change_sum[row] += np.bincount(place, change, bins)
            reference_items[row] += hits > 0
            test_items[row, place, np.arange(len(others))] = True
    low, high = beta_interval(*_independent(wrong, total, test_items.sum(2), reference_items))
    empty = total == 0
    with np.errstate(invalid="ignore"):
        return CovariateErrors(
            int(reference),
            total.astype(np.int64),
            change_sum / total,
            wrong / total,
            np.where(empty, np.nan, low),
            np.where(empty, np.nan, high),
            left_out,
        )


def _independent(
    wrong: Floats, total: Floats, test_items: Integers, reference_items: Integers
) -> tuple[Floats, Floats]:
    """Errors and comparisons, scaled down to as many comparisons as the smaller side has items."""
    trials = np.minimum(test_items, reference_items).astype(np.float64)
    return trials * (wrong / np.maximum(total, 1)), trials


def partial_correlations(
    perceived: Array, counts: Array, covariates: object
) -> tuple[Floats, Floats, Floats]:
    """Correlation of perceived number with each covariate at fixed count.

    Both are taken as deviations from the mean of their count, pooled over counts: Pearson's partial
    correlation given count as a category. The intervals are Fisher's, with N − k − 2 degrees of freedom for k
    counts.

    Args:
        perceived: (N,) perceived number of each item.
        counts: (N,) true number.
        covariates: As :func:`analyze_covariates`.

    Returns:
        (3,) correlations, in the order of :data:`~diptych.numerosity.COVARIATES`, and the ends of their 95 %
        intervals; NaN where a covariate or perceived number does not vary at fixed count, or items are too
        few.

    Complexity:
        O(N) time.

    Raises:
        ValueError: As :func:`analyze_covariates`.
        TypeError: As :func:`analyze_covariates`.
    """
    estimate = vector("perceived", perceived)
    number = count_vector("counts", counts, len(estimate))
    columns = covariate_columns(covariates, len(estimate))
    numbers, place, sizes = np.unique(number, return_inverse=True, return_counts=True)

    def within(values: Floats) -> Floats | None:
        """Deviations from the mean of the count, of length 1; None where there are none."""
        rest = values - (np.bincount(place, values) / sizes)[place]
        length = float(np.linalg.norm(rest))
        return None if length <= _CONSTANT * np.abs(values).max() * np.sqrt(len(values)) else rest / length

    own = within(estimate)
    found = np.full(len(COVARIATES), np.nan)
    for row, name in enumerate(COVARIATES):
        other = within(columns[name])
        if own is not None and other is not None:
            found[row] = np.clip(own @ other, -1, 1)
    freedom = len(number) - len(numbers) - 2
    if freedom < 1:
        return found, np.full_like(found, np.nan), np.full_like(found, np.nan)
    reach = 1.959963984540054 / np.sqrt(freedom)  # the normal distribution's 97.5 % quantile
    with np.errstate(divide="ignore"):
        middle = np.arctanh(found)
    return found, np.tanh(middle - reach), np.tanh(middle + reach)
