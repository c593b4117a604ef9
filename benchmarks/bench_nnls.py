"""Non-negative least squares of many rows against one dictionary, beside scipy's solver called per row.

Counted for n = 3200, d = 512, k = 10, two threads:

- products: 2 n d k = 33 MFLOP, multiplied and summed in float64 whatever the input; the rows are read once,
  6.6 MB in float32 and 13 MB in float64, which at the memory's speed takes 0.2 and 0.4 ms;
- Gram matrix 2 d k² = 0.1 MFLOP;
- solves: about four per row of k³/3 + 4 k² operations in float64, eight rows side by side: 10 MFLOP.

With more atoms the solves outgrow the products, as k² outgrows d. The rate is of the products alone, its
limit the float32 GEMM rate. Baselines solve one row per call, in float64, in which scipy computes:
scipy.optimize.nnls on the (d, k) dictionary; the same on the (k, k) triangle of one QR factorisation;
scikit-learn's LinearRegression(positive=True), which loops over scipy. Where those take longer than seconds
they solve the first rows only, and their time is scaled up.

Errors: the largest violation of the optimality conditions per |a| |w_j|, and the largest excess of the
objective over scipy's, relative to it.

Run: OMP_NUM_THREADS=2 pytest benchmarks/bench_nnls.py
"""

import json

import numpy as np
import pytest
import torch
from scipy.optimize import nnls as scipy_nnls
from sklearn.linear_model import LinearRegression

from conftest import race, spread
from diptych import ops

# dictionary, n, d, k, dtype, rows the baselines solve, rounds
PROBLEMS = (
    ("gaussian", 3200, 512, 10, np.float32, 3200, 9),
    ("gaussian", 3200, 512, 10, np.float64, 3200, 9),
    ("positive", 3200, 512, 10, np.float32, 3200, 9),
    ("near-collinear", 3200, 512, 10, np.float32, 3200, 9),
    ("near-collinear", 3200, 512, 10, np.float64, 3200, 9),
    ("positive", 3200, 512, 32, np.float32, 400, 5),
    ("positive", 1600, 512, 64, np.float32, 50, 5),
    ("positive", 200, 512, 256, np.float32, 5, 3),
)


def problem(kind, n, d, k, dtype):
    """Rows that are sparse non-negative combinations of the atoms, and noise of about their size."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal((k, d))
    if kind == "positive":
        w = np.abs(w)
    elif kind == "near-collinear":  # the Gram matrix's condition is about 1e8
        w = w[:1] + 1e-3 * w
    u = rng.random((n, k)) * (rng.random((n, k)) < 0.4)
    return (u @ w + 0.5 * rng.standard_normal((n, d))).astype(dtype), w.astype(dtype)


def per_row(a, w):
    columns = np.asfortranarray(w.T)
    return np.stack([scipy_nnls(columns, row, maxiter=100 * len(w))[0] for row in a])


def after_qr(a, w):
    q, r = np.linalg.qr(w.T)
    return np.stack([scipy_nnls(r, row, maxiter=100 * len(w))[0] for row in a @ q])


def scikit_learn(a, w):
    return LinearRegression(positive=True, fit_intercept=False, n_jobs=None).fit(w.T, a.T).coef_


def errors(a, w, found, best):
    a, w, found = (x.astype(np.float64) for x in (a, w, found))
    sizes = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(w, axis=1)
    gradient = (found @ w - a) @ w.T / sizes
    violation = np.where(found > 0, np.abs(gradient), -gradient).max()
    ours = ((a - found @ w)[: len(best)] ** 2).sum(1)
    theirs = ((a[: len(best)] - best @ w) ** 2).sum(1)
    return {"kkt": float(violation), "gap": float((ours / theirs - 1).max())}


@pytest.mark.parametrize(("kind", "n", "d", "k", "dtype", "rows", "rounds"), PROBLEMS)
def test_nnls(benchmark, recorder, limits, kind, n, d, k, dtype, rows, rounds):
    a, w = problem(kind, n, d, k, dtype)
    some, wide = a[:rows].astype(np.float64), w.astype(np.float64)
    out = np.zeros((n, k), dtype)
    error = errors(a, w, ops.nnls(a, w), per_row(some, wide))
    assert error["kkt"] <= 1e-5
    assert error["gap"] <= 1e-6

    # The QR's BLAS threads spin for some 25 ms after it, on the cores that ours would use: the baseline that
    # has none goes last.
    baselines = {"scipy per row after one QR": lambda: after_qr(some, wide)}
    if k == 10 and kind == "gaussian":
        baselines["scikit-learn"] = lambda: scikit_learn(some, wide)
    baselines["scipy per row"] = lambda: per_row(some, wide)
    times, found = race(benchmark, lambda: ops.nnls(a, w, out=out), baselines, rounds)
    own = spread(times)
    ratios = {}
    for name, theirs in found.items():
        scaled = float(np.percentile(theirs, 20)) * n / rows
        ratios[name] = scaled / own["p20_s"]
        rate = 2 * n * d * k / own["p20_s"]
        recorder.add(
            op=f"nnls, {kind} dictionary",
            shape=f"n={n} d={d} k={k}",
            dtype=np.dtype(dtype).name,
            backend=ops.last_backend(),
            **own,
            rate=rate / 1e9,
            unit="GFLOP/s of products",
            share_of_limit=rate / limits["gemm"],
            baseline=name,
            baseline_p20_s=scaled,
            ratio=ratios[name],
            error=json.dumps({key: float(f"{value:.2g}") for key, value in error.items()}),
        )
    if k == 10:
        assert ratios["scipy per row"] >= 30
        assert ratios["scipy per row after one QR"] >= 12


def test_threads_are_two():
    assert torch.get_num_threads() == 2, "the figures are for two threads: set OMP_NUM_THREADS=2"
