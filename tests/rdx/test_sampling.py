"""Sampling by spectral clusters and by PageRank."""

import networkx
import numpy as np
import pytest
import torch
from by_definition import affinity, gathered, mean_affinity, pagerank, pagerank_grids
from numpy.typing import NDArray

from diptych.rdx.sampling import Sample, pagerank_sample, spectral_sample
from diptych.rdx.sampling import pagerank as library_pagerank

pytestmark = pytest.mark.usefixtures("one_thread")


# Power iteration stops once the scores move by less than 1e-6 in sum; with damping 0.85 what is left to
# move is at most 0.85 / 0.15 of that. float32 adds as much again.
PAGERANK_ERROR = 2e-5


def symmetric(n: int, seed: int = 0) -> NDArray[np.float64]:
    """A heavy-tailed affinity without exact ties; its diagonal is 1, as RDX's is."""
    f = np.exp(np.random.default_rng(seed).normal(size=(n, n)))
    f = (f + f.T) / 2
    np.fill_diagonal(f, 1)
    return f


def blocks(sizes: list[int], means: list[float]) -> NDArray[np.float64]:
    """Clusters of given sizes and mean affinities, between which there is next to none."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    f = np.where(labels[:, None] == labels, np.array(means)[labels][:, None], 0.01)
    np.fill_diagonal(f, 1)
    return f


def spectral(f: NDArray[np.float64], m: int, k: int = 4, conventions: str = "default") -> Sample:
    return spectral_sample(torch.tensor(f).float(), m, k, conventions, torch.zeros(len(f), 1), 0)


@pytest.mark.parametrize("n", [2, 3, 8, 33, 120])
def test_pagerank_agrees_with_networkx(n: int) -> None:
    f = symmetric(n, n)
    alive = torch.ones(n, dtype=torch.bool)
    found = library_pagerank(torch.tensor(f).float(), alive, torch.full((n,), 1 / n))
    expected = pagerank(f, list(range(n)))
    np.testing.assert_allclose(found.numpy(), [expected[i] for i in range(n)], atol=PAGERANK_ERROR)
    assert float(found.sum()) == pytest.approx(1, abs=1e-6)  # float32


def test_pagerank_leaves_out_removed_items_and_starts_anywhere() -> None:
    f = symmetric(50)
    kept = [i for i in range(50) if i % 3]
    alive = torch.tensor([bool(i % 3) for i in range(50)])
    expected = pagerank(f, kept)
    for start in (torch.full((50,), 1 / 50), torch.rand(50, generator=torch.Generator().manual_seed(0))):
        found = library_pagerank(torch.tensor(f).float(), alive, start)
        np.testing.assert_allclose(found[kept].numpy(), [expected[i] for i in kept], atol=PAGERANK_ERROR)
        assert bool((found[~alive] == 0).all())


def test_pagerank_of_items_without_edges_is_networkx_dangling_rule() -> None:
    f = np.zeros((6, 6))
    f[:3, :3] = 1 - np.eye(3)
    found = library_pagerank(
        torch.tensor(f).float(), torch.ones(6, dtype=torch.bool), torch.full((6,), 1 / 6)
    )
    expected = networkx.pagerank(networkx.from_numpy_array(f), alpha=0.85, tol=1e-12)
    np.testing.assert_allclose(found.numpy(), list(expected.values()), atol=PAGERANK_ERROR)


@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_pagerank_sampling_is_top_node_and_largest_edges_removed_and_repeated(k: int) -> None:
    f = symmetric(60, k)
    found = pagerank_sample(torch.tensor(f).float(), 4, k)
    assert [grid.tolist() for grid in found.grids] == pagerank_grids(f, 4, k)
    assert found.notes == []


def test_pagerank_labels_are_the_grids_and_minus_one_elsewhere() -> None:
    f = symmetric(40)
    found = pagerank_sample(torch.tensor(f).float(), 3, 5)
    expected = np.full(40, -1)
    for number, grid in enumerate(found.grids):
        expected[grid] = number
    assert found.labels.dtype == torch.int64
    np.testing.assert_array_equal(found.labels.numpy(), expected)
    means = [mean_affinity(f, grid) for grid in found.grids]
    np.testing.assert_allclose(found.mean_affinity.numpy(), means, rtol=1e-6)  # float32 sums


def test_pagerank_runs_out_of_items_in_words() -> None:
    found = pagerank_sample(torch.tensor(symmetric(7)).float(), 4, 3)
    assert [len(grid) for grid in found.grids] == [3, 3, 1]
    assert sorted(int(item) for grid in found.grids for item in grid) == list(range(7))
    assert found.notes == [
        "Explanation 3 has 1 items: no more are left.",
        "No items are left for explanation 4 and after.",
    ]


def test_spectral_clusters_are_ordered_by_mean_affinity_and_the_lowest_is_discarded() -> None:
    f = blocks([10, 14, 12, 20], [2.0, 5.0, 3.0, 0.8])
    found = spectral(f, 3)
    expected = np.repeat([2, 0, 1, -1], [10, 14, 12, 20])
    np.testing.assert_array_equal(found.labels.numpy(), expected)
    np.testing.assert_allclose(found.mean_affinity.numpy(), [5, 3, 2], rtol=1e-6)  # float32 sums
    assert found.notes == []
    assert [set(expected[grid]) for grid in found.grids] == [{0}, {1}, {2}]


def test_the_lowest_mean_is_discarded_even_where_its_cluster_is_small() -> None:
    found = spectral(blocks([30, 6], [3.0, 1.0]), 1)
    np.testing.assert_array_equal(found.labels.numpy(), np.repeat([0, -1], [30, 6]))


@pytest.mark.parametrize("sizes", [(8, 20), (20, 8)])
def test_a_near_tie_discards_the_larger_and_says_so(sizes: tuple[int, int]) -> None:
    found = spectral(blocks([12, *sizes], [4.0, 1.000, 1.005]), 2)
    larger = int(np.argmax(sizes)) + 1
    expected = np.repeat([0, 1, 1], [12, *sizes])
    expected[np.repeat([0, 1, 2], [12, *sizes]) == larger] = -1
    np.testing.assert_array_equal(found.labels.numpy(), expected)
    (note,) = found.notes
    assert "nearly the same lowest mean affinity (1.000 and 1.005)" in note
    assert "the larger, of 20 items, was discarded" in note
    assert "the other, of 8, is shown" in note


@pytest.mark.parametrize("sizes", [(8, 20), (20, 8)])
def test_two_per_cent_apart_is_no_tie(sizes: tuple[int, int]) -> None:
    found = spectral(blocks([12, *sizes], [4.0, 1.00, 1.02]), 2)
    np.testing.assert_array_equal(found.labels.numpy(), np.repeat([0, -1, 1], [12, *sizes]))
    assert found.notes == []


def test_clusters_smaller_than_the_grid_are_told() -> None:
    found = spectral(blocks([3, 9, 12], [5.0, 3.0, 1.0]), 2, k=6)
    assert [len(grid) for grid in found.grids] == [3, 6]
    assert found.notes == ["Explanation 1 has 3 items: its cluster holds no more."]


@pytest.mark.parametrize("conventions", ["default", "paper", "published-code"])
def test_spectral_means_and_labels_belong_together_on_real_affinities(conventions: str) -> None:
    a, b = gathered(120, 20)
    f = affinity(a, b)
    source = torch.tensor(a)
    found = spectral_sample(torch.tensor(f).float(), 3, 5, conventions, source, 0)
    labels = found.labels.numpy()
    means = [mean_affinity(f, np.flatnonzero(labels == number)) for number in range(3)]
    np.testing.assert_allclose(found.mean_affinity.numpy(), means, rtol=1e-5)  # float32 exp and sums
    assert means == sorted(means, reverse=True)
    assert mean_affinity(f, np.flatnonzero(labels == -1)) <= min(means) * 1.01
    for number, grid in enumerate(found.grids):
        assert set(labels[grid.numpy()]) == {number}


def test_the_affinity_is_left_as_it_was() -> None:
    f = torch.tensor(symmetric(40)).float()
    before = f.clone()
    pagerank_sample(f, 3, 5)
    spectral_sample(f, 3, 5, "default", torch.zeros(40, 1), 0)
    assert torch.equal(f, before)
