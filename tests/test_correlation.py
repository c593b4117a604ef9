"""diptych.ops.correlation against numpy, scipy and its invariances, on every backend."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers import gaussian, integers
from scipy import stats

from diptych import _cpu, ops
from diptych.ops.correlation import average_ranks, reference

# (n, k1, k2): around vector widths and the 64 rows of a run; past the columns and the size of the fused pass.
SHAPES = [
    (2, 1, 1),
    (3, 2, 7),
    (7, 8, 9),
    (8, 16, 17),
    (9, 1, 33),
    (33, 31, 3),
    (63, 64, 64),
    (65, 10, 10),
    (129, 15, 6),
    (800, 10, 10),
    (50, 65, 3),
    (1023, 5, 70),
    (70001, 2, 2),
]
BACKENDS = ("cpu", "torch")
KINDS = ("pearson", "spearman")


def by_numpy(u: np.ndarray, v: np.ndarray, kind: str = "pearson") -> np.ndarray:
    """From numpy.corrcoef in float64, of scipy's ranks."""
    u, v = np.asarray(u, np.float64), np.asarray(v, np.float64)
    if kind == "spearman":
        u, v = stats.rankdata(u, axis=0), stats.rankdata(v, axis=0)
    return np.corrcoef(u, v, rowvar=False)[: u.shape[1], u.shape[1] :]


