"""diptych.ops.difference_affinity against its definition."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import SIZES, gaussian, rank_matrix
from test_locally_biased_difference import by_definition as difference_by_definition

from diptych import ops
from diptych.ops.difference_affinity import reference

BACKENDS = ("cpu", "torch")
EPS = {torch.float32: 1.2e-7, torch.float64: 2.3e-16}


def by_definition(
    a: np.ndarray,
    b: np.ndarray,
    gamma: float,
    beta: float,
    difference: str = "locally_biased",
    offset: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    if difference == "subtraction":
        g = gamma * (a.astype(np.float64) - b.astype(np.float64))
    else:
        g = difference_by_definition(a, b, gamma, offset)
    forward, backward = np.exp(-beta * g), np.exp(beta * g)
    return (forward + forward.T) / 2, (backward + backward.T) / 2


def tolerance(beta: float, dtype: torch.dtype) -> float:
    """Relative error of F: beta times that of G (8 ulps, |G| <= 1), and some of exp and its reciprocal."""
    return (8 * beta + 4) * EPS[dtype]


@pytest.mark.parametrize("dtype", [torch.int32, torch.float32, torch.float64])
@pytest.mark.parametrize("backend", [None, "torch"])
@pytest.mark.parametrize("n", [*SIZES, 64, 127, 129])
def test_is_the_definition(device: torch.device, n: int, backend: str | None, dtype: torch.dtype) -> None:
    a, b = rank_matrix(n, 1).to(dtype), rank_matrix(n, 2).to(dtype)
    found = ops.difference_affinity(a.to(device), b.to(device), backend=backend)
    for got, expected in zip(found, by_definition(a.numpy(), b.numpy(), 0.1, 5.0), strict=True):
        assert got.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        np.testing.assert_allclose(got.cpu(), expected, rtol=tolerance(5.0, got.dtype), atol=0)
        assert torch.equal(got, got.T)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.int32, torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("gamma", "beta", "difference", "offset"),
    [
        (0.05, 5.0, "locally_biased", 1.0),
        (3.0, 80.0, "locally_biased", 0.0),
        (0.01, 1.0, "subtraction", 0.0),
        (0.1, 5.0, "locally_biased", 0.5),
    ],
)
def test_every_mode(
    gamma: float, beta: float, difference: str, offset: float, dtype: torch.dtype, backend: str
) -> None:
    a, b = rank_matrix(65, 3).to(dtype), rank_matrix(65, 4).to(dtype)
    options = {"difference": difference, "offset": offset}
    found = ops.difference_affinity(a, b, gamma, beta, **options, backend=backend)
    expected = by_definition(a.numpy(), b.numpy(), gamma, beta, **options)
    for got, want in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=tolerance(beta, got.dtype), atol=0)
        assert torch.equal(got, got.T)
        if difference == "locally_biased":
            slack = 1 + 4 * EPS[got.dtype]
            assert np.exp(-beta) / slack <= float(got.min())
            assert float(got.max()) <= np.exp(beta) * slack


def test_reference_is_the_definition() -> None:
    a, b = gaussian(9, 9, 1, torch.float64).abs(), gaussian(9, 9, 2, torch.float64).abs()
    for difference in ("locally_biased", "subtraction"):
        found = reference(a, b, 0.3, 2.0, difference, 0.5)
        expected = by_definition(a.numpy(), b.numpy(), 0.3, 2.0, difference, 0.5)
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-13)
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-13)


def test_an_affinity_worked_by_hand() -> None:
    # Pair (0, 1): ranks 1 and 2 in a, 2 and 1 in b; G = tanh(0.5 (1-2)/1) and tanh(0.5 (2-1)/1).
    a, b = np.array([[0, 1], [2, 0]], np.int32), np.array([[0, 2], [1, 0]], np.int32)
    forward, backward = ops.difference_affinity(a, b, 0.5, 3.0)
    g = np.tanh(0.5)
    expected = [[1, np.cosh(3 * g)], [np.cosh(3 * g), 1]]
    np.testing.assert_allclose(forward, expected, rtol=tolerance(3.0, torch.float32))
    np.testing.assert_allclose(backward, expected, rtol=tolerance(3.0, torch.float32))


@pytest.mark.parametrize("backend", BACKENDS)
def test_near_in_a_only_is_a_large_affinity(backend: str) -> None:
    a, b = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[0.0, 9.0], [9.0, 0.0]])
    forward, backward = ops.difference_affinity(a, b, backend=backend)
    assert forward[0, 1] > 1 > backward[0, 1]
    np.testing.assert_allclose(forward * backward, 1, rtol=1e-14)
    assert np.diagonal(forward).tolist() == [1, 1]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.int32, torch.float64])
def test_invariances(dtype: torch.dtype, backend: str) -> None:
    a, b = rank_matrix(129, 5).to(dtype), rank_matrix(129, 6).to(dtype)
    forward, backward = ops.difference_affinity(a, b, backend=backend)
    swapped = ops.difference_affinity(b, a, backend=backend)
    assert torch.equal(swapped[0], backward)
    assert torch.equal(swapped[1], forward)
    order = torch.randperm(129, generator=torch.Generator().manual_seed(0))
    shuffled, _ = ops.difference_affinity(a[order][:, order], b[order][:, order], backend=backend)
    torch.testing.assert_close(shuffled, forward[order][:, order], rtol=2 * EPS[forward.dtype], atol=0)
    transposed, _ = ops.difference_affinity(a.T, b.T, backend=backend)
    torch.testing.assert_close(transposed, forward, rtol=2 * EPS[forward.dtype], atol=0)
    if dtype.is_floating_point:
        scaled, _ = ops.difference_affinity(a * 4, b * 4, backend=backend)
        assert torch.equal(scaled, forward)


@pytest.mark.parametrize("backend", BACKENDS)
def test_equal_representations_have_affinity_one(backend: str) -> None:
    ranks = rank_matrix(65, 1)
    for affinity in ops.difference_affinity(ranks, ranks, backend=backend):
        assert (affinity == 1).all()


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.uint16, torch.float16, torch.bfloat16])
def test_other_dtypes_are_converted(dtype: torch.dtype) -> None:
    a, b = rank_matrix(33, 1), rank_matrix(33, 2)
    expected = ops.difference_affinity(a.float(), b.float())
    found = ops.difference_affinity(a.to(dtype), b.to(dtype))
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.int32, torch.float32, torch.float64])
@pytest.mark.parametrize("n", [1, 8, 64, 65, 200])
def test_overwrites_its_inputs(n: int, dtype: torch.dtype, backend: str) -> None:
    a, b = rank_matrix(n, 1).to(dtype), rank_matrix(n, 2).to(dtype)
    expected = ops.difference_affinity(a, b, backend=backend)
    found = ops.difference_affinity(a, b, overwrite=True, backend=backend)
    for given, got, want in zip((a, b), found, expected, strict=True):
        assert got.data_ptr() == given.data_ptr()
        assert torch.equal(got, want)


@pytest.mark.usefixtures("keep_threads")
@pytest.mark.parametrize("dtype", [torch.int32, torch.float64])
@pytest.mark.parametrize("shift", [0, 3])
def test_large_results_wherever_they_lie(shift: int, dtype: torch.dtype) -> None:
    n = 2051  # many tiles, cut off at the edges, beyond the caches; no row starts where a cache line does
    generator = torch.Generator().manual_seed(shift)
    a, b = (torch.randint(1, n, (n, n), generator=generator).fill_diagonal_(0).to(dtype) for _ in range(2))
    kind = torch.float64 if dtype == torch.float64 else torch.float32
    guarded = [torch.full((shift + n * n + 9,), torch.nan, dtype=kind) for _ in range(2)]
    out = tuple(memory[shift : shift + n * n].view(n, n) for memory in guarded)
    torch.set_num_threads(2)
    ops.difference_affinity(a, b, out=out)
    for got, expected in zip(out, by_definition(a.numpy(), b.numpy(), 0.1, 5.0), strict=True):
        np.testing.assert_allclose(got, expected, rtol=tolerance(5.0, kind), atol=0)
        assert torch.equal(got, got.T)
    for memory in guarded:
        assert memory[:shift].isnan().all()
        assert memory[shift + n * n :].isnan().all()
    torch.set_num_threads(1)
    found = ops.difference_affinity(a, b, overwrite=True)
    assert torch.equal(found[0], out[0])
    assert torch.equal(found[1], out[1])


def test_overwrites_numpy_arrays() -> None:
    a, b = rank_matrix(65, 1).numpy(), rank_matrix(65, 2).numpy()
    expected = ops.difference_affinity(a, b)
    found = ops.difference_affinity(a, b, overwrite=True)
    for given, got, want in zip((a, b), found, expected, strict=True):
        assert np.shares_memory(given, got)
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("backend", BACKENDS)
def test_writes_all_of_out(backend: str, tmp_path: Path) -> None:
    a, b = rank_matrix(65, 1), rank_matrix(65, 2)
    expected = ops.difference_affinity(a, b, backend=backend)
    out = torch.full((65, 65), torch.nan), torch.full((65, 65), torch.nan)
    found = ops.difference_affinity(a, b, out=out, backend=backend)
    mapped = tuple(
        np.lib.format.open_memmap(tmp_path / f"{name}.npy", mode="w+", dtype=np.float32, shape=(65, 65))
        for name in "ab"
    )
    ops.difference_affinity(a, b, out=mapped, backend=backend)
    for got, given, on_disk, want in zip(found, out, mapped, expected, strict=True):
        assert got is given
        assert torch.equal(got, want)
        np.testing.assert_array_equal(on_disk, want)


@pytest.mark.usefixtures("keep_threads")
@pytest.mark.parametrize("dtype", [torch.int32, torch.float32, torch.float64])
def test_two_threads_and_a_second_run_agree(dtype: torch.dtype) -> None:
    a, b = rank_matrix(200, 1).to(dtype), rank_matrix(200, 2).to(dtype)
    results = []
    for threads in (1, 2, 2):
        torch.set_num_threads(threads)
        results.append(ops.difference_affinity(a, b))
    for forward, backward in results[1:]:
        assert torch.equal(forward, results[0][0])
        assert torch.equal(backward, results[0][1])


one = torch.ones(3, 3)


@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        (torch.ones(3, 4), torch.ones(3, 4), {}, r"a: expected a square \(n, n\) matrix, found \(3, 4\)"),
        (torch.ones(3), torch.ones(3), {}, "a: expected a matrix"),
        (one, torch.ones(4, 4), {}, r"a and b: shapes differ, \(3, 3\) and \(4, 4\)"),
        (one, torch.ones(3, 3, device="meta"), {}, "one device, found a on cpu, b on meta"),
        (one, one, {"gamma": 0.0}, "gamma: expected a number above 0"),
        (one, one, {"beta": 0.0}, "beta: expected a number above 0"),
        (one, one, {"beta": 80.5}, "beta: expected 0 to 80.0, found 80.5"),
        (one, one, {"offset": -1.0}, "offset: expected 0 to inf"),
        (one, one, {"difference": "ratio"}, "difference: expected one of 'locally_biased', 'subtraction'"),
        (one * torch.nan, one, {}, "a: expected finite numbers"),
        (one, -one, {}, "b: expected ranks or distances >= 0"),
        (one, one.long() * 2**33, {}, "b: expected ranks up to 2147483647"),
        (one, one.clone(), {"overwrite": True, "out": (one, one)}, "out and overwrite: expected at most one"),
        (one, one, {"overwrite": True}, "a and b: overwrite needs two matrices that share no memory"),
        (one.half(), one.half(), {"overwrite": True}, "a: overwrite needs a contiguous int32, float32 or"),
        (one, torch.ones(3, 6)[:, ::2], {"overwrite": True}, "b: overwrite needs a contiguous"),
        (one, one.int(), {"overwrite": True}, "b: overwrite needs a contiguous"),
        (one, one, {"out": (torch.ones(3, 4), one)}, r"out\[0\]: expected shape \(3, 3\)"),
        (one, one, {"out": (torch.ones(3, 3), one)}, r"out\[1\]: shares memory with an input"),
        (
            one,
            one,
            {"out": (torch.ones(3, 3), torch.ones(3, 3).double())},
            r"out\[1\]: expected shape .* torch.float32, found .* torch.float64",
        ),
        (one, one, {"out": (torch.ones(9).view(3, 3),) * 2}, r"out\[1\]: shares memory"),
        (one, one, {"backend": "cuda"}, "backend: 'cuda' cannot serve arrays on cpu here"),
    ],
)
def test_refuses_by_name(a: torch.Tensor, b: torch.Tensor, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.difference_affinity(a, b, **options)


@pytest.mark.parametrize("name", ["gamma", "beta", "offset"])
def test_refuses_parameters_that_are_no_numbers(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name}: expected a number, found None"):
        ops.difference_affinity(one, one, **{name: None})


def test_read_only_arrays_are_not_overwritten() -> None:
    a, b = rank_matrix(5, 1).numpy(), rank_matrix(5, 2).numpy()
    b.flags.writeable = False
    before = a.copy(), b.copy()
    with pytest.raises(ValueError, match="b: expected an array to write into, found a read-only one"):
        ops.difference_affinity(a, b, overwrite=True)
    np.testing.assert_array_equal(a, before[0])
    np.testing.assert_array_equal(b, before[1])
