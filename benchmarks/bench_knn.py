"""Exact k nearest neighbors against scikit-learn, faiss and torch, and mutual k-NN from ranks.

Counted for n = 20,000, d = 128, k = 64, float32, two threads:

- products: n² d multiply-adds, 102 GFLOP; each serves both of its items, so 51 GFLOP are done;
- the tiles (4 MiB, in the level-3 cache) are scanned once for their rows and once for their columns:
  n² values, 2 n² comparisons in all;
- exact distances of about 1.1 k candidates per item: 3 n k d operations in float64, 0.5 GFLOP, and n k d
  values gathered from the cache; a sort of each item's candidates.

The limit is the full product of all pairs at the GEMM rate of the same run: a share above 1 is what symmetry
gains. With y given there is no symmetry, and the share is below 1. Mutual k-NN from ranks has to read one of
the two n × n arrays, 100 MB at n = 5000, and one line of the other per neighbor.

Every row's indices are first checked against distances taken in float64, on every 100th item. Low dimension
is what trees are for: the row with d = 3 is one we lose to scikit-learn's choice.

Run: OMP_NUM_THREADS=2 pytest benchmarks/bench_knn.py
"""

import subprocess
import sys

import faiss
import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from conftest import race, spread
from diptych import ops


def gaussian(n, d, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(dtype)


def by_scikit_learn(x, k, y, algorithm):
    learner = NearestNeighbors(n_neighbors=k, algorithm=algorithm).fit(x if y is None else y)
    return lambda: learner.kneighbors(None if y is None else x)


def by_faiss(x, k, y):
    """Search of an index that stands already; without y one more neighbor, to drop the item itself."""
    faiss.omp_set_num_threads(torch.get_num_threads())
    index = faiss.IndexFlatL2(x.shape[1])
    index.add(x if y is None else y)
    return lambda: index.search(x, k + (y is None))


def by_torch(x, k, y, block=2048):
    """torch.cdist and topk by row blocks."""
    a = torch.from_numpy(x)
    b = a if y is None else torch.from_numpy(y)
    return lambda: [
        torch.cdist(rows, b, compute_mode="use_mm_for_euclid_dist").topk(k + (y is None), largest=False)
        for rows in a.split(block)
    ]


def wrong_share(x, k, y, found):
    """Share of neighbors, on every 100th row, that are not those of float64."""
    rows = np.arange(0, len(x), 100)
    a, b = x.astype(np.float64), (x if y is None else y).astype(np.float64)
    squares = np.stack([((row - b) ** 2).sum(1) for row in a[rows]])
    if y is None:
        squares[np.arange(len(rows)), rows] = np.inf
    return float((squares.argsort(axis=1, kind="stable")[:, :k] != found[rows]).mean())


# n, m (None: x itself), d, k, dtype, baselines, rounds, and what must be reached against which.
CASES = {
    "figure": (20_000, None, 128, 64, np.float32, {"scikit-learn brute": 2.0, "faiss flat": 1.3}, 5),
    "small": (5_000, None, 64, 10, np.float32, {"scikit-learn brute": 2.0, "faiss flat": 1.0}, 9),
    "y given": (10_000, 50_000, 64, 10, np.float32, {"scikit-learn brute": 1.0, "faiss flat": 0.0}, 5),
    "float64": (20_000, None, 128, 64, np.float64, {"scikit-learn brute": 2.0}, 3),
    "low dimension": (
        20_000,
        None,
        3,
        10,
        np.float32,
        {"scikit-learn brute": 1.0, "scikit-learn auto": 0.0},
        5,
    ),
    "torch": (10_000, None, 128, 10, np.float32, {"torch cdist + topk": 2.0}, 3),
}


@pytest.mark.parametrize("case", CASES)
def test_knn(benchmark, recorder, limits, case):
    n, m, d, k, dtype, wanted, rounds = CASES[case]
    x, y = gaussian(n, d, 0, dtype), None if m is None else gaussian(m, d, 1, dtype)
    out = np.zeros((n, k), dtype), np.zeros((n, k), np.int64)
    baselines = {
        "scikit-learn brute": lambda: by_scikit_learn(x, k, y, "brute"),
        "scikit-learn auto": lambda: by_scikit_learn(x, k, y, "auto"),
        "faiss flat": lambda: by_faiss(x, k, y),
        "torch cdist + topk": lambda: by_torch(x, k, y),
    }
    error = wrong_share(x, k, y, ops.knn(x, k, y, out=out).indices)
    assert error == 0
    run = {name: baselines[name]() for name in wanted}
    times, theirs = race(benchmark, lambda: ops.knn(x, k, y, out=out), run, rounds)
    own, flops = spread(times), 2 * n * (n if m is None else m) * d
    for name, seconds in theirs.items():
        baseline = float(np.percentile(seconds, 20))
        recorder.add(
            op="knn",
            shape=f"n={n}{'' if m is None else f' m={m}'} d={d} k={k}",
            dtype=np.dtype(dtype).name,
            backend="cpu",
            **own,
            rate=flops / own["p20_s"] / 1e9,
            unit="GFLOP/s of all pairs",
            share_of_limit=flops / own["p20_s"] / limits["gemm"],
            baseline=name,
            baseline_p20_s=baseline,
            ratio=baseline / own["p20_s"],
            error=error,
        )
    for name, least in wanted.items():
        assert np.percentile(theirs[name], 20) / own["p20_s"] >= least, name


def test_mutual_knn_from_ranks(benchmark, recorder, limits):
    n, k = 5000, 10
    x, y = (torch.from_numpy(gaussian(n, 64, seed)) for seed in (2, 3))
    ranks = ops.neighbor_ranks(x), ops.neighbor_ranks(y)

    def by_torch_on_ranks():
        pairs = zip(ranks[0].split(64), ranks[1].split(64), strict=True)
        return float(sum((torch.maximum(a, b) <= k).sum() - len(a) for a, b in pairs)) / (n * k)

    assert ops.mutual_knn(k=k, ranks=ranks) == by_torch_on_ranks()
    times, theirs = race(
        benchmark, lambda: ops.mutual_knn(k=k, ranks=ranks), {"torch, row blocks": by_torch_on_ranks}, 15
    )
    own, baseline = spread(times), float(np.percentile(theirs["torch, row blocks"], 20))
    rate = 4 * n * n / own["p20_s"]
    recorder.add(
        op="mutual_knn from ranks",
        shape=f"n={n} k={k}",
        dtype="int32",
        backend="cpu",
        **own,
        rate=rate / 1e9,
        unit="GB/s read",
        share_of_limit=rate / limits["copy"],
        baseline="torch, row blocks",
        baseline_p20_s=baseline,
        ratio=baseline / own["p20_s"],
        error=0.0,
    )
    assert baseline / own["p20_s"] >= 2


def test_mutual_knn(benchmark, recorder):
    n, k = 5000, 10
    x, y = (torch.from_numpy(gaussian(n, 64, seed)) for seed in (2, 3))
    assert ops.mutual_knn(x, y, k) == ops.mutual_knn(x.double(), y.double(), k, backend="torch")
    run = {"torch, row blocks": lambda: ops.mutual_knn(x, y, k, backend="torch")}
    times, theirs = race(benchmark, lambda: ops.mutual_knn(x, y, k), run, 5)
    own, baseline = spread(times), float(np.percentile(theirs["torch, row blocks"], 20))
    recorder.add(
        op="mutual_knn",
        shape=f"n={n} d=64 k={k}",
        dtype="float32",
        backend="cpu",
        **own,
        baseline="torch, row blocks",
        baseline_p20_s=baseline,
        ratio=baseline / own["p20_s"],
        error=0.0,
    )
    assert baseline / own["p20_s"] >= 2


PEAK = """
import numpy as np
import torch
from diptych import ops
torch.set_num_threads(2)
x = np.random.default_rng(0).standard_normal(({n}, {d}), dtype=np.float32)
ops.knn(x[:2000], {k})  # loads every library
def resident(field):
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024
before = resident("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # resets the high-water mark
ops.knn(x, {k})
print(resident("VmHWM") - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_peak_memory(recorder):
    n, d, k = 20_000, 128, 64
    script = PEAK.format(n=n, d=d, k=k)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    peak = int(run.stdout)
    recorder.add(
        op="knn, peak memory above the input",
        shape=f"n={n} d={d} k={k}",
        dtype="float32",
        backend="cpu",
        peak_memory_bytes=peak,
        ratio=peak / (12 * n * k),
        unit="results",
    )
    # The results, two copies of the embeddings, candidates, tiles.
    assert peak <= 12 * n * k + 2 * 4 * n * d + 8 * n * (2 * k + 32) + (16 << 20)


def test_threads_are_two():
    assert torch.get_num_threads() == 2, "the figures are for two threads: set OMP_NUM_THREADS=2"
