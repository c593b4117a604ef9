"""What a call costs when there is nothing to compute: 8 items, 4 columns, numpy in and numpy out.

A drop-in inside somebody's loop is paid for once per call: views of the arrays, checks, the choice of a
backend, the allocation of the result. The goal is 30 microseconds for an op that makes one pass; those that
iterate (eigenvectors, k-means) or chain several products are listed and not held to it. Beside each
stands what one would call instead.

Two sizes on either side of the place where distances stop being made directly (2^19 multiplications) show
that there is no cliff: one item more must not double the time.

Run: OMP_NUM_THREADS=2 pytest benchmarks/bench_overhead.py
"""

import timeit

import numpy as np
import pytest
import scipy.optimize
import scipy.spatial.distance
import sklearn.cluster
import sklearn.linear_model
import sklearn.metrics
import sklearn.neighbors
import torch

from conftest import spread
from diptych import ops

GOAL = 30e-6
REPEATS, CALLS = 25, 100

rng = np.random.default_rng(0)
X, Y = (rng.standard_normal((8, 4)).astype(np.float32) for _ in range(2))
W = np.abs(X[:3])
DISTANCES = ops.pairwise_distances(X)
RANKS = ops.neighbor_ranks(X), ops.neighbor_ranks(Y)
AFFINITY = ops.difference_affinity(*RANKS)[0]
LABELS = np.repeat([0, 1], 4)
X_TORCH, W_TORCH = torch.from_numpy(X), torch.from_numpy(W)


def biased(a, b):
    nearest = np.minimum(a, b)
    return np.tanh(0.1 * (a - b) / np.where(nearest > 0, nearest, 1))


def affinities(a, b):
    f = np.exp(-5 * biased(a, b))
    return (f + f.T) / 2, (1 / f + 1 / f.T) / 2


def cka(x, y):
    x, y = x - x.mean(0), y - y.mean(0)
    return np.square(x.T @ y).sum() / np.sqrt(np.square(x.T @ x).sum() * np.square(y.T @ y).sum())


def nearest_in_cluster(affinity, labels, k):
    mates = (labels[:, None] == labels) & ~np.eye(len(labels), dtype=bool)
    return np.argsort(np.where(mates, -affinity, np.inf), axis=1, kind="stable")[:, :k]


#: op -> (ours, what one would call instead, whether the goal binds)
CALLS_OF = {
    "pairwise_distances(x)": (
        lambda: ops.pairwise_distances(X),
        lambda: sklearn.metrics.pairwise_distances(X),
        True,
    ),
    "pairwise_distances(x, y)": (
        lambda: ops.pairwise_distances(X, Y),
        lambda: sklearn.metrics.pairwise_distances(X, Y),
        True,
    ),
    "pairwise_distances(x, metric='cosine')": (
        lambda: ops.pairwise_distances(X, metric="cosine"),
        lambda: sklearn.metrics.pairwise_distances(X, metric="cosine"),
        True,
    ),
    "neighbor_ranks(x)": (
        lambda: ops.neighbor_ranks(X),
        lambda: sklearn.metrics.pairwise_distances(X).argsort(1).argsort(1),
        True,
    ),
    "neighbor_ranks(distances=d)": (
        lambda: ops.neighbor_ranks(distances=DISTANCES),
        lambda: DISTANCES.argsort(1).argsort(1),
        True,
    ),
    "locally_biased_difference": (
        lambda: ops.locally_biased_difference(*RANKS),
        lambda: biased(*RANKS),
        True,
    ),
    "difference_affinity": (
        lambda: ops.difference_affinity(*RANKS),
        lambda: affinities(*RANKS),
        False,
    ),
    "knn": (
        lambda: ops.knn(X, 3),
        lambda: sklearn.neighbors.NearestNeighbors(n_neighbors=3, algorithm="brute").fit(X).kneighbors(),
        False,
    ),
    "mutual_knn": (lambda: ops.mutual_knn(X, Y, 3), None, True),
    "knn_affinity": (
        lambda: ops.knn_affinity(AFFINITY, LABELS, 2),
        lambda: nearest_in_cluster(AFFINITY, LABELS, 2),
        True,
    ),
    "correlation": (
        lambda: ops.correlation(X, Y),
        lambda: 1 - scipy.spatial.distance.cdist(X.T, Y.T, "correlation"),
        True,
    ),
    "linear_cka": (lambda: ops.linear_cka(X, Y), lambda: cka(X, Y), True),
    "nnls": (
        lambda: ops.nnls(X, W),
        lambda: [scipy.optimize.nnls(W.T, row) for row in X],
        True,
    ),
    "nnls, torch": (lambda: ops.nnls(X_TORCH, W_TORCH), None, True),
    "lasso": (
        lambda: ops.lasso(X, Y, 0.1),
        lambda: [sklearn.linear_model.Lasso(0.1, fit_intercept=False).fit(X, y).coef_ for y in Y.T],
        True,
    ),
    "kmeans": (
        lambda: ops.kmeans(X, 2),
        lambda: sklearn.cluster.KMeans(2, n_init=10, random_state=0).fit(X),
        False,
    ),
    "spectral_clusters": (
        lambda: ops.spectral_clusters(AFFINITY, 2),
        lambda: sklearn.cluster.SpectralClustering(2, affinity="precomputed", random_state=0).fit(AFFINITY),
        False,
    ),
}


# The last size at which distances of 8 columns are made directly, and the first from a matrix product.
EDGE = rng.standard_normal((257, 8)).astype(np.float32)

#: op -> ours
EDGES = {
    "pairwise_distances(x)": ops.pairwise_distances,
    "pairwise_distances(x, metric='cosine')": lambda x: ops.pairwise_distances(x, metric="cosine"),
    "neighbor_ranks(x)": ops.neighbor_ranks,
}


def seconds_per_call(function):
    function()
    calls = CALLS if timeit.timeit(function, number=1) < 1e-3 else 5
    return [timeit.timeit(function, number=calls) / calls for _ in range(REPEATS)]


@pytest.mark.parametrize("name", CALLS_OF)
def test_overhead(name, recorder):
    ours, instead, binding = CALLS_OF[name]
    times = seconds_per_call(ours)
    row = {"op": name, "shape": "8 items", "dtype": "float32", "backend": "cpu", **spread(times)}
    if instead is not None:
        theirs = float(np.percentile(seconds_per_call(instead), 20))
        row |= {
            "baseline": "numpy, scipy or scikit-learn",
            "baseline_p20_s": theirs,
            "ratio": theirs / spread(times)["p20_s"],
        }
    recorder.add(**row)
    if binding:
        assert spread(times)["p20_s"] <= GOAL


@pytest.mark.parametrize("name", EDGES)
def test_no_cliff(name, recorder):
    below, above = (spread(seconds_per_call(lambda n=n: EDGES[name](EDGE[:n]))) for n in (256, 257))
    for n, times in ((256, below), (257, above)):
        recorder.add(op=name, shape=f"{n} items", dtype="float32", backend="cpu", **times)
    assert above["p20_s"] <= 2 * below["p20_s"]
