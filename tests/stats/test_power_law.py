"""Power laws, plain and with a kink."""

import sys

import numpy as np
import pytest
import torch
from scipy.stats import f, linregress, t

from diptych.stats import broken_power_law, power_law

X = np.arange(1.0, 31.0)


def bent(x: np.ndarray, kink: float = 6.5, before: float = 1.0, after: float = 0.6) -> np.ndarray:
    return 2 * np.where(x < kink, (x / kink) ** before, (x / kink) ** after)


def noisy(y: np.ndarray, seed: int, size: float = 0.03) -> np.ndarray:
    return y * np.exp(size * np.random.default_rng(seed).standard_normal(len(y)))


@pytest.mark.parametrize("seed", range(4))
def test_the_plain_law_is_a_regression_of_logarithms(seed) -> None:
    y = noisy(1.7 * X**0.83, seed, 0.2)
    law = power_law(X, torch.from_numpy(y), level=0.9)
    other = linregress(np.log(X), np.log(y))
    reach = t.ppf(0.95, 28) * other.stderr
    assert law.exponent == pytest.approx(other.slope)
    assert law.scale == pytest.approx(np.exp(other.intercept))
    assert law.interval == pytest.approx((other.slope - reach, other.slope + reach))
    assert law.r_squared == pytest.approx(other.rvalue**2)
    np.testing.assert_allclose(law(X), law.scale * X**law.exponent)


def test_exact_laws_are_found_exactly() -> None:
    law = power_law(X, 3 * X**-0.4)
    assert (law.scale, law.exponent) == pytest.approx((3, -0.4))
    assert law.interval == pytest.approx((-0.4, -0.4))
    found = broken_power_law(X, bent(X))
    # The search for the kink compares sums of squares, which tell it to the root of what rounding leaves.
    assert (found.kink, found.before, found.after, found.scale) == pytest.approx((6.5, 1, 0.6, 2), rel=1e-6)
    np.testing.assert_allclose(found(X), bent(X), rtol=1e-6)


def test_the_kinked_law_meets_at_the_kink() -> None:
    law = broken_power_law(X, noisy(bent(X), 0))
    near = law([law.kink * (1 - 1e-9), law.kink, law.kink * (1 + 1e-9)])
    np.testing.assert_allclose(near, law.scale, rtol=1e-8)


def test_planted_kinks_are_recovered_and_intervals_hold_them() -> None:
    """Over 60 seeds; a 95 % interval misses its value at most in 8 of 60 (that happens once in 200 times)."""
    laws = [broken_power_law(X, noisy(bent(X), seed)) for seed in range(60)]
    for name, truth in (("kink", 6.5), ("before", 1.0), ("after", 0.6)):
        values = np.array([getattr(law, name) for law in laws])
        intervals = np.array([getattr(law, f"{name}_interval") for law in laws])
        # Three standard errors of the mean; the estimate of a kink is biased by less than that.
        assert abs(values.mean() - truth) <= 3 * values.std(ddof=1) / np.sqrt(60), name
        missed = (truth < intervals[:, 0]) | (truth > intervals[:, 1])
        assert missed.sum() <= 8, name
        assert ((intervals[:, 0] <= values) & (values <= intervals[:, 1])).all()


def test_intervals_of_the_plain_law_hold_its_exponent() -> None:
    laws = [power_law(X, noisy(X**0.8, seed)) for seed in range(60)]
    missed = [not law.interval[0] <= 0.8 <= law.interval[1] for law in laws]
    assert sum(missed) <= 8


def test_no_kink_fits_better_than_the_one_found() -> None:
    y = noisy(bent(X), 3)
    law = broken_power_law(X, y)
    u, v = np.log(X), np.log(y)
    rest = float(((v - np.log(law(X))) ** 2).sum())
    for kink in np.linspace(np.log(2), np.log(29), 400):
        design = np.column_stack([np.ones_like(u), np.minimum(u - kink, 0), np.maximum(u - kink, 0)])
        assert np.linalg.lstsq(design, v, rcond=None)[1][0] >= rest * (1 - 1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_the_kinks_interval_holds_what_an_f_test_allows(seed) -> None:
    x = np.arange(1.0, 10.0)
    y = noisy(bent(x, 4, 1.5, 0.3), seed, 0.05)
    law = broken_power_law(x, y)
    u, v = np.log(x), np.log(y)

    def rest(kink: float) -> float:
        design = np.column_stack([np.ones_like(u), np.minimum(u - kink, 0), np.maximum(u - kink, 0)])
        return float(((v - design @ np.linalg.lstsq(design, v, rcond=None)[0]) ** 2).sum())

    kinks = np.linspace(u[1], u[-2], 4000)
    rests = np.array([rest(kink) for kink in kinks])
    allowed = np.exp(kinks[rests <= rests.min() * (1 + f.ppf(0.95, 1, 5) / 5)])
    # One step of these 4000, of log(8 / 2).
    assert law.kink_interval == pytest.approx((allowed.min(), allowed.max()), rel=np.log(4) / 3999)
    assert allowed.max() / allowed.min() > 1.1


def test_blocks_change_nothing(monkeypatch) -> None:
    y = noisy(bent(X), 4)
    law = broken_power_law(X, y)
    monkeypatch.setattr(sys.modules[broken_power_law.__module__], "_BLOCK", 100)
    assert broken_power_law(X, y) == law


def test_without_a_kink_its_place_is_open() -> None:
    law = broken_power_law(X, noisy(X**0.8, 1))
    assert law.kink_interval[1] / law.kink_interval[0] > 4
    assert law.before_interval[0] < 0.8 < law.before_interval[1]


def test_units_change_the_scale_alone() -> None:
    y = noisy(bent(X), 2)
    law, other = broken_power_law(X, y), broken_power_law(10 * X, 7 * y)
    assert (other.kink, other.scale) == pytest.approx((10 * law.kink, 7 * law.scale), rel=1e-4)
    assert (other.before, other.after) == pytest.approx((law.before, law.after), rel=1e-4)


def test_a_constant_has_exponent_zero() -> None:
    law = power_law(X, np.full(30, 2.0))
    assert law.exponent == pytest.approx(0, abs=1e-12)
    assert np.isnan(law.r_squared)


@pytest.mark.parametrize("fit", [power_law, broken_power_law])
@pytest.mark.parametrize(
    ("x", "y", "level", "message"),
    [
        (X[:2], X[:2], 0.95, "x: expected at least [35] different values, found 2"),
        (X, X[:-1], 0.95, "x, y: expected the same length, found 30, 29"),
        (X - 1, X, 0.95, "x: expected numbers above 0, found 0"),
        (X, X - 2, 0.95, "y: expected numbers above 0, found -1"),
        (X, np.full(30, np.nan), 0.95, "y: expected finite numbers"),
        (X[None], X, 0.95, "x: expected a vector"),
        (X, X, 2, "level: expected a probability between 0 and 1, found 2"),
    ],
)
def test_bad_values(fit, x, y, level, message) -> None:
    with pytest.raises(ValueError, match=message):
        fit(x, y, level=level)


def test_bad_types() -> None:
    with pytest.raises(TypeError, match="y: expected an array of real numbers"):
        power_law(X, ["a"] * 30)
