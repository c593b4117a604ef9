"""The cumulative Gaussian through shares of answers."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import ndtr
from scipy.stats import norm

from diptych.stats import fit_cumulative_gaussian

LEVELS = np.arange(31.0)


def log_likelihood(mu: float, sigma: float, shares: np.ndarray, trials: np.ndarray) -> float:
    z = (LEVELS - mu) / sigma
    return float((trials * (shares * norm.logcdf(z) + (1 - shares) * norm.logsf(z))).sum())


@pytest.mark.parametrize(("mu", "sigma"), [(16, 2.0), (16, 0.4), (3.3, 9.0), (28, 100.0), (-4, 8.0)])
def test_exact_shares_give_back_the_curve(mu, sigma) -> None:
    curve = fit_cumulative_gaussian(LEVELS, ndtr((LEVELS - mu) / sigma), np.full(31, 100))
    # Newton's last step is 1e-10 of the parameters, and the loss flat to rounding where they hardly matter.
    assert (curve.mu, curve.sigma) == pytest.approx((mu, sigma), rel=1e-5)
    assert curve.deviance == pytest.approx(0, abs=1e-9)
    assert not curve.separable
    np.testing.assert_allclose(curve(LEVELS), ndtr((LEVELS - mu) / sigma), atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_no_other_curve_is_likelier(seed) -> None:
    generator = np.random.default_rng(seed)
    trials = generator.integers(1, 200, 31)
    mu, sigma = generator.uniform(5, 25), generator.uniform(1, 30)
    shares = generator.binomial(trials, ndtr((LEVELS - mu) / sigma)) / trials
    curve = fit_cumulative_gaussian(LEVELS, shares, trials)
    other = minimize(
        lambda p: -log_likelihood(p[0], math.exp(p[1]), shares, trials),
        [mu, math.log(sigma)],
        method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-10},
    )
    # The simplex ends where the likelihood is flat to 1e-10: some 1e-6 of the parameters.
    assert (curve.mu, curve.sigma) == pytest.approx((other.x[0], math.exp(other.x[1])), rel=1e-5)


def test_deviance_is_twice_the_missing_log_likelihood() -> None:
    trials, shares = np.full(31, 20), np.clip(np.round(ndtr((LEVELS - 14) / 6) * 20) / 20, 0.05, 0.95)
    curve = fit_cumulative_gaussian(LEVELS, shares, trials)
    saturated = (trials * (shares * np.log(shares) + (1 - shares) * np.log(1 - shares))).sum()
    wanted = 2 * (saturated - log_likelihood(curve.mu, curve.sigma, shares, trials))
    assert curve.deviance == pytest.approx(wanted)


def test_a_planted_curve_is_recovered_over_seeds() -> None:
    found = []
    for seed in range(40):
        shares = np.random.default_rng(seed).binomial(50, ndtr((LEVELS - 16) / 3)) / 50
        curve = fit_cumulative_gaussian(LEVELS, shares, np.full(31, 50))
        found.append((curve.mu, curve.sigma))
    mean, spread = np.mean(found, 0), np.std(found, 0, ddof=1)
    # Three standard errors of a mean over 40 seeds.
    assert (np.abs(mean - [16, 3]) <= 3 * spread / math.sqrt(40)).all()


def test_units_and_repeated_levels() -> None:
    generator = np.random.default_rng(1)
    shares = generator.binomial(30, ndtr((LEVELS - 12) / 5)) / 30
    curve = fit_cumulative_gaussian(LEVELS, shares, np.full(31, 30))
    moved = fit_cumulative_gaussian(1e6 + 1e3 * LEVELS, shares, np.full(31, 30))
    assert ((moved.mu - 1e6) / 1e3, moved.sigma / 1e3) == pytest.approx((curve.mu, curve.sigma), rel=1e-6)
    twice = fit_cumulative_gaussian(
        torch.from_numpy(np.tile(LEVELS, 2)), np.tile(shares, 2), np.repeat([10.0, 20.0], 31)
    )
    assert (twice.mu, twice.sigma) == pytest.approx((curve.mu, curve.sigma), rel=1e-6)


@pytest.mark.parametrize(
    ("shares", "mu"),
    [([0, 0, 1, 1], 1.5), ([0, 0.3, 1, 1], 1), ([0, 0, 0, 0.5], 3), ([0.5, 1, 1, 1], 0)],
)
def test_separable_shares_are_a_step(shares, mu) -> None:
    curve = fit_cumulative_gaussian([0, 1, 2, 3], shares, np.full(4, 10))
    assert curve.separable
    assert (curve.mu, curve.sigma, curve.deviance) == (mu, 0, 0)
    np.testing.assert_array_equal(curve([mu - 1, mu, mu + 1]), [0, 0.5, 1])


def test_nearly_separable_shares_are_steep() -> None:
    curve = fit_cumulative_gaussian(LEVELS, np.where(LEVELS < 16, 1e-9, 1 - 1e-9), np.full(31, 1e6))
    assert not curve.separable
    assert 0 < curve.sigma < 10
    # 1 - 1e-9 is rounded by 1e-16, a share of 1e-7 of what is left: the two sides are not quite alike.
    assert curve.mu == pytest.approx(15.5, abs=1e-3)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_one_answer_alone_tells_nothing(share) -> None:
    curve = fit_cumulative_gaussian(LEVELS, np.full(31, share), np.full(31, 10))
    assert math.isnan(curve.mu)
    assert math.isnan(curve.sigma)


@pytest.mark.parametrize("shares", [[0.9, 0.5, 0.2], [0.5, 0.5, 0.5], [1, 0.5, 0]])
def test_shares_that_do_not_rise_are_flat(shares) -> None:
    curve = fit_cumulative_gaussian([1, 2, 3], shares, np.full(3, 10))
    assert math.isnan(curve.mu)
    assert curve.sigma == math.inf
    assert np.isnan(curve([1, 2])).all()


@pytest.mark.parametrize(
    ("x", "shares", "trials", "message"),
    [
        ([1, 2], [0.1], [5, 5], "x, shares, trials: expected the same length, found 2, 1, 2"),
        ([1, 1], [0.1, 0.2], [5, 5], "x: expected at least two different levels, found 1"),
        ([1, 2], [0.1, 1.2], [5, 5], "shares: expected 0 to 1, found 0.1 to 1.2"),
        ([1, 2], [0.1, 0.2], [5, 0], "trials: expected more than 0 at each level, found 0"),
        ([1, np.inf], [0.1, 0.2], [5, 5], "x: expected finite numbers"),
        ([[1, 2]], [0.1, 0.2], [5, 5], r"x: expected a vector \(n,\), found shape \(1, 2\)"),
        ([], [], [], "x: expected at least two different levels, found 0"),
    ],
)
def test_bad_values(x, shares, trials, message) -> None:
    with pytest.raises(ValueError, match=message):
        fit_cumulative_gaussian(x, shares, trials)


def test_bad_types() -> None:
    with pytest.raises(TypeError, match="shares: expected an array of real numbers"):
        fit_cumulative_gaussian([1, 2], ["a", "b"], [5, 5])
