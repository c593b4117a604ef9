"""ConvexNMF: against the paper's formulas, its guarantees, and scikit-learn's estimator contract."""

import warnings

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from diptych.estimators import ConvexNMF
from diptych.estimators.convex_nmf import SignedGram, update_coefficients, update_weights


def paper_step(X, G, W):
    """G and then W by the convex-NMF algorithm in the paper's orientation (X is p×n)."""
    A = X.T @ X
    plus, minus = (abs(A) + A) / 2, (abs(A) - A) / 2
    new_G = np.empty_like(G)
    for i in range(G.shape[0]):
        for k in range(G.shape[1]):
            above = (plus @ W)[i, k] + (G @ W.T @ minus @ W)[i, k]
            below = (minus @ W)[i, k] + (G @ W.T @ plus @ W)[i, k]
            new_G[i, k] = G[i, k] * np.sqrt(above / below)
    new_W = np.empty_like(W)
    for i in range(W.shape[0]):
        for k in range(W.shape[1]):
            above = (plus @ new_G)[i, k] + (minus @ W @ new_G.T @ new_G)[i, k]
            below = (minus @ new_G)[i, k] + (plus @ W @ new_G.T @ new_G)[i, k]
            new_W[i, k] = W[i, k] * np.sqrt(above / below)
    return new_G, new_W


