"""Similarities of concepts against scipy and explicit loops."""

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, spearmanr

from diptych import rsvc

REFERENCE = {"pearson": pearsonr, "spearman": spearmanr}

pytestmark = pytest.mark.usefixtures("one_thread")


def concepts(n: int, k: int, seed: int) -> np.ndarray:
    """Non-negative coefficients, many of them zero."""
    rng = np.random.default_rng(seed)
    causes = np.random.default_rng(99).exponential(1.0, (n, 3))
    return np.maximum(causes @ rng.random((3, k)) + rng.standard_normal((n, k)) - 1.5, 0)


@pytest.mark.parametrize("kind", REFERENCE)
@pytest.mark.parametrize(("n", "k"), [(2, 1), (3, 2), (31, 9), (385, 70)])
def test_predicted_similarity_is_scipys(kind: str, n: int, k: int) -> None:
    rng = np.random.default_rng(n)
    real = rng.random((n, k))
    predicted = real + 0.3 * rng.standard_normal((n, k))
    found = rsvc.predicted_similarity(predicted, real, kind=kind)
    expected = [REFERENCE[kind](predicted[:, j], real[:, j]).statistic for j in range(k)]
    # Of numbers of size 1 in float64, a few roundings per sum.
    np.testing.assert_allclose(found, expected, atol=1e-13)


@pytest.mark.parametrize("kind", REFERENCE)
def test_dead_concepts_are_undefined_and_untold_ones_zero(kind: str) -> None:
    real = concepts(40, 4, 0).astype(np.float32)
    predicted = real.copy()
    real[:, 1] = 0
    predicted[:, 2] = 0.1
    real[:, 3] = predicted[:, 3] = 0.7
    found = rsvc.predicted_similarity(predicted, real, kind=kind)
    np.testing.assert_allclose(found, [1, np.nan, 0, np.nan], atol=1e-6)


@pytest.mark.parametrize("kind", REFERENCE)
def test_max_similarity_is_a_loop_over_scipys(kind: str) -> None:
    u, v = concepts(50, 3, 1), concepts(50, 5, 2)
    expected = [max(REFERENCE[kind](a, b).statistic for b in v.T) for a in u.T]
    np.testing.assert_allclose(rsvc.max_similarity(u, v, kind=kind), expected, atol=1e-13)


def test_max_similarity_goes_by_sign() -> None:
    ramp = np.arange(10.0)[:, None]
    weak = np.random.default_rng(0).random((10, 1))
    found = rsvc.max_similarity(ramp, np.hstack([-ramp, weak]))
    np.testing.assert_allclose(found, [pearsonr(ramp[:, 0], weak[:, 0]).statistic], atol=1e-13)


def test_dead_concepts_have_no_match_and_are_none() -> None:
    u, v = concepts(50, 3, 1), concepts(50, 2, 2)
    dead = np.zeros((50, 1))
    found = rsvc.max_similarity(np.hstack([u, dead]), np.hstack([dead, v]))
    np.testing.assert_allclose(found[:3], rsvc.max_similarity(u, v), atol=1e-13)
    assert np.isnan(found[3])
    assert np.isnan(rsvc.max_similarity(u, dead)).all()


def pair_by_pair(list_1, list_2, kind):
    """MMCS from one scipy call per pair of concepts; dead concepts count for nothing."""
    matrices = np.full((2, len(list_1), len(list_2)), np.nan)
    for (i, u), (j, v) in itertools.product(enumerate(list_1), enumerate(list_2)):
        table = np.full((u.shape[1], v.shape[1]), -np.inf)
        for a, b in itertools.product(range(u.shape[1]), range(v.shape[1])):
            if np.ptp(u[:, a]) > 0 and np.ptp(v[:, b]) > 0:
                table[a, b] = REFERENCE[kind](u[:, a], v[:, b]).statistic
        for direction, best in enumerate((table.max(1), table.max(0))):
            if np.isfinite(best).any():
                matrices[direction, i, j] = best[np.isfinite(best)].mean()
    return {"1to2": matrices[0], "2to1": matrices[1], "both": matrices.mean(0)}


@pytest.mark.parametrize("kind", REFERENCE)
def test_layerwise_is_a_loop_over_pairs(kind: str) -> None:
    list_1 = [concepts(33, k, k) for k in (3, 1, 7)]
    list_2 = [concepts(33, k, 10 + k) for k in (2, 5)]
    list_1[2][:, 4] = 0
    list_2[1][:, :4] = 0
    list_1.append(np.zeros((33, 2)))
    expected = pair_by_pair(list_1, list_2, kind)
    for direction, matrix in expected.items():
        found = rsvc.layerwise(list_1, list_2, direction=direction, kind=kind)
        assert found.shape == (4, 2)
        np.testing.assert_allclose(found, matrix, atol=1e-13)
    assert np.isnan(expected["both"][3]).all()
    assert np.isfinite(expected["both"][:3]).all()


