"""Neighbor ranks of every item, from distances and from embeddings, against sorting with numpy and torch.

Counted from distances: 4 n² bytes read and 4 n² written (8 and 4 in float64), and per row a radix sort in
cache; the limit named is that of copying, far below what sorting costs. From embeddings n² d multiplications
and additions come on top, at the rate of this machine's GEMM.

The baselines: numpy's double argsort, which is what one writes; numpy and torch with one argsort and a
scatter, which is what one writes with care. Torch sorts on all threads.

Run: OMP_NUM_THREADS=2 pytest benchmarks/bench_neighbor_ranks.py
"""

import numpy as np
import pytest
import torch

from conftest import race
from diptych import ops
from diptych.ops.neighbor_ranks import reference
from matrix_rows import add_rows, points


def double_argsort(distances):
    return distances.argsort(1).argsort(1)


class NumpyScatter:
    """One argsort and a scatter into ranks that are there already."""

    def __init__(self, distances):
        self.distances = distances
        self.places = np.broadcast_to(np.arange(len(distances), dtype=np.int32), distances.shape)
        self.ranks = np.zeros(distances.shape, np.int32)

    def __call__(self):
        np.put_along_axis(self.ranks, self.distances.argsort(1), self.places, 1)


class TorchScatter:
    """One argsort and a scatter, both into memory that is there already."""

    def __init__(self, distances):
        n = len(distances)
        self.distances = distances
        self.sorted = torch.zeros_like(distances), torch.zeros(n, n, dtype=torch.int64)
        self.places = torch.arange(n, dtype=torch.int32).expand(n, n)
        self.ranks = torch.zeros(n, n, dtype=torch.int32)

    def __call__(self):
        torch.sort(self.distances, dim=1, out=self.sorted)
        self.ranks.scatter_(1, self.sorted[1], self.places)


def dtype_name(dtype):
    return str(dtype).removeprefix("torch.")


@pytest.mark.parametrize(
    ("n", "dtype", "rounds"),
    [
        (5000, torch.float32, 4),
        (5000, torch.float64, 2),
        (8000, torch.float32, 2),
        (500, torch.float32, 30),
        (16, torch.float32, 200),
    ],
)
def test_from_distances(benchmark, recorder, limits, n, dtype, rounds):
    distances = torch.cdist(points(n, 16, 0, dtype), points(n, 16, 0, dtype)).fill_diagonal_(0)
    out = torch.zeros(n, n, dtype=torch.int32)
    numpy, in_torch = NumpyScatter(distances.numpy()), TorchScatter(distances)
    ops.neighbor_ranks(distances=distances, out=out)
    rows = slice(0, 100)
    assert torch.equal(out[rows], reference(distances=distances[rows]))
    times, theirs = race(
        benchmark,
        lambda: ops.neighbor_ranks(distances=distances, out=out),
        {
            "numpy double argsort": lambda: double_argsort(distances.numpy()),
            "numpy argsort and scatter": numpy,
            "torch argsort and scatter": in_torch,
        },
        rounds,
    )
    moved = (dtype.itemsize + 4) * n * n
    ratios = add_rows(
        recorder,
        times,
        theirs,
        op="neighbor_ranks of distances",
        shape=f"n={n}",
        dtype=dtype_name(dtype),
        bytes_moved=moved,
        limit_s=moved / limits["copy"],
        error=0,
    )
    if (n, dtype) == (5000, torch.float32):
        assert ratios["numpy double argsort"] >= 20, ratios
        assert ratios["torch argsort and scatter"] >= 12, ratios


@pytest.mark.parametrize(
    ("n", "d", "dtype", "rounds"),
    [(5000, 64, torch.float32, 4), (5000, 768, torch.float32, 2), (5000, 64, torch.float64, 2)],
)
def test_from_embeddings(benchmark, recorder, limits, n, d, dtype, rounds):
    x = points(n, d, 0, dtype)
    out = torch.zeros(n, n, dtype=torch.int32)
    ops.neighbor_ranks(x, out=out)
    exact = torch.cdist(x[:200].double(), x.double(), compute_mode="donot_use_mm_for_euclid_dist")
    wrong = float((out[:200] != reference(distances=exact)).double().mean())
    # float32 and float64 order near-ties differently: of 25 million entries a few in a thousand.
    assert wrong < 5e-3

    def numpy():
        rows = x.numpy()
        squares = (rows * rows).sum(1)
        return double_argsort(squares[:, None] + squares - 2 * (rows @ rows.T))

    times, theirs = race(
        benchmark, lambda: ops.neighbor_ranks(x, out=out), {"numpy double argsort": numpy}, rounds
    )
    moved, gemm = 4 * n * n, 2 * n * n * d / limits["gemm"] * (2 if dtype == torch.float64 else 1)
    add_rows(
        recorder,
        times,
        theirs,
        op="neighbor_ranks of embeddings",
        shape=f"n={n} d={d}",
        dtype=dtype_name(dtype),
        bytes_moved=moved,
        limit_s=gemm + moved / limits["copy"],
        error=wrong,
    )


def test_threads_are_two():
    assert torch.get_num_threads() == 2, "the figures are for two threads: set OMP_NUM_THREADS=2"
