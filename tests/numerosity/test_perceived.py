"""Perceived number."""

import numpy as np
import pytest
import torch
from planted_line import planted, rotation
from scipy.stats import spearmanr

from diptych.numerosity import perceived_number, rank_agreement, share_near
from diptych.numerosity.perceived import by_count


@pytest.mark.parametrize("d", [1, 2, 8, 300])
def test_a_planted_law_is_what_is_perceived(d) -> None:
    z, counts = planted(lambda n: 3.5 * n**0.8, d=d, each=4)
    np.testing.assert_allclose(perceived_number(z, counts), counts**0.8, atol=1e-12)


def test_by_hand_off_the_line() -> None:
    z = torch.tensor([[0.0, 1.0], [0.0, -1.0], [2.0, 0.0], [-6.0, 0.0], [6.0, 8.0]])
    counts = [0, 0, 1, 2, 7]
    np.testing.assert_allclose(perceived_number(z, counts), [0.5, 0.5, 1, 3, 5])


def test_rotation_place_and_scale_change_nothing_and_order_the_order() -> None:
    generator = np.random.default_rng(0)
    z, counts = planted(d=5, noise=0.5)
    z = z + 0.3 * generator.standard_normal(z.shape)
    found = perceived_number(z, counts)
    np.testing.assert_allclose(perceived_number(7 * (z @ rotation(5)) - 4, counts), found, rtol=1e-10)
    order = generator.permutation(len(z))
    np.testing.assert_allclose(perceived_number(z[order], counts[order]), found[order], rtol=1e-12)


def test_agreement_is_spearmans() -> None:
    estimate, counts = np.random.default_rng(1).standard_normal(200), np.repeat(np.arange(10), 20)
    estimate += 0.2 * counts
    assert rank_agreement(estimate, counts) == pytest.approx(spearmanr(estimate, counts).statistic)
    assert rank_agreement(counts**3.0, counts) == pytest.approx(1)
    assert np.isnan(rank_agreement(np.ones(200), counts))


def test_share_of_counts_near() -> None:
    counts = np.repeat([0, 1, 10, 20, 40], 2)
    estimate = np.array([0.3, 0.4, 0.9, 1.2, 8, 12, 22, 23.5, 20, 20.0])
    assert share_near(estimate, counts) == 3 / 4
    assert share_near(estimate, counts, tolerance=0.1) == 2 / 4
    numbers, means, spreads = by_count(estimate, counts)
    np.testing.assert_array_equal(numbers, [0, 1, 10, 20, 40])
    np.testing.assert_allclose(means, [0.35, 1.05, 10, 22.75, 20])
    np.testing.assert_allclose(spreads, [estimate[i : i + 2].std(ddof=1) for i in range(0, 10, 2)])
    assert np.isnan(by_count([1.0], [3])[2]).all()


@pytest.mark.parametrize(
    ("z", "counts", "message"),
    [
        (np.eye(3), [0, 1], r"counts: expected shape \(3,\), found \(2,\)"),
        (np.eye(3), [1, 1, 2], "counts: expected items of count 0, .* found none"),
        (np.eye(3), [0, 0, 2], "counts: expected items of count 1, .* found none"),
        (np.eye(3), [2, 2, 2], "counts: expected several numbers of objects, found 2 alone"),
        (np.eye(3), [0, 1, -1], "counts: expected numbers of objects, at least 0, found -1"),
        (np.full((3, 2), np.inf), [0, 1, 2], "embeddings: expected finite numbers"),
        (1e200 * np.eye(3), [0, 1, 2], "embeddings: expected entries of size .* scale the data"),
        (1e-200 * np.eye(3), [0, 1, 2], "embeddings: expected entries of size .* scale the data"),
        ([[0.0], [0.0], [1.0]], [0, 1, 2], "embeddings: counts 0 and 1 have the same center"),
    ],
)
def test_bad_values(z, counts, message) -> None:
    with pytest.raises(ValueError, match=message):
        perceived_number(z, counts)


def test_bad_values_of_estimates() -> None:
    with pytest.raises(ValueError, match="counts: expected several numbers of objects, found 4 alone"):
        rank_agreement([1.0, 2.0], [4, 4])
    with pytest.raises(ValueError, match="counts: expected numbers of objects above 0, found 0 alone"):
        share_near([1.0, 2.0], [0, 0])
    with pytest.raises(ValueError, match="tolerance: expected a number above 0"):
        share_near([1.0, 2.0], [0, 1], tolerance=0)
    with pytest.raises(TypeError, match="perceived: expected an array of real numbers"):
        rank_agreement(["a", "b"], [0, 1])