def test_layerwise_of_one_pair_is_the_mean_of_max_similarity() -> None:
    u, v = concepts(50, 10, 1), concepts(50, 10, 2)
    both = (rsvc.max_similarity(u, v).mean(), rsvc.max_similarity(v, u).mean())
    np.testing.assert_allclose(rsvc.layerwise([u], [v]), [[np.mean(both)]], atol=1e-13)
    np.testing.assert_allclose(rsvc.layerwise([u], [u]), [[1]], atol=1e-13)


def test_swapping_the_networks_transposes() -> None:
    list_1 = [concepts(33, 4, seed) for seed in range(3)]
    list_2 = [concepts(33, 4, seed) for seed in range(10, 15)]
    np.testing.assert_allclose(rsvc.layerwise(list_1, list_2), rsvc.layerwise(list_2, list_1).T, atol=1e-14)
    np.testing.assert_allclose(
        rsvc.layerwise(list_1, list_2, direction="1to2"),
        rsvc.layerwise(list_2, list_1, direction="2to1").T,
        atol=1e-14,
    )


def test_order_of_patches_and_scale_of_concepts_do_not_matter() -> None:
    list_1, list_2 = [concepts(64, 4, 0), concepts(64, 4, 1)], [concepts(64, 4, 2)]
    order = np.random.default_rng(0).permutation(64)
    moved = [3 * u[order] for u in list_1], [0.1 * u[order] for u in list_2]
    np.testing.assert_allclose(rsvc.layerwise(*moved), rsvc.layerwise(list_1, list_2), atol=1e-13)


def test_tensors_and_mixed_types() -> None:
    u, v = concepts(33, 3, 0), concepts(33, 2, 1)
    expected = rsvc.layerwise([u], [v])
    found = rsvc.layerwise([torch.from_numpy(u)], [torch.from_numpy(v).float()])
    assert isinstance(found, torch.Tensor)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert isinstance(rsvc.max_similarity(torch.from_numpy(u), v), torch.Tensor)
    assert isinstance(rsvc.predicted_similarity(torch.from_numpy(u), u), torch.Tensor)
    halves = rsvc.layerwise([u.astype(np.float16)], [v])
    np.testing.assert_allclose(halves, expected, atol=1e-3)  # rounded to 11 bits


def test_refusals() -> None:
    u = concepts(20, 3, 0)
    nan = u.copy()
    nan[4, 1] = np.nan
    cases = [
        (lambda: rsvc.predicted_similarity(u, u[:, :2]), ValueError, "predicted and real: shapes differ"),
        (lambda: rsvc.predicted_similarity(u[0], u[0]), ValueError, "predicted: expected a matrix"),
        (lambda: rsvc.predicted_similarity(u, u, kind="kendall"), ValueError, "kind: expected one of"),
        (lambda: rsvc.predicted_similarity(nan, u), ValueError, "NaN or Inf in row 4"),
        (lambda: rsvc.predicted_similarity(u[:1], u[:1]), ValueError, "at least 2 items, found 1"),
        (lambda: rsvc.max_similarity(u, u[1:]), ValueError, "coefficients and others: .*20 and 19 rows"),
        (lambda: rsvc.max_similarity(u, u[:, 0]), ValueError, "others: expected a matrix"),
        (lambda: rsvc.max_similarity(u, u, kind="x"), ValueError, "kind: expected one of"),
        (lambda: rsvc.max_similarity("u", u), TypeError, "coefficients: expected"),
        (lambda: rsvc.layerwise([], [u]), ValueError, "list_1: expected .* at least one layer"),
        (lambda: rsvc.layerwise([u], [u, u[1:]]), ValueError, r"list_2\[0\] and list_2\[1\]: .*20 and 19"),
        (lambda: rsvc.layerwise([u], [u[1:]]), ValueError, "list_1 and list_2: .*20 and 19 rows"),
        (lambda: rsvc.layerwise([u], [u[0]]), ValueError, r"list_2\[0\]: expected a matrix"),
        (lambda: rsvc.layerwise([np.float64(3)], [u]), ValueError, r"list_1\[0\]: expected a matrix"),
        (lambda: rsvc.layerwise([u], [u[:, :0]]), ValueError, r"list_2\[0\]: expected at least one row"),
        (lambda: rsvc.layerwise([u], [u], direction="up"), ValueError, "direction: expected one of"),
        (lambda: rsvc.layerwise([u], [u], kind="up"), ValueError, "kind: expected one of"),
        (lambda: rsvc.layerwise([u, nan], [u]), ValueError, "NaN or Inf in row 4"),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()
