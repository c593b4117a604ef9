"""Power laws, plain and with a kink, fitted in logarithms."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import fdtri, stdtrit

from diptych.ops._arrays import Array
from diptych.stats import _vectors

# Steps of the kink between each two neighboring values of x, and how near to the best one the search ends, in
# log x.
_STEPS, _CLOSE = 16, 1e-9

# Residuals held at once.
_BLOCK = 1 << 20


@dataclass(frozen=True)
class PowerLaw:
    """y = scale · x^exponent.

    Attributes:
        scale: y at x = 1.
        exponent: The slope of log y against log x.
        interval: Confidence interval of the exponent.
        r_squared: Share of the variance of log y that the law accounts for; NaN where y is constant.
    """

    scale: float
    exponent: float
    interval: tuple[float, float]
    r_squared: float

    def __call__(self, x: Array) -> NDArray[np.float64]:
        """The law at x > 0, of any shape."""
        return self.scale * _vectors.values("x", x) ** self.exponent


@dataclass(frozen=True)
class BrokenPowerLaw:
    """Two power laws that meet: y = scale · (x / kink)^before up to the kink, ^after beyond.

    Attributes:
        scale: y at the kink.
        kink: x where the laws meet.
        before: The exponent up to there.
        after: The exponent beyond.
        kink_interval: Confidence interval of the kink.
        before_interval: Confidence interval of ``before``.
        after_interval: Confidence interval of ``after``.
        r_squared: Share of the variance of log y that the law accounts for; NaN where y is constant.
    """

    scale: float
    kink: float
    before: float
    after: float
    kink_interval: tuple[float, float]
    before_interval: tuple[float, float]
    after_interval: tuple[float, float]
    r_squared: float

    def __call__(self, x: Array) -> NDArray[np.float64]:
        """The law at x > 0, of any shape."""
        ratio = _vectors.values("x", x) / self.kink
        return self.scale * np.where(ratio < 1, ratio**self.before, ratio**self.after)


def power_law(x: Array, y: Array, *, level: float = 0.95) -> PowerLaw:
    """Fit y = a · x^b by least squares of log y on log x.

    The interval is that of a regression's slope, from Student's t with n − 2 degrees of freedom: it holds
    where errors of log y are independent and alike.

    Args:
        x: (n,) above 0, at least three different values.
        y: (n,) above 0.
        level: Confidence of the interval.

    Returns:
        The law.

    Complexity:
        O(n) time.

    Raises:
        ValueError: Vectors of other lengths, fewer than three values of x, numbers not above 0, NaN or Inf,
            a level outside (0, 1).
        TypeError: Not arrays of real numbers.
    """
    u, v = _logarithms(x, y, 3, level)
    center = u.mean()
    design = np.column_stack([np.ones_like(u), u - center])
    fit = _least_squares(design, v)
    reach = float(stdtrit(len(u) - 2, (1 + level) / 2))
    error = reach * math.sqrt(fit.rest / (len(u) - 2) / float(((u - center) ** 2).sum()))
    slope = float(fit.coefficients[1])
    return PowerLaw(
        math.exp(fit.coefficients[0] - slope * center),
        slope,
        (slope - error, slope + error),
        _explained(fit.rest, v),
    )


def broken_power_law(x: Array, y: Array, *, level: float = 0.95) -> BrokenPowerLaw:
    """Fit two power laws that meet at a kink, by least squares in logarithms.

    For a given kink both exponents and the scale are a linear regression; the kink is where its sum of
    squares is least (Hudson 1966, J. Am. Stat. Assoc. 61:1097). The kink's interval holds all kinks whose sum
    of squares is no larger than the least one times 1 + F(1, n − 4)/(n − 4); those of the exponents are of
    the regression in all four parameters linearised there, by Student's t with n − 4 degrees of freedom.
    Where the law has no kink its place is not determined, and its interval wide.

    Args:
        x: (n,) above 0, at least five different values; two different ones at least lie on each side of the
            kink or at it.
        y: (n,) above 0.
        level: Confidence of the intervals.

    Returns:
        The law.

    Complexity:
        O(k n) time, k the different values of x; O(n) memory beyond some 100 MB.

    Raises:
        ValueError: Vectors of other lengths, fewer than five values of x, numbers not above 0, NaN or Inf, a
            level outside (0, 1).
        TypeError: Not arrays of real numbers.
    """
    u, v = _logarithms(x, y, 5, level)
    kink = _best_kink(u, v)
    design = _hinge(u, kink)
    fit = _least_squares(design, v)
    scale, before, after = (float(each) for each in fit.coefficients)
    freedom = len(u) - 4
    # Moving the kink to the right lowers the law by the slope of the side a value lies on.
    jacobian = np.column_stack([design, -np.where(u < kink, before, after)])
    covariance = np.linalg.pinv(jacobian.T @ jacobian) * fit.rest / freedom
    errors = float(stdtrit(freedom, (1 + level) / 2)) * np.sqrt(np.diag(covariance))
    return BrokenPowerLaw(
        math.exp(scale),
        math.exp(kink),
        before,
        after,
        _kink_interval(u, v, kink, fit.rest, level),
        (before - float(errors[1]), before + float(errors[1])),
        (after - float(errors[2]), after + float(errors[2])),
        _explained(fit.rest, v),
    )


@dataclass(frozen=True)
class _Fit:
    coefficients: NDArray[np.float64]
    rest: float  # the sum of squared residuals


def _least_squares(design: NDArray[np.float64], v: NDArray[np.float64]) -> _Fit:
    coefficients = np.asarray(np.linalg.lstsq(design, v, rcond=None)[0], np.float64)
    return _Fit(coefficients, float(((v - design @ coefficients) ** 2).sum()))


def _explained(rest: float, v: NDArray[np.float64]) -> float:
    total = float(((v - v.mean()) ** 2).sum())
    rounding = len(v) * (np.finfo(np.float64).eps * float(np.abs(v).max())) ** 2
    return 1 - rest / total if total > 64 * rounding else math.nan


def _hinge(u: NDArray[np.float64], kink: float) -> NDArray[np.float64]:
    """Columns of a line that bends at the kink: its height there, its slope before and its slope after."""
    away = u - kink
    return np.column_stack([np.ones_like(u), np.minimum(away, 0), np.maximum(away, 0)])


def _grid(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions of the kink to look at: the inner values of u, and steps between them."""
    return np.unique([np.linspace(low, high, _STEPS + 1) for low, high in pairwise(np.unique(u)[1:-1])])


