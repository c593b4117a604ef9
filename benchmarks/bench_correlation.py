"""Column correlations of 833 layer pairs of (800 × 10), as RSVC compares concepts, in one call.

Counted: 833 × 2 × 800 × 10 numbers are read once, 53 MB in float32; 833 × 800 × 10 × 10 products are summed,
133 MFLOP, at 16 lanes of which 10 are used. Spearman sorts 16,660 columns of 800.

Run: OMP_NUM_THREADS=2 pytest benchmarks/bench_correlation.py
"""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial.distance import cdist

from conftest import race, spread
from diptych import ops

PAIRS, N, K = 833, 800, 10


def data(dtype):
    rng = np.random.default_rng(0)
    u = rng.standard_normal((PAIRS, N, K)).astype(dtype)
    return u, (u + rng.standard_normal((PAIRS, N, K))).astype(dtype)


def by_cdist(u, v):
    return np.stack([1 - cdist(a.T, b.T, "correlation") for a, b in zip(u, v, strict=True)])


def by_corrcoef(u, v):
    return np.stack([np.corrcoef(a, b, rowvar=False)[:K, K:] for a, b in zip(u, v, strict=True)])


def by_spearmanr(u, v):
    return np.stack([stats.spearmanr(a, b).statistic[:K, K:] for a, b in zip(u, v, strict=True)])


def by_torch(u, v):
    u, v = (z - z.mean(1, keepdim=True) for z in map(torch.from_numpy, (u, v)))
    u, v = (z / z.norm(dim=1, keepdim=True) for z in (u, v))
    return (u.mT @ v).numpy()


def record(recorder, times, baselines, limits, *, op, dtype, error):
    own = spread(times)
    rate = 2 * PAIRS * N * K * np.dtype(dtype).itemsize / own["p20_s"]
    for name, theirs in baselines.items():
        recorder.add(
            op=op,
            shape=f"{PAIRS} pairs of {N}x{K}",
            dtype=np.dtype(dtype).name,
            backend=ops.last_backend(),
            **own,
            rate=rate / 1e9,
            unit="GB/s read",
            share_of_limit=rate / limits["copy"],
            baseline=name,
            baseline_p20_s=float(np.percentile(theirs, 20)),
            ratio=float(np.percentile(theirs, 20)) / own["p20_s"],
            error=error,
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pearson(benchmark, recorder, limits, dtype):
    u, v = data(dtype)
    exact = by_corrcoef(u.astype(np.float64), v.astype(np.float64))
    error = float(np.abs(ops.correlation(u, v) - exact).max())
    assert error < 64 * np.finfo(dtype).eps
    out = np.zeros((PAIRS, K, K), dtype)
    times, baselines = race(
        benchmark,
        lambda: ops.correlation(u, v, out=out),
        {
            "scipy cdist loop": lambda: by_cdist(u, v),
            "numpy corrcoef loop": lambda: by_corrcoef(u, v),
            "torch batched": lambda: by_torch(u, v),
        },
        15,
    )
    record(recorder, times, baselines, limits, op="correlation, pearson", dtype=dtype, error=error)
    ratio = np.percentile(baselines["scipy cdist loop"], 20) / np.percentile(times, 20)
    # 25 and 8 on an idle machine. Reading float64 alone takes a twentieth of the loop's time.
    assert ratio >= (20 if dtype == np.float32 else 7)


def test_spearman(benchmark, recorder, limits):
    u, v = data(np.float32)
    few = slice(0, 20)
    exact = by_spearmanr(u[few].astype(np.float64), v[few].astype(np.float64))
    error = float(np.abs(ops.correlation(u, v, kind="spearman")[few] - exact).max())
    assert error < 1e-6
    out = np.zeros((PAIRS, K, K), np.float32)
    times, baselines = race(
        benchmark,
        lambda: ops.correlation(u, v, kind="spearman", out=out),
        {
            "scipy spearmanr loop": lambda: by_spearmanr(u, v),
            "scipy rankdata, torch batched": lambda: by_torch(
                stats.rankdata(u, axis=1), stats.rankdata(v, axis=1)
            ),
        },
        5,
    )
    record(recorder, times, baselines, limits, op="correlation, spearman", dtype=np.float32, error=error)
    assert np.percentile(times, 20) <= 0.05


def test_wide(benchmark, recorder, limits):
    """One pair with many columns: a GEMM."""
    rng = np.random.default_rng(0)
    u, v = rng.standard_normal((2, 5000, 1000), dtype=np.float32)
    exact = np.corrcoef(u, v, rowvar=False)[:1000, 1000:]
    error = float(np.abs(ops.correlation(u, v) - exact).max())
    assert error < 1e-5

    def formula():
        a, b = u - u.mean(0), v - v.mean(0)
        return (a.T @ b) / (np.linalg.norm(a, axis=0)[:, None] * np.linalg.norm(b, axis=0))

    times, baselines = race(
        benchmark,
        lambda: ops.correlation(u, v),
        {
            "numpy corrcoef": lambda: np.corrcoef(u, v, rowvar=False)[:1000, 1000:],
            "plain numpy formula": formula,
        },
        7,
    )
    own, operations = spread(times), 2 * 5000 * 1000 * 1000
    for name, theirs in baselines.items():
        recorder.add(
            op="correlation, pearson",
            shape="n=5000 k=1000",
            dtype="float32",
            backend=ops.last_backend(),
            **own,
            rate=operations / own["p20_s"] / 1e9,
            unit="GFLOP/s",
            share_of_limit=operations / own["p20_s"] / limits["gemm"],
            baseline=name,
            baseline_p20_s=float(np.percentile(theirs, 20)),
            ratio=float(np.percentile(theirs, 20)) / own["p20_s"],
            error=error,
        )


def test_threads_are_two():
    assert torch.get_num_threads() == 2, "the figures are for two threads: set OMP_NUM_THREADS=2"
