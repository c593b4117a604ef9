"""Baseline grids: each method against its definition on data with known groups."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from diptych.rdx.baselines import METHODS, estimator_for, explain

pytestmark = pytest.mark.usefixtures("one_thread")


def grouped(*, signed):
    """Three groups of thirty items along three axes, the first ten of each the strongest."""
    rng = np.random.default_rng(0)
    strength = np.tile(np.concatenate([np.full(10, 6.0), np.full(20, 3.0)]), 3)
    x = np.repeat(np.eye(3, 8), 30, axis=0) * strength[:, None] + 0.1 * rng.random((90, 8))
    return x - 0.2 if signed else x


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("signed", [True, False])
def test_grids_are_distinct_items_and_repeat_for_a_seed(method, signed):
    x = grouped(signed=signed).astype(np.float32)
    first = explain(x, method, n_explanations=3, grid_size=9, seed=1)
    second = explain(x, method, n_explanations=3, grid_size=9, seed=1)
    assert len(first) == 3
    for grid, again in zip(first, second, strict=True):
        assert grid.dtype == np.int64
        assert grid.shape == (9,)
        assert len(set(grid.tolist())) == 9
        assert grid.min() >= 0
        assert grid.max() < 90
        np.testing.assert_array_equal(grid, again)


@pytest.mark.parametrize(
    ("method", "signed"),
    [("nmf", False), ("nmf", True), ("convex-nmf", True), ("semi-nmf", True), ("kmeans", True)],
)
def test_each_group_gets_a_grid_of_its_own(method, signed):
    grids = explain(grouped(signed=signed), method, n_explanations=3, grid_size=9)
    groups = [set((grid // 30).tolist()) for grid in grids]
    assert sorted(map(min, groups)) == [0, 1, 2]
    assert all(len(group) == 1 for group in groups)
    if method != "kmeans":
        # Maximum sampling takes the strongest third of a group.
        assert all((grid % 30 < 10).all() for grid in grids)


def test_pca_samples_the_signed_scores():
    x = grouped(signed=True)
    scores = PCA(2, random_state=0).fit_transform(x)
    for score, grid in zip(scores.T, explain(x, "pca", n_explanations=2, grid_size=5), strict=True):
        np.testing.assert_array_equal(score[grid], np.sort(score)[::-1][:5])


def test_kmeans_shows_the_items_nearest_to_each_centroid():
    x = grouped(signed=True)
    model = KMeans(3, n_init=10, random_state=4).fit(x)
    grids = explain(x, "kmeans", n_explanations=3, grid_size=40, seed=4)
    for center, grid in zip(model.cluster_centers_, grids, strict=True):
        distance = np.linalg.norm(x - center, axis=1)
        # scikit-learn expands the square, which rounds at 1e-15 of |x|² = 36.
        np.testing.assert_allclose(distance[grid], np.sort(distance)[:40], atol=1e-6)


def test_the_estimator_behind_a_method_can_be_asked_for():
    signed, plain = grouped(signed=True), grouped(signed=False)

    def name(x, method):
        return type(estimator_for(x, method, n_explanations=3)).__name__

    assert [name(plain, method) for method in METHODS] == [
        "PCA", "NMF", "ConvexNMF", "SemiNMF", "SparseAutoencoder", "KMeans",
    ]  # fmt: skip
    assert name(signed, "nmf") == "ConvexNMF"
    assert name(np.zeros((3, 3)), "nmf") == "NMF"
    assert estimator_for(plain, "sae", n_explanations=3).width == 3


def test_integers_are_taken():
    x = np.random.default_rng(0).integers(0, 9, (30, 5))
    for grid, again in zip(
        explain(x, "pca", n_explanations=2, grid_size=4),
        explain(x.astype(float), "pca", n_explanations=2, grid_size=4),
        strict=True,
    ):
        np.testing.assert_array_equal(grid, again)


@pytest.mark.parametrize(
    ("x", "method", "k", "size", "error", "message"),
    [
        (np.ones((9, 4)), "ica", 2, 3, ValueError, "method: expected one of pca, nmf, .* found 'ica'"),
        (np.ones((9, 4)), "pca", 5, 3, ValueError, "n_explanations: expected at most the number"),
        (np.ones((9, 4)), "nmf", 10, 3, ValueError, "n_explanations: expected 1 to 9, found 10"),
        (np.ones((9, 4)), "sae", 0, 3, ValueError, "n_explanations: expected 1 to .*, found 0"),
        (np.ones((9, 4)), "sae", 2.5, 3, TypeError, "n_explanations: expected an integer, found 2.5"),
        (np.ones((9, 4)), "kmeans", 2, 10, ValueError, "grid_size: expected 1 to 9, found 10"),
        (np.ones((9, 4)), "kmeans", 2, -1, ValueError, "grid_size: expected 1 to .*, found -1"),
        (np.ones(9), "pca", 1, 3, ValueError, r"x: expected a matrix \(n, d\), found shape \(9,\)"),
        (
            np.ones((9, 0)),
            "pca",
            1,
            3,
            ValueError,
            r"at least one row and column, found \(9, 0\)",
        ),
        (
            np.full((9, 4), np.nan),
            "pca",
            1,
            3,
            ValueError,
            "x: expected finite numbers, .* row 0",
        ),
        (
            np.full((9, 4), "a"),
            "pca",
            1,
            3,
            TypeError,
            "x: expected an array of real numbers",
        ),
    ],
)
def test_bad_input_is_named(x, method, k, size, error, message):
    with pytest.raises(error, match=message):
        explain(x, method, n_explanations=k, grid_size=size)
