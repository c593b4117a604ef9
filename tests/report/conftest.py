"""A comparison with meaning: scikit-learn's digits, seen by their upper and by their lower half."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits

from diptych.rdx.results import Explanations, Parameters, RDXResult

N = 360
GROUPS = 3
GRID = 9


@dataclass(frozen=True)
class Digits:
    result: RDXResult
    images: np.ndarray[Any, np.dtype[np.uint8]]
    labels: list[int]


def ranks(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    distances = cdist(x, x)
    np.fill_diagonal(distances, -1)
    return distances.argsort(axis=1, kind="stable").argsort(axis=1)


def explain(source: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> Explanations:
    """Groups of items near in one and far in the other, by plain means (no spectral clustering)."""
    near, far = ranks(source), ranks(other)
    cluster = KMeans(GROUPS + 1, n_init=3, random_state=0).fit_predict(source)
    labels = np.where(cluster == GROUPS, -1, cluster).astype(np.int64)
    grids, rates, affinities = [], [], []
    for group in range(GROUPS):
        members = np.flatnonzero(labels == group)
        gain = (far - near)[np.ix_(members, members)]
        best = np.argsort(-gain, axis=1)[:, : GRID - 1]
        seed = int(np.take_along_axis(gain, best, axis=1).sum(axis=1).argmax())
        grid = members[[seed, *[b for b in best[seed] if b != seed]]].astype(np.int64)
        pair = np.ix_(grid, grid)
        off = ~np.eye(len(grid), dtype=bool)
        grids.append(grid)
        rates.append(float((near[pair] < far[pair])[off].mean()))
        affinities.append(float(np.exp(gain / 360).mean()))
    return Explanations(grids, labels, float(np.mean(rates)), np.array(rates), np.array(affinities))


@pytest.fixture(scope="session")
def digits() -> Digits:
    data = load_digits()
    x, y = data.data[:N], data.target[:N]
    upper, lower = x[:, :32], x[:, 32:]
    result = RDXResult(
        a=explain(upper, lower),
        b=explain(lower, upper),
        parameters=Parameters(n_explanations=GROUPS, grid_size=GRID),
        names=("Upper half", "Lower half"),
        embeddings=(upper, lower),
        cka=0.292,
        mutual_knn=0.176,
        seconds={"ranks": 0.01},
        versions={"diptych": "0.1.0"},
    )
    return Digits(result, np.round(x.reshape(-1, 8, 8) * 15.9375).astype(np.uint8), y.tolist())


@pytest.fixture(scope="session")
def identical() -> RDXResult:
    """Two equal representations: nothing to explain."""
    x = np.random.default_rng(0).normal(size=(20, 4))
    side = Explanations([], np.full(20, -1), float("nan"), np.empty(0), np.empty(0))
    return RDXResult(side, side, Parameters(), embeddings=(x, x), cka=1.0, mutual_knn=1.0)
