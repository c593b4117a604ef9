"""Islands, what they stand for, and their order."""

import numpy as np
import pytest
import torch
from planted_line import planted, rotation, walk
from scipy.stats import kendalltau

from diptych.numerosity import find_islands, island_order, island_sweep, subitizing_limit
from diptych.numerosity.islands import described


def archipelago(d: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Counts 0 to 4 far apart, 5 to 8 in one place."""
    z, counts = planted(lambda n: np.minimum(n, 5), highest=8, each=30, d=d, seed=seed)
    return z + 0.03 * np.random.default_rng(seed).standard_normal(z.shape), counts


@pytest.mark.parametrize("d", [1, 2, 70])
def test_islands_of_a_planted_archipelago(d) -> None:
    """From 64 features on all pairs are compared, below a tree is searched."""
    z, counts = archipelago(d)
    found = find_islands(z, counts, min_cluster_size=20)
    assert found.n == 6
    inside = found.labels >= 0
    np.testing.assert_array_equal(found.labels[inside], np.minimum(counts, 5)[inside])
    np.testing.assert_array_equal(found.confusion.sum(0) + found.outside, np.full(9, 30))
    assert inside.mean() > 0.9
    np.testing.assert_array_equal(found.majority[:5], np.arange(5))
    assert found.subitizing_limit == 4
    assert found.order is None


def test_rotation_place_and_scale_change_nothing_and_order_the_order() -> None:
    z, counts = archipelago(5)
    found = find_islands(z, counts, min_cluster_size=20)
    moved = find_islands(torch.from_numpy(3 * z @ rotation(5) - 2), counts, min_cluster_size=20)
    np.testing.assert_array_equal(moved.labels, found.labels)
    order = np.random.default_rng(0).permutation(len(z))
    other = find_islands(z[order], counts[order], min_cluster_size=20)
    np.testing.assert_array_equal(other.labels, found.labels[order])
    np.testing.assert_array_equal(other.confusion, found.confusion)


def test_islands_are_numbered_by_mean_count() -> None:
    labels, counts = [7, 7, 3, 3, -1, 5, 5, -2], [1, 1, 4, 2, 2, 0, 0, 9]
    found = described(labels, counts)
    np.testing.assert_array_equal(found.labels, [1, 1, 2, 2, -1, 0, 0, -1])
    np.testing.assert_array_equal(found.counts, [0, 1, 2, 4, 9])
    np.testing.assert_array_equal(found.confusion, [[2, 0, 0, 0, 0], [0, 2, 0, 0, 0], [0, 0, 1, 1, 0]])
    np.testing.assert_array_equal(found.outside, [0, 0, 1, 0, 1])
    np.testing.assert_array_equal(found.majority, [0, 1, 2])


def test_no_island_at_all() -> None:
    found = described([-1, -1, -1], [0, 1, 1])
    assert found.n == 0
    assert found.confusion.shape == (0, 2)
    assert len(found.majority) == 0
    assert found.subitizing_limit == -1


@pytest.mark.parametrize(
    ("confusion", "outside", "counts", "limit"),
    [
        ([[9, 0, 0], [0, 8, 1], [0, 1, 9]], [0, 0, 0], [0, 1, 2], 2),
        ([[9, 0, 0], [0, 8, 9]], [0, 0, 0], [0, 1, 2], 0),  # 1 and 2 share an island that is more 2 than 1
        ([[9, 0, 0], [0, 9, 8]], [0, 0, 0], [0, 1, 2], 1),  # it is more 1 than 2
        ([[9, 0, 0], [0, 9, 9]], [0, 0, 0], [0, 1, 2], 0),  # exactly one half is not more than half
        ([[9, 0], [0, 4], [0, 4]], [0, 0], [0, 1], 0),  # 1 lies in two islands alike
        ([[9, 0], [0, 4]], [0, 4], [0, 1], 0),  # half of 1 is outside
        ([[9, 0], [0, 4]], [0, 3], [0, 1], 1),
        ([[4, 4]], [0, 0], [0, 1], -1),
        ([[9, 0, 0], [0, 9, 0], [0, 0, 9]], [0, 0, 0], [0, 1, 3], 1),  # no item has 2
        ([[9, 0], [0, 9]], [0, 0], [1, 2], -1),  # none has 0
    ],
)
def test_the_subitizing_limit_by_hand(confusion, outside, counts, limit) -> None:
    assert subitizing_limit(confusion, outside, counts) == limit


def test_a_sweep_is_islands_for_each_size() -> None:
    z, counts = archipelago()
    found = island_sweep(z, counts, [60, 5, 20, 20], progress=False)
    np.testing.assert_array_equal(found.min_cluster_size, [5, 20, 60])
    for place, size in enumerate((5, 20, 60)):
        each = find_islands(z, counts, min_cluster_size=size)
        assert found.n_islands[place] == each.n
        assert found.subitizing_limit[place] == each.subitizing_limit
        assert found.outside[place] == (each.labels < 0).mean()
    assert found.subitizing_limit[1] == 4 > found.subitizing_limit[2]


def test_puts_and_takes_order_islands() -> None:
    z, counts = archipelago()
    island = find_islands(z, counts, min_cluster_size=20).labels
    pairs, actions = walk(counts, 400)
    # The order is told by links alone: any other numbers for the islands will do.
    names = np.random.default_rng(1).permutation(6)
    labels = np.where(island >= 0, names[island], -1)
    found = island_order(labels, pairs, actions, counts)
    np.testing.assert_array_equal(names[island[counts == 0][0]], found.sequence[0])
    np.testing.assert_array_equal(found.sequence, names)
    assert found.agreement == pytest.approx(1)
    np.testing.assert_allclose(found.places[names], np.arange(6), atol=1e-9)
    put, take = pairs[actions == 0], pairs[actions == 1][:, ::-1]
    ways = labels[np.concatenate([put, take])]
    for a, b in ((names[0], names[1]), (names[5], names[5]), (names[1], names[0])):
        assert found.links[a, b] == ((ways == [a, b]).all(1)).sum()


@pytest.mark.parametrize("seed", range(5))
def test_a_few_wrong_islands_and_longer_actions_change_no_order(seed) -> None:
    generator = np.random.default_rng(seed)
    counts = np.repeat(np.arange(8), 40)
    labels = np.where(generator.random(320) < 0.05, generator.integers(0, 8, 320), counts)
    before = generator.integers(0, 320, 1500)
    after = generator.integers(0, 320, 1500)
    step = counts[after] - counts[before]
    near = np.abs(step) <= 3
    actions = np.select([step > 0, step < 0], [0, 1], 2)
    found = island_order(
        labels, np.column_stack([before, after])[near], actions[near], generator.permutation(counts)
    )
    np.testing.assert_array_equal(found.sequence, np.arange(8))
    assert found.places[0] == 0


def test_a_stray_island_is_put_where_its_link_leads() -> None:
    """Island 9 has a single put, to island 3: it belongs beside island 2, not first."""
    labels = np.array([0, 1, 2, 3, 4, 9])
    pairs = [(0, 1), (1, 2), (2, 3), (3, 4), (5, 3)]
    found = island_order(labels, pairs, [0] * 5)
    assert found.places[9] == pytest.approx(found.places[2])
    assert set(found.sequence.tolist()) == {0, 1, 2, 3, 4, 9}
    assert found.sequence[0] == 0
    assert np.isnan(found.places[5:9]).all()
    assert np.isnan(found.agreement)


def test_what_links_do_not_connect_is_left_out() -> None:
    found = island_order(
        [0, 1, 2, 3, 4, -1], [(1, 0), (0, 1), (3, 2), (4, 4), (5, 4)], [0, 1, 0, 2, 0], [0] * 6
    )
    np.testing.assert_array_equal(found.sequence, [1, 0])
    np.testing.assert_allclose(found.places, [1, 0, np.nan, np.nan, np.nan], atol=1e-12)
    assert found.links.sum() == 3


def test_agreement_is_kendalls() -> None:
    labels, counts = np.arange(5), np.array([0, 1, 3, 2, 4])
    found = island_order(labels, [(i, i + 1) for i in range(4)], [0] * 4, counts)
    assert found.agreement == pytest.approx(kendalltau(np.arange(5), counts).statistic)
    tied = island_order(labels, [(i, i + 1) for i in range(4)], [0] * 4, [0, 2, 2, 1, 4])
    assert tied.agreement == pytest.approx(kendalltau(np.arange(5), [0, 2, 2, 1, 4]).statistic)
    level = island_order(labels, [(i, i + 1) for i in range(4)], [0] * 4, np.ones(5))
    assert np.isnan(level.agreement)
    # Two islands are in order or in reverse, whatever they are.
    assert np.isnan(island_order(labels, [(0, 1)], [0], counts).agreement)


def test_shakes_and_empty_seas_give_no_order() -> None:
    for labels in ([0, 1], [-1, -1]):
        found = island_order(labels, [(0, 1)], [2], [0, 1])
        assert len(found.sequence) == 0
        assert np.isnan(found.agreement)


@pytest.mark.parametrize(
    ("size", "message"), [(1, "min_cluster_size: expected 2 to 6, found 1"), (7, "expected 2 to 6, found 7")]
)
def test_bad_sizes(size, message) -> None:
    z = np.arange(12.0).reshape(6, 2)
    with pytest.raises(ValueError, match=message):
        find_islands(z, [0, 0, 1, 1, 2, 2], min_cluster_size=size)
    with pytest.raises(ValueError, match="sizes: " + message.removeprefix("min_cluster_size: ")):
        island_sweep(z, [0, 0, 1, 1, 2, 2], [size])


def test_bad_values() -> None:
    z = np.arange(12.0).reshape(6, 2)
    with pytest.raises(ValueError, match=r"counts: expected shape \(6,\), found \(5,\)"):
        find_islands(z, [0, 0, 1, 1, 2], min_cluster_size=2)
    with pytest.raises(ValueError, match="sizes: expected at least one, found none"):
        island_sweep(z, [0, 0, 1, 1, 2, 2], [])
    with pytest.raises(ValueError, match=r"confusion: expected shape \(islands, 2\), found \(2, 1\)"):
        subitizing_limit([[1], [1]], [0, 0], [0, 1])
    with pytest.raises(ValueError, match=r"outside: expected shape \(2,\)"):
        subitizing_limit([[1, 1]], [0], [0, 1])
    with pytest.raises(ValueError, match=r"labels: expected whole numbers, found 0.5"):
        described([0.5, 1], [0, 1])


@pytest.mark.parametrize(
    ("pairs", "actions", "message"),
    [
        ([(0, 3)], [0], "pairs: expected items 0 to 2, found 0 to 3"),
        ([(0, -1)], [0], "pairs: expected items 0 to 2, found -1 to 0"),
        ([0, 1], [0], r"pairs: expected shape \(P, 2\) with P at least 1, found \(2,\)"),
        (np.empty((0, 2)), [], r"pairs: expected shape \(P, 2\) with P at least 1, found \(0, 2\)"),
        ([(0, 1)], [0, 1], r"actions: expected shape \(1,\), found \(2,\)"),
        ([(0, 1)], [3], "actions: expected 0 .* found 3"),
    ],
)
def test_bad_links(pairs, actions, message) -> None:
    with pytest.raises(ValueError, match=message):
        island_order([0, 1, 2], pairs, actions)


def test_bad_types() -> None:
    with pytest.raises(TypeError, match="min_cluster_size: expected an integer"):
        find_islands(np.eye(3), [0, 1, 2], min_cluster_size=2.0)
    with pytest.raises(TypeError, match="labels: expected an array of real numbers"):
        island_order(["a"], [(0, 0)], [0])
