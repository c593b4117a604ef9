"""diptych.ops.neighbor_ranks against its reference, numpy's stable sort and the geometry."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import (
    SIZES,
    assert_ranks_up_to_near_ties,
    exact_squares,
    gaussian,
    integers,
    ranks_of,
    sorted_ranks,
    with_duplicates,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import rankdata

from diptych import ops
from diptych.ops.neighbor_ranks import reference

BACKENDS = ("cpu", "torch")


@pytest.mark.parametrize("backend", [None, "torch"])
@pytest.mark.parametrize("n", [*SIZES, 1023])
def test_given_distances_are_ranked_exactly(device: torch.device, n: int, backend: str | None) -> None:
    for dtype in (torch.float32, torch.float64):
        # Rounded to quarters for ties; asymmetric, which is allowed; negative ones sort below zero.
        distances = (gaussian(n, n, n, dtype) * 4).round() / 4
        found = ops.neighbor_ranks(distances=distances.to(device), backend=backend)
        assert found.dtype == torch.int32
        np.testing.assert_array_equal(found.cpu(), ranks_of(distances.numpy()))


def test_agrees_with_scipy_without_ties() -> None:
    distances = gaussian(65, 65, 1, torch.float64).abs()
    distances.fill_diagonal_(0)
    expected = rankdata(distances, axis=1) - 1
    np.testing.assert_array_equal(ops.neighbor_ranks(distances=distances), expected)


@pytest.mark.parametrize("backend", [None, "torch"])
@pytest.mark.parametrize("n", [*SIZES, 1023])
def test_integer_embeddings_are_ranked_exactly(device: torch.device, n: int, backend: str | None) -> None:
    for dtype in (torch.float32, torch.float64):
        x = integers(n, 5, 4, n, dtype)
        found = ops.neighbor_ranks(x.to(device), backend=backend)
        np.testing.assert_array_equal(found.cpu(), sorted_ranks(x.double().numpy()))


@pytest.mark.parametrize("backend", BACKENDS)
def test_integers_keep_their_bits(backend: str) -> None:
    # Squared distances up to 2^23.9. A centre with a fraction, which rare ones in a column invite, would
    # cost the bits that tell distances apart which differ by one.
    generator = np.random.default_rng(0)
    x = np.concatenate([generator.choice([0, 3900], (300, 1)), generator.random((300, 60)) < 0.2], 1)
    expected = sorted_ranks(x.astype(np.float64))
    for dtype in (np.float32, np.float64, np.int16, np.int32, np.int64):
        np.testing.assert_array_equal(ops.neighbor_ranks(x.astype(dtype), backend=backend), expected)


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_reduced_matmul_precision_decides_no_order(device: torch.device, precision: str) -> None:
    x, whole = gaussian(400, 64, 3), integers(400, 40, 600, 3)  # 300 has more bits than bfloat16 holds
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        found, exact = ops.neighbor_ranks(x.to(device)), ops.neighbor_ranks(whole.to(device))
        assert torch.get_float32_matmul_precision() == precision
    finally:
        torch.set_float32_matmul_precision(before)
    assert_ranks_up_to_near_ties(found, x)
    np.testing.assert_array_equal(exact.cpu(), sorted_ranks(whole.double().numpy()))


@pytest.mark.parametrize("backend", [None, "torch"])
@pytest.mark.parametrize("n", [*SIZES, 800])
@pytest.mark.parametrize("d", [1, 16, 65])
def test_embeddings_are_ranked_up_to_near_ties(
    device: torch.device, d: int, n: int, backend: str | None
) -> None:
    for dtype in (torch.float32, torch.float64):
        x = gaussian(n, d, n, dtype)
        assert_ranks_up_to_near_ties(ops.neighbor_ranks(x.to(device), backend=backend), x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int16, torch.uint8, torch.int64])
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_dtype(dtype: torch.dtype, backend: str) -> None:
    x = (20 * gaussian(65, 6, 2, torch.float64).abs()).to(dtype)
    # Halves are computed in float32; their squared distances are sums of numbers of at most 22 bits.
    assert_ranks_up_to_near_ties(ops.neighbor_ranks(x, backend=backend), x.float())
    distances = torch.cdist(x.double(), x.double()).to(dtype)
    found = ops.neighbor_ranks(distances=distances, backend=backend)
    np.testing.assert_array_equal(found, ranks_of(distances.double().numpy()))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "d"), [(3, 17), (9, 64), (127, 257), (385, 17), (800, 3)])
def test_duplicates_are_ranked_by_index(d: int, n: int, dtype: torch.dtype, backend: str) -> None:
    x = with_duplicates(gaussian(n, d, n + d, dtype) + 3)
    x[-1] = x[0]
    found = ops.neighbor_ranks(x, backend=backend)
    squares = exact_squares(x)
    same = squares == 0
    expected = np.where(same, ranks_of(squares), -1)
    np.testing.assert_array_equal(np.where(same, found, -1), expected)
    assert_ranks_up_to_near_ties(found, x)
    # Seen from any third item the duplicate of lower index comes first.
    for first, second in np.argwhere(np.triu(same, 1)):
        third = ~same[first]
        assert (found[third, first] < found[third, second]).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_all_items_the_same(backend: str) -> None:
    x = torch.full((400, 7), 0.1)
    rows = np.arange(400)
    expected = rows[None, :] + (rows[None, :] < rows[:, None])
    np.fill_diagonal(expected, 0)
    np.testing.assert_array_equal(ops.neighbor_ranks(x, backend=backend), expected)


def test_given_ties_and_signed_zeros_go_by_index() -> None:
    distances = torch.zeros(4, 4)
    distances[1] = torch.tensor([0.0, 5.0, -0.0, 0.0])
    found = ops.neighbor_ranks(distances=distances)
    assert found[1].tolist() == [1, 0, 2, 3]
    assert found[3].tolist() == [1, 2, 3, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_from_the_origin(dtype: torch.dtype) -> None:
    x = gaussian(300, 16, 4, dtype) + 1e4
    assert_ranks_up_to_near_ties(ops.neighbor_ranks(x), x)
    moved = integers(300, 5, 9, 1, dtype) + 1e4
    np.testing.assert_array_equal(ops.neighbor_ranks(moved), sorted_ranks(moved.double().numpy()))


@pytest.mark.parametrize("backend", BACKENDS)
def test_invariances(backend: str) -> None:
    x = gaussian(65, 8, 6, torch.float64)
    plain = ops.neighbor_ranks(x, backend=backend)
    # 65² Gaussian distances in float64 hold no near-tie within the rounding of a rotation.
    rotation = torch.linalg.qr(gaussian(8, 8, 7, torch.float64)).Q
    assert torch.equal(ops.neighbor_ranks(x @ rotation * 3.7 + 5, backend=backend), plain)
    constant = torch.cat([x, torch.full((65, 1), 77.7, dtype=torch.float64)], 1)
    assert torch.equal(ops.neighbor_ranks(constant, backend=backend), plain)
    order = torch.randperm(65, generator=torch.Generator().manual_seed(0))
    assert torch.equal(ops.neighbor_ranks(x[order], backend=backend), plain[order][:, order])
    monotone = ops.neighbor_ranks(distances=torch.cdist(x, x) ** 3, backend=backend)
    assert torch.equal(monotone, plain)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n", [9, 65, 800])
def test_writes_all_of_out(n: int, backend: str) -> None:
    for dtype in (torch.float32, torch.float64):
        x = gaussian(n, 5, 9, dtype)
        for arguments in ({"x": x}, {"distances": torch.cdist(x, x)}):
            out = torch.full((n, n), torch.nan).view(torch.int32)
            found = ops.neighbor_ranks(**arguments, out=out, backend=backend)
            assert found is out
            assert torch.equal(out, ops.neighbor_ranks(**arguments, backend=backend))


def test_out_may_be_a_memory_map(tmp_path: Path) -> None:
    x = gaussian(65, 5, 9)
    path = tmp_path / "ranks.npy"
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.int32, shape=(65, 65))
    assert ops.neighbor_ranks(x.numpy(), out=out) is out
    out.flush()
    np.testing.assert_array_equal(np.load(path), ops.neighbor_ranks(x))


@pytest.mark.usefixtures("keep_threads")
@pytest.mark.parametrize("n", [33, 385])
def test_two_threads_and_a_second_run_agree(n: int) -> None:
    distances, whole = gaussian(n, n, 1).abs().round(decimals=1), integers(n, 6)
    results = []
    for threads in (1, 2, 2):
        torch.set_num_threads(threads)
        results.append((ops.neighbor_ranks(distances=distances), ops.neighbor_ranks(whole)))
    for given_distances, from_integers in results[1:]:
        assert torch.equal(given_distances, results[0][0])
        assert torch.equal(from_integers, results[0][1])


def test_reference_is_numpys_sort() -> None:
    distances = integers(40, 40, 6, 1, torch.float64)
    np.testing.assert_array_equal(reference(distances=distances), ranks_of(distances.numpy()))
    items = torch.tensor([13, 2, 39, 2])
    rows = reference(distances=distances[items], items=items)
    np.testing.assert_array_equal(rows, ranks_of(distances.numpy())[items])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("n", "m"), [(1, 1), (9, 3), (33, 40), (700, 65)])
def test_rows_of_a_few_items(n: int, m: int, backend: str, dtype: torch.dtype) -> None:
    x = integers(n, 17, 6, n, dtype)
    items = torch.randint(0, n, (m,), generator=torch.Generator().manual_seed(n))
    everything = ops.neighbor_ranks(x, backend=backend)
    found = ops.neighbor_ranks(x, items=items, backend=backend)
    assert torch.equal(found, everything[items])
    distances = torch.from_numpy(exact_squares(x))[items]
    assert torch.equal(
        ops.neighbor_ranks(distances=distances, items=items, backend=backend), everything[items]
    )
    out = np.full((m, n), -1, np.int32)
    assert ops.neighbor_ranks(x.numpy(), items=items.int().tolist(), out=out, backend=backend) is out
    np.testing.assert_array_equal(out, found)


def test_gradients_stop_here() -> None:
    x = gaussian(9, 3).requires_grad_()
    assert torch.equal(ops.neighbor_ranks(x), ops.neighbor_ranks(x.detach()))
    assert torch.equal(
        ops.neighbor_ranks(distances=x @ x.T), ops.neighbor_ranks(distances=(x @ x.T).detach())
    )


x53 = torch.ones(5, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "expected either x or distances, found neither"),
        ({"x": x53, "distances": torch.ones(5, 5)}, "expected either x or distances, found both"),
        ({"x": torch.ones(5)}, r"x: expected a matrix \(n, d\), found shape \(5,\)"),
        ({"x": torch.ones(0, 5)}, "x: expected at least one row and column"),
        ({"distances": x53}, r"distances: expected a square \(n, n\) matrix, found \(5, 3\)"),
        ({"x": x53, "items": [[1]]}, r"items: expected at least one index \(m,\), found shape \(1, 1\)"),
        ({"x": x53, "items": np.empty(0, int)}, "items: expected at least one index"),
        ({"x": x53, "items": [0, 5]}, "items: expected indices 0 to 4, found 5"),
        ({"x": x53, "items": [3, -1]}, "items: expected indices 0 to 4, found -1"),
        (
            {"distances": x53, "items": [0, 1]},
            r"distances: expected a row for each of 2 items, found \(5, 3\)",
        ),
        ({"x": x53, "items": [0], "out": torch.ones(5, 5).int()}, r"out: expected shape \(1, 5\)"),
        (
            {"x": x53, "items": [0], "backend": "cuda"},
            "backend: neighbor_ranks has no 'cuda', it has cpu, torch",
        ),
        ({"x": x53 / 0}, "x: expected finite numbers, found NaN or Inf in row 0"),
        ({"distances": torch.ones(5, 5) * torch.nan}, "distances: expected finite numbers"),
        ({"x": torch.ones(2**31, 1, device="meta")}, "x: 2147483648 items, but ranks are int32"),
        ({"x": x53, "out": torch.ones(5, 5)}, r"out: expected shape \(5, 5\) and torch.int32"),
        ({"x": x53, "out": torch.ones(5, 4).int()}, r"out: expected shape \(5, 5\) .* found \(5, 4\)"),
        ({"x": x53, "out": torch.ones(5, 9).int()[:, :5]}, "out: expected a contiguous array"),
        ({"x": x53, "out": torch.ones(5, 5, device="meta").int()}, "out: expected device cpu, found meta"),
        ({"x": x53, "backend": "triton"}, "backend: neighbor_ranks has no 'triton', it has cpu, cuda, torch"),
    ],
)
def test_refuses_by_name(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.neighbor_ranks(**arguments)


def test_refuses_items_that_are_not_integers() -> None:
    with pytest.raises(TypeError, match=r"items: expected integers, found torch.float64"):
        ops.neighbor_ranks(x53, items=[0.5])


def test_refuses_an_out_that_overlaps() -> None:
    memory = torch.ones(5, 5)
    with pytest.raises(ValueError, match="out: shares memory with an input"):
        ops.neighbor_ranks(distances=memory, out=memory.view(torch.int32))


@given(arrays(np.float32, (6, 6), elements=st.floats(width=32)))
def test_any_distances_are_ranked_or_refused(distances: np.ndarray) -> None:
    if np.isfinite(distances).all():
        np.testing.assert_array_equal(ops.neighbor_ranks(distances=distances), ranks_of(distances))
    else:
        row = int(np.flatnonzero(~np.isfinite(distances).all(1))[0])
        with pytest.raises(ValueError, match=f"distances: .* in row {row}$"):
            ops.neighbor_ranks(distances=distances)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
@pytest.mark.parametrize(
    ("n", "dtype"), [(5003, torch.float32), (16_001, torch.float64), (27_001, torch.float32)]
)
def test_rows_of_every_length_on_a_gpu(n: int, dtype: torch.dtype) -> None:
    # Short rows wait in shared memory, long ones in the device's; rows of many ties are sorted by digits.
    generator = torch.Generator("cuda").manual_seed(n)
    x = torch.randn(n, 8, generator=generator, device="cuda", dtype=dtype)
    whole = torch.randint(0, 3, (n, 6), generator=generator, device="cuda").to(dtype)
    for data, exact in ((x, False), (whole, True)):
        distances = torch.cdist(data, data, compute_mode="donot_use_mm_for_euclid_dist")
        found = ops.neighbor_ranks(distances=distances)
        for start in (0, n // 2, n - 100):
            expected = reference(distances=distances[start : start + 100], first_row=start)
            assert torch.equal(found[start : start + 100], expected)
        del distances
        if exact:
            assert torch.equal(ops.neighbor_ranks(data), found)
