"""diptych.ops.pairwise_distances against its reference, SciPy and the geometry."""

import numpy as np
import pytest
import torch
from helpers import SIZES, exact_squares, gaussian, integers, square_error_bound, with_duplicates
from scipy.spatial.distance import cdist

from diptych import ops
from diptych.ops.pairwise_distances import METRICS, reference

BACKENDS = ("cpu", "torch")
DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int16, torch.int64)


def assert_distances(found: torch.Tensor, x: torch.Tensor, y: torch.Tensor | None = None) -> None:
    squares = found.cpu().double().numpy() ** 2
    exact = exact_squares(x, y)
    # The square root is rounded once, which the square doubles, and sums its own rounding: 4 eps.
    bound = square_error_bound(x, y) + 4 * torch.finfo(found.dtype).eps * exact
    assert (np.abs(squares - exact) <= bound).all()


@pytest.mark.parametrize("backend", [None, "torch"])
@pytest.mark.parametrize("n", SIZES)
def test_is_the_distance(device: torch.device, n: int, backend: str | None) -> None:
    for dtype in (torch.float32, torch.float64):
        x = gaussian(n, 17, seed=n, dtype=dtype).to(device)
        y = gaussian(max(1, n // 2), 17, seed=n + 1, dtype=dtype).to(device)
        found = ops.pairwise_distances(x, backend=backend)
        assert found.dtype == dtype
        assert found.device == x.device
        assert_distances(found, x)
        assert (found.diagonal() == 0).all()
        assert_distances(ops.pairwise_distances(x, y, backend=backend), x, y)


@pytest.mark.parametrize("d", [1, 2, 7, 64, 257])
@pytest.mark.parametrize("backend", BACKENDS)
def test_agrees_with_scipy(backend: str, d: int) -> None:
    x, y = gaussian(33, d, 1, torch.float64), gaussian(20, d, 2, torch.float64)
    eps = torch.finfo(torch.float64).eps
    squares = cdist(x, y, "sqeuclidean")
    bound = square_error_bound(x, y) + 4 * eps * squares  # 4: of the square root, squared, on either side
    for metric, power in (("euclidean", 2), ("sqeuclidean", 1)):
        found = ops.pairwise_distances(x.numpy(), y.numpy(), metric=metric, backend=backend)
        assert (np.abs(found**power - squares) <= bound).all()
    cosine = ops.pairwise_distances(x.numpy(), y.numpy(), metric="cosine", backend=backend)
    # d products of entries of unit vectors and the two norms' own sums.
    np.testing.assert_allclose(cosine, cdist(x, y, "cosine"), rtol=0, atol=2 * (d + 4) * eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_dtype_is_computed_as_promised(dtype: torch.dtype, backend: str) -> None:
    x = (4 * gaussian(40, 9, 3, torch.float64)).to(dtype)
    found = ops.pairwise_distances(x, backend=backend)
    assert found.dtype == (torch.float64 if dtype in (torch.float64, torch.int64) else torch.float32)
    assert_distances(found, x.to(found.dtype))


@pytest.mark.parametrize("backend", BACKENDS)
def test_mixed_precision_is_computed_in_double(backend: str) -> None:
    x, y = gaussian(9, 5, 1), gaussian(8, 5, 2, torch.float64)
    found = ops.pairwise_distances(x, y, backend=backend)
    assert found.dtype == torch.float64
    assert_distances(found, x.double(), y)


def test_integers_are_exact() -> None:
    x, y = integers(65, 40, 50, 1), integers(33, 40, 50, 2)
    squares = exact_squares(x, y).astype(np.float32)
    np.testing.assert_array_equal(ops.pairwise_distances(x, y, metric="sqeuclidean"), squares)
    for backend in BACKENDS:
        np.testing.assert_array_equal(ops.pairwise_distances(x, y, backend=backend), np.sqrt(squares))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "d"), [(2, 64), (3, 17), (5, 257), (33, 1), (127, 64), (385, 17), (800, 3)])
def test_duplicates_are_at_distance_zero(n: int, d: int, dtype: torch.dtype) -> None:
    x = with_duplicates(gaussian(n, d, n + d, dtype) + 3)
    x[-1] = x[0]
    same = torch.from_numpy(exact_squares(x) == 0)
    assert same[0, -1]
    assert (ops.pairwise_distances(x)[same] == 0).all()
    assert (ops.pairwise_distances(x, x.clone())[same] == 0).all()
    some = x[: max(1, n // 2)].clone()
    found = ops.pairwise_distances(some, x)
    assert (found[same[: len(some)]] == 0).all()
    # Third items are equally far from two duplicates.
    assert torch.equal(found[:, 0], found[:, -1])


@pytest.mark.parametrize("half", [20, 150])  # by differences of coordinates, by a product
def test_signed_zeros_are_duplicates(half: int) -> None:
    x = gaussian(2 * half, 6, 1)
    x[:, 2] = 0
    x[half:] = x[:half]
    x[half:, 2] = -0.0
    found = ops.pairwise_distances(x)
    assert (found[torch.arange(half), torch.arange(half, 2 * half)] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("offset", [1e4, -3e5])
def test_far_from_the_origin(offset: float, dtype: torch.dtype) -> None:
    x = gaussian(65, 16, 4, dtype) + offset
    assert_distances(ops.pairwise_distances(x), x)
    assert_distances(ops.pairwise_distances(x[:20], x), x[:20], x)


def test_a_constant_column_changes_nothing() -> None:
    x = gaussian(33, 6, 5)
    # On the way out the constant is subtracted exactly; a longer row may be summed in another order.
    wide = torch.cat([x, torch.full((33, 1), 12345.678)], 1)
    assert_distances(ops.pairwise_distances(wide), x)


@pytest.mark.parametrize("backend", BACKENDS)
def test_rotation_scaling_and_permutation(backend: str) -> None:
    x = gaussian(50, 8, 6, torch.float64)
    plain = ops.pairwise_distances(x, backend=backend)
    rotation = torch.linalg.qr(gaussian(8, 8, 7, torch.float64)).Q
    turned = ops.pairwise_distances(x @ rotation + 1e4, backend=backend)
    # Rounding 1e4 + x moves each coordinate by eps * 1e4 / 2, so a distance by eps * 1e4 * sqrt(8).
    torch.testing.assert_close(turned, plain, rtol=0, atol=1e-11)
    assert torch.equal(ops.pairwise_distances(x * 4, backend=backend), plain * 4)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    shuffled = ops.pairwise_distances(x[order], backend=backend)
    torch.testing.assert_close(shuffled, plain[order][:, order], rtol=1e-12, atol=0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scale", [1e-30, 1e-14, 1.0, 1e25])
def test_cosine_knows_no_scale(scale: float, backend: str) -> None:
    x = gaussian(20, 6, 8)
    found = ops.pairwise_distances(x * scale, metric="cosine", backend=backend)
    # A cosine of 6 normalised products, and inputs rounded once more by the scale.
    np.testing.assert_allclose(found, cdist(x.double(), x.double(), "cosine"), rtol=0, atol=20 * 1.2e-7)
    assert (found.diagonal() == 0).all()
    assert (found >= 0).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("metric", METRICS)
def test_writes_all_of_out(metric: str, backend: str) -> None:
    x, y = gaussian(33, 5, 9), gaussian(20, 5, 10)
    for other, columns in ((None, 33), (y, 20)):
        out = torch.full((33, columns), torch.nan)
        found = ops.pairwise_distances(x, other, metric=metric, out=out, backend=backend)
        assert found is out
        assert torch.equal(out, ops.pairwise_distances(x, other, metric=metric, backend=backend))


def test_reference_is_scipys() -> None:
    x, y = gaussian(12, 4, 1, torch.float64), gaussian(9, 4, 2, torch.float64)
    for metric in METRICS:
        np.testing.assert_allclose(reference(x, y, metric), cdist(x, y, metric), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(reference(x, None, metric), cdist(x, x, metric), rtol=1e-12, atol=1e-14)


@pytest.mark.usefixtures("keep_threads")
def test_two_threads_and_a_second_run_agree() -> None:
    x = gaussian(385, 24, 11)
    results = []
    for threads in (1, 2, 2):
        torch.set_num_threads(threads)
        results.append(ops.pairwise_distances(x))
    assert torch.equal(results[1], results[2])
    # The matrix product may be cut differently for two threads; what is made of it may not.
    assert_distances(results[0], x)


def test_gradients_stop_here() -> None:
    x = gaussian(9, 3).requires_grad_()
    assert not ops.pairwise_distances(x).requires_grad
    assert not ops.pairwise_distances(x, x, metric="cosine").requires_grad


x53 = torch.ones(5, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": torch.ones(3)}, r"x: expected a matrix \(n, d\), found shape \(3,\)"),
        ({"x": torch.ones(0, 3)}, r"x: expected at least one row and column, found \(0, 3\)"),
        ({"x": torch.ones(3, 0)}, "x: expected at least one row and column"),
        ({"x": x53, "y": torch.ones(5)}, "y: expected a matrix"),
        ({"x": x53, "y": torch.ones(5, 4)}, "x and y: expected the same features, found 3 and 4 columns"),
        ({"x": x53, "y": torch.ones(5, 3, device="meta")}, "one device, found x on cpu, y on meta"),
        ({"x": x53, "metric": "manhattan"}, "metric: expected one of 'euclidean', .*, found 'manhattan'"),
        ({"x": x53 * torch.nan}, "x: expected finite numbers, found NaN or Inf in row 0"),
        ({"x": x53, "y": x53 / 0}, "y: expected finite numbers"),
        ({"x": x53 * 0, "metric": "cosine"}, "x: row 0 is all zero"),
        ({"x": x53, "y": x53 * 0, "metric": "cosine"}, "y: row 0 is all zero"),
        ({"x": x53, "out": torch.ones(5, 4)}, r"out: expected shape \(5, 5\) and torch.float32"),
        ({"x": x53, "out": torch.ones(5, 5).double()}, "out: expected shape .*, found .* torch.float64"),
        ({"x": x53, "out": torch.ones(5, 10)[:, ::2]}, "out: expected a contiguous array"),
        ({"x": x53, "out": torch.ones(5, 5, device="meta")}, "out: expected device cpu, found meta"),
        (
            {"x": x53, "backend": "cuda"},
            "pairwise_distances has no 'cuda', it has cpu, triton, torch",
        ),
    ],
)
def test_refuses_by_name(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.pairwise_distances(**arguments)


def test_names_the_first_bad_row() -> None:
    x = gaussian(9, 3)
    x[6, 1] = torch.inf
    x[4, 2] = torch.nan
    with pytest.raises(ValueError, match="x: expected finite numbers, found NaN or Inf in row 4"):
        ops.pairwise_distances(x)


def test_a_sum_that_overflows_is_no_bad_number() -> None:
    x = torch.full((4, 1), 3e38, dtype=torch.float64).float()
    assert torch.isinf(x.sum())
    assert (ops.pairwise_distances(x, metric="cosine") == 0).all()


def test_refuses_an_out_that_overlaps() -> None:
    memory = torch.ones(5 * 5 + 5)
    with pytest.raises(ValueError, match="out: shares memory with an input"):
        ops.pairwise_distances(memory[10:20].view(5, 2), out=memory[:25].view(5, 5))
