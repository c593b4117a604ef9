"""SemiNMF: against the paper's formulas, its guarantees, and scikit-learn's estimator contract."""

import warnings

import numpy as np
import pytest
from scipy.optimize import nnls
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from diptych.estimators import SemiNMF
from diptych.estimators.semi_nmf import least_squares_components, update_coefficients


def paper_step(X, G):
    """One pass of the semi-NMF algorithm in the paper's orientation (X is p×n), entry by entry."""
    n = X.shape[1]
    k = G.shape[1]
    F = X @ G @ np.linalg.inv(G.T @ G)
    A = X.T @ F
    B = F.T @ F
    new = np.empty((n, k))
    for i in range(n):
        for j in range(k):
            above = (abs(A[i, j]) + A[i, j]) / 2
            below = (abs(A[i, j]) - A[i, j]) / 2
            for m in range(k):
                above += G[i, m] * (abs(B[m, j]) - B[m, j]) / 2
                below += G[i, m] * (abs(B[m, j]) + B[m, j]) / 2
            new[i, j] = G[i, j] * np.sqrt(above / below)
    return F, new


def fit(x, k, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return SemiNMF(k, random_state=0, **options).fit(x)


@pytest.mark.parametrize(("n", "d", "k"), [(7, 3, 2), (31, 8, 5), (12, 1, 1), (9, 9, 9)])
def test_one_step_is_the_papers(n, d, k):
    rng = np.random.default_rng(n)
    x = rng.standard_normal((n, d))
    G = rng.random((n, k)) + 0.1
    F, new = paper_step(x.T, G)
    # Both sides take a few dozen operations per entry; cond(GᵀG) scales their rounding.
    rtol = 1e3 * np.finfo(float).eps * np.linalg.cond(G.T @ G)
    found = least_squares_components(x, G)
    np.testing.assert_allclose(found, F.T, rtol=0, atol=rtol * np.abs(F).max())
    # At the paper's own F only the order of summation differs.
    np.testing.assert_allclose(update_coefficients(x, G, F.T), new, rtol=1e-10)


@pytest.mark.parametrize(("dtype", "slack"), [(np.float64, 1e-13), (np.float32, 1e-6)])
def test_error_never_rises(dtype, slack):
    x = np.random.default_rng(1).standard_normal((120, 10)).astype(dtype)
    model = fit(x, 4, max_iter=200, tol=0)
    # Slack: the rounding of a norm over 1,200 entries, some ten eps of the norm itself.
    assert (np.diff(model.loss_curve_) <= slack * model.loss_curve_[0]).all()
    assert model.loss_curve_[-1] < 0.95 * model.loss_curve_[0]
    assert len(model.loss_curve_) == model.n_iter_ + 1
    # The exact last step cannot be worse than the iterate.
    assert model.reconstruction_err_ <= model.loss_curve_[-1] * (1 + slack)


def test_a_known_factorisation_is_recovered():
    rng = np.random.default_rng(2)
    G = np.zeros((90, 3))
    G[np.arange(90), np.repeat([0, 1, 2], 30)] = rng.uniform(0.5, 2, 90)
    x = G @ rng.standard_normal((3, 12))
    model = fit(x, 3, max_iter=5000, tol=1e-12)
    # Where steps of 1e-12 end, the geometric tail left is some orders above a single step.
    assert model.reconstruction_err_ < 1e-6 * np.linalg.norm(x)
    # Free components may span a wider cone than the true ones, so G itself is not unique; which
    # component an item belongs to is.
    table = np.zeros((3, 3), int)
    np.add.at(table, (G.argmax(axis=1), model.transform(x).argmax(axis=1)), 1)
    assert sorted(table.ravel()) == [0] * 6 + [30] * 3


def test_coefficients_are_nonnegative_and_solve_their_least_squares_problem():
    x = np.random.default_rng(3).standard_normal((60, 9))
    model = fit(x, 4)
    G = model.transform(x)
    assert (G >= 0).all()
    for item, row in zip(x, G, strict=True):
        wanted, _ = nnls(model.components_.T, item)
        # Two exact solvers on a well-conditioned 9×4 problem differ by rounding alone.
        np.testing.assert_allclose(row, wanted, atol=1e-12)
    np.testing.assert_allclose(
        model.reconstruction_err_, np.linalg.norm(x - model.inverse_transform(G)), rtol=1e-12
    )


def test_the_end_is_a_stationary_point():
    rng = np.random.default_rng(4)
    x = np.repeat(4 * np.eye(3, 6), [10, 14, 16], axis=0) + rng.uniform(-0.5, 0.5, (40, 6))
    model = fit(x, 3, max_iter=5000, tol=1e-13)
    G, F = model.transform(x), model.components_
    gradient_F = G.T @ (G @ F - x)
    # The error is quadratic about its minimum: steps of 1e-13 leave factors some 3e-7 away.
    assert np.abs(gradient_F).max() < 1e-6 * np.abs(G.T @ x).max()
    gradient_G = (G @ F - x) @ F.T
    # The coefficients are exact: complementary slackness holds to the rounding of terms up to 16.
    np.testing.assert_allclose(G * gradient_G, 0, atol=1e-12)
    assert gradient_G.min() > -1e-12


def test_rotating_the_features_rotates_the_components():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((50, 6))
    rotation, _ = np.linalg.qr(rng.standard_normal((6, 6)))
    plain, rotated = fit(x, 3, max_iter=30, tol=0), fit(x @ rotation, 3, max_iter=30, tol=0)
    # Thirty contracting steps do not amplify the rotation's rounding beyond a few hundred eps.
    np.testing.assert_allclose(rotated.components_, plain.components_ @ rotation, atol=1e-10)
    np.testing.assert_allclose(rotated.transform(x @ rotation), plain.transform(x), atol=1e-10)


@pytest.mark.parametrize("factor", [1e-200, 1e200])
def test_extreme_units_change_nothing_but_the_units(factor):
    x = np.random.default_rng(6).standard_normal((30, 5))
    plain, scaled = fit(x, 3), fit(x * factor, 3)
    # The scale is no power of two: an eps of rounding, carried through the iterations.
    np.testing.assert_allclose(scaled.transform(x * factor), plain.transform(x), atol=1e-9)
    np.testing.assert_allclose(scaled.components_ / factor, plain.components_, atol=1e-9)
    np.testing.assert_allclose(scaled.reconstruction_err_ / factor, plain.reconstruction_err_)


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@pytest.mark.parametrize("x", [np.zeros((6, 3)), np.ones((6, 3)), -np.ones((6, 3))])
def test_items_without_variety_give_finite_factors(x):
    model = fit(x, 2)
    G = model.fit_transform(x)
    assert np.isfinite(model.components_).all()
    # The items are a multiple of one row, so a component reproduces them to rounding.
    np.testing.assert_allclose(G @ model.components_, x, atol=1e-12)


def test_a_seed_repeats_the_fit_and_float32_stays():
    x = np.random.default_rng(7).standard_normal((80, 5)).astype(np.float32)
    first, second = fit(x, 3), fit(x, 3)
    np.testing.assert_array_equal(first.components_, second.components_)
    assert first.components_.dtype == first.transform(x).dtype == np.float32
    double = fit(x.astype(np.float64), 3, max_iter=50, tol=0)
    single = fit(x, 3, max_iter=50, tol=0)
    # Float32 eps 1.2e-7, fifty steps.
    np.testing.assert_allclose(single.components_, double.components_, atol=1e-4)


def test_stopping_early_is_told():
    x = np.random.default_rng(8).standard_normal((30, 5))
    with pytest.warns(ConvergenceWarning, match="SemiNMF stopped at max_iter=1 before"):
        SemiNMF(3, max_iter=1, tol=0, random_state=0).fit(x)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_components": 0}, ValueError, "n_components: expected 1 to .*, found 0"),
        ({"n_components": -2}, ValueError, "n_components: expected 1 to .*, found -2"),
        ({"n_components": 2.0}, TypeError, "n_components: expected an integer, found 2.0"),
        ({"n_components": True}, TypeError, "n_components: expected an integer, found True"),
        ({"n_components": 7}, ValueError, "n_components: expected 1 to 6, found 7"),
        ({"max_iter": 0}, ValueError, "max_iter: expected 1 to .*, found 0"),
        ({"tol": -1e-3}, ValueError, "tol: expected a finite number of at least 0, found -0.001"),
        ({"tol": float("nan")}, ValueError, "tol: expected a finite number of at least 0, found nan"),
        ({"tol": "small"}, TypeError, "tol: expected a number, found 'small'"),
    ],
)
def test_bad_parameters_are_named(options, error, message):
    with pytest.raises(error, match=message):
        SemiNMF(**{"n_components": 2, **options}).fit(np.ones((6, 3)))


