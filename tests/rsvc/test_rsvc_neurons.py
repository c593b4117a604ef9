"""What neurons contribute to a concept: against predicting again with shuffled activations."""

from typing import Any

import numpy as np
import pytest
import torch
from planted_concepts import two_networks
from scipy.stats import pearsonr
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression

from diptych import rsvc

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def case() -> tuple[Any, Any, Any]:
    """A regression from network 1, activations and coefficients of patches of other images."""
    acts, _, u, groups = two_networks()
    regression = rsvc.predict(acts, u, groups)
    fresh, _, real, _ = two_networks(images=9, patches=3, seed=1)
    return regression, fresh, real


def by_definition(regression: Any, acts: Any, real: Any, repeats: int, seed: int) -> tuple[Any, Any]:
    """Every neuron shuffled in turn, and everything predicted again."""
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(acts)) for _ in range(repeats)]

    def correlations(x: Any) -> Any:
        predicted = regression.predict(x)
        return np.array([pearsonr(*pair)[0] for pair in zip(predicted.T, real.T, strict=True)])

    falls = np.empty((repeats, acts.shape[1], real.shape[1]))
    for r, order in enumerate(orders):
        for j in range(acts.shape[1]):
            shuffled = acts.copy()
            shuffled[:, j] = acts[order, j]
            falls[r, j] = correlations(acts) - correlations(shuffled)
    return falls.mean(0), falls.std(0)


@pytest.mark.parametrize("repeats", [1, 5])
def test_contribution_is_the_fall_of_the_correlation(case: Any, repeats: int) -> None:
    found = rsvc.neuron_contribution(*case, repeats=repeats, seed=3)
    fall, spread = by_definition(*case, repeats=repeats, seed=3)
    # Both are float64; a correlation of 27 patches has rounding of some 1e-15.
    np.testing.assert_allclose(found.fall, fall, atol=1e-12)
    np.testing.assert_allclose(found.spread, spread, atol=1e-12)
    regression, acts, real = case
    expected = [pearsonr(*pair)[0] for pair in zip(regression.predict(acts).T, real.T, strict=True)]
    np.testing.assert_allclose(found.correlation, expected, atol=1e-12)
    unused = (regression.weights == 0).all(0)
    assert unused.any()
    assert (found.fall[unused] == 0).all()


def test_the_order_of_neurons_is_scikit_learns(case: Any) -> None:
    regression, acts, real = case
    model = LinearRegression()
    every = regression.predict(np.vstack([np.zeros(30), np.eye(30)]))
    model.coef_, model.intercept_ = (every[1:] - every[0]).T, every[0]

    def score(estimator: Any, x: Any, y: Any) -> float:
        return float(np.corrcoef(estimator.predict(x)[:, 0], y)[0, 1])

    theirs = permutation_importance(model, acts, real[:, 0], scoring=score, n_repeats=200, random_state=0)
    found = rsvc.neuron_contribution(regression, acts, real, repeats=200)
    # Means over 200 shuffles, each with its own standard error.
    error = np.hypot(theirs.importances_std, found.spread[:, 0]) / np.sqrt(200)
    assert (np.abs(theirs.importances_mean - found.fall[:, 0]) <= 5 * error + 1e-9).all()
    assert found.strongest(0, 1).tolist() == [int(theirs.importances_mean.argmax())]


def test_neurons_of_the_concepts_own_pattern_are_the_strongest(case: Any) -> None:
    found = rsvc.neuron_contribution(*case)
    for concept in range(4):
        strongest = found.strongest(concept, 3)
        assert len(strongest) == 3
        # In the planted networks neuron j belongs to concept 4 j // 30.
        assert set(strongest * 4 // 30) == {concept}
        falls = found.fall[strongest, concept]
        assert (np.diff(falls) <= 0).all()


def test_torch_in_torch_out_in_any_order_of_memory(case: Any) -> None:
    regression, acts, real = case
    plain = rsvc.neuron_contribution(regression, acts, real)
    strided = rsvc.neuron_contribution(regression, np.asfortranarray(acts), np.repeat(real, 2, 0)[::2])
    # BLAS adds up in another order for another layout.
    np.testing.assert_allclose(plain.fall, strided.fall, atol=1e-12)
    found = rsvc.neuron_contribution(regression, torch.from_numpy(acts), torch.from_numpy(real))
    assert isinstance(found.fall, torch.Tensor)
    np.testing.assert_array_equal(found.fall.numpy(), plain.fall)
    assert isinstance(found.strongest(0), torch.Tensor)
    half = rsvc.neuron_contribution(regression, acts.astype(np.float32), real)
    np.testing.assert_allclose(half.fall, plain.fall, atol=1e-6)  # of activations in float32


def test_a_shifted_neuron_and_a_scaled_concept_change_nothing(case: Any) -> None:
    regression, acts, real = case
    plain = rsvc.neuron_contribution(regression, acts, real)
    moved = rsvc.neuron_contribution(regression, acts + 7.0, 3.0 * real)
    np.testing.assert_allclose(moved.fall, plain.fall, atol=1e-12)


def test_dead_concepts_and_predictions_that_are_constant(case: Any) -> None:
    regression, acts, real = case
    dead = real.copy()
    dead[:, 1] = 4.0
    found = rsvc.neuron_contribution(regression, acts, dead)
    assert np.isnan(found.fall[:, 1]).all()
    assert np.isnan(found.correlation[1])
    assert np.isfinite(found.fall[:, [0, 2, 3]]).all()
    assert found.strongest(1).tolist() == []
    still = rsvc.neuron_contribution(regression, np.full_like(acts, 2.0), real)
    assert (still.correlation == 0).all()
    assert (still.fall == 0).all()


def test_the_same_seed_gives_the_same_shuffles(case: Any) -> None:
    first, again, other = (rsvc.neuron_contribution(*case, seed=seed).fall for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    ("changed", "error", "found"),
    [
        ({"activations": np.ones((5, 3))}, ValueError, r"activations: .*30 features.*found shape \(5, 3\)"),
        ({"activations": np.ones((1, 30))}, ValueError, "activations: expected at least two rows"),
        ({"activations": np.ones(30)}, ValueError, "activations: "),
        ({"activations": np.full((27, 30), np.nan)}, ValueError, "activations: .*NaN"),
        ({"coefficients": np.ones((27, 3))}, ValueError, r"coefficients: expected shape \(27, 4\)"),
        ({"coefficients": np.full((27, 4), np.inf)}, ValueError, "coefficients: .*Inf"),
        ({"repeats": 0}, ValueError, "repeats: expected 1"),
        ({"seed": -1}, ValueError, "seed: expected 0"),
        ({"activations": "a"}, TypeError, "activations: "),
    ],
)
def test_bad_input_is_named(case: Any, changed: Any, error: type[Exception], found: str) -> None:
    regression, acts, real = case
    arguments = {"activations": acts, "coefficients": real, **changed}
    with pytest.raises(error, match=found):
        rsvc.neuron_contribution(regression, **arguments)
