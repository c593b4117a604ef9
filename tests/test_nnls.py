"""diptych.ops.nnls against its reference, scipy's solver and the optimality conditions."""

import numpy as np
import pytest
import torch
from helpers import gaussian
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nnls_problems import KINDS, dictionary, objective_gap, tolerances, violation
from scipy.optimize import nnls as scipy_nnls

from diptych import ops
from diptych.ops.nnls import reference

BACKENDS = ("cpu", "torch")
DTYPES = (torch.float32, torch.float64)

#: (n, d, k): around the lanes (8) and tiles (4, 5), the rows of a piece (256), the change of method (40) and
#: the widest dictionary (256); more atoms than columns; more than one block of columns (1024).
SHAPES = (
    (1, 1, 1),
    (2, 3, 1),
    (3, 1, 2),
    (7, 5, 3),
    (8, 8, 8),
    (9, 7, 9),
    (31, 33, 4),
    (33, 31, 16),
    (65, 9, 17),
    (257, 65, 10),
    (12, 1100, 7),
    (20, 64, 40),
    (20, 64, 41),
    (6, 30, 64),
    (3, 300, 256),
)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_optimal_and_as_good_as_scipys(
    kind: str, shape: tuple[int, int, int], dtype: torch.dtype, backend: str
) -> None:
    n, d, k = shape
    n = min(n, 6) if backend == "torch" else n  # a pseudo-inverse per exchange takes its time
    w = dictionary(kind, k, d, dtype)
    a = gaussian(n, d, n, dtype)
    found = ops.nnls(a, w, backend=backend)
    assert found.dtype == dtype
    assert ops.last_backend() == backend
    kkt, gap = tolerances(dtype, k)
    assert violation(a, w, found) <= kkt
    assert objective_gap(a, w, found) <= gap


@pytest.mark.parametrize("k", [1, 8, 40, 41])
@pytest.mark.parametrize("dtype", DTYPES)
def test_recovers_coefficients(device: torch.device, dtype: torch.dtype, k: int) -> None:
    # Orthogonal atoms with lengths of powers of two and whole coefficients: everything is exact.
    lengths = 2.0 ** (torch.arange(k) % 5 - 2)
    w = torch.diag(lengths).to(dtype)
    u = torch.randint(-3, 4, (50, k), generator=torch.Generator().manual_seed(k)).to(dtype)
    found = ops.nnls((u @ w).to(device), w.to(device))
    assert found.device.type == device.type
    # A target's scaling to one and back rounds twice.
    torch.testing.assert_close(found.cpu(), u.clamp(min=0), rtol=4 * torch.finfo(dtype).eps, atol=0)


def test_agrees_with_the_reference_and_scipy_where_the_minimiser_is_one() -> None:
    for k in (3, 10, 50):
        a, w = gaussian(40, 60, 1, torch.float64), gaussian(k, 60, 2, torch.float64)
        found = ops.nnls(a, w)
        # The condition of these dictionaries is below 1e4, the two solvers' residuals about 1e-15.
        torch.testing.assert_close(found, reference(a, w), rtol=0, atol=1e-11)
        expected = np.stack([scipy_nnls(w.T.numpy(), row.numpy())[0] for row in a])
        np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
