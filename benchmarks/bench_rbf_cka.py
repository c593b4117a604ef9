"""RBF CKA against the formula with n × n kernels in memory.

Counted for n = 5000 items and d = 512 features a side: half of each Gram matrix three times (two passes that
narrow the median down, one for the kernels), 2 × 3 × n² d operations, and n² exponentials. The plain formula
makes each Gram matrix once, in full, and sorts or selects among n² distances; it holds six n × n arrays.

Run: OMP_NUM_THREADS=2 pytest benchmarks/bench_rbf_cka.py
"""

import resource

import numpy as np
import pytest
import torch

from bench_linear_cka import data
from conftest import race, spread
from diptych import ops

SIGMA = 0.4


def kernel(x, median):
    x = x - x.mean(0)
    squares = x.square().sum(1)
    distances = (squares[:, None] + squares - 2 * x @ x.T).clamp_(min=0)
    unit = distances.median() if median else 1
    return torch.exp(-distances / (2 * SIGMA**2 * unit))


def formula(x, y, median=True):
    """Biased RBF CKA as one would write it with torch; its median counts the diagonal as well."""
    k, m = kernel(x, median), kernel(y, median)
    k, m = (z - z.mean(0) - z.mean(1, keepdim=True) + z.mean() for z in (k, m))
    return (k * m).sum() / (k.norm() * m.norm())


@pytest.mark.parametrize(
    ("n", "d", "bandwidth"), [(1000, 512, "median"), (5000, 512, "median"), (5000, 512, "absolute")]
)
def test_value(benchmark, recorder, limits, n, d, bandwidth):
    x, y = data(n, d)
    if bandwidth == "absolute":
        x, y = x / (2 * d) ** 0.5, y / (4 * d) ** 0.5
    median = bandwidth == "median"
    found = float(ops.rbf_cka(x, y, sigma=SIGMA, bandwidth=bandwidth))
    # The formula's median sits 1/n of the ranks lower. Against our own definition: tests/test_rbf_cka.py.
    error = abs(found - float(formula(x.double(), y.double(), median)))
    assert error < (1e-2 if median else 1e-5)
    times, baselines = race(
        benchmark,
        lambda: ops.rbf_cka(x, y, sigma=SIGMA, bandwidth=bandwidth),
        {"plain torch formula": lambda: formula(x, y, median)},
        5,
    )
    own, theirs = spread(times), float(np.percentile(baselines["plain torch formula"], 20))
    operations = 2 * 2 * n * n * d
    recorder.add(
        op=f"rbf_cka, {bandwidth} bandwidth",
        shape=f"n={n} d={d}",
        dtype="float32",
        backend=ops.last_backend(),
        **own,
        rate=operations / own["p20_s"] / 1e9,
        unit="GFLOP/s of two full Gram matrices",
        share_of_limit=operations / own["p20_s"] / limits["gemm"],
        baseline="plain torch formula",
        baseline_p20_s=theirs,
        ratio=theirs / own["p20_s"],
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        error=error,
    )


def test_threads_are_two():
    assert torch.get_num_threads() == 2, "the figures are for two threads: set OMP_NUM_THREADS=2"
