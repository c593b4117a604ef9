"""Pairwise distances against scipy, scikit-learn and torch.

Counted: 2 n m d operations at the rate of this machine's float32 GEMM (half of it in float64), and one pass
over the result afterwards, which reads and writes every entry once, at the rate of copying. The limit is the
sum.

Baselines in their best setting: scikit-learn's euclidean_distances is the same expanded form in numpy (it
works on float32 in float64 chunks), torch.cdist uses the GEMM (without centring: its duplicates are not at
distance zero), scipy's cdist takes differences of coordinates on one thread.

Run: OMP_NUM_THREADS=2 pytest benchmarks/bench_pairwise_distances.py
"""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import cosine_distances, euclidean_distances

from conftest import race
from diptych import ops
from matrix_rows import add_rows, points

TORCH = "torch.cdist"


def baselines(x, y, metric):
    """What others do for the same rows; scipy only where it does not take seconds."""
    other = x if y is None else y
    if metric == "cosine":
        return {"scikit-learn": lambda: cosine_distances(x.numpy(), None if y is None else y.numpy())}
    named = {
        "scikit-learn": lambda: euclidean_distances(x.numpy(), None if y is None else y.numpy()),
        TORCH: lambda: torch.cdist(x, other, compute_mode="use_mm_for_euclid_dist"),
    }
    if len(x) * len(other) * x.shape[1] < 2e9:
        named["scipy cdist"] = lambda: cdist(x.numpy(), other.numpy())
    return named


@pytest.mark.parametrize(
    ("n", "m", "d", "dtype", "metric", "rounds"),
    [
        (5000, None, 64, torch.float32, "euclidean", 7),
        (5000, None, 768, torch.float32, "euclidean", 5),
        (5000, None, 64, torch.float64, "euclidean", 5),
        (1000, 8000, 64, torch.float32, "euclidean", 9),
        (5000, None, 64, torch.float32, "cosine", 5),
        (300, None, 64, torch.float32, "euclidean", 50),
        (16, None, 8, torch.float32, "euclidean", 200),
    ],
)
def test_pairwise_distances(benchmark, recorder, limits, n, m, d, dtype, metric, rounds):
    x, y = points(n, d, 0, dtype), None if m is None else points(m, d, 1, dtype)
    other = x if y is None else y
    out = torch.zeros(n, len(other), dtype=dtype)

    def ours():
        return ops.pairwise_distances(x, y, metric=metric, out=out)

    exact = cdist(x[:50].double(), other.double(), metric)
    power = (
        1 if metric == "cosine" else 2
    )  # of distances the squares are good to within the rounding of norms
    scale = 1.0 if metric == "cosine" else float((x.double() ** 2).sum(1).max())
    error = float(np.abs(ours()[:50].double().numpy() ** power - exact**power).max()) / scale
    assert (
        error <= 4 * (d + 4) * torch.finfo(dtype).eps
    )  # Higham 2002, eq. 3.5, for the two norms and the product
    times, theirs = race(benchmark, ours, baselines(x, y, metric), rounds)
    entries = n * len(other)
    gemm = 2 * entries * d / limits["gemm"] * (2 if dtype == torch.float64 else 1)
    moved = 2 * entries * dtype.itemsize
    ratios = add_rows(
        recorder,
        times,
        theirs,
        op=f"pairwise_distances, {metric}",
        shape=f"n={n} m={len(other)} d={d}",
        dtype=str(dtype).removeprefix("torch."),
        bytes_moved=moved,
        limit_s=gemm + moved / limits["copy"],
        error=error,
    )
    if (n, d, dtype, metric) == (5000, 64, torch.float32, "euclidean"):
        assert (gemm + moved / limits["copy"]) / np.percentile(times, 20) >= 0.5, times
        assert ratios[TORCH] >= 1, ratios


def test_threads_are_two():
    assert torch.get_num_threads() == 2, "the figures are for two threads: set OMP_NUM_THREADS=2"
