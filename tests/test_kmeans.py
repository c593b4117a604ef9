"""diptych.ops.kmeans against scikit-learn and what a k-means solution must satisfy."""

import numpy as np
import pytest
import torch
from helpers import SIZES, blobs, gaussian, same_partition
from sklearn.cluster import KMeans

from diptych import ops

BACKENDS = ("cpu", "torch")


def assert_a_solution(found: ops.KMeansResult, x: torch.Tensor, k: int) -> None:
    """Labels are nearest centres, inertia is theirs, clusters are numbered by size."""
    x = x.cpu().double()
    labels, centers = found.labels.cpu(), found.centers.cpu()
    assert labels.dtype == torch.int64
    assert centers.shape == (k, x.shape[1])
    assert centers.dtype == torch.float64
    squares = torch.cdist(x, centers, compute_mode="donot_use_mm_for_euclid_dist") ** 2
    # Float64 distances in the expanded form: within d + 4 roundings of |x|² + |c|².
    slack = 4 * (x.shape[1] + 4) * 2.3e-16 * float((x**2).sum(1).max() + (centers**2).sum(1).max())
    assert (squares[torch.arange(len(x)), labels] <= squares.min(1).values + slack).all()
    assert found.inertia == pytest.approx(float(squares.min(1).values.sum()), rel=1e-10, abs=slack * len(x))
    sizes = torch.bincount(labels, minlength=k)
    assert (sizes.diff() <= 0).all()
    firsts = [int((labels == cluster).nonzero()[0]) for cluster in range(k) if sizes[cluster]]
    for cluster in range(len(firsts) - 1):
        assert sizes[cluster] > sizes[cluster + 1] or firsts[cluster] < firsts[cluster + 1]


@pytest.mark.parametrize("backend", [None, "torch"])
@pytest.mark.parametrize("n", SIZES)
def test_gives_a_solution(device: torch.device, n: int, backend: str | None) -> None:
    for k in {1, min(3, n), min(7, n)}:
        x = gaussian(n, 4, n + k)
        assert_a_solution(ops.kmeans(x.to(device), k, backend=backend), x, k)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("k", [2, 5, 9])
def test_finds_what_scikit_learn_finds(k: int, backend: str) -> None:
    x, groups = blobs(200, k, seed=k)
    found = ops.kmeans(x, k, backend=backend)
    theirs = KMeans(k, n_init=10, tol=0, random_state=0).fit(x.numpy())
    assert same_partition(found.labels, groups)
    assert same_partition(found.labels, theirs.labels_)
    assert found.inertia == pytest.approx(theirs.inertia_, rel=1e-9)


@pytest.mark.parametrize("backend", BACKENDS)
def test_is_as_good_as_scikit_learn_without_groups(backend: str) -> None:
    x = gaussian(400, 3, 1, torch.float64)
    found = ops.kmeans(x, 6, n_init=30, backend=backend)
    theirs = KMeans(6, n_init=30, random_state=0).fit(x.numpy())
    # Both keep the best of 30 local optima; those of a Gaussian cloud lie within a percent.
    assert found.inertia <= 1.01 * theirs.inertia_


