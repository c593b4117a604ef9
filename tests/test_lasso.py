"""diptych.ops.lasso against its definition, scikit-learn, celer and the conditions of optimality."""

import sys
import warnings

import numpy as np
import pytest
import torch
from helpers import gaussian
from hypothesis import given, settings
from hypothesis import strategies as st
from lasso_gaps import farthest, gaps
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso
from sklearn.model_selection import KFold, PredefinedSplit

from diptych import ops
from diptych.ops.lasso import reference

BACKENDS = ("cpu", "torch")

#: (n, p, t): the plain loop, all features at once, working sets of single targets and of their union.
SMALL, WHOLE, SETS, UNION = (31, 9, 2), (800, 33, 7), (129, 300, 2), (129, 400, 33)
SHAPES = ((1, 1, 1), (2, 3, 1), (7, 8, 3), SMALL, WHOLE, SETS, UNION)


def problem(n: int, p: int, t: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Standardised columns; each target is a noisy sum of three features."""
    x = gaussian(n, p, seed, torch.float64).numpy()
    x = x + 0.5 * gaussian(n, 1, seed + 1, torch.float64).numpy()
    generator = np.random.default_rng(seed)
    chosen = generator.integers(0, p, (3, t))
    y = x[:, chosen].sum(1) + 0.5 * generator.standard_normal((n, t))
    return standardised(x), standardised(y)


def standardised(x: np.ndarray) -> np.ndarray:
    spread = x.std(0)
    return (x - x.mean(0)) / np.where(spread > 0, spread, 1)


def activations(n: int, p: int, t: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """As in RSVC: rectified, correlated features of low effective rank; targets of a few of their causes."""
    generator = np.random.default_rng(seed)
    causes = generator.standard_normal((n, 24))
    mixing = generator.standard_normal((24, p)) * (generator.random((24, p)) < 0.2)
    x = np.maximum(causes @ mixing + 0.5 * generator.standard_normal((n, p)), 0)
    y = np.maximum(causes[:, :5] @ generator.random((5, t)) + 0.3 * generator.standard_normal((n, t)), 0)
    return standardised(x), standardised(y)


def attainable(dtype: type) -> float:
    """A tolerance to ask for: rounding coefficients to float32 moves gradients by 1e-7, and so the gap."""
    return 1e-6 if dtype == np.float32 else 1e-8


@pytest.mark.parametrize("backend", [None, "torch"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_the_definition(
    device: torch.device, shape: tuple[int, int, int], dtype: type, backend: str | None
) -> None:
    x, y = problem(*shape)
    given_x, given_y = (torch.from_numpy(array.astype(dtype)).to(device) for array in (x, y))
    found = ops.lasso(given_x, given_y, 0.1, tol=attainable(dtype), backend=backend)
    coef = found.coef.cpu().numpy()
    assert coef.dtype == dtype
    assert coef.shape == (shape[1], shape[2])
    x, y = x.astype(dtype).astype(np.float64), y.astype(dtype).astype(np.float64)
    expected = reference(torch.from_numpy(x), torch.from_numpy(y), 0.1).numpy()
    limit = attainable(dtype) * (y**2).mean(0)
    assert (gaps(x, y, coef, 0.1) <= limit * (1 + 1e-6)).all()
    moved = np.linalg.norm(x @ (coef - expected), axis=0)
    assert (moved <= farthest(x, y, coef, 0.1, limit)).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [SMALL, WHOLE, SETS, UNION])
def test_gap_is_that_of_the_result(shape: tuple[int, int, int], backend: str) -> None:
    x, y = problem(*shape, seed=3)
    for dtype in (np.float32, np.float64):
        rounded = x.astype(dtype)
        found = ops.lasso(rounded, y, 0.05, tol=1e-6, backend=backend)
        # Both are differences of numbers below |y|²/n = 1, summed over n products in float64.
        np.testing.assert_allclose(found.gap, gaps(rounded, y, found.coef, 0.05), rtol=0.5, atol=1e-12)
        assert (found.gap <= 1e-6).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [SMALL, WHOLE, SETS, UNION])
def test_conditions_of_optimality(shape: tuple[int, int, int], backend: str) -> None:
    x, y = problem(*shape, seed=5)
    alpha, tol = 0.1, 1e-12
    coef = ops.lasso(x, y, alpha, tol=tol, backend=backend).coef
    gradient = x.T @ (y - x @ coef) / len(x)
    # |x_j'X d|/n <= |x_j| |Xd| / n with |x_j|² = n and |Xd|² <= 2 n tol.
    slack = np.sqrt(2 * tol) * 1.01
    assert (np.abs(gradient) <= alpha + slack).all()
    used = coef != 0
    assert used.any()
    assert (np.abs(gradient - alpha * np.sign(coef))[used & (np.abs(coef) > 1e-4)] <= slack).all()


@pytest.mark.parametrize("shape", [SMALL, WHOLE, SETS, UNION])
def test_agrees_with_scikit_learn(shape: tuple[int, int, int]) -> None:
    x, y = problem(*shape, seed=7)
    found = ops.lasso(x, y, 0.1, tol=1e-10).coef
    for j in range(shape[2]):
        model = Lasso(alpha=0.1, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(x, y[:, j])
        moved = np.linalg.norm(x @ (found[:, j] - model.coef_))
        assert moved <= np.sqrt(2 * len(x) * 1e-10) * 1.1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("alpha", "data"), [(0.1, activations), (0.01, activations), (0.1, problem)])
def test_agrees_with_celer(dtype: type, alpha: float, data) -> None:
    celer = pytest.importorskip("celer", reason="celer is not installed")
    x, y = (array.astype(dtype) for array in data(400, 600, 3))
    found = ops.lasso(x, y, alpha, tol=1e-7)
    for j in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # celer in float32 may end just above its tolerance
            model = celer.Lasso(alpha=alpha, fit_intercept=False, tol=1e-7)
            theirs = model.fit(np.asfortranarray(x), y[:, j])
        bound = max(float(gaps(x, y[:, [j]], theirs.coef_[:, None], alpha)[0]), 1e-7)
        moved = np.linalg.norm(x.astype(np.float64) @ (found.coef[:, j].astype(np.float64) - theirs.coef_))
        assert moved <= np.sqrt(2 * len(x) * bound) + np.sqrt(2 * len(x) * 1e-7)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [SMALL, WHOLE, SETS, UNION])
def test_folds_are_separate_calls(shape: tuple[int, int, int], dtype: type, backend: str) -> None:
    x, y = (array.astype(dtype) for array in problem(*shape, seed=9))
    n, _, t = shape
    tags = np.random.default_rng(0).permutation(np.arange(n) % 4) - 1  # fold -1 trains every model
    tol = attainable(dtype)
    found = ops.lasso(x, y, 0.1, tags, tol=tol, backend=backend)
    assert found.coef.shape == (3, shape[1], t)
    assert found.gap.shape == found.n_iter.shape == (3, t)
    for k, (train, _) in enumerate(PredefinedSplit(tags).split()):
        alone = ops.lasso(x[train], y[train], 0.1, tol=tol, backend=backend)
        power = (y[train].astype(np.float64) ** 2).mean(0)
        assert (gaps(x[train], y[train], found.coef[k], 0.1) <= tol * power * (1 + 1e-4)).all()
        moved = np.linalg.norm(x[train].astype(np.float64) @ (found.coef[k] - alone.coef), axis=0)
        assert (moved <= 2 * np.sqrt(2 * len(train) * tol * power)).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_number_of_folds_cuts_as_scikit_learn(backend: str) -> None:
    x, y = problem(31, 9, 2)
    tags = np.empty(31, np.int64)
    for k, (_, test) in enumerate(KFold(4).split(x)):
        tags[test] = k
    by_number, by_tags = (ops.lasso(x, y, 0.1, folds, backend=backend) for folds in (4, tags))
    np.testing.assert_array_equal(by_number.coef, by_tags.coef)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [SMALL, WHOLE, SETS, UNION])
def test_large_alpha_gives_exactly_zero(shape: tuple[int, int, int], backend: str) -> None:
    x, y = problem(*shape)
    largest = np.abs(x.T @ y).max(0) / len(x)
    found = ops.lasso(x, y, largest * 1.000001, backend=backend)
    assert (found.coef == 0).all()
    # P = |y|²/2n and D = |y|²/n - |y|²/2n, of the same sums.
    assert (found.gap <= 1e-12).all()
    assert (ops.lasso(x, y, largest * 0.99, tol=1e-9, backend=backend).coef != 0).any(0).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_target_has_its_own_alpha(backend: str) -> None:
    x, y = problem(*SETS)
    both = ops.lasso(x, y, [0.1, 0.3], tol=1e-10, backend=backend)
    for j, alpha in enumerate((0.1, 0.3)):
        alone = ops.lasso(x, y[:, j], alpha, tol=1e-10, backend=backend)
        assert alone.coef.shape == (300,)
        assert alone.gap.shape == alone.n_iter.shape == ()
        np.testing.assert_allclose(x @ both.coef[:, j], x @ alone.coef, atol=1e-3)
    numpy_scalar = ops.lasso(x, y, np.float32(0.5), backend=backend)
    np.testing.assert_array_equal(numpy_scalar.coef, ops.lasso(x, y, 0.5, backend=backend).coef)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [SMALL, WHOLE, SETS])
def test_zero_and_equal_columns(shape: tuple[int, int, int], backend: str) -> None:
    x, y = problem(*shape)
    x[:, 1] = x[:, 0]
    x[:, 2] = 0
    y[:, 0] = standardised(x[:, [0]] + 0.1 * x[:, [3]])[:, 0]
    for dtype in (np.float32, np.float64):
        found = ops.lasso(x.astype(dtype), y, 0.1, tol=1e-6, backend=backend)
        assert (found.coef[2] == 0).all()
        assert (gaps(x.astype(dtype), y, found.coef, 0.1) <= 1e-6 * 1.0001).all()
        assert found.coef[:2, 0].sum() > 0.5
    empty = np.zeros_like(x)
    nothing = ops.lasso(empty, y, 0.1, backend=backend)
    assert (nothing.coef == 0).all()
    assert (nothing.gap <= 1e-12).all()
    zero_target = ops.lasso(x, 0 * y, 0.1, backend=backend)
    assert (zero_target.coef == 0).all()
    assert (zero_target.gap == 0).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [SMALL, SETS])
def test_columns_that_live_in_one_fold_only(shape: tuple[int, int, int], backend: str) -> None:
    x, y = problem(*shape)
    n = len(x)
    x[: n // 2, 3] = 0  # zero on all that the model of the second fold is trained on
    found = ops.lasso(x, y, 0.05, np.arange(n) // ((n + 1) // 2), backend=backend)
    assert (found.coef[1, 3] == 0).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_scaling(backend: str) -> None:
    x, y = problem(*SETS)
    plain = ops.lasso(x, y, 0.1, tol=1e-11, backend=backend).coef
    # (aX, bY, ab alpha) has the solution w b / a. 1e-4: the fit moves by at most sqrt(2 tol) per item, and
    # the few features in use are nearly orthogonal.
    scaled = ops.lasso(1e3 * x, 1e-2 * y, 10 * 0.1, tol=1e-11, backend=backend).coef
    np.testing.assert_allclose(scaled * 1e5, plain, atol=1e-4)
    order = np.random.default_rng(0).permutation(300)
    shuffled = ops.lasso(x[:, order], y, 0.1, tol=1e-11, backend=backend).coef
    np.testing.assert_allclose(shuffled, plain[order], atol=1e-4)


@pytest.mark.parametrize("shape", [SMALL, WHOLE, SETS])
def test_layouts_and_kinds(shape: tuple[int, int, int]) -> None:
    x, y = problem(*shape)
    expected = ops.lasso(x, y, 0.1, tol=1e-9)
    wide = np.full((2 * len(x), 3 * x.shape[1]), np.nan)
    wide[::2, ::3] = x
    for same in (np.asfortranarray(x), wide[::2, ::3], torch.from_numpy(x), torch.from_numpy(x.T.copy()).T):
        found = ops.lasso(same, y if isinstance(same, np.ndarray) else torch.from_numpy(y), 0.1, tol=1e-9)
        assert type(found.coef) is type(same)
        np.testing.assert_allclose(x @ np.asarray(found.coef), x @ expected.coef, atol=1e-3)
    assert isinstance(expected, ops.LassoResult)
    assert expected.coef.flags.c_contiguous


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int16, torch.int64])
@pytest.mark.parametrize("backend", BACKENDS)
def test_other_dtypes(dtype: torch.dtype, backend: str) -> None:
    x, y = ((20 * torch.from_numpy(array)).to(dtype) for array in problem(*SETS))
    found = ops.lasso(x, y, 40.0, backend=backend)
    assert found.coef.dtype == (torch.float64 if dtype == torch.int64 else torch.float32)
    power = (y.double() ** 2).mean(0).numpy()
    wide = x.double().numpy(), y.double().numpy(), found.coef.double().numpy()
    assert (gaps(*wide, 40.0) <= 1e-5 * power * 1.0001).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("alpha", [0.1, 0.01])
def test_correlated_activations_in_rounds(dtype: type, alpha: float) -> None:
    x, y = (array.astype(dtype) for array in activations(400, 600, 5))
    found = ops.lasso(x, y, alpha, 5, tol=1e-6)
    assert (found.gap <= 1e-6 * 1.5).all()
    for k, (train, _) in enumerate(KFold(5).split(x)):
        power = (y[train].astype(np.float64) ** 2).mean(0)
        assert (gaps(x[train], y[train], found.coef[k], alpha) <= 1e-6 * power * 1.001).all()


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_reduced_matmul_precision_changes_nothing(device: torch.device, precision: str) -> None:
    x, y = (torch.from_numpy(array).float().to(device) for array in activations(400, 600, 5))
    expected = ops.lasso(x, y, 0.1)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        found = ops.lasso(x, y, 0.1)
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(found.coef, expected.coef)


def test_targets_solved_in_turns_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = problem(*UNION)
    expected = ops.lasso(x, y, 0.1, 3, tol=1e-9)
    monkeypatch.setattr(sys.modules["diptych.ops.lasso"], "_AT_ONCE", 3 * 529 * 5)
    found = ops.lasso(x, y, 0.1, 3, tol=1e-9)
    np.testing.assert_allclose(x @ found.coef, x @ expected.coef, atol=1e-3)
    assert (found.gap <= 1e-9 * 1.5).all()


@pytest.mark.usefixtures("keep_threads")
@pytest.mark.parametrize("shape", [SMALL, WHOLE, SETS, UNION])
def test_two_threads_and_a_second_run_agree(shape: tuple[int, int, int]) -> None:
    x, y = problem(*shape)
    results = []
    for threads in (1, 2, 2):
        torch.set_num_threads(threads)
        results.append(ops.lasso(x, y, 0.1, 2))
    for result in results[1:]:
        np.testing.assert_array_equal(result.coef, results[0].coef)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [SMALL, SETS])
def test_what_is_not_solved_is_told(shape: tuple[int, int, int], backend: str) -> None:
    x, y = problem(*shape)
    with pytest.warns(ConvergenceWarning, match="of 2 problems not solved to a duality gap of 1e-12"):
        found = ops.lasso(x, y, 1e-4, tol=1e-12, max_iter=1, backend=backend)
    np.testing.assert_allclose(found.gap, gaps(x, y, found.coef, 1e-4), rtol=1e-6)
    with pytest.warns(ConvergenceWarning, match="precision of the coef"):
        ops.lasso(x.astype(np.float32), y, 0.1, tol=1e-30, max_iter=1000, backend=backend)


def test_gradients_are_not_recorded() -> None:
    x, y = (torch.from_numpy(array).requires_grad_() for array in problem(*SMALL))
    assert not ops.lasso(x, y, 0.1).coef.requires_grad


def test_last_backend() -> None:
    x, y = problem(*SMALL)
    for backend in BACKENDS:
        ops.lasso(x, y, 0.1, backend=backend)
        assert ops.last_backend() == backend


NAN_ROW = np.array([[1.0, 2.0], [np.nan, 1.0], [0.0, 1.0]])
X, Y = np.ones((3, 2)), np.ones(3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": np.ones(3)}, ValueError, "x: expected a matrix"),
        ({"x": np.ones((0, 2)), "y": np.ones(0)}, ValueError, "x: expected at least one row"),
        ({"y": np.ones((3, 1, 1))}, ValueError, r"y: expected shape \(n,\) or \(n, t\), found \(3, 1, 1\)"),
        ({"y": np.ones((3, 0))}, ValueError, r"y: expected shape"),
        ({"y": np.ones(4)}, ValueError, "x and y: expected the same items, found 3 and 4"),
        ({"x": NAN_ROW}, ValueError, "x: expected finite numbers, found NaN or Inf in row 1"),
        (
            {"y": np.array([1.0, 1.0, np.inf])},
            ValueError,
            "y: expected finite numbers, found NaN or Inf in row 2",
        ),
        ({"x": X.astype(complex)}, TypeError, "x: expected an array of real numbers"),
        ({"alpha": 0}, ValueError, "alpha: expected a number above 0"),
        ({"alpha": -1.0}, ValueError, "alpha: expected a number above 0"),
        ({"alpha": float("nan")}, ValueError, "alpha: expected a number above 0"),
        ({"alpha": [0.1, 0.2]}, ValueError, r"alpha: expected a number or shape \(1,\), found \(2,\)"),
        ({"alpha": [0.0]}, ValueError, "alpha: expected a number above 0"),
        ({"alpha": [np.nan]}, ValueError, "alpha: expected a number above 0"),
        ({"alpha": "large"}, TypeError, "alpha: expected an array of real numbers"),
        ({"tol": 0}, ValueError, "tol: expected a number above 0"),
        ({"max_iter": 0}, ValueError, "max_iter: expected 1"),
        ({"max_iter": 1.5}, TypeError, "max_iter: expected an integer"),
        ({"folds": 1}, ValueError, "folds: expected 2 to 3, found 1"),
        ({"folds": 4}, ValueError, "folds: expected 2 to 3, found 4"),
        ({"folds": 2.0}, TypeError, "folds: expected an integer"),
        ({"folds": [0.0, 1.0, 0.0]}, TypeError, "folds: expected integers"),
        ({"folds": [0, 1]}, ValueError, r"folds: expected shape \(3,\), found \(2,\)"),
        ({"folds": [0, 1, 3]}, ValueError, "folds: expected numbers from 0 .* found 0 to 3"),
        ({"folds": [-1, -1, -1]}, ValueError, "folds: expected numbers from 0 .* found -1 to -1"),
        ({"folds": [-2, 0, 1]}, ValueError, "folds: expected numbers from 0 .* found -2 to 1"),
        ({"folds": [0, 2, 2]}, ValueError, "inside and outside fold 1, found 0 of 3 inside"),
        ({"folds": [0, 0, 0]}, ValueError, "inside and outside fold 0, found 3 of 3 inside"),
        ({"backend": "triton"}, ValueError, "backend: lasso has no 'triton'"),
    ],
)
def test_bad_input(arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ops.lasso(**{"x": X, "y": Y, "alpha": 0.1, **arguments})


def test_mixed_devices_are_refused() -> None:
    with pytest.raises(ValueError, match="expected all arrays on one device"):
        ops.lasso(torch.ones(3, 2), torch.ones(3, device="meta"), 0.1)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 12), st.integers(1, 12), st.integers(1, 3), st.floats(1e-3, 10), st.integers(0, 2**32 - 1)
)
def test_any_small_integers(n: int, p: int, t: int, alpha: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    x, y = generator.integers(-2, 3, (n, p)), generator.integers(-2, 3, (n, t))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        found = ops.lasso(x, y, alpha)
    exact = gaps(x, y, found.coef, alpha)
    power = (y.astype(float) ** 2).mean(0)
    # Two float64 evaluations of one gap: a few roundings of |y|^2 / n, of which the gap is a difference.
    np.testing.assert_allclose(found.gap, exact, rtol=1e-4, atol=1e-12 * power.max() + 1e-15)
    assert (exact <= 1e-5 * power * 1.0001 + 1e-12).all()