def related(n: int, k1: int, k2: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    shared = gaussian(n, 1, 1, torch.float64)
    u = gaussian(n, k1, 2, torch.float64) + shared + 3
    return u.to(dtype), (gaussian(n, k2, 3, torch.float64) * 7 - shared).to(dtype)


def bound(n: int, dtype: torch.dtype) -> float:
    """How far a correlation may be off: sums of 64 numbers in its own type are off by 64 eps of their size at
    most; GEMMs, and the torch backend, sum all n, whose roundings partly cancel.
    """
    return (64 + 2 * n**0.5) * torch.finfo(dtype).eps


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_is_that_of_numpy_and_scipy(
    device: torch.device, shape: tuple[int, int, int], backend: str, dtype: torch.dtype, kind: str
) -> None:
    if backend == "cpu" and device.type != "cpu":
        pytest.skip("the cpu backend is for the CPU")
    u, v = related(*shape, dtype)
    found = ops.correlation(u.to(device), v.to(device), kind=kind, backend=backend)
    assert found.dtype == dtype
    assert found.shape == shape[1:]
    assert found.device.type == device.type
    assert ops.last_backend() == backend
    assert float(found.abs().max()) <= 1
    expected = by_numpy(u.numpy(), v.numpy(), kind)
    np.testing.assert_allclose(found.cpu().numpy(), expected, rtol=0, atol=bound(shape[0], dtype))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_ties_and_signed_zeros(backend: str, kind: str) -> None:
    u, v = integers(200, 9, 4, 1) - 1, integers(200, 5, 3, 2) - 1
    u[u == 0] *= -1  # negative zeros
    u[::3] = u[::3] + 0
    found = ops.correlation(u, v, kind=kind, backend=backend)
    np.testing.assert_allclose(found, by_numpy(u.numpy(), v.numpy(), kind), atol=bound(200, torch.float32))


@pytest.mark.parametrize("backend", BACKENDS)
def test_spearman_is_that_of_scipy(backend: str) -> None:
    u, v = related(60, 4, 3, torch.float64)
    expected = stats.spearmanr(u.numpy(), v.numpy()).statistic[:4, 4:]
    np.testing.assert_allclose(ops.correlation(u, v, kind="spearman", backend=backend), expected, atol=1e-14)


def test_pearson_is_the_reference() -> None:
    u, v = related(60, 4, 3, torch.float64)
    torch.testing.assert_close(ops.correlation(u, v), reference(u, v), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_many_pairs_in_one_call(backend: str, kind: str) -> None:
    u, v = gaussian(2 * 3 * 50, 5, 1).view(2, 3, 50, 5), gaussian(2 * 3 * 50, 4, 2).view(2, 3, 50, 4)
    found = ops.correlation(u, v, kind=kind, backend=backend)
    assert found.shape == (2, 3, 5, 4)
    for i in range(2):
        for j in range(3):
            one = ops.correlation(u[i, j].clone(), v[i, j].clone(), kind=kind, backend=backend)
            torch.testing.assert_close(found[i, j], one, rtol=0, atol=bound(50, torch.float32))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
def test_columns_with_themselves(backend: str, kind: str) -> None:
    u = related(90, 20, 1, torch.float32)[0]
    found = ops.correlation(u, kind=kind, backend=backend)
    torch.testing.assert_close(
        found, ops.correlation(u, u.clone(), kind=kind, backend=backend), rtol=0, atol=1e-6
    )
    torch.testing.assert_close(found.diagonal(), torch.ones(20), rtol=0, atol=1e-6)
    if backend == "cpu":
        assert torch.equal(found, found.T)
        assert torch.equal(found.diagonal(), torch.ones(20))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_large_mean_and_a_small_variance(backend: str) -> None:
    u, v = (1e4 + integers(500, 3, 9, seed) for seed in (1, 2))  # exact in float32
    found = ops.correlation(u, v, backend=backend)
    np.testing.assert_allclose(found, by_numpy(u.numpy(), v.numpy()), rtol=0, atol=bound(500, torch.float32))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("sort", [False, True])
def test_outliers_and_order_cost_few_digits(backend: str, sort: bool) -> None:
    u, v = related(1000, 4, 3, torch.float32)
    if sort:  # the rows that the shift is chosen from are not like the others
        u, v = u.sort(0).values, v.sort(0, descending=True).values
    u[0] = 1e6
    v[8] = -1e6
    expected = by_numpy(u.numpy(), v.numpy())
    np.testing.assert_allclose(
        ops.correlation(u, v, backend=backend), expected, atol=8 * bound(1000, torch.float32)
    )


@pytest.mark.parametrize("scale", [1e-44, 1e-38, 1e-30, 1e-20, 1e19, 1e30, 1e37])
@pytest.mark.parametrize("backend", BACKENDS)
def test_any_scale_in_float32(backend: str, scale: float) -> None:
    u, v = integers(100, 3, 9, 1), integers(100, 4, 9, 2)
    a = (u.double() * scale).float()
    expected = by_numpy(a.double().numpy() / scale, v.numpy())
    np.testing.assert_allclose(
        ops.correlation(a, v, backend=backend), expected, atol=bound(100, torch.float32)
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_invariances(backend: str, kind: str) -> None:
    u, v = related(150, 6, 5, torch.float64)
    plain = ops.correlation(u, v, kind=kind, backend=backend)
    order = torch.randperm(150, generator=torch.Generator().manual_seed(0))
    for a, b in ((3 * u + 5, v), (u, v / 7 - 2), (u[order], v[order])):
        torch.testing.assert_close(
            ops.correlation(a, b, kind=kind, backend=backend), plain, rtol=0, atol=1e-13
        )
    torch.testing.assert_close(ops.correlation(v, u, kind=kind, backend=backend), plain.T, rtol=0, atol=1e-13)
    torch.testing.assert_close(ops.correlation(-u, v, kind=kind, backend=backend), -plain, rtol=0, atol=1e-13)
    if kind == "spearman":
        monotone = ops.correlation(u.exp(), v**3, kind=kind, backend=backend)
        torch.testing.assert_close(monotone, plain, rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("value", [0.0, 0.1, -3e5])
@pytest.mark.parametrize("shape", [(40, 4, 3), (40, 70, 3)])
def test_constant_columns(shape: tuple[int, int, int], value: float, backend: str, kind: str) -> None:
    u, v = related(*shape, torch.float32)
    u[:, 2] = value
    with pytest.raises(ValueError, match="u: column 2 is constant and has no correlation"):
        ops.correlation(u, v, kind=kind, backend=backend)
    expected = by_numpy(np.delete(u.numpy(), 2, 1), v.numpy(), kind)
    for constant, fill in (("nan", np.nan), ("zero", 0)):
        found = ops.correlation(u, v, kind=kind, constant=constant, backend=backend).numpy()
        np.testing.assert_array_equal(found[2], np.full(3, fill))
        np.testing.assert_allclose(np.delete(found, 2, 0), expected, atol=bound(40, torch.float32))
    unchecked = ops.correlation(u, v, kind=kind, backend=backend, check=False)
    assert torch.isnan(unchecked[2]).all()


def test_the_constant_column_of_one_of_many_pairs_is_named() -> None:
    u, v = gaussian(3 * 20, 4).view(3, 20, 4), gaussian(3 * 20, 4, 1).view(3, 20, 4).clone()
    v[1, :, 3] = 2
    with pytest.raises(ValueError, match=r"v: column 3 of problem \(1,\) is constant"):
        ops.correlation(u, v)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("shape", [(40, 4, 3), (40, 70, 3)])
def test_nan_and_inf(shape: tuple[int, int, int], bad: float, backend: str, kind: str) -> None:
    u, v = related(*shape, torch.float32)
    u[7, 1] = bad
    for constant in ("raise", "nan", "zero"):
        with pytest.raises(ValueError, match="u: expected finite numbers, found NaN or Inf in row 7"):
            ops.correlation(u, v, kind=kind, constant=constant, backend=backend)
        unchecked = ops.correlation(u, v, kind=kind, constant=constant, backend=backend, check=False)
        assert torch.isnan(unchecked[1]).all()
        assert not torch.isnan(unchecked[0]).any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int16, torch.uint8])
def test_short_types_are_computed_in_float32(dtype: torch.dtype) -> None:
    u, v = integers(80, 4, 9, 1).to(dtype), integers(80, 3, 9, 2).to(dtype)
    found = ops.correlation(u, v)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(
        found, by_numpy(u.double().numpy(), v.double().numpy()), atol=bound(80, torch.float32)
    )


def test_mixed_precision_is_computed_in_double() -> None:
    u, v = related(80, 4, 3, torch.float64)
    found = ops.correlation(u.float(), v)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, by_numpy(u.float().numpy(), v.numpy()), atol=bound(80, torch.float64))


@pytest.mark.parametrize(
    "layout",
    [
        np.asfortranarray,
        lambda x: x[::-1].copy()[::-1],
        lambda x: np.repeat(x, 2, 1)[:, ::2],
        np.ndarray.tolist,
    ],
)
def test_numpy_and_its_layouts(layout: Callable[[np.ndarray], Any]) -> None:
    u, v = (z.numpy() for z in related(33, 6, 5, torch.float64))
    before = u.copy()
    found = ops.correlation(layout(u), v)
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, ops.correlation(u, v))
    np.testing.assert_array_equal(u, before)