@pytest.mark.parametrize("seed", range(3))
def test_backends_walk_the_same_way(seed: int) -> None:
    x = gaussian(150, 4, seed, torch.float64)
    first = ops.kmeans(x, 5, seed=seed, backend="cpu")
    second = ops.kmeans(x, 5, seed=seed, backend="torch")
    assert torch.equal(first.labels, second.labels)
    torch.testing.assert_close(first.centers, second.centers, rtol=1e-10, atol=1e-12)
    assert first.inertia == pytest.approx(second.inertia, rel=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_cluster_and_as_many_as_items(backend: str) -> None:
    x = gaussian(20, 3, 2, torch.float64)
    one = ops.kmeans(x, 1, backend=backend)
    torch.testing.assert_close(one.centers[0], x.mean(0), rtol=1e-12, atol=1e-14)
    assert one.inertia == pytest.approx(float(((x - x.mean(0)) ** 2).sum()), rel=1e-12)
    every = ops.kmeans(x, 20, n_init=30, backend=backend)
    assert every.labels.tolist() == list(range(20))
    assert every.inertia < 1e-12


@pytest.mark.parametrize("backend", BACKENDS)
def test_fewer_distinct_items_than_clusters(backend: str) -> None:
    x = torch.tensor([[0.0, 0.0], [1.0, 1.0]]).repeat(5, 1)
    found = ops.kmeans(x, 4, backend=backend)
    assert found.inertia == pytest.approx(0, abs=1e-20)
    assert found.labels.tolist() == [0, 1] * 5
    assert torch.isfinite(found.centers).all()
    assert ops.kmeans(torch.zeros(6, 2), 3, backend=backend).labels.tolist() == [0] * 6


@pytest.mark.parametrize("backend", BACKENDS)
def test_far_from_the_origin_and_permuted(backend: str) -> None:
    x, groups = blobs(120, 4, seed=3)
    moved = ops.kmeans(x + 1e6, 4, backend=backend)
    assert same_partition(moved.labels, groups)
    # 1e6 leaves ten of sixteen digits.
    assert moved.inertia == pytest.approx(ops.kmeans(x, 4, backend=backend).inertia, rel=1e-7)
    order = torch.randperm(120, generator=torch.Generator().manual_seed(0))
    assert same_partition(ops.kmeans(x[order], 4, backend=backend).labels, groups[order])


@pytest.mark.parametrize("backend", BACKENDS)
def test_more_restarts_and_steps_never_hurt(backend: str) -> None:
    x = gaussian(300, 2, 4)
    inertias = [ops.kmeans(x, 8, n_init=n, seed=1, backend=backend).inertia for n in (1, 40)]
    assert inertias[1] <= inertias[0]
    steps = [
        ops.kmeans(x, 8, n_init=1, max_iter=m, tolerance=0, backend=backend).inertia for m in (1, 2, 5, 300)
    ]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] > steps[-1]


@pytest.mark.usefixtures("keep_threads")
def test_two_threads_and_a_second_run_agree() -> None:
    x = gaussian(300, 3, 5)
    results = []
    for threads in (1, 2, 2):
        torch.set_num_threads(threads)
        results.append(ops.kmeans(x, 5, seed=3))
    for found in results[1:]:
        assert torch.equal(found.labels, results[0].labels)
        assert torch.equal(found.centers, results[0].centers)
        assert found.inertia == results[0].inertia


def test_the_seed_matters_and_nothing_else_random() -> None:
    x = gaussian(300, 2, 6)
    state = torch.get_rng_state()
    inertias = {ops.kmeans(x, 9, n_init=1, seed=seed).inertia for seed in range(8)}
    assert len(inertias) > 1
    assert torch.equal(torch.get_rng_state(), state)


def test_numpy_layouts_and_dtypes() -> None:
    x = blobs(60, 3)[0].numpy()
    plain = ops.kmeans(x, 3)
    assert isinstance(plain.labels, np.ndarray)
    assert isinstance(plain.centers, np.ndarray)
    assert isinstance(plain.inertia, float)
    for variant in (
        np.asfortranarray(x),
        np.repeat(x, 2, 0)[::2],
        x.astype(np.float32),
        x.astype(np.float16),
    ):
        np.testing.assert_array_equal(ops.kmeans(variant, 3).labels, plain.labels)


x53 = gaussian(5, 3)


@pytest.mark.parametrize(
    ("x", "k", "options", "message"),
    [
        (torch.ones(5), 1, {}, "x: expected a matrix"),
        (torch.ones(0, 5), 1, {}, "x: expected at least one row and column"),
        (x53, 0, {}, "n_clusters: expected 1 to 5, found 0"),
        (x53, 6, {}, "n_clusters: expected 1 to 5, found 6"),
        (x53, 2, {"n_init": 0}, "n_init: expected 1 to 2147483647, found 0"),
        (x53, 2, {"max_iter": 0}, "max_iter: expected 1 to 2147483647, found 0"),
        (x53, 2, {"max_iter": 2**40}, "max_iter: expected 1 to 2147483647"),
        (x53, 2, {"tolerance": -1e-9}, "tolerance: expected 0 to inf"),
        (x53, 2, {"tolerance": float("nan")}, "tolerance: expected 0 to inf, found nan"),
        (x53, 2, {"seed": -1}, "seed: expected 0 to"),
        (x53, 2, {"seed": 2**63}, "seed: expected 0 to"),
        (x53 / 0, 2, {}, "x: expected finite numbers"),
        (x53, 2, {"backend": "triton"}, "kmeans has no 'triton', it has cpu, cuda, torch"),
    ],
)
def test_refuses_by_name(x: torch.Tensor, k: int, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.kmeans(x, k, **options)


@pytest.mark.parametrize("name", ["n_clusters", "n_init", "max_iter", "seed"])
def test_refuses_what_is_no_integer(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name}: expected an integer, found 2.0"):
        ops.kmeans(x53, **({"n_clusters": 2} | {name: 2.0}))
