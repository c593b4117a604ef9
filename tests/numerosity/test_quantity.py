"""Relative and absolute quantity: planted Weber fractions, exponents and kinks."""

import math

import numpy as np
import pytest
import torch
from planted_line import planted, rotation

from diptych.numerosity import (
    absolute_quantity,
    exponent_sampling_interval,
    perceived_number,
    relative_quantity,
)

SEEDS = range(8)


def assert_recovered(values: list[float], truth: float) -> None:
    """The mean over seeds lies within three standard errors, which are themselves small."""
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    assert abs(np.mean(values) - truth) <= 3 * error
    assert error <= 0.05 * truth


@pytest.mark.parametrize(("reference", "noise"), [(16, 1.5), (9, 1.0), (24, 0.8)])
def test_a_planted_weber_fraction_is_recovered(reference, noise) -> None:
    """Both items are off by N(0, noise²): the larger is named with probability Φ(Δn / (√2 noise))."""
    found = []
    for seed in SEEDS:
        z, counts = planted(noise=noise, seed=seed)
        found.append(relative_quantity(perceived_number(z, counts), counts, reference))
    assert_recovered([each.weber_fraction for each in found], math.sqrt(2) * noise / reference)
    assert_recovered([each.curve.mu for each in found], reference)


def test_bootstrap_intervals_hold_the_weber_fraction() -> None:
    """16 intervals of 95 %: more than three miss it once in 140 times."""
    missed = 0
    for seed in range(16):
        z, counts = planted(noise=1.5, seed=seed, each=40, highest=24)
        found = relative_quantity(perceived_number(z, counts), counts, bootstrap=40, seed=seed)
        low, high = found.interval
        missed += not low <= math.sqrt(2) * 1.5 / 16 <= high
        assert 0.02 < (high - low) / found.weber_fraction < 1
    assert missed <= 3


def test_shares_by_definition() -> None:
    generator = np.random.default_rng(0)
    counts = np.repeat(np.arange(6), [4, 5, 3, 6, 2, 4])
    estimate = np.round(counts + generator.standard_normal(len(counts)))  # with ties
    found = relative_quantity(torch.from_numpy(estimate), counts, 3)
    for place, number in enumerate(found.counts):
        ahead = estimate[counts == number][:, None] - estimate[counts == 3]
        assert found.share[place] == pytest.approx(((ahead > 0) + 0.5 * (ahead == 0)).mean())
        assert found.comparisons[place] == ahead.size
    assert found.share[3] == 0.5
    assert np.isnan(found.interval).all()


def test_without_noise_the_curve_is_a_step() -> None:
    z, counts = planted(each=3)
    found = relative_quantity(perceived_number(z, counts), counts, 16, bootstrap=5)
    assert found.weber_fraction == 0
    assert found.curve.mu == 16
    assert found.interval == (0, 0)


def test_comparisons_care_for_order_alone() -> None:
    z, counts = planted(noise=1.5)
    estimate = perceived_number(z, counts)
    found, other = (relative_quantity(each, counts, bootstrap=10) for each in (estimate, estimate**3 + 5))
    assert found.curve == other.curve
    assert found.interval == other.interval
    again = relative_quantity(estimate, counts, bootstrap=10, seed=1)
    assert again.interval != found.interval


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([1.0, 2.0], [1, 2, 3], 1), r"counts: expected shape \(2,\), found \(3,\)"),
        (([1.0, 2.0], [1, 2], 3), "reference: expected a count that items have, found 3"),
        (([1.0, 2.0], [0, 2], 0), "reference: expected 1 to 2147483647, found 0"),
        (([1.0, 2.0], [2, 2], 2), "counts: expected several numbers of objects, found 2 alone"),
        (([1.0, np.nan], [1, 2], 2), "perceived: expected finite numbers"),
    ],
)
def test_bad_values_of_relative_quantity(given, message) -> None:
    with pytest.raises(ValueError, match=message):
        relative_quantity(*given)


def test_bad_options_of_relative_quantity() -> None:
    with pytest.raises(ValueError, match="bootstrap: expected 0 to"):
        relative_quantity([1.0, 2.0], [1, 2], 2, bootstrap=-1)
    with pytest.raises(TypeError, match="reference: expected an integer"):
        relative_quantity([1.0, 2.0], [1, 2], 2.5)
    with pytest.raises(ValueError, match="seed: expected 0 to"):
        relative_quantity([1.0, 2.0], [1, 2], 2, seed=-1)


