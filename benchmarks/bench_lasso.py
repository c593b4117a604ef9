"""Lasso of ten targets, five folds each, against celer and scikit-learn, one problem after the other.

Counted for n = 3200, p = 2048, t = 10 targets and K = 5 folds, alpha = 0.1 (42 nonzero coefficients each):

- a round's gradients: one product of the residuals (K t, n) with x, 0.66 GFLOP, and one read of x (52 MB in
  float64, 26 in float32). Three or four rounds, the last one in float64;
- Gram matrices of the working sets, about 90 features per target: 2 n u² t = 0.5 GFLOP;
- coordinate descent on them: 17 passes over 90 features and 50 problems, a few ms.

``rate`` counts the gradients of four rounds alone, its limit is the rate of a GEMM in that type. The gaps of
all solvers are computed here, in float64 from x; the rows' error is our largest, over |y|²/n. celer and
scikit-learn get x by columns and the tolerance that stops them at the same gap (scikit-learn's is relative to
|y|², over n the same). Their time is measured on the folds of BASELINE_TARGETS targets and scaled up.

Run: OMP_NUM_THREADS=2 pytest benchmarks/bench_lasso.py
"""

import json
import warnings

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso

from conftest import race, spread, timed
from diptych import ops

celer = pytest.importorskip("celer", reason="celer is not installed")

TOL, FOLDS = 1e-5, 5


def standardised(x):
    return (x - x.mean(0)) / x.std(0)