def test_opposite_atoms_that_nearly_cancel(backend: str) -> None:
    # Only u = (5e3, 5e3, 0) reaches the small direction that w_0 + w_1 points to.
    w = torch.tensor([[1, 1e-4, 0], [-1, 1e-4, 0], [0, 0, 1]], dtype=torch.float64)
    a = torch.tensor([[0, 1, 0], [0, 1, 2], [0.5, 0, -1]], dtype=torch.float64)
    found = ops.nnls(a, w, backend=backend)
    expected = torch.tensor([[5e3, 5e3, 0], [5e3, 5e3, 2], [0.5, 0, 0]], dtype=torch.float64)
    # The Gram matrix's condition is 1e8, so that float64 leaves about 1e-8 of each coefficient.
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("k", [2, 9, 50])
def test_duplicates_give_the_fit_of_the_single_atoms(k: int, backend: str) -> None:
    w, a = gaussian(k, 70, 3, torch.float64), gaussian(30, 70, 4, torch.float64)
    single = ops.nnls(a, w, backend=backend)
    twice = ops.nnls(a, torch.cat([w, w, w[:1]]), backend=backend)
    # The fit is unique though the coefficients are not.
    fit = twice @ torch.cat([w, w, w[:1]])
    torch.testing.assert_close(fit, single @ w, rtol=0, atol=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_and_atoms_of_zeros(backend: str) -> None:
    w, a = gaussian(5, 9, 1, torch.float64), gaussian(6, 9, 2, torch.float64)
    plain = ops.nnls(a, w, backend=backend)
    a[2], w[3] = 0, 0
    found = ops.nnls(a, w, backend=backend)
    assert not bool(found[2].any())
    assert not bool(found[:, 3].any())
    assert bool((plain[:, 3] > 0).any())
    assert not bool(ops.nnls(a, torch.zeros(4, 9, dtype=torch.float64), backend=backend).any())


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_that_points_the_right_way(backend: str) -> None:
    a = gaussian(5, 4, 1).abs()
    assert not bool(ops.nnls(-a, torch.eye(4), backend=backend).any())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("k", [6, 45])
def test_invariances(k: int, backend: str) -> None:
    a, w = gaussian(20, 50, 1, torch.float64), gaussian(k, 50, 2, torch.float64)
    plain = ops.nnls(a, w, backend=backend)
    close = {"rtol": 0, "atol": 1e-11}  # as above: conditions below 1e4
    rotation = torch.linalg.qr(gaussian(50, 50, 3, torch.float64)).Q
    torch.testing.assert_close(ops.nnls(a @ rotation, w @ rotation, backend=backend), plain, **close)
    order = torch.randperm(k, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ops.nnls(a, w[order], backend=backend), plain[:, order], **close)
    torch.testing.assert_close(ops.nnls(3 * a, 2 * w, backend=backend), 1.5 * plain, **close)
    rows = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    # A row's result does not depend on its neighbors, to the bit.
    assert torch.equal(ops.nnls(a[rows], w, backend=backend), plain[rows])
    assert torch.equal(ops.nnls(a[7:8], w, backend=backend), plain[7:8])


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e18])
@pytest.mark.parametrize("backend", BACKENDS)
def test_any_scale_of_the_data(scale: float, backend: str) -> None:
    a, w = gaussian(9, 20, 1), gaussian(4, 20, 2)
    plain = ops.nnls(a, w, backend=backend)
    for scaled_a, scaled_w in ((scale, scale), (scale, 1.0), (1.0, scale)):
        found = ops.nnls(a * scaled_a, w * scaled_w, backend=backend)
        # The inputs' own rounding is one eps each, times conditions of about ten.
        torch.testing.assert_close(found / (scaled_a / scaled_w), plain, rtol=1e-4, atol=1e-6)


def test_extreme_float64() -> None:
    a, w = gaussian(9, 20, 1, torch.float64), gaussian(4, 20, 2, torch.float64)
    plain = ops.nnls(a, w)
    for scale in (1e-290, 1e290):
        torch.testing.assert_close(ops.nnls(a * scale, w * scale), plain, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int16, torch.uint8, torch.int64])
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_dtype(dtype: torch.dtype, backend: str) -> None:
    a, w = (10 * gaussian(9, 12, 1).abs()).to(dtype), (10 * gaussian(5, 12, 2).abs()).to(dtype)
    found = ops.nnls(a, w, backend=backend)
    assert found.dtype == (torch.float64 if dtype == torch.int64 else torch.float32)
    assert violation(a, w, found) <= 5 * torch.finfo(torch.float32).eps


def test_mixed_dtypes_give_the_wider() -> None:
    a, w = gaussian(9, 12, 1), gaussian(5, 12, 2, torch.float64)
    assert torch.equal(ops.nnls(a, w), ops.nnls(a.double(), w))
    assert torch.equal(ops.nnls(a.double(), w.float()), ops.nnls(a.double(), w.float().double()))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [5, 44])
