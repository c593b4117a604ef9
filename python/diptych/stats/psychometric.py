"""Psychometric curves: a cumulative Gaussian through shares of answers."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr, ndtri

from diptych.ops._arrays import Array
from diptych.stats import _vectors

# Newton's method needs some ten steps; a step this small, relative to what it changes, is the last.
_MOST_STEPS, _MOST_HALVINGS, _CLOSE = 200, 60, 1e-10


@dataclass(frozen=True)
class CumulativeGaussian:
    """A psychometric curve Φ((x − mu) / sigma).

    Attributes:
        mu: Where the share is one half (the point of subjective equality), in units of x. NaN where the
            shares do not tell: all are 0, all are 1, or they do not rise.
        sigma: Distance from there to the share 0.841, in units of x. 0, a step, where a single level at most
            lies between shares of 0 and shares of 1: how steep the curve is between the levels cannot be
            told then. Inf where the shares do not rise, NaN where all are 0 or all are 1.
        deviance: Twice the log likelihood that is missing to that of the shares themselves; 0 is a perfect
            fit.
        separable: The shares go from 0 to 1 with a single level between them at most, so that the
            likelihood has no maximum but the limit that ``sigma`` = 0 stands for.
    """

    mu: float
    sigma: float
    deviance: float
    separable: bool

    def __call__(self, x: Array) -> NDArray[np.float64]:
        """The share of the curve at x, of any shape; NaN where ``mu`` is."""
        at = _vectors.values("x", x)
        if self.sigma == 0:
            return np.heaviside(at - self.mu, 0.5)
        return ndtr((at - self.mu) / self.sigma)


def fit_cumulative_gaussian(x: Array, shares: Array, trials: Array) -> CumulativeGaussian:
    """Fit Φ((x − mu) / sigma) to shares by maximum likelihood.

    The binomial log likelihood is concave in 1/sigma and mu/sigma (a probit regression), so that the maximum
    found is the only one. Where shares are separable there is none; see :class:`CumulativeGaussian`.

    Args:
        x: (n,) levels of the stimulus, at least two different ones; the same level may come more than once.
        shares: (n,) share of positive answers at each, 0 to 1.
        trials: (n,) answers at each, above 0; they weigh the levels.

    Returns:
        The curve, rising.

    Complexity:
        O(n) time per step, some tens of steps.

    Raises:
        ValueError: Vectors of other lengths, a single level, shares outside 0 to 1, trials not above 0, NaN
            or Inf.
        TypeError: Not arrays of real numbers.
    """
    at = _vectors.vector("x", x)
    share, count = _vectors.vector("shares", shares), _vectors.vector("trials", trials)
    _vectors.same_length(x=at, shares=share, trials=count)
    if len(np.unique(at)) < 2:
        raise ValueError(f"x: expected at least two different levels, found {len(np.unique(at))}")
    if share.min() < 0 or share.max() > 1:
        raise ValueError(f"shares: expected 0 to 1, found {share.min():g} to {share.max():g}")
    if count.min() <= 0:
        raise ValueError(f"trials: expected more than 0 at each level, found {count.min():g}")
    levels, place = np.unique(at, return_inverse=True)
    trials_at = np.bincount(place, count).astype(np.float64)
    share_at = np.bincount(place, count * share) / trials_at
    if (share_at == 0).all() or (share_at == 1).all():
        return CumulativeGaussian(math.nan, math.nan, 0.0, True)
    step = _step(levels, share_at)
    return (
        CumulativeGaussian(step, 0.0, 0.0, True) if step is not None else _fitted(levels, share_at, trials_at)
    )


def _step(levels: NDArray[np.float64], shares: NDArray[np.float64]) -> float | None:
    """Where the shares jump from 0 to 1, if a single level at most lies between."""
    between = np.flatnonzero((shares > 0) & (shares < 1))
    if len(between) > 1 or (np.diff(shares) < 0).any():
        return None
    if len(between):
        return float(levels[between[0]])
    first = int(np.argmax(shares))
    return float(levels[first - 1] + levels[first]) / 2


def _fitted(
    levels: NDArray[np.float64], shares: NDArray[np.float64], trials: NDArray[np.float64]
) -> CumulativeGaussian:
    center = np.average(levels, weights=trials)
    spread = math.sqrt(np.average((levels - center) ** 2, weights=trials))
    z = (levels - center) / spread
    weights = trials / trials.sum()

    offset, slope = _maximum(z, shares, weights)
    loss = _loss(offset + slope * z, shares, weights)
    # The least loss that any shares allow: their entropy.
    least = -float(weights @ (_xlogx(shares) + _xlogx(1 - shares)))
    if slope <= 0:
        flat = np.full_like(shares, weights @ shares)
        worst = -float(weights @ (shares * np.log(flat) + (1 - shares) * np.log1p(-flat)))
        return CumulativeGaussian(math.nan, math.inf, 2 * float(trials.sum()) * (worst - least), False)
    deviance = max(0.0, 2 * float(trials.sum()) * (loss - least))
    return CumulativeGaussian(float(center - spread * offset / slope), float(spread / slope), deviance, False)


def _maximum(
    z: NDArray[np.float64], shares: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[float, float]:
    """Offset and slope of greatest likelihood, by Newton's method with halved steps."""
    at = _start(z, shares, weights)
    loss = _loss(at[0] + at[1] * z, shares, weights)
    for _ in range(_MOST_STEPS):
        gradient, hessian = _derivatives(at[0] + at[1] * z, z, shares, weights)
        step = np.linalg.solve(hessian, gradient)
        for _ in range(_MOST_HALVINGS):
            tried = at + step
            tried_loss = _loss(tried[0] + tried[1] * z, shares, weights)
            if tried_loss <= loss:
                break
            step = step / 2
        else:
            break
        at, loss = tried, tried_loss
        if np.abs(step).max() <= _CLOSE * (1 + np.abs(at).max()):
            break
    return float(at[0]), float(at[1])


def _start(
    z: NDArray[np.float64], shares: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A line through the shares' quantiles, which weigh as they bend the likelihood; flat where it falls."""
    inside = np.clip(shares, 0.01, 0.99)
    weight = weights * inside * (1 - inside)
    weight = weight / weight.sum()
    quantiles, center = ndtri(inside), weight @ z
    slope = (weight @ ((z - center) * quantiles)) / (weight @ (z - center) ** 2)
    return np.array([weight @ quantiles - slope * center, slope]) if slope > 0 else np.zeros(2)


def _loss(argument: NDArray[np.float64], shares: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Minus the mean log likelihood of an answer."""
    return -float(weights @ (shares * log_ndtr(argument) + (1 - shares) * log_ndtr(-argument)))


def _derivatives(
    argument: NDArray[np.float64],
    z: NDArray[np.float64],
    shares: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The log likelihood's gradient, and minus its Hessian."""
    log_density = -(argument**2) / 2 - math.log(2 * math.pi) / 2
    # Density over probability of a positive and of a negative answer: in logs, which cannot overflow.
    above, below = (np.exp(log_density - log_ndtr(sign * argument)) for sign in (1, -1))
    pull = weights * (shares * above - (1 - shares) * below)
    bend = weights * (shares * above * (above + argument) + (1 - shares) * below * (below - argument))
    cross = float(bend @ z)
    return (
        np.array([pull.sum(), pull @ z]),
        np.array([[bend.sum(), cross], [cross, bend @ z**2]]),
    )


def _xlogx(share: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(share > 0, share * np.log(np.where(share > 0, share, 1.0)), 0.0)
