"""The grid rules against brute force and against their definitions."""

import itertools

import numpy as np
import pytest
import torch
from by_definition import affinity, euclidean, max_kna_grid, pairs_sum, published_grid
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from diptych.rdx import grids as module
from diptych.rdx.grids import CONVENTIONS, cluster_grids

# Per item of the grid: a swap must raise the log-affinities of the item swapped in by 1e-5 to be taken, which
# counts twice in a sum over ordered pairs, and float32 logarithms of up to 5 are rounded at 5e-7.
SWAP_THRESHOLD = 2e-5 + 1e-5


def problem(n: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A source representation and its difference affinity to another, unrelated one."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n, 3))
    return a, affinity(a, rng.normal(size=(n, 3)), distance="max")


def chosen(
    f: NDArray[np.float64],
    k: int,
    conventions: str,
    source: NDArray[np.float64] | None = None,
    labels: list[int] | None = None,
) -> list[list[int]]:
    tags = torch.zeros(len(f), dtype=torch.int64) if labels is None else torch.tensor(labels)
    x = torch.zeros(len(f), 1) if source is None else torch.tensor(source)
    return [grid.tolist() for grid in cluster_grids(torch.tensor(f).float(), tags, k, conventions, x)]


def densest(f: NDArray[np.float64], k: int) -> float:
    groups = np.array(list(itertools.combinations(range(len(f)), k)))
    hollow = f - np.diag(np.diag(f))
    return float(hollow[groups[:, :, None], groups[:, None, :]].sum((1, 2)).max())


def start_of_default(f: NDArray[np.float64], k: int) -> list[int]:
    """The best of all items with their k - 1 largest affinities, by the sum over all pairs."""
    groups = [sorted(range(len(f)), key=lambda j: (j != i, -f[i, j]))[:k] for i in range(len(f))]
    return max(groups, key=lambda group: pairs_sum(f, group))


@pytest.mark.parametrize("k", [2, 3, 9, 40])
@pytest.mark.parametrize("seed", range(3))
def test_paper_and_published_rules_are_their_definitions(k: int, seed: int) -> None:
    source, f = problem(90, seed)
    labels = np.random.default_rng(seed).integers(-1, 3, size=90)
    papers = chosen(f, k, "paper", source, labels.tolist())
    published = chosen(f, k, "published-code", source, labels.tolist())
    distances = euclidean(source)
    assert len(papers) == len(published) == 3
    for cluster in range(3):
        members = np.flatnonzero(labels == cluster)
        assert papers[cluster] == max_kna_grid(f, members, k)
        best = pairs_sum(f, published_grid(f, source, members, k))
        # Two seeds with one set of neighbors tie exactly; which of them leads is left to rounding
        # (float32 sums of k² terms: relative 1e-6).
        assert pairs_sum(f, published[cluster]) == pytest.approx(best, rel=1e-6)
        nearest = sorted(members, key=lambda j, seed=published[cluster][0]: distances[seed, j])[:k]
        assert published[cluster] == nearest


@pytest.mark.parametrize("k", [2, 3, 5, 9])
def test_the_default_never_ends_below_its_start_and_no_swap_improves_it(k: int) -> None:
    for seed in range(8):
        _, f = problem(40, seed)
        (grid,) = chosen(f, k, "default")
        logarithm = np.log(f)
        total = pairs_sum(logarithm, grid)
        assert total >= pairs_sum(logarithm, start_of_default(f, k)) - SWAP_THRESHOLD * k
        swaps = itertools.product(range(k), set(range(40)) - set(grid))
        best = max(pairs_sum(logarithm, [*grid[:place], item, *grid[place + 1 :]]) for place, item in swaps)
        assert best <= total + SWAP_THRESHOLD * k


def test_the_default_has_no_smaller_geometric_mean_than_the_papers_grid() -> None:
    for seed in range(8):
        _, f = problem(60, seed)
        (default,), (paper,) = chosen(f, 9, "default"), chosen(f, 9, "paper")
        assert pairs_sum(np.log(f), default) >= pairs_sum(np.log(f), paper) - SWAP_THRESHOLD * 9


def test_the_default_mostly_finds_the_densest_grid_of_a_small_cluster() -> None:
    images = load_digits().data
    other = PCA(6).fit_transform(images)
    ratios = []
    for seed in range(40):
        items = np.random.default_rng(seed).choice(len(images), 12, replace=False)
        f = affinity(images[items], other[items])
        (grid,) = chosen(f, 5, "default")
        means = [np.exp(total / 20) for total in (pairs_sum(np.log(f), grid), densest(np.log(f), 5))]
        ratios.append(means[0] / means[1])
    found = np.array(ratios) > 1 - SWAP_THRESHOLD
    # It was the optimum in all 40; a local search promises no such thing.
    assert found.mean() >= 0.9
    assert np.mean(ratios) > 0.99
    assert max(ratios) <= 1 + 1e-12


def test_a_planted_dense_group_is_found() -> None:
    rng = np.random.default_rng(0)
    f = rng.uniform(0.5, 1, size=(80, 80))
    planted = rng.choice(80, 9, replace=False)
    f[np.ix_(planted, planted)] = 20
    f = (f + f.T) / 2
    for conventions in ("default", "paper"):
        (grid,) = chosen(f, 9, conventions)
        assert sorted(grid) == sorted(planted.tolist())


def test_swaps_leave_a_hub_whose_friends_are_strangers() -> None:
    # Item 0 is very near to 1..4, which have nothing in common; 5..9 are a tight group.
    f = np.full((10, 10), 0.1)
    f[0, 1:5] = f[1:5, 0] = 3
    f[5:, 5:] = 2
    (paper,), (default,) = chosen(f, 5, "paper"), chosen(f, 5, "default")
    assert sorted(paper) == [0, 1, 2, 3, 4]
    assert sorted(default) == [5, 6, 7, 8, 9]


def test_the_default_puts_the_hub_first_and_the_others_by_their_affinity_to_it() -> None:
    for seed in range(5):
        _, f = problem(50, seed)
        (grid,) = chosen(f, 9, "default")
        sums = [sum(f[i, j] for j in grid if j != i) for i in grid]
        assert int(np.argmax(sums)) == 0
        to_hub = [f[grid[0], j] for j in grid[1:]]
        assert to_hub == sorted(to_hub, reverse=True)


@pytest.mark.parametrize("conventions", CONVENTIONS)
def test_grids_stay_inside_their_clusters_and_hold_no_item_twice(conventions: str) -> None:
    source, f = problem(60, 3)
    labels = np.random.default_rng(1).integers(-1, 4, size=60)
    grids = chosen(f, 7, conventions, source, labels.tolist())
    assert [len(grid) for grid in grids] == [7] * 4
    for cluster, grid in enumerate(grids):
        assert set(labels[grid]) == {cluster}
        assert len(set(grid)) == len(grid)


@pytest.mark.parametrize("conventions", CONVENTIONS)
def test_a_cluster_smaller_than_the_grid_is_shown_whole(conventions: str) -> None:
    source, f = problem(12, 0)
    labels = [0, 0, 0, 1, 2, 2, -1, -1, 1, 1, 1, 3]
    grids = chosen(f, 4, conventions, source, labels)
    assert [sorted(grid) for grid in grids] == [[0, 1, 2], [3, 8, 9, 10], [4, 5], [11]]


@pytest.mark.parametrize("conventions", CONVENTIONS)
def test_a_grid_of_one_is_a_member(conventions: str) -> None:
    source, f = problem(10, 0)
    labels = [1, 1, 1, 0, 0, 0, 0, -1, -1, -1]
    (first,), (second,) = chosen(f, 1, conventions, source, labels)
    assert first in {3, 4, 5, 6}
    assert second in {0, 1, 2}


def test_published_neighbors_are_taken_in_the_source() -> None:
    source, f = problem(30, 5)
    (grid,) = chosen(f, 6, "published-code", source)
    nearest = np.argsort(euclidean(source)[grid[0]])[:6]
    assert grid == nearest.tolist()


@pytest.mark.parametrize("conventions", CONVENTIONS)
def test_equal_affinities_everywhere_still_give_a_whole_grid(conventions: str) -> None:
    source = np.random.default_rng(0).integers(0, 2, size=(20, 2)).astype(np.float64)
    (grid,) = chosen(np.full((20, 20), 2.0), 6, conventions, source)
    assert len(set(grid)) == 6


def test_sums_do_not_depend_on_the_size_of_the_scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    source, f = problem(50, 2)
    whole = [chosen(f, 6, conventions, source) for conventions in CONVENTIONS]
    monkeypatch.setattr(module, "_SCRATCH", 7 * 36)  # seven items at a time
    assert [chosen(f, 6, conventions, source) for conventions in CONVENTIONS] == whole


def test_the_affinity_is_left_as_it_was() -> None:
    source, f = problem(40, 4)
    given = torch.tensor(f).float()
    before = given.clone()
    for conventions in CONVENTIONS:
        cluster_grids(given, torch.zeros(40, dtype=torch.int64), 9, conventions, torch.tensor(source))
    assert torch.equal(given, before)
