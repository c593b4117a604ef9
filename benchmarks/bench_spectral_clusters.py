"""Normalised-cut clusters of a dense affinity, against every eigensolver that scikit-learn offers for it.

Counted for n = 5000: a pass reads the affinity once, 100 MB in float32, and multiplies it by 16 vectors,
0.8 GFLOP; some 10 passes. The k-means on 5000 x 6 coordinates with ten restarts is small. Two graphs: the
difference affinity of two random embeddings, whose eigenvalues lie close together, and one of well separated
groups.

scikit-learn's solvers are "arpack" (its default: shift-invert, a dense factorisation) and "lobpcg"; "amg"
needs pyamg and is made for sparse graphs. Both sides take ten k-means restarts.

Run: OMP_NUM_THREADS=2 pytest benchmarks/bench_spectral_clusters.py
"""

import json

import numpy as np
import pytest
import torch
from sklearn.cluster import SpectralClustering

from conftest import race, spread
from diptych import ops

N = 5000
SOLVERS = ("arpack", "lobpcg")


def difference_graph() -> np.ndarray:
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((N, 32), dtype=np.float32) + 3 * rng.standard_normal((12, 32))[
        rng.integers(0, 12, N)
    ].astype(np.float32)
    ranks = [ops.neighbor_ranks(shared @ rng.standard_normal((32, 48), dtype=np.float32)) for _ in range(2)]
    return ops.difference_affinity(*ranks)[0]


def separated_graph() -> np.ndarray:
    rng = np.random.default_rng(1)
    centres = 2.5 * rng.standard_normal((4, 16), dtype=np.float32)
    x = centres[rng.integers(0, 4, N)] + rng.standard_normal((N, 16), dtype=np.float32)
    affinity = np.exp(-(ops.pairwise_distances(x, metric="sqeuclidean")) / 32)
    return (affinity + affinity.T) / 2


GRAPHS = {"differences, 6 clusters": (difference_graph, 6), "groups, 4 clusters": (separated_graph, 4)}


def residual(affinity: np.ndarray, k: int) -> float:
    """Largest |S v - lambda v| of the unit eigenvectors, in float64 and from the affinity itself."""
    found = ops.spectral_embedding(affinity, k)
    f = affinity.astype(np.float64)
    np.fill_diagonal(f, 0)
    degrees = f.sum(1)
    vectors = found.coordinates.astype(np.float64) * np.sqrt(degrees)[:, None]
    vectors /= np.linalg.norm(vectors, axis=0)
    images = (f @ (vectors / np.sqrt(degrees)[:, None])) / np.sqrt(degrees)[:, None]
    values = (vectors * images).sum(0)
    return float(np.linalg.norm(images - vectors * values, axis=0).max())


def theirs(affinity: np.ndarray, k: int, solver: str) -> np.ndarray:
    model = SpectralClustering(k, affinity="precomputed", eigen_solver=solver, random_state=0)
    return model.fit_predict(affinity)


@pytest.mark.filterwarnings("ignore:Exited")  # lobpcg stops at its own tolerance
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("graph", GRAPHS)
def test_spectral_clusters(benchmark, recorder, limits, graph, dtype):
    make, k = GRAPHS[graph]
    affinity = make().astype(dtype)
    cuts = {name: ops.normalized_cut(affinity, theirs(affinity, k, name)) for name in SOLVERS}
    cut = ops.normalized_cut(affinity, ops.spectral_clusters(affinity, k))
    error = {"cut_ratio": cut / min(cuts.values()), "residual": residual(affinity, k)}
    assert error["cut_ratio"] <= 1.001
    assert error["residual"] <= 1e-3

    times, baselines = race(
        benchmark,
        lambda: ops.spectral_clusters(affinity, k),
        {f"scikit-learn {name}": lambda name=name: theirs(affinity, k, name) for name in SOLVERS},
        3,
    )
    passes = ops.spectral_embedding(affinity, k).passes
    rate = affinity.nbytes * passes / spread(times)["p20_s"]
    ratios = {
        name: float(np.percentile(other, 20)) / spread(times)["p20_s"] for name, other in baselines.items()
    }
    for name, ratio in ratios.items():
        recorder.add(
            op=f"spectral_clusters, {passes} passes",
            shape=f"n={N} {graph}",
            dtype=np.dtype(dtype).name,
            backend=ops.last_backend(),
            **spread(times),
            rate=rate / 1e9,
            unit="GB/s",
            share_of_limit=rate / limits["copy"],
            baseline=name,
            baseline_p20_s=float(np.percentile(baselines[name], 20)),
            ratio=ratio,
            error=json.dumps({key: float(f"{value:.3g}") for key, value in error.items()}),
        )
    assert min(ratios.values()) >= 5


def test_threads_are_two():
    assert torch.get_num_threads() == 2, "the figures are for two threads: set OMP_NUM_THREADS=2"
