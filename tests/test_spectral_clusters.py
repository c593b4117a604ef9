"""diptych.ops.spectral_clusters and normalized_cut against scikit-learn and the definition."""

import numpy as np
import pytest
import torch
from helpers import affinity_of, blobs, gaussian, rank_matrix, same_partition
from sklearn.cluster import SpectralClustering

from diptych import ops
from diptych.ops.spectral_clusters import reference


def cut_by_definition(affinity: np.ndarray, labels: np.ndarray) -> float:
    affinity = affinity.astype(np.float64).copy()
    np.fill_diagonal(affinity, 0)
    total = 0.0
    for cluster in np.unique(labels):
        inside = labels == cluster
        volume = affinity[inside].sum()
        if volume > 0:
            total += affinity[inside][:, ~inside].sum() / volume
    return total


@pytest.mark.parametrize("n", [3, 9, 33, 65, 512, 700, 1023])
def test_finds_separated_groups(device: torch.device, n: int) -> None:
    x, groups = blobs(n, 3, seed=n)
    for dtype in (torch.float32, torch.float64):
        labels = ops.spectral_clusters(affinity_of(x, 5.0, dtype).to(device), 3)
        assert labels.dtype == torch.int64
        assert labels.device.type == device.type
        assert same_partition(labels.cpu(), groups)
        assert (torch.bincount(labels).diff() <= 0).all()


@pytest.mark.parametrize("n", [300, 700])
def test_agrees_with_scikit_learn_on_what_rdx_cuts(n: int) -> None:
    x, groups = blobs(n, 5, seed=2, spread=1.0)
    # The second representation cannot tell the first two groups apart.
    y = x.clone()
    y[groups == 1] -= x[groups == 1].mean(0) - x[groups == 0].mean(0)
    ranks = [ops.neighbor_ranks(z) for z in (y, x)]
    affinity, _ = ops.difference_affinity(*ranks)
    ours = ops.spectral_clusters(affinity, 4).numpy()
    theirs = [
        SpectralClustering(4, affinity="precomputed", random_state=seed).fit_predict(affinity.numpy())
        for seed in (0, 1)
    ]
    cuts = [cut_by_definition(affinity.numpy(), labels) for labels in (ours, *theirs)]
    # A case where scikit-learn finds one answer whatever its seed; where k-means has rivals, cuts differ
    # by half a percent between its own seeds.
    assert same_partition(*theirs)
    assert same_partition(ours, theirs[0])
    assert cuts[0] == pytest.approx(cuts[1], rel=1e-12)


@pytest.mark.parametrize("n", [60, 600])
def test_components_are_clusters(n: int) -> None:
    groups = torch.arange(n) % 6
    affinity = (groups[:, None] == groups).float()
    labels = ops.spectral_clusters(affinity, 6)
    assert same_partition(labels, groups)
    assert ops.normalized_cut(affinity, labels) == pytest.approx(0, abs=1e-6)


def test_item_order_and_the_diagonal_play_no_part() -> None:
    x, groups = blobs(90, 3, seed=4)
    affinity = affinity_of(x, 5.0)
    order = torch.randperm(90, generator=torch.Generator().manual_seed(0))
    assert same_partition(ops.spectral_clusters(affinity[order][:, order], 3), groups[order])
    assert same_partition(ops.spectral_clusters(affinity + 9 * torch.eye(90), 3), groups)


@pytest.mark.parametrize("n", [100, 600])
def test_a_seed_gives_one_answer(n: int) -> None:
    affinity = affinity_of(gaussian(n, 3, 5))
    state = torch.get_rng_state()
    assert torch.equal(ops.spectral_clusters(affinity, 5, seed=2), ops.spectral_clusters(affinity, 5, seed=2))
    assert torch.equal(torch.get_rng_state(), state)


def test_one_cluster_and_as_many_as_items() -> None:
    affinity = affinity_of(gaussian(12, 3, 6))
    assert ops.spectral_clusters(affinity, 1).tolist() == [0] * 12
    assert sorted(ops.spectral_clusters(affinity, 12, n_init=50).tolist()) == list(range(12))
    assert ops.spectral_clusters(torch.zeros(1, 1), 1).tolist() == [0]