def test_numpy_layouts(k: int, dtype: type) -> None:
    a, w = gaussian(30, 50, 1).numpy().astype(dtype), gaussian(k, 50, 2).numpy().astype(dtype)
    plain = ops.nnls(a, w)
    assert isinstance(plain, np.ndarray)
    assert plain.dtype == dtype
    np.testing.assert_array_equal(ops.nnls(np.asfortranarray(a), np.asfortranarray(w)), plain)
    wide = np.full((60, 100), np.nan, dtype)
    wide[::2, ::2] = a
    np.testing.assert_array_equal(ops.nnls(wide[::2, ::2], w), plain)
    np.testing.assert_array_equal(ops.nnls(a[::-1], w)[::-1], plain)
    np.testing.assert_array_equal(ops.nnls(a.astype(a.dtype.newbyteorder()), w), plain)
    np.testing.assert_array_equal(ops.nnls(torch.from_numpy(a), torch.from_numpy(w)).numpy(), plain)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("k", [3, 41])
@pytest.mark.parametrize("dtype", DTYPES)
def test_writes_all_of_out(dtype: torch.dtype, k: int, backend: str) -> None:
    n = 20 if backend == "torch" else 270
    a, w = gaussian(n, 20, 1, dtype), gaussian(k, 20, 2, dtype)
    out = torch.full((n, k), torch.nan, dtype=dtype)
    assert ops.nnls(a, w, out=out, backend=backend) is out
    assert torch.equal(out, ops.nnls(a, w, backend=backend))
    array = np.full((n, k), np.nan, a.numpy().dtype)
    assert ops.nnls(a.numpy(), w.numpy(), out=array, backend=backend) is array
    np.testing.assert_array_equal(array, out)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_residuals_are_scipys(dtype: torch.dtype, backend: str) -> None:
    a, w = gaussian(30, 40, 1, dtype), gaussian(6, 40, 2, dtype)
    fit = ops.nnls(a, w, return_residual=True, backend=backend)
    expected = [scipy_nnls(w.T.double().numpy(), row.double().numpy())[1] for row in a]
    assert fit.residuals.dtype == dtype
    # Forty terms of size one per residual of about six.
    np.testing.assert_allclose(fit.residuals, expected, rtol=40 * torch.finfo(dtype).eps)
    assert torch.equal(fit.coefficients, ops.nnls(a, w, backend=backend))
    coefficients, residuals = ops.nnls(a.numpy(), w.numpy(), return_residual=True, backend=backend)
    assert isinstance(residuals, np.ndarray)
    np.testing.assert_array_equal(coefficients, fit.coefficients)


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_reduced_matmul_precision_changes_nothing(device: torch.device, precision: str) -> None:
    a, w = gaussian(100, 300, 1).to(device), gaussian(8, 300, 2).to(device)
    plain = ops.nnls(a, w, return_residual=True)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        found = ops.nnls(a, w, return_residual=True)
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(found.coefficients, plain.coefficients)
    assert torch.equal(found.residuals, plain.residuals)


@pytest.mark.usefixtures("keep_threads")
@pytest.mark.parametrize("k", [10, 50])
def test_two_threads_and_a_second_run_agree(k: int) -> None:
    a, w = gaussian(900, 33, 1), dictionary("duplicates", k, 33, torch.float32)
    found = []
    for threads in (1, 2, 2):
        torch.set_num_threads(threads)
        found.append(ops.nnls(a, w))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[1], found[2])


def test_gradients_stop_here() -> None:
    a, w = gaussian(9, 5).requires_grad_(), gaussian(3, 5, 1).requires_grad_()
    fit = ops.nnls(a, w, return_residual=True)
    assert not fit.coefficients.requires_grad
    assert not fit.residuals.requires_grad
    assert torch.equal(fit.coefficients, ops.nnls(a.detach(), w.detach()))


