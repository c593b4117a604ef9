"""Concept extraction and refitting: against scipy, scikit-learn, invariances and bad input."""

import warnings

import numpy as np
import pytest
import torch
from helpers import gaussian
from scipy.optimize import nnls
from sklearn.datasets import load_digits
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning

from diptych import rsvc


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return load_digits().data


def planted(n: int = 60, d: int = 24, k: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Sparse coefficients with pure patches, and concepts on features of their own."""
    rng = np.random.default_rng(seed)
    coefficients = rng.uniform(0.5, 2, (n, k)) * (rng.random((n, k)) < 0.5)
    coefficients[: 2 * k] = np.tile(np.eye(k), (2, 1))
    basis = np.zeros((k, d))
    for j in range(k):
        basis[j, j * (d // k) : (j + 1) * (d // k)] = rng.uniform(0.5, 1, d // k)
    return coefficients, basis


def test_planted_concepts_are_found() -> None:
    coefficients, basis = planted()
    found = rsvc.extract(coefficients @ basis, k=3)
    assert found.method == "nmf"
    # Where steps of 1e-5 of the first error end, the rest of a geometric tail is a few orders below it.
    assert found.error < 1e-3
    unit = basis / np.linalg.norm(basis, axis=1, keepdims=True)
    cosines = found.basis @ unit.T
    np.testing.assert_array_equal(np.sort(cosines.argmax(1)), np.arange(3))
    assert (cosines.max(1) > 1 - 1e-4).all()


def test_the_error_is_that_of_the_product(digits: np.ndarray) -> None:
    for x in (digits, digits - digits.mean(0)):
        found = rsvc.extract(x, k=10)
        residual = np.linalg.norm(x - found.coefficients @ found.basis)
        # Float64 sums of 115,000 squares.
        assert found.error == pytest.approx(residual / np.linalg.norm(x), rel=1e-10)
        assert (found.coefficients >= 0).all()


def test_nmf_is_as_good_as_scikit_learns(digits: np.ndarray) -> None:
    found = rsvc.extract(digits, k=10)
    for init in ("nndsvda", "random"):
        theirs = NMF(10, init=init, solver="cd", max_iter=2000, random_state=0).fit(digits)
        # Local minima: the issue of two starts differs by up to a per cent.
        assert found.error <= 1.01 * theirs.reconstruction_err_ / np.linalg.norm(digits)


def test_semi_nmf_lies_between_the_singular_value_bounds(digits: np.ndarray) -> None:
    x = digits - digits.mean(0)
    found = rsvc.extract(x, k=10)
    assert found.method == "semi_nmf"
    assert (found.basis < 0).any()
    values = np.linalg.svd(x, compute_uv=False)
    # No product of rank 10 is nearer than the truncated decomposition (Eckart & Young 1936).
    assert found.error >= np.sqrt((values[10:] ** 2).sum() / (values**2).sum())
    # The best semi-NMF of rank 10 is no worse than rank 9 (Gillis & Kumar 2015, theorem 3.3).
    assert found.error <= np.sqrt((values[9:] ** 2).sum() / (values**2).sum())


@pytest.mark.parametrize("signed", [False, True])
def test_concepts_are_in_order_and_of_unit_length(digits: np.ndarray, signed: bool) -> None:
    found = rsvc.extract(digits - digits.mean(0) if signed else digits, k=7)
    np.testing.assert_allclose(np.linalg.norm(found.basis, axis=1), 1, rtol=1e-14)
    assert (np.diff(np.linalg.norm(found.coefficients, axis=0)) <= 0).all()


@pytest.mark.parametrize("signed", [False, True])
def test_refitting_what_was_extracted_from_gives_its_coefficients(digits: np.ndarray, signed: bool) -> None:
    x = digits - digits.mean(0) if signed else digits
    found = rsvc.extract(x, k=10)
    # Both are exact solves, to 1e-12 of the gradient, of problems with a condition of some hundred.
    np.testing.assert_allclose(rsvc.refit(x, found.basis), found.coefficients, atol=1e-9 * x.max())


def test_refit_is_scipys_nnls_under_a_signed_basis() -> None:
    a, w = gaussian(9, 31, 0, torch.float64).numpy(), gaussian(4, 31, 1, torch.float64).numpy()
    wanted = np.stack([nnls(w.T, row)[0] for row in a])
    # Two exact solvers on a well-conditioned problem differ by rounding.
    np.testing.assert_allclose(rsvc.refit(a, w), wanted, atol=1e-12)


def test_many_classes_are_as_each_alone() -> None:
    rng = np.random.default_rng(3)
    classes = [rng.random((n, 12)) for n in (40, 31, 7, 33)]
    classes += [rng.standard_normal((n, 12)) for n in (20, 9)]
    classes += [rng.random((15, 5)), rng.random((40, 12)).astype(np.float32)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        together = rsvc.extract_many(classes, k=4)
        for x, found in zip(classes, together, strict=True):
            alone = rsvc.extract(x, k=4)
            assert found.coefficients.shape == (len(x), 4)
            assert found.basis.dtype == found.coefficients.dtype == x.dtype
            assert found.method == alone.method == ("semi_nmf" if x.min() < 0 else "nmf")
            # Products in another order, their rounding (1e-16, or 6e-8 in float32) carried through some
            # hundred steps of a slow descent.
            narrow = x.dtype == np.float32
            assert found.error == pytest.approx(alone.error, rel=1e-3 if narrow else 1e-8)
            if not narrow:
                np.testing.assert_allclose(found.basis, alone.basis, atol=1e-6)


def test_same_seed_same_bits_other_seed_other_start(digits: np.ndarray) -> None:
    first, second, other = (rsvc.extract(digits[:200], k=5, seed=seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first.coefficients, second.coefficients)
    np.testing.assert_array_equal(first.basis, second.basis)
    assert first.seed == 4
    assert not np.array_equal(first.basis, other.basis)


@pytest.mark.parametrize("signed", [False, True])
def test_units_change_nothing_but_the_coefficients(digits: np.ndarray, signed: bool) -> None:
    x = digits[:300] - digits[:300].mean(0) if signed else digits[:300]
    plain, scaled = rsvc.extract(x, k=5), rsvc.extract(x * 2.0**300, k=5)
    # Scaling by a power of two is exact.
    np.testing.assert_array_equal(scaled.basis, plain.basis)
    np.testing.assert_array_equal(scaled.coefficients, plain.coefficients * 2.0**300)
    assert scaled.error == plain.error


def test_torch_in_torch_out_and_layouts(digits: np.ndarray) -> None:
    x = torch.from_numpy(digits[:120]).float()
    plain = rsvc.extract(x, k=4)
    assert isinstance(plain.coefficients, torch.Tensor)
    assert isinstance(plain.basis, torch.Tensor)
    wide = torch.zeros(240, 128)
    wide[::2, ::2] = x
    for other in (wide[::2, ::2], x.T.contiguous().T, x.half(), x.to(torch.uint8)):
        found = rsvc.extract(other, k=4)
        torch.testing.assert_close(found.basis, plain.basis, rtol=0, atol=0)
    assert isinstance(rsvc.refit(x, plain.basis), torch.Tensor)
    assert isinstance(rsvc.refit(x.numpy(), plain.basis), np.ndarray)


@pytest.mark.parametrize(
    ("n", "d", "k"), [(2, 1, 1), (2, 3, 2), (7, 3, 7), (8, 2, 5), (9, 33, 9), (33, 31, 1)]
)
@pytest.mark.parametrize("signed", [False, True])
def test_odd_shapes(n: int, d: int, k: int, signed: bool) -> None:
    x = gaussian(n, d, n, torch.float64).numpy()
    found = rsvc.extract(x if signed else np.abs(x), k=k, method="semi_nmf" if signed else "nmf")
    assert found.coefficients.shape == (n, k)
    assert found.basis.shape == (k, d)
    assert np.isfinite(found.coefficients).all()
    assert np.isfinite(found.basis).all()
    assert 0 <= found.error <= 1


def test_concepts_beyond_what_there_is_are_told_dead() -> None:
    x = np.zeros((12, 4))
    x[:6, 0], x[6:, 1] = 2, 3
    found = rsvc.extract(x, k=4)
    assert found.error < 1e-6
    silent = np.flatnonzero((found.coefficients == 0).all(0))
    assert found.dead == tuple(silent)
    made = rsvc.Concepts(np.array([[1.0, 0, 2], [0, 0, 1]]), np.eye(3), 0.0, "nmf", 0)
    assert made.dead == (1,)


BAD = [
    (np.ones(5), {}, ValueError, r"activations: expected a matrix \(n, d\), found shape \(5,\)"),
    (np.ones((0, 5)), {}, ValueError, "activations: expected at least one row and column"),
    (np.ones((5, 3)), {"k": 2}, ValueError, "activations: all patches have the same activations"),
    (np.zeros((5, 3)), {"k": 2}, ValueError, "activations: all patches have the same activations"),
    (np.eye(5), {"k": 6}, ValueError, "k: expected at most 5, the number of patches in activations, found 6"),
    (np.eye(5), {"k": 0}, ValueError, "k: expected 1 to 256, found 0"),
    (np.eye(300), {"k": 257}, ValueError, "k: expected 1 to 256, found 257"),
    (np.eye(5), {"k": 2.0}, TypeError, "k: expected an integer, found 2.0"),
    (np.eye(5), {"k": 2, "method": "pca"}, ValueError, "method: expected one of 'auto', 'nmf', 'semi_nmf'"),
    (np.eye(5), {"k": 2, "seed": -1}, ValueError, "seed: expected 0 to"),
    (np.eye(5) - 0.25, {"k": 2, "method": "nmf"}, ValueError, "found -0.25 in row 0, column 1; 'semi_nmf'"),
    (np.eye(5) * 1j, {"k": 2}, TypeError, "activations: expected an array of real numbers"),
]


@pytest.mark.parametrize(("x", "options", "error", "message"), BAD)
def test_bad_input_is_named(x: np.ndarray, options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        rsvc.extract(x, **options)
    with pytest.raises(error, match=message.replace("activations", r"activations\[1\]", 1)):
        rsvc.extract_many([np.eye(300) if options.get("k", 0) > 6 else np.eye(12), x], **options)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_named(value: float) -> None:
    x = np.eye(5)
    x[3, 1] = value
    with pytest.raises(ValueError, match="activations: expected finite numbers, found NaN or Inf in row 3"):
        rsvc.extract(x, k=2)
    with pytest.raises(ValueError, match="activations: expected finite numbers, found NaN or Inf in row 3"):
        rsvc.refit(x, np.eye(5))
    with pytest.raises(ValueError, match="basis: expected finite numbers, found NaN or Inf in row 3"):
        rsvc.refit(np.eye(5), x)


def test_bad_refits_are_named() -> None:
    with pytest.raises(ValueError, match="activations and basis: expected the same features, found 5 and 4"):
        rsvc.refit(np.eye(5), np.eye(4))
    with pytest.raises(ValueError, match=r"basis: expected a matrix \(n, d\), found shape \(5,\)"):
        rsvc.refit(np.eye(5), np.ones(5))
    with pytest.raises(ValueError, match="basis: expected at most 256 concepts, found 257"):
        rsvc.refit(np.eye(257), np.eye(257))


def test_an_unsettled_factorisation_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diptych.rsvc.concepts._MAX_ITER", 3)
    x = np.random.default_rng(0).random((30, 8))
    with pytest.warns(ConvergenceWarning, match="1 of 1 factorisations had not settled after 3 iterations"):
        rsvc.extract(x, k=3)
