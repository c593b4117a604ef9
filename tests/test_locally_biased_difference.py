"""diptych.ops.locally_biased_difference against its definition."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import SIZES, gaussian, rank_matrix
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from diptych import ops
from diptych.ops.locally_biased_difference import reference

BACKENDS = ("cpu", "torch")
EPS = {torch.float32: 1.2e-7, torch.float64: 2.3e-16}
# G is good to three ulps of tanh and four of its argument, whose condition number is at most 1.
ULPS = 8


def by_definition(a: np.ndarray, b: np.ndarray, gamma: float, offset: float = 0.0) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    nearest = np.minimum(a, b) + offset
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        quotient = np.tanh(gamma * (a - b) / nearest)
    return np.where(nearest > 0, quotient, np.sign(a - b))


@pytest.mark.parametrize("dtype", [torch.int32, torch.float32, torch.float64])
@pytest.mark.parametrize("backend", [None, "torch"])
@pytest.mark.parametrize("n", SIZES)
def test_is_the_definition(device: torch.device, n: int, backend: str | None, dtype: torch.dtype) -> None:
    a, b = rank_matrix(n, 1).to(dtype), rank_matrix(n, 2).to(dtype)
    for gamma, offset in ((0.1, 0.0), (2.5, 1.0)):
        found = ops.locally_biased_difference(
            a.to(device), b.to(device), gamma, offset=offset, backend=backend
        )
        assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        expected = by_definition(a.numpy(), b.numpy(), gamma, offset)
        np.testing.assert_allclose(found.cpu(), expected, rtol=ULPS * EPS[found.dtype], atol=0)


def test_reference_is_the_definition() -> None:
    a, b = gaussian(9, 7, 1, torch.float64).abs(), gaussian(9, 7, 2, torch.float64).abs()
    np.testing.assert_allclose(
        reference(a, b, 0.3, 0.5), by_definition(a.numpy(), b.numpy(), 0.3, 0.5), 1e-14
    )
    np.testing.assert_allclose(
        reference(rank_matrix(9, 1), rank_matrix(9, 2), 0.3),
        by_definition(rank_matrix(9, 1).numpy(), rank_matrix(9, 2).numpy(), 0.3),
        1e-14,
    )


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "dtype",
    [torch.uint8, torch.int16, torch.int64, torch.uint16, torch.uint32, torch.float16, torch.bfloat16],
)
def test_other_dtypes_are_converted(dtype: torch.dtype, backend: str) -> None:
    a, b = rank_matrix(33, 1), rank_matrix(33, 2)
    expected = ops.locally_biased_difference(a, b, backend="cpu")
    found = ops.locally_biased_difference(a.to(dtype), b.to(dtype), backend=backend)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=ULPS * EPS[torch.float32], atol=0)
    mixed = ops.locally_biased_difference(a.to(dtype), b, backend=backend)
    torch.testing.assert_close(mixed, expected, rtol=ULPS * EPS[torch.float32], atol=0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.int32, torch.float32, torch.float64])
def test_limits_at_zero(dtype: torch.dtype, backend: str) -> None:
    a = torch.tensor([0, 0, 3, 0, 7], dtype=dtype)
    b = torch.tensor([0, 3, 0, 0, 7], dtype=dtype)
    found = ops.locally_biased_difference(a, b, backend=backend)
    assert found.tolist() == [0, -1, 1, 0, 0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_extremes_stay_numbers(backend: str) -> None:
    a = torch.tensor([1e-45, 3e38, 1e-38, 3e38, 5.0])
    b = torch.tensor([3e38, 1e-45, 1e-45, 3e38, 5.0])
    for gamma in (1e-30, 0.1, 1.0, 3e38):
        found = ops.locally_biased_difference(a, b, gamma, backend=backend)
        assert torch.isfinite(found).all()
        assert (found.abs() <= 1).all()
        assert found[3:].tolist() == [0, 0]
    assert found[:3].tolist() == [-1, 1, 1]


@pytest.mark.parametrize("backend", BACKENDS)
def test_invariances(backend: str) -> None:
    a, b = gaussian(20, 20, 1).abs(), gaussian(20, 20, 2).abs()
    plain = ops.locally_biased_difference(a, b, backend=backend)
    assert torch.equal(ops.locally_biased_difference(b, a, backend=backend), -plain)
    assert torch.equal(ops.locally_biased_difference(8 * a, 8 * b, backend=backend), plain)
    assert torch.equal(ops.locally_biased_difference(a.T, b.T, backend=backend), plain.T)
    assert torch.equal(ops.locally_biased_difference(a[3], b[3], backend=backend), plain[3])


@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 0), (2, 3, 4)])
@pytest.mark.parametrize("backend", BACKENDS)
def test_any_shape(shape: tuple[int, ...], backend: str) -> None:
    a, b = torch.full(shape, 2.0), torch.full(shape, 3.0)
    found = ops.locally_biased_difference(a, b, 0.5, backend=backend)
    assert found.shape == shape
    torch.testing.assert_close(found, torch.full(shape, float(np.tanh(-0.25))), rtol=1e-6, atol=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_writes_all_of_out(backend: str, tmp_path: Path) -> None:
    a, b = rank_matrix(33, 1), rank_matrix(33, 2)
    expected = ops.locally_biased_difference(a, b, backend=backend)
    out = torch.full((33, 33), torch.nan)
    assert ops.locally_biased_difference(a, b, out=out, backend=backend) is out
    assert torch.equal(out, expected)
    mapped = np.lib.format.open_memmap(tmp_path / "g.npy", mode="w+", dtype=np.float32, shape=(33, 33))
    assert ops.locally_biased_difference(a.numpy(), b.numpy(), out=mapped, backend=backend) is mapped
    np.testing.assert_array_equal(mapped, expected)


@pytest.mark.usefixtures("keep_threads")
@pytest.mark.parametrize("dtype", [torch.int32, torch.float32, torch.float64])
def test_two_threads_and_a_second_run_agree(dtype: torch.dtype) -> None:
    a, b = rank_matrix(65, 1).to(dtype).flatten()[:4211], rank_matrix(65, 2).to(dtype).flatten()[:4211]
    results = []
    for threads in (1, 2, 2):
        torch.set_num_threads(threads)
        results.append(ops.locally_biased_difference(a, b))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[1], results[2])


def test_gradients_stop_here() -> None:
    a = torch.ones(3, requires_grad=True)
    assert not ops.locally_biased_difference(a, a).requires_grad


one = torch.ones(3, 3)


@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        (one, torch.ones(3, 4), {}, r"a and b: shapes differ, \(3, 3\) and \(3, 4\)"),
        (one, torch.ones(3, 3, device="meta"), {}, "one device, found a on cpu, b on meta"),
        (one, one, {"gamma": 0.0}, "gamma: expected a number above 0 .*, found 0.0"),
        (one, one, {"gamma": -1.0}, "gamma: expected a number above 0"),
        (one, one, {"gamma": float("nan")}, "gamma: expected a number above 0"),
        (one, one, {"gamma": 1e39}, "gamma: expected a number above 0 and at most"),
        (one, one, {"offset": -0.5}, "offset: expected 0 to inf, found -0.5"),
        (one, one, {"offset": float("nan")}, "offset: expected 0 to inf, found nan"),
        (one * torch.nan, one, {}, "a: expected finite numbers"),
        (one, one / 0, {}, "b: expected finite numbers"),
        (one, -one, {}, "b: expected ranks or distances >= 0, found -1.0"),
        (-one.long() * (2**40 - 5), one.long(), {}, "a: expected ranks or distances >= 0"),
        (
            one.long(),
            one.long() * 2**32,
            {},
            r"b: expected ranks up to 2147483647 \(int32\), found 4294967296",
        ),
        (one, one, {"out": torch.ones(3)}, r"out: expected shape \(3, 3\) and torch.float32"),
        (
            one.int(),
            one.int(),
            {"out": one.int()},
            "out: expected shape .* torch.float32, found .* torch.int32",
        ),
        (one, one, {"out": torch.ones(3, 6)[:, ::2]}, "out: expected a contiguous array"),
        (one, one, {"out": one}, "out: shares memory with an input"),
        (one.double(), one.double(), {"backend": "triton"}, "has no 'triton', it has cpu, cuda, torch"),
    ],
)
def test_refuses_by_name(a: torch.Tensor, b: torch.Tensor, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.locally_biased_difference(a, b, **options)


@pytest.mark.parametrize("name", ["gamma", "offset"])
def test_refuses_parameters_that_are_no_numbers(name: str) -> None:
    for value in ("0.1", True):
        with pytest.raises(TypeError, match=f"{name}: expected a number, found {value!r}"):
            ops.locally_biased_difference(one, one, **{name: value})


@given(
    arrays(np.float64, (2, 5), elements=st.floats()),
    st.floats(),
    st.floats(),
)
def test_any_values_are_computed_or_refused(values: np.ndarray, gamma: float, offset: float) -> None:
    a, b = values
    if (values >= 0).all() and np.isfinite(values).all() and 0 < gamma <= 3.4e38 and offset >= 0:
        found = ops.locally_biased_difference(a, b, gamma, offset=offset)
        assert (np.abs(found) <= 1).all()
        assert (np.sign(found) * np.sign(a - b) >= 0).all()
    else:
        with pytest.raises(ValueError, match=r"^(a|b|gamma|offset): expected"):
            ops.locally_biased_difference(a, b, gamma, offset=offset)