def test_more_components_than_a_projection_can_be_solved_for_are_named():
    with pytest.raises(ValueError, match="n_components: expected 1 to 256, found 257"):
        SemiNMF(257).fit(np.ones((300, 2)))


def test_bad_data_is_named():
    x = np.ones((6, 3))
    x[4, 1] = np.nan
    with pytest.raises(ValueError, match="X: expected finite numbers, found NaN or Inf in row 4"):
        SemiNMF(2).fit(x)
    x[4, 1] = -np.inf
    with pytest.raises(ValueError, match="X: expected finite numbers, found NaN or Inf in row 4"):
        SemiNMF(2).fit(x)
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        SemiNMF(2).fit(np.ones(6))
    with pytest.raises(NotFittedError):
        SemiNMF(2).transform(np.ones((6, 3)))
    with pytest.raises(NotFittedError):
        SemiNMF(2).inverse_transform(np.ones((6, 2)))
    model = SemiNMF(1, random_state=0).fit(np.ones((6, 3)))
    with pytest.raises(ValueError, match="X has 4 features, but SemiNMF is expecting 3"):
        model.transform(np.ones((6, 4)))
    with pytest.raises(ValueError, match=r"X: expected shape \(n_samples, 1\), found \(6, 2\)"):
        model.inverse_transform(np.ones((6, 2)))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([SemiNMF(2, max_iter=100, random_state=0)])
def test_scikit_learns_contract(estimator, check):
    check(estimator)