def _rests(kinks: NDArray[np.float64], u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of squared residuals for each kink, many at once."""
    found = []
    for block in np.array_split(kinks, 1 + len(kinks) * len(u) // _BLOCK):
        basis = np.linalg.qr(np.stack([_hinge(u, kink) for kink in block]))[0]  # (kinks, n, 3)
        residuals = v - (basis @ (v @ basis)[:, :, None])[:, :, 0]
        found.append((residuals**2).sum(1))
    return np.concatenate(found)


def _best_kink(u: NDArray[np.float64], v: NDArray[np.float64]) -> float:
    """The best position of the grid, moved to the least sum of squares beside it.

    The sum of squares is smooth between neighboring values of u alone, which are on the grid: each side is
    searched by itself.
    """
    grid = _grid(u)
    rests = _rests(grid, u, v)
    best = int(np.argmin(rests))
    candidates = [(float(rests[best]), float(grid[best]))]
    for low, high in pairwise(grid[max(0, best - 1) : best + 2]):
        found = minimize_scalar(
            lambda kink: _rests(np.array([kink]), u, v)[0],
            bounds=(low, high),
            method="bounded",
            options={"xatol": _CLOSE},
        )
        candidates.append((float(found.fun), float(found.x)))
    return min(candidates)[1]


def _kink_interval(
    u: NDArray[np.float64], v: NDArray[np.float64], kink: float, least: float, level: float
) -> tuple[float, float]:
    freedom = len(u) - 4
    allowed = least * (1 + float(fdtri(1, freedom, level)) / freedom)
    grid = _grid(u)
    inside = [kink, *grid[_rests(grid, u, v) <= allowed]]

    def excess(at: float) -> float:
        return float(_rests(np.array([at]), u, v)[0]) - allowed

    ends = []
    for end, beyond in (
        (min(inside), grid[grid < min(inside)][-1:]),
        (max(inside), grid[grid > max(inside)][:1]),
    ):
        # What is not below the limit even here, where the fit is exact, has nothing to search.
        crossed = len(beyond) and excess(end) < 0 < excess(float(beyond[0]))
        ends.append(math.exp(brentq(excess, end, float(beyond[0])) if crossed else end))
    return ends[0], ends[1]


def _logarithms(
    x: Array, y: Array, least: int, level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    _vectors.level(level)
    found = _vectors.vector("x", x), _vectors.vector("y", y)
    _vectors.same_length(x=found[0], y=found[1])
    distinct = len(np.unique(found[0]))
    if distinct < least:
        raise ValueError(f"x: expected at least {least} different values, found {distinct}")
    for name, each in zip("xy", found, strict=True):
        if each.min() <= 0:
            raise ValueError(f"{name}: expected numbers above 0, found {each.min():g}")
    return np.log(found[0]), np.log(found[1])