a53 = torch.ones(5, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"a": torch.ones(5)}, r"a: expected a matrix \(n, d\), found shape \(5,\)"),
        ({"a": torch.ones(0, 3)}, "a: expected at least one row and column"),
        ({"w": torch.ones(3)}, r"w: expected a matrix \(n, d\), found shape \(3,\)"),
        ({"w": torch.ones(2, 4)}, "a and w: expected the same features, found 3 and 4 columns"),
        ({"w": torch.ones(257, 3)}, "w: expected at most 256 atoms, found 257"),
        (
            {"w": torch.ones(2, 3, device="meta")},
            "expected all arrays on one device, found a on cpu, w on meta",
        ),
        ({"w": torch.ones(2, 3) / 0}, "w: expected finite numbers, found NaN or Inf in row 0"),
        ({"out": torch.ones(5, 3)}, r"out: expected shape \(5, 2\) and torch.float32, found \(5, 3\)"),
        ({"out": torch.ones(5, 2).double()}, "out: expected shape .* found .* torch.float64"),
        ({"out": torch.ones(2, 5).T}, "out: expected a contiguous array"),
        ({"backend": "triton"}, "backend: nnls has no 'triton'"),
    ],
)
def test_refuses_by_name(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.nnls(**{"a": a53, "w": torch.ones(2, 3)} | arguments)


def test_refuses_what_is_no_array_of_numbers() -> None:
    with pytest.raises(TypeError, match="a: expected an array of real numbers"):
        ops.nnls(np.array([["x"]]), torch.ones(1, 1))
    with pytest.raises(TypeError, match="w: expected a dense array of real numbers"):
        ops.nnls(a53, torch.ones(2, 3, dtype=torch.complex64))


def test_refuses_an_out_that_overlaps() -> None:
    memory = torch.ones(5, 5)
    with pytest.raises(ValueError, match="out: shares memory with an input"):
        ops.nnls(memory, torch.ones(5, 5), out=memory)


@pytest.mark.parametrize(("k", "backend"), [(1, "cpu"), (6, "cpu"), (50, "cpu"), (6, "torch")])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_nonfinite_rows_are_refused_or_become_nan(bad: float, k: int, backend: str) -> None:
    n = 20 if backend == "torch" else 300
    a, w = gaussian(n, 20, 1), gaussian(k, 20, 2)
    w[:, 5] = 0  # NaN times zero must not vanish
    plain = ops.nnls(a, w, backend=backend)
    first, second = n - 15, n - 3
    a[first, 5], a[second, 0] = bad, bad
    with pytest.raises(ValueError, match=f"a: expected finite numbers, found NaN or Inf in row {first}"):
        ops.nnls(a, w, backend=backend)
    found = ops.nnls(a, w, backend=backend, check=False)
    assert bool(found[first].isnan().all() & found[second].isnan().all())
    fine = [row for row in range(n) if row not in (first, second)]
    assert torch.equal(found[fine], plain[fine])


def test_a_dictionary_with_nan_makes_every_row_nan_where_not_checked() -> None:
    w = gaussian(3, 4, 1)
    w[1, 1] = torch.nan
    assert bool(ops.nnls(gaussian(5, 4), w, check=False).isnan().all())


@pytest.mark.parametrize("backend", BACKENDS)
def test_coefficients_too_large_for_the_dtype_are_refused(backend: str) -> None:
    a, w = torch.full((3, 2), 1e30), torch.eye(2)
    a[0] = 1
    with pytest.raises(ValueError, match=r"the coefficients of row 1 leave the range of torch\.float32"):
        ops.nnls(a, w * 1e-20, backend=backend)


finite = st.floats(-10, 10, width=32).map(lambda x: np.float32(round(float(x), 2)))


@settings(deadline=None)
@given(arrays(np.float32, (4, 3), elements=finite), arrays(np.float32, (5, 3), elements=finite))
def test_any_small_problem_is_solved(a: np.ndarray, w: np.ndarray) -> None:
    rows, atoms = torch.from_numpy(a), torch.from_numpy(w)
    found = ops.nnls(rows.double(), atoms.double())
    sizes = (found * atoms.double().norm(dim=1)).sum(1) / rows.double().norm(dim=1).clamp(min=1e-300)
    # Opposite atoms that nearly cancel may need large coefficients, whose rounding shows in the gradient.
    assert violation(rows, atoms, found) <= 1e-11 * (1 + float(sizes.max()))
    assert objective_gap(rows, atoms, found) <= 1e-9