def activations(n, p, t, seed=0, causes=96):
    """One layer of a network on patches of images, and concept coefficients: nonnegative, few causes each."""
    generator = np.random.default_rng(seed)
    images = np.repeat(generator.standard_normal((n // 64, causes)), 64, 0)
    z = 0.6 * images + 0.8 * generator.standard_normal((n, causes))
    mixing = generator.standard_normal((causes, p)) * (generator.random((causes, p)) < 0.15)
    mixing /= np.linalg.norm(mixing, axis=0) + 1e-9
    x = np.maximum(z @ mixing + 0.5 * generator.standard_normal((n, p)) - 0.3, 0)
    chosen = [generator.choice(causes, 6, replace=False) for _ in range(t)]
    y = np.stack([z[:, c] @ generator.random(6) for c in chosen], 1)
    y = np.maximum(y + 0.3 * generator.standard_normal((n, t)) - 0.3, 0)
    return standardised(x), standardised(y)


def gaussian(n, p, t, correlation, seed=0, nonzero=20):
    """Columns that follow each other as an autoregression does; targets of a few of them, with noise."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((n, p))
    for j in range(1, p):
        x[:, j] = correlation * x[:, j - 1] + np.sqrt(1 - correlation**2) * x[:, j]
    w = np.zeros((p, t))
    for j in range(t):
        w[generator.choice(p, nonzero, replace=False), j] = generator.standard_normal(nonzero)
    y = x @ w
    return standardised(x), standardised(y + 0.3 * y.std(0) * generator.standard_normal((n, t)))


def training_rows(n):
    tags = np.arange(n) * FOLDS // n
    return [tags != k for k in range(FOLDS)]


def largest_gap(x, y, coef, alpha):
    """Over |y|²/n of the training items, in float64 from x; coef (K, p, t)."""
    worst = 0.0
    for rows, w in zip(training_rows(len(x)), coef.astype(np.float64), strict=True):
        a, b = x[rows].astype(np.float64), y[rows].astype(np.float64)
        n, residual = len(a), b - a @ w
        dual = residual * np.minimum(1, alpha / np.abs(a.T @ residual / n).max(0))
        primal = (residual**2).sum(0) / (2 * n) + alpha * np.abs(w).sum(0)
        gap = primal - ((b**2).sum(0) - ((b - dual) ** 2).sum(0)) / (2 * n)
        worst = max(worst, float((gap / (b**2).mean(0)).max()))
    return worst


def prepared(x, y, targets):
    """What the baselines are given: each training set by columns, each target contiguous."""
    return [
        (np.asfortranarray(x[rows]), [np.ascontiguousarray(y[rows, j]) for j in range(targets)])
        for rows in training_rows(len(x))
    ]


def solved(make, problems):
    """Coefficients (K, p, t), one problem after the other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # in float32 they may stop just above the tolerance
        return np.stack([np.stack([make().fit(a, b).coef_ for b in targets], 1) for a, targets in problems])


CASES = {
    # name: (data, alpha, targets the baselines are timed on, scikit-learn too)
    "RSVC-shaped": (lambda: activations(3200, 2048, 10), 0.1, 10, False),
    "RSVC-shaped, small alpha": (lambda: activations(3200, 2048, 10), 0.01, 1, False),
    "Gaussian": (lambda: gaussian(3200, 2048, 10, 0.0), 0.1, 10, False),
    "correlated, small alpha": (lambda: gaussian(1000, 2000, 5, 0.95), 0.01, 5, False),
    "many items, few features": (lambda: gaussian(20000, 200, 10, 0.5), 0.01, 5, True),
    "one target": (lambda: activations(3200, 2048, 1), 0.1, 1, True),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", CASES)
def test_lasso(benchmark, recorder, name, dtype):
    make, alpha, timed_targets, with_sklearn = CASES[name]
    x, y = (array.astype(dtype) for array in make())
    (n, p), t = x.shape, y.shape[1]
    found = ops.lasso(x, y, alpha, FOLDS, tol=TOL)
    error = largest_gap(x, y, found.coef, alpha)
    assert error <= TOL * (1 + 1e-3)  # never time a wrong answer
    problems = prepared(x, y, timed_targets)
    makers = {"celer": lambda: celer.Lasso(alpha=alpha, fit_intercept=False, tol=TOL)}
    if with_sklearn:
        makers["scikit-learn"] = lambda: Lasso(alpha=alpha, fit_intercept=False, tol=TOL, max_iter=10**5)
    gaps = {}
    for baseline, maker in makers.items():
        gaps[baseline] = largest_gap(x, y[:, :timed_targets], solved(maker, problems), alpha)
        assert gaps[baseline] <= 1.1 * TOL  # the same gap for all
    runs = {baseline: (lambda maker=maker: solved(maker, problems)) for baseline, maker in makers.items()}
    times, baselines = race(benchmark, lambda: ops.lasso(x, y, alpha, FOLDS, tol=TOL), runs, 3)
    own, limit = spread(times), gemm_rate(dtype)
    rate = 4 * 2.0 * n * p * t * FOLDS / own["p20_s"]
    for baseline, theirs in baselines.items():
        seconds = float(np.percentile(theirs, 20)) * t / timed_targets
        ratio = seconds / own["p20_s"]
        recorder.add(
            op=f"lasso, {name}",
            shape=f"n={n} p={p} t={t} folds={FOLDS} alpha={alpha}",
            dtype=dtype,
            backend=ops.last_backend(),
            **own,
            rate=rate / 1e9,
            unit="GFLOP/s",
            share_of_limit=rate / limit,
            baseline=f"{baseline} {celer.__version__}" if baseline == "celer" else baseline,
            baseline_p20_s=seconds,
            ratio=ratio,
            error=json.dumps({"ours": float(f"{error:.2g}"), "theirs": float(f"{gaps[baseline]:.2g}")}),
        )
        if name == "RSVC-shaped" and baseline == "celer":
            assert ratio >= (20 if dtype == "float64" else 7)


def gemm_rate(dtype):
    a = torch.ones(2000, 2000, dtype=getattr(torch, dtype))
    out = torch.empty_like(a)
    return 2 * 2000**3 / min(timed(lambda: torch.mm(a, a, out=out)) for _ in range(5))


def test_threads_are_two():
    assert torch.get_num_threads() == 2, "the figures are for two threads: set OMP_NUM_THREADS=2"
