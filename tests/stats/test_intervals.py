"""Intervals of shares and means."""

import numpy as np
import pytest
import torch
from scipy.stats import beta, ttest_1samp

from diptych.stats import beta_interval, mean_interval


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_ends_are_quantiles_of_the_posterior(level) -> None:
    successes, trials = np.array([0, 1, 7, 50, 50, 0]), np.array([10, 10, 20, 50, 1000, 0])
    low, high = beta_interval(successes, trials, level=level)
    posterior = beta(successes + 1, trials - successes + 1)
    np.testing.assert_allclose(low, posterior.ppf((1 - level) / 2), rtol=1e-9)
    np.testing.assert_allclose(high, posterior.ppf((1 + level) / 2), rtol=1e-9)


def test_without_trials_it_is_the_uniform_prior() -> None:
    low, high = beta_interval(0, 0)
    assert (float(low), float(high)) == pytest.approx((0.025, 0.975))


def test_it_holds_the_share_as_often_as_it_says() -> None:
    """Of shares drawn from the prior exactly 90 % lie inside, whatever the trials."""
    generator = np.random.default_rng(0)
    n = 20_000
    share = generator.random(n)
    low, high = beta_interval(generator.binomial(12, share), np.full(n, 12), level=0.9)
    # Four standard deviations of a binomial share.
    assert ((low <= share) & (share <= high)).mean() == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / n))


def test_failures_mirror_successes_and_shapes_broadcast() -> None:
    low, high = beta_interval(torch.tensor([[1.0], [3.5]]), torch.tensor([4, 9]))
    assert low.shape == high.shape == (2, 2)
    other_low, other_high = beta_interval(np.array([3.0, 0.5]), np.array([4, 4]))
    np.testing.assert_allclose(other_low, 1 - high[:, 0])
    np.testing.assert_allclose(other_high, 1 - low[:, 0])


@pytest.mark.parametrize(
    ("successes", "trials", "level", "message"),
    [
        ([-1], [3], 0.95, "successes: expected at least 0, found -1"),
        ([1, 4], [3, 3], 0.95, "successes: expected at most the trials, found 4 of 3"),
        ([1, 2], [3, 3, 3], 0.95, r"expected shapes that broadcast, found \(2,\) and \(3,\)"),
        ([1], [np.nan], 0.95, "trials: expected finite numbers"),
        ([1], [3], 1.0, "level: expected a probability between 0 and 1, found 1.0"),
        ([1], [3], 0, "level: expected a probability between 0 and 1, found 0"),
    ],
)
def test_bad_values(successes, trials, level, message) -> None:
    with pytest.raises(ValueError, match=message):
        beta_interval(successes, trials, level=level)


def test_bad_types() -> None:
    with pytest.raises(TypeError, match="successes: expected an array of real numbers"):
        beta_interval(["a"], [3])
    with pytest.raises(TypeError, match="level: expected a number"):
        beta_interval([1], [3], level="high")


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_a_mean_has_the_interval_of_a_t_test(level) -> None:
    values = np.random.default_rng(0).normal(3, 2, (4, 6))
    for axis in (0, 1, -1):
        expected = ttest_1samp(values, 0, axis=axis).confidence_interval(level)
        np.testing.assert_allclose(mean_interval(values, axis=axis, level=level), expected)
    np.testing.assert_allclose(mean_interval(torch.tensor([2.0, 2.0])), [2, 2])


def test_one_number_has_no_interval() -> None:
    low, high = mean_interval(np.ones((1, 3)))
    assert low.shape == high.shape == (3,)
    assert np.isnan([low, high]).all()
    assert np.isnan(mean_interval([])).all()


def test_means_of_bad_input_are_refused() -> None:
    with pytest.raises(ValueError, match="level: expected a probability between 0 and 1, found 1"):
        mean_interval([1.0, 2.0], level=1)
    with pytest.raises(ValueError, match=r"axis: expected one of values of shape \(2,\), found 1"):
        mean_interval([1.0, 2.0], axis=1)
    with pytest.raises(ValueError, match="values: expected"):
        mean_interval([1.0, float("nan")])
    with pytest.raises(TypeError, match="values"):
        mean_interval(["a", "b"])