@pytest.mark.parametrize("exponent", [0.6, 0.83, 1.0])
def test_a_planted_exponent_is_recovered(exponent) -> None:
    found = []
    for seed in SEEDS:
        z, counts = planted(lambda n: n**exponent, noise=0.1, seed=seed)
        found.append(absolute_quantity(perceived_number(z, counts), counts).power.exponent)
    assert_recovered(found, exponent)


def test_sampling_intervals_hold_the_exponent() -> None:
    """20 intervals of 95 %: more than three miss it once in 60 times."""
    missed = 0
    for seed in range(20):
        z, counts = planted(lambda n: n**0.8, noise=0.1, seed=seed, d=3)
        low, high = exponent_sampling_interval(z, counts, bootstrap=60, seed=seed)
        missed += not low <= 0.8 <= high
        assert 0 < high - low < 0.05
    assert missed <= 3


def test_sampling_intervals_by_definition() -> None:
    z, counts = planted(lambda n: n**0.8, noise=0.2, each=7, highest=6, d=3)
    z = z + 0.3 * np.random.default_rng(1).standard_normal(z.shape)
    generator = np.random.default_rng(5)
    exponents = []
    for _ in range(30):
        times = np.concatenate([generator.multinomial(7, np.full(7, 1 / 7)) for _ in range(7)])
        items = np.repeat(np.arange(len(z)), times)
        center = z[items][counts[items] == 0].mean(0)
        estimate = np.linalg.norm(z[items] - center, axis=1)
        means = [estimate[counts[items] == number].mean() for number in range(1, 7)]
        exponents.append(np.polyfit(np.log(np.arange(1, 7)), np.log(means), 1)[0])
    wanted = np.quantile(exponents, [0.025, 0.975])
    assert exponent_sampling_interval(z, counts, bootstrap=30, seed=5) == pytest.approx(tuple(wanted))


def test_sampling_intervals_know_no_place_scale_or_rotation() -> None:
    z, counts = planted(lambda n: n**0.8, noise=0.1, d=4, each=20)
    found = exponent_sampling_interval(z, counts, bootstrap=20)
    other = exponent_sampling_interval(5 * z @ rotation(4) + 100, counts, bootstrap=20)
    # |z − c|² from products, about the center of zero: off by some eps of the squares.
    assert other == pytest.approx(found, rel=1e-9)
    assert exponent_sampling_interval(z, counts, bootstrap=20, seed=1) != found


@pytest.mark.parametrize(
    ("counts", "bootstrap", "message"),
    [
        ([0, 1, 2, 2], 9, "counts: expected at least 3 numbers above 0, found 2"),
        ([1, 1, 2, 3], 9, "counts: expected items of count 0"),
        ([0, 1, 2, 3], 0, "bootstrap: expected 1 to"),
    ],
)
def test_bad_values_of_sampling_intervals(counts, bootstrap, message) -> None:
    with pytest.raises(ValueError, match=message):
        exponent_sampling_interval(np.eye(4), counts, bootstrap=bootstrap)


def test_a_planted_kink_is_recovered() -> None:
    """Exact up to four objects, compressed beyond."""
    laws = []
    for seed in SEEDS:
        z, counts = planted(
            lambda n: np.where(n <= 4, n, 4 * (np.maximum(n, 4) / 4) ** 0.6), noise=0.08, seed=seed
        )
        laws.append(absolute_quantity(perceived_number(z, counts), counts).broken)
    assert_recovered([law.kink for law in laws], 4)
    assert_recovered([law.before for law in laws], 1)
    assert_recovered([law.after for law in laws], 0.6)


def test_means_and_spreads_of_counts_above_zero() -> None:
    counts = np.repeat(np.arange(5), 3)
    estimate = counts**0.5 + np.tile([-0.1, 0, 0.1], 5)
    found = absolute_quantity(estimate, counts)
    np.testing.assert_array_equal(found.counts, [1, 2, 3, 4])
    np.testing.assert_allclose(found.mean, np.sqrt([1, 2, 3, 4]))
    np.testing.assert_allclose(found.spread, 0.1)
    assert found.power.exponent == pytest.approx(0.5)
    assert found.broken is None
    assert absolute_quantity(estimate[:9], counts[:9]).power is None


def test_bad_values_of_absolute_quantity() -> None:
    with pytest.raises(ValueError, match="perceived: expected means above 0, found -1 at count 2"):
        absolute_quantity([0.0, 1.0, -1.0, 2.0], [0, 1, 2, 3])
    with pytest.raises(ValueError, match=r"counts: expected shape \(2,\)"):
        absolute_quantity([0.0, 1.0], [0, 1, 2])
