"""RDX on 5,000 items, both directions, against the pipeline one would write with numpy and scikit-learn.

Counted for n = 5000, d = 64, two threads (bytes are of the n × n float32 arrays, 100 MB each):

- distances and ranks of both: 2 × 3.2 GFLOP of GEMM, and per item a radix sort of its row in cache;
- affinities of both directions: 200 MB read and 200 MB written, one tanh and one exp per entry;
- spectral embedding: one 100 MB read per pass and direction, about 10 passes each;
- grids and scores: one 100 MB read per direction for the neighbors, the rest is small.

Run: OMP_NUM_THREADS=2 pytest benchmarks/bench_rdx.py
"""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.cluster import SpectralClustering
from sklearn.metrics import adjusted_rand_score

from conftest import race, spread
from diptych import ops, rdx
from diptych.rdx.data import load_mnist, relabel
from diptych.rdx.train import embed, train

N, D, M = 5000, 64, 5
GAMMA, BETA = 0.1, 5.0


@pytest.fixture(scope="module")
def embeddings():
    """M_35 and M_b on the 5,000 MNIST images."""
    digits = load_mnist()
    models = (train(data, progress=False).model for data in (relabel(digits, {5: 3}), digits))
    return [embed(model, digits.images) for model in models]


def naive_distances(x):
    squares = (x * x).sum(1)
    return np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * (x @ x.T), 0))


def naive_ranks(distances):
    return distances.argsort(1).argsort(1)


def naive_affinity(ranks_a, ranks_b):
    a, b = ranks_a.astype(np.float32), ranks_b.astype(np.float32)
    nearest = np.minimum(a, b)
    np.fill_diagonal(nearest, 1)
    difference = np.tanh(np.float32(GAMMA) * (a - b) / nearest)
    np.fill_diagonal(difference, 0)
    affinity = np.exp(np.float32(-BETA) * difference)
    return (affinity + affinity.T) / 2


def naive_clusters(affinity, seed=0):
    return SpectralClustering(M + 1, affinity="precomputed", random_state=seed).fit_predict(affinity)


def naive_compare(a, b):
    """Labels of both directions; the grids, which cost little, are left out in the baseline's favour."""
    ranks_a, ranks_b = naive_ranks(naive_distances(a)), naive_ranks(naive_distances(b))
    return [naive_clusters(naive_affinity(*pair)) for pair in ((ranks_a, ranks_b), (ranks_b, ranks_a))]


def agreement(affinity, ours, theirs, theirs_again):
    """How our labels compare with scikit-learn's: cut ratio, ARI, and its own ARI under another seed."""
    return {
        "cut_ratio": ops.normalized_cut(affinity, ours) / ops.normalized_cut(affinity, theirs),
        "ari": adjusted_rand_score(ours, theirs),
        "self_ari": adjusted_rand_score(theirs, theirs_again),
    }


def worst(errors):
    """The largest cut ratio and the smallest agreements of both directions."""
    pick = {"cut_ratio": max, "ari": min, "self_ari": min}
    return {key: round(choose(e[key] for e in errors), 5) for key, choose in pick.items()}


def test_compare(benchmark, recorder, embeddings):
    a, b = embeddings
    ranks_a, ranks_b = (naive_ranks(naive_distances(x)) for x in (a, b))
    errors = []
    for pair in ((ranks_a, ranks_b), (ranks_b, ranks_a)):
        affinity = naive_affinity(*pair)
        ours = ops.spectral_clusters(affinity, M + 1)
        errors.append(agreement(affinity, ours, naive_clusters(affinity), naive_clusters(affinity, 1)))
    for error in errors:  # never time a wrong answer
        assert error["cut_ratio"] <= 1.001
        assert error["ari"] >= min(0.96, error["self_ari"])

    def ours():
        return rdx.compare(a, b, n_explanations=M, progress=False)

    times, baselines = race(benchmark, ours, {"numpy + scikit-learn": lambda: naive_compare(a, b)}, 5)
    naive = float(np.percentile(baselines["numpy + scikit-learn"], 20))
    ratio = naive / spread(times)["p20_s"]
    recorder.add(
        op="rdx.compare, both directions",
        shape=f"n={N} d={D} m={M}",
        dtype="float32",
        backend="cpu",
        **spread(times),
        baseline="numpy + scikit-learn",
        baseline_p20_s=naive,
        ratio=ratio,
        error=json.dumps(worst(errors)),
    )
    assert ratio >= 20


PEAK = """
import resource, sys
import numpy as np
import torch
from diptych import rdx
torch.set_num_threads(2)
rng = np.random.default_rng(0)
a, b = rng.standard_normal((2, {n}, {d}), dtype=np.float32)
rdx.compare(a[:300], b[:300], progress=False)  # loads every library
def resident(field):
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024
before = resident("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # resets the high-water mark
rdx.compare(a, b, progress=False)
print(resident("VmHWM") - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_peak_memory(recorder):
    script = PEAK.format(n=N, d=D)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    peak = int(run.stdout)
    recorder.add(
        op="rdx.compare, peak memory above the inputs",
        shape=f"n={N} d={D} m={M}",
        dtype="float32",
        backend="cpu",
        peak_memory_bytes=peak,
        ratio=peak / (4 * N * N),
        unit="n² float32",
    )
    assert peak <= 2.5 * 4 * N * N


def test_threads_are_two():
    assert torch.get_num_threads() == 2, "the figures are for two threads: set OMP_NUM_THREADS=2"