def fit(x, k, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return ConvexNMF(k, random_state=0, **options).fit(x)


def clusters(seed=0):
    rng = np.random.default_rng(seed)
    return np.repeat(4 * np.eye(3, 6), [10, 14, 16], axis=0) + rng.uniform(-0.5, 0.5, (40, 6))


@pytest.mark.parametrize(("n", "d", "k"), [(7, 3, 2), (31, 8, 5), (12, 1, 1), (9, 9, 9)])
@pytest.mark.parametrize("signed", [True, False])
def test_one_step_is_the_papers(n, d, k, signed):
    rng = np.random.default_rng(n)
    x = rng.standard_normal((n, d)) if signed else rng.random((n, d))
    G, W = rng.random((n, k)) + 0.1, rng.random((n, k)) + 0.1
    wanted_G, wanted_W = paper_step(x.T, G, W)
    gram = SignedGram(x)
    new_G = update_coefficients(G, W, gram.parts(W))
    new_W = update_weights(new_G, W, gram.parts(new_G), gram.parts(W))
    # K⁺W as a half-sum loses to rounding what K⁻W exceeds it by: a factor of hundreds at most here.
    np.testing.assert_allclose(new_G, wanted_G, rtol=1e-11)
    np.testing.assert_allclose(new_W, wanted_W, rtol=1e-11)


def test_the_start_is_the_papers():
    x = clusters()
    labels = KMeans(3, n_init=10, random_state=0).fit_predict(x)
    H = np.eye(3)[labels]
    G, W = H + 0.2, (H + 0.2) / H.sum(axis=0)
    model = fit(x, 3, max_iter=1)
    # Nothing but the order of summation differs.
    np.testing.assert_allclose(model.loss_curve_[0], np.linalg.norm(x - G @ W.T @ x), rtol=1e-12)
    np.testing.assert_allclose(model.weights_, paper_step(x.T, G, W)[1], rtol=1e-10)


@pytest.mark.parametrize(("dtype", "slack"), [(np.float64, 1e-13), (np.float32, 1e-6)])
@pytest.mark.parametrize("signed", [True, False])
def test_error_never_rises(dtype, slack, signed):
    rng = np.random.default_rng(1)
    x = (rng.standard_normal((120, 10)) if signed else rng.random((120, 10))).astype(dtype)
    model = fit(x, 4, max_iter=200, tol=0)
    # Slack: the rounding of a norm over 1,200 entries, some ten eps of the norm itself.
    assert (np.diff(model.loss_curve_) <= slack * model.loss_curve_[0]).all()
    assert model.loss_curve_[-1] < 0.98 * model.loss_curve_[0]
    assert len(model.loss_curve_) == model.n_iter_ + 1
    # The exact last step cannot be worse than the iterate.
    assert model.reconstruction_err_ <= model.loss_curve_[-1] * (1 + slack)


def test_factors_are_what_they_are_said_to_be():
    x = np.random.default_rng(2).standard_normal((50, 7))
    model = fit(x, 3)
    G = model.transform(x)
    assert G.shape == model.weights_.shape == (50, 3)
    assert (G >= 0).all()
    assert (model.weights_ >= 0).all()
    # One product, summed in another order.
    np.testing.assert_allclose(model.components_, model.weights_.T @ x, atol=1e-12)
    np.testing.assert_allclose(
        model.reconstruction_err_, np.linalg.norm(x - model.inverse_transform(G)), rtol=1e-12
    )


def test_a_known_factorisation_is_recovered():
    rng = np.random.default_rng(3)
    # The extreme rays are among the items, so that components inside the items' cone are unique
    # up to order and scale.
    rays = rng.standard_normal((3, 8))
    G = np.vstack([np.repeat(np.eye(3), 10, axis=0), 0.4 * rng.dirichlet([1, 1, 1], 20)])
    model = fit(G @ rays, 3, max_iter=20000, tol=0)
    # Weights that tend to zero do so as 1/iterations (5e-5), and leave an error of that order.
    assert model.reconstruction_err_ < 1e-3 * np.linalg.norm(G @ rays)
    found = model.components_ / np.linalg.norm(model.components_, axis=1, keepdims=True)
    cosine = (rays / np.linalg.norm(rays, axis=1, keepdims=True)) @ found.T
    assert sorted(cosine.argmax(axis=0)) == [0, 1, 2]
    np.testing.assert_allclose(cosine.max(axis=0), 1, atol=1e-4)


def test_the_end_satisfies_the_kuhn_tucker_conditions():
    x = clusters()
    violation = {}
    for iterations in (200, 2000):
        model = fit(x, 3, max_iter=iterations, tol=0)
        G, W, F = model.transform(x), model.weights_, model.components_
        gradient_G = (G @ F - x) @ F.T
        # The coefficients are exact: complementary slackness holds to the rounding of terms of 16.
        np.testing.assert_allclose(G * gradient_G, 0, atol=1e-11)
        assert gradient_G.min() > -1e-11
        gradient_W = x @ (G.T @ (G @ F - x)).T
        size = np.abs(x @ x.T @ G).max()
        violation[iterations] = max(np.abs(W * gradient_W).max() / (W.max() * size), -gradient_W.min() / size)
        # Weights that tend to zero do so as 1/iterations.
        assert violation[iterations] < 1 / iterations
    assert violation[2000] < 0.3 * violation[200]


def test_rotating_the_features_changes_neither_coefficients_nor_weights():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((50, 6))
    rotation, _ = np.linalg.qr(rng.standard_normal((6, 6)))
    plain, rotated = fit(x, 3, max_iter=30, tol=0), fit(x @ rotation, 3, max_iter=30, tol=0)
    # Thirty contracting steps do not amplify the rotation's rounding beyond a few hundred eps.
    np.testing.assert_allclose(rotated.weights_, plain.weights_, atol=1e-10)
    np.testing.assert_allclose(rotated.transform(x @ rotation), plain.transform(x), atol=1e-10)


def test_nonnegative_data_gives_the_same_with_and_without_the_stored_gram():
    rng = np.random.default_rng(6)
    x = rng.random((40, 5))
    x[:, 0] += 3
    # A half-turn in two features keeps the Gram matrix non-negative, and x signed.
    turned = x * np.array([-1, -1, 1, 1, 1])
    plain, signed = fit(x, 3, max_iter=30, tol=0), fit(turned, 3, max_iter=30, tol=0)
    np.testing.assert_allclose(signed.weights_, plain.weights_, atol=1e-10)


@pytest.mark.parametrize("factor", [1e-200, 1e200])
def test_extreme_units_change_nothing_but_the_units(factor):
    x = np.random.default_rng(7).standard_normal((30, 5))
    options = {"max_iter": 30, "tol": 0}
    plain, scaled = fit(x, 3, **options), fit(x * factor, 3, **options)
    # The scale is no power of two: an eps of rounding, carried through the iterations.
    np.testing.assert_allclose(scaled.weights_, plain.weights_, atol=1e-10)
    np.testing.assert_allclose(scaled.transform(x * factor), plain.transform(x), atol=1e-10)
    np.testing.assert_allclose(scaled.components_ / factor, plain.components_, atol=1e-10)


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@pytest.mark.parametrize("x", [np.zeros((6, 3)), np.ones((6, 3)), -np.ones((6, 3))])
def test_items_without_variety_give_finite_factors(x):
    model = fit(x, 2)
    G = model.fit_transform(x)
    assert np.isfinite(model.weights_).all()
    # The items are a multiple of one row, so a component reproduces them to rounding.
    np.testing.assert_allclose(G @ model.components_, x, atol=1e-12)


def test_a_seed_repeats_the_fit_and_float32_stays():
    x = np.random.default_rng(8).standard_normal((80, 5)).astype(np.float32)
    first, second = fit(x, 3), fit(x, 3)
    np.testing.assert_array_equal(first.weights_, second.weights_)
    assert first.weights_.dtype == first.components_.dtype == np.float32
    assert first.transform(x).dtype == np.float32
    double = fit(x.astype(np.float64), 3, max_iter=50, tol=0)
    single = fit(x, 3, max_iter=50, tol=0)
    # Float32 eps 1.2e-7, fifty steps.
    np.testing.assert_allclose(single.components_, double.components_, atol=1e-4)


def test_stopping_early_is_told():
    x = np.random.default_rng(9).standard_normal((30, 5))
    with pytest.warns(ConvergenceWarning, match="ConvexNMF stopped at max_iter=1 before"):
        ConvexNMF(3, max_iter=1, tol=0, random_state=0).fit(x)


def test_a_long_fit_shows_its_progress(impatient, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    fit(clusters(), 2, max_iter=5, tol=0)
    assert "Fitting ConvexNMF" in capsys.readouterr().err
    fit(clusters(), 2, max_iter=5, tol=0, progress=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_components": 0}, ValueError, "n_components: expected 1 to .*, found 0"),
        ({"n_components": -2}, ValueError, "n_components: expected 1 to .*, found -2"),
        ({"n_components": "3"}, TypeError, "n_components: expected an integer, found '3'"),
        ({"n_components": 7}, ValueError, "n_components: expected 1 to 6, found 7"),
        ({"max_iter": 0}, ValueError, "max_iter: expected 1 to .*, found 0"),
        ({"tol": float("inf")}, ValueError, "tol: expected a finite number of at least 0, found inf"),
    ],
)
def test_bad_parameters_are_named(options, error, message):
    with pytest.raises(error, match=message):
        ConvexNMF(**{"n_components": 2, **options}).fit(np.ones((6, 3)))


def test_bad_data_is_named():
    x = np.ones((6, 3))
    x[4, 1] = np.nan
    with pytest.raises(ValueError, match="X: expected finite numbers, found NaN or Inf in row 4"):
        ConvexNMF(2).fit(x)
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        ConvexNMF(2).fit(np.ones(6))
    with pytest.raises(NotFittedError):
        ConvexNMF(2).transform(np.ones((6, 3)))
    model = ConvexNMF(1, random_state=0).fit(np.ones((6, 3)))
    with pytest.raises(ValueError, match="X has 4 features, but ConvexNMF is expecting 3"):
        model.transform(np.ones((6, 4)))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([ConvexNMF(2, max_iter=100, random_state=0)])
def test_scikit_learns_contract(estimator, check):
    check(estimator)