@pytest.mark.parametrize("backend", BACKENDS)
def test_out_is_overwritten_and_returned(backend: str) -> None:
    u, v = (z.numpy() for z in related(33, 6, 5, torch.float32))
    out = np.full((6, 5), np.nan, np.float32)
    assert ops.correlation(u, v, out=out, backend=backend) is out
    np.testing.assert_array_equal(out, ops.correlation(u, v, backend=backend))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("keep_threads")
def test_one_and_two_threads_give_the_same_bytes(kind: str) -> None:
    u, v = gaussian(7 * 201, 13, 1).view(7, 201, 13), gaussian(7 * 201, 11, 2).view(7, 201, 11)
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(ops.correlation(u, v, kind=kind))
    assert torch.equal(*found)


@pytest.mark.parametrize("values", ["gaussian", "ties", "skewed", "outlier", "sorted", "constant"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [2, 3, 31, 800, 5000])
def test_average_ranks_are_those_of_scipy(n: int, dtype: torch.dtype, values: str) -> None:
    x = gaussian(n, 3, 1, dtype)
    if values == "ties":
        x = x.round()
    elif values == "skewed":
        x = x.mul(20).exp()
    elif values == "outlier":  # the rest crowds into one step of the linear scale
        x[n // 2] = 1e30
    elif values == "sorted":
        x = x.sort(0, descending=True).values
    elif values == "constant":
        x[:] = 0.1
    expected = stats.rankdata(x.numpy(), axis=0)
    np.testing.assert_array_equal(average_ranks(x).numpy(), expected)
    out = np.full((1, n, 3), np.nan, x.numpy().dtype)
    _cpu.average_ranks(x[None].numpy(), out, 2)
    np.testing.assert_array_equal(out[0], expected)


def test_gradients_are_those_of_finite_differences() -> None:
    u, v = (z.requires_grad_() for z in related(8, 3, 2, torch.float64))
    torch.autograd.gradcheck(ops.correlation, (u, v))
    torch.autograd.gradcheck(ops.correlation, (u.detach().expand(2, 8, 3).clone().requires_grad_(),))


def test_gradients_are_those_of_the_definition() -> None:
    u, v = (z.requires_grad_() for z in related(50, 3, 2, torch.float64))
    found = torch.autograd.grad(ops.correlation(u, v).square().sum(), (u, v))
    expected = torch.autograd.grad(reference(u, v).square().sum(), (u, v))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("constant", ["nan", "zero"])
def test_a_constant_column_gets_no_gradient(constant: str) -> None:
    u, v = (z.requires_grad_() for z in related(20, 3, 2, torch.float64))
    with torch.no_grad():
        u[:, 1] = 4
    found = ops.correlation(u, v, constant=constant)
    (gradient,) = torch.autograd.grad(found[::2].sum(), u)
    assert torch.equal(gradient[:, 1], torch.zeros(20, dtype=torch.float64))
    assert float(gradient[:, 0].abs().max()) > 0


def test_products_keep_float32_where_the_user_lets_torch_round() -> None:
    u, v = related(300, 70, 5, torch.float32)
    plain = ops.correlation(u, v)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ops.correlation(u, v), plain)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert torch.equal(ops.correlation(u, v), plain)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


U = gaussian(6, 3)


@pytest.mark.parametrize(
    ("u", "v", "options", "message"),
    [
        (torch.ones(5), U, {}, "u: expected columns"),
        (U, torch.ones(6, 0), {}, "v: expected columns"),
        (U, gaussian(5, 3), {}, "u and v: expected shapes"),
        (U[None], U, {}, "u and v: expected shapes"),
        (U[:1], U[:1], {}, "u: expected at least 2 items, found 1"),
        (U, U.to("meta"), {}, "one device, found u on cpu, v on meta"),
        (U, U, {"kind": "kendall"}, "kind: expected one of 'pearson', 'spearman', found 'kendall'"),
        (U, U, {"constant": "ignore"}, "constant: expected one of 'raise', 'nan', 'zero'"),
        (U, U, {"backend": "triton"}, "correlation has no 'triton', it has cpu, torch"),
        (U, U, {"out": torch.empty(3, 2)}, r"out: expected shape \(3, 3\)"),
        (U, U, {"out": U[:3]}, "out: shares memory with an input"),
        (U.clone().requires_grad_(), U, {"kind": "spearman"}, "kind: ranks have no gradient"),
        (U.clone().requires_grad_(), U, {"backend": "cpu"}, "backend: 'cpu' gives no gradient"),
        (
            U.clone().requires_grad_(),
            U,
            {"out": torch.empty(3, 3)},
            "out: expected none for inputs that need",
        ),
        (torch.tensor([[3e38], [-3e38], [0]]), U[:3], {}, "u: expected numbers whose differences"),
    ],
)
def test_refuses_by_name(u: torch.Tensor, v: torch.Tensor, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.correlation(u, v, **options)
