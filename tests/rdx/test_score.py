"""The binary success rate against a loop over the pairs of full matrices."""

import itertools

import numpy as np
import pytest
import torch
from by_definition import success_rate
from numpy.typing import NDArray

from diptych.rdx import binary_success_rate
from diptych.rdx.score import success_rates

FORMS = [("neighborhood", False), ("max", False), ("local", False), ("local", True)]


def pair(n: int = 70, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 4)), rng.normal(size=(n, 6))


def some_grids(n: int = 70) -> list[NDArray[np.int64]]:
    order = np.random.default_rng(1).permutation(n)
    return [order[:9], order[5:14], order[20:22], order[30:31]]  # overlapping, of all sizes


@pytest.mark.parametrize(("distance", "published"), FORMS)
@pytest.mark.parametrize("seed", range(3))
def test_the_rate_is_its_definition(distance: str, published: bool, seed: int) -> None:
    a, b = pair(seed=seed)
    conventions = "published-code" if published else "default"
    found = binary_success_rate(some_grids(), a, b, distance, conventions=conventions)
    # Both count pairs: equal as fractions, unless a near-tie of 1e-15 is decided otherwise.
    assert found == pytest.approx(success_rate(some_grids(), a, b, distance, published), abs=1e-12)


@pytest.mark.parametrize("distance", ["neighborhood", "max", "local"])
def test_ties_and_duplicates_count_as_no_success(distance: str) -> None:
    rng = np.random.default_rng(2)
    a, b = (rng.integers(0, 3, size=(40, 2)).astype(np.float64) for _ in range(2))
    grids = [np.arange(12), np.arange(12, 20)]
    found = binary_success_rate(grids, a, b, distance)
    assert found == pytest.approx(success_rate(grids, a, b, distance), abs=1e-12)


@pytest.mark.parametrize(("distance", "published"), FORMS)
def test_a_representation_never_beats_itself(distance: str, published: bool) -> None:
    a, _ = pair()
    conventions = "published-code" if published else "default"
    assert binary_success_rate(some_grids(), a, a, distance, conventions=conventions) == 0


def test_swapping_the_two_gives_the_rest_where_nothing_ties() -> None:
    a, b = pair()
    grids = some_grids()[:2]
    for distance in ("max", "local"):
        forth, back = (binary_success_rate(grids, *two, distance) for two in ((a, b), (b, a)))
        assert forth + back == pytest.approx(1, abs=1e-12)


def test_ordered_pairs_can_differ_by_direction() -> None:
    # On a line the end item 0 is the 1st neighbor of 1 in a; a's and b's ranks differ one way only.
    a = np.array([[0.0], [1.0], [1.5], [9.0]])
    b = np.array([[0.0], [1.0], [8.0], [9.0]])
    # rank of 1 for 0: 1 in both; rank of 0 for 1: 2 in a, 1 in b.
    assert binary_success_rate([[0, 1]], a, b) == 0
    assert binary_success_rate([[0, 1]], b, a) == 0.5


def test_pooling_is_over_pairs_not_over_grids() -> None:
    a, b = pair()
    grids = some_grids()
    rates, sizes = success_rates(grids, a, b, "max")
    assert sizes == [9, 9, 2, 1]
    assert np.isnan(rates[3])
    for rate, grid in zip(rates[:3], grids[:3], strict=True):
        assert rate == pytest.approx(success_rate([grid], a, b, "max"), abs=1e-12)
    pooled = (72 * rates[0] + 72 * rates[1] + 2 * rates[2]) / 146
    assert binary_success_rate(grids, a, b, "max") == pytest.approx(pooled, abs=1e-12)


def test_grids_and_embeddings_come_as_lists_arrays_and_tensors() -> None:
    a, b = pair()
    expected = binary_success_rate(some_grids(), a, b)
    for kind in (list, torch.tensor, np.int32):
        grids = [kind(grid) for grid in some_grids()]
        assert binary_success_rate(grids, torch.tensor(a), torch.tensor(b)) == expected
    learned = torch.tensor(a, requires_grad=True), torch.tensor(b, requires_grad=True)
    for distance in ("neighborhood", "max", "local"):
        found = binary_success_rate(some_grids(), *learned, distance)
        assert found == binary_success_rate(some_grids(), a, b, distance)


@pytest.mark.parametrize("grids", [[], [[]], [np.empty(0, np.int64)], [[4]], [[4], []]])
def test_no_pair_gives_nan(grids: list[list[int]]) -> None:
    a, b = pair()
    for distance in ("neighborhood", "max", "local"):
        assert np.isnan(binary_success_rate(grids, a, b, distance))


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e200])
def test_the_scale_of_an_embedding_plays_no_part(scale: float) -> None:
    a, b = pair()
    for distance in ("neighborhood", "max", "local"):
        found = binary_success_rate(some_grids(), scale * a, b, distance)
        assert found == binary_success_rate(some_grids(), a, b, distance)


def test_bad_input_is_named() -> None:
    a, b = pair()
    spoiled = a.copy()
    spoiled[7, 1] = np.nan
    cases = [
        (([[0, 70]], a, b), ValueError, r"grids\[0\]: expected indices 0 to 69"),
        (([[0, 1], [-1, 2]], a, b), ValueError, r"grids\[1\]: expected indices 0 to 69"),
        (([[0.0, 1.0]], a, b), TypeError, r"grids\[0\]: expected integer indices"),
        (([[True, False]], a, b), TypeError, r"grids\[0\]: expected integer indices"),
        (([[[0, 1]]], a, b), ValueError, r"grids\[0\]: expected a list of indices, found shape"),
        (([[0, 1]], a, b, "cosine"), ValueError, "distance: expected one of"),
        (([[0, 1]], a, b[:-1]), ValueError, "a and b: expected the same items, found 70 and 69"),
        (([[0, 1]], a[:, 0], b), ValueError, r"a: expected a matrix"),
        (([[0, 1]], spoiled, b), ValueError, "a: expected finite numbers, found NaN or Inf in row 7"),
        (([[0, 1]], a, b.astype(complex)), TypeError, "b: expected"),
    ]
    for arguments, kind, message in cases:
        with pytest.raises(kind, match=message):
            binary_success_rate(*arguments)
    with pytest.raises(ValueError, match="conventions: expected one of"):
        binary_success_rate([[0, 1]], a, b, conventions="theirs")


def test_every_pair_of_a_planted_group_succeeds() -> None:
    # Ten items in one place in a, far apart in b.
    a = np.random.default_rng(0).normal(size=(100, 3)) * 10
    b = a.copy()
    a[:10] = 100 + np.arange(10)[:, None] * 1e-3
    b[:10] *= 5
    for distance, published in itertools.product(("neighborhood", "max", "local"), (False, True)):
        conventions = "published-code" if published else "default"
        assert binary_success_rate([range(10)], a, b, distance, conventions=conventions) > 0.8
    assert binary_success_rate([range(10)], a, b, "max") == 1