def test_reference_cuts_as_well() -> None:
    x, groups = blobs(100, 4, seed=7)
    assert same_partition(reference(affinity_of(x, 5.0), 4), groups)


def test_numpy_in_numpy_out() -> None:
    x, groups = blobs(60, 3)
    affinity = affinity_of(x, 5.0).numpy()
    for variant in (
        affinity,
        np.asfortranarray(affinity),
        affinity.astype(np.float16),
        affinity.astype(">f4"),
    ):
        labels = ops.spectral_clusters(variant, 3)
        assert isinstance(labels, np.ndarray)
        assert same_partition(labels, groups)


square = torch.ones(3, 3)


@pytest.mark.parametrize(
    ("affinity", "k", "options", "message"),
    [
        (torch.ones(3, 4), 1, {}, "affinity: expected a square"),
        (square, 0, {}, "n_clusters: expected 1 to 3, found 0"),
        (square, 4, {}, "n_clusters: expected 1 to 3, found 4"),
        (square, 2, {"n_init": 0}, "n_init: expected 1 to"),
        (square, 2, {"tolerance": -1.0}, "tolerance: expected a number above 0"),
        (square, 2, {"seed": -1}, "seed: expected 0 to"),
        (square / 0, 2, {}, "affinity: expected finite numbers"),
        (-square, 2, {}, "affinity: expected entries >= 0"),
        (square.triu(), 2, {}, "affinity: expected a symmetric matrix"),
        (square, 2, {"backend": "triton"}, "spectral_clusters has no 'triton', it has cpu, cuda, torch"),
    ],
)
def test_refuses_by_name(affinity: torch.Tensor, k: int, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.spectral_clusters(affinity, k, **options)


def test_refuses_what_is_no_integer() -> None:
    with pytest.raises(TypeError, match=r"n_clusters: expected an integer, found 2\.0"):
        ops.spectral_clusters(square, 2.0)
    with pytest.raises(TypeError, match=r"n_init: expected an integer, found 2\.5"):
        ops.spectral_clusters(square, 2, n_init=2.5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.int64, torch.bool])
def test_cut_is_the_definition(dtype: torch.dtype) -> None:
    affinity = rank_matrix(33, 1)
    affinity = (affinity + affinity.T).to(dtype)
    labels = np.arange(33) % 4
    expected = cut_by_definition(affinity.double().numpy(), labels)
    # Sums of 33² numbers in float32 at least.
    assert ops.normalized_cut(affinity, torch.from_numpy(labels)) == pytest.approx(expected, rel=1e-5)
    assert ops.normalized_cut(affinity.numpy(), labels.tolist()) == pytest.approx(expected, rel=1e-5)


def test_cut_of_one_cluster_of_gaps_and_of_singletons() -> None:
    affinity = affinity_of(gaussian(9, 2, 8), dtype=torch.float64)
    assert ops.normalized_cut(affinity, [0] * 9) == pytest.approx(0, abs=1e-12)
    assert ops.normalized_cut(affinity, [7] * 9) == pytest.approx(0, abs=1e-12)
    assert ops.normalized_cut(affinity, list(range(9))) == pytest.approx(9)
    isolated = torch.ones(3, 3)
    isolated[2] = isolated[:, 2] = 0
    assert ops.normalized_cut(isolated, [0, 0, 1]) == pytest.approx(0, abs=1e-6)


def test_cut_refuses_by_name() -> None:
    with pytest.raises(ValueError, match="affinity: expected a square"):
        ops.normalized_cut(torch.ones(3, 4), [0, 0, 0])
    with pytest.raises(ValueError, match=r"labels: expected 3 integers >= 0, found shape \(2,\)"):
        ops.normalized_cut(square, [0, 0])
    with pytest.raises(ValueError, match="labels: expected 3 integers >= 0"):
        ops.normalized_cut(square, [0, -1, 0])
    with pytest.raises(ValueError, match="one device, found affinity on cpu, labels on meta"):
        ops.normalized_cut(square, torch.zeros(3, dtype=torch.int64, device="meta"))
    with pytest.raises(TypeError, match=r"labels: expected integers, found torch\.float64"):
        ops.normalized_cut(square, [0.0, 1.0, 1.0])
