"""Intervals of shares and of means."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, stdtrit

from diptych.ops._arrays import Array
from diptych.stats import _vectors


def beta_interval(
    successes: Array, trials: Array, *, level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Equal-tailed Bayesian interval of a share, under a uniform prior.

    The posterior of the share behind s successes in t trials is Beta(s + 1, t − s + 1); the interval lies
    between its (1 − level)/2 and (1 + level)/2 quantiles. After 0 or t successes it does not contain the
    observed share itself, 0 or 1, but comes close to it.

    Args:
        successes: s, of any shape, 0 to ``trials``; need not be whole, so that a tie may count half.
        trials: t, of a shape that broadcasts with it, at least 0; without a trial the interval is the
            prior's.
        level: Posterior probability of the interval.

    Returns:
        The lower and the upper end, float64 of the common shape.

    Complexity:
        O(n) time.

    Raises:
        ValueError: Shapes that do not broadcast, fewer than 0 or more than ``trials`` successes, NaN or Inf,
            a level outside (0, 1).
        TypeError: Not arrays of real numbers.
    """
    _vectors.level(level)
    won, of = _vectors.values("successes", successes), _vectors.values("trials", trials)
    try:
        won, of = np.broadcast_arrays(won, of)
    except ValueError as error:
        raise ValueError(
            f"successes and trials: expected shapes that broadcast, found {won.shape} and {of.shape}"
        ) from error
    if won.size and won.min() < 0:
        raise ValueError(f"successes: expected at least 0, found {won.min():g}")
    if (won > of).any():
        first = int(np.argmax((won > of).ravel()))
        raise ValueError(
            f"successes: expected at most the trials, found {won.ravel()[first]:g} of {of.ravel()[first]:g}"
        )
    tail = (1 - level) / 2
    return betaincinv(won + 1, of - won + 1, tail), betaincinv(won + 1, of - won + 1, 1 - tail)


def mean_interval(
    values: Array, *, axis: int = 0, level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Interval of the mean of independent, normally distributed numbers, by Student's t.

    Args:
        values: Of any shape, n of them along the axis.
        axis: Over which the mean is taken.
        level: Confidence of the interval.

    Returns:
        The lower and the upper end, float64 of the other axes' shape; mean ± t s / √n with n − 1 degrees of
        freedom, s the standard deviation. NaN of fewer than two numbers.

    Complexity:
        O(size) time.

    Raises:
        ValueError: No such axis, NaN or Inf, a level outside (0, 1).
        TypeError: Not an array of real numbers.
    """
    _vectors.level(level)
    found = _vectors.values("values", values)
    if not -found.ndim <= axis < found.ndim:
        raise ValueError(f"axis: expected one of values of shape {found.shape}, found {axis}")
    n = found.shape[axis]
    if n < 2:
        undefined = np.full(np.delete(found.shape, axis), np.nan)
        return undefined, undefined.copy()
    reach = stdtrit(n - 1, (1 + level) / 2) * found.std(axis, ddof=1) / np.sqrt(n)
    mean = found.mean(axis)
    return mean - reach, mean + reach
