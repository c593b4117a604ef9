"""Which classes a run compares, and on which images."""

import numpy as np
import pytest

from diptych.rsvc.selection import choose_images, members, patch_rows, too_few, wanted_classes

SIZES = {"extraction": 20, "evaluation": 10, "least": 5}


def many(first: int, second: int, shared: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices that overlap in some."""
    return np.arange(first), np.arange(first - shared, first - shared + second)


@pytest.mark.parametrize("shared", [0, 7, 60])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_enough_images_of_both_networks(shared: int, seed: int) -> None:
    of_class = many(60, 80, shared)
    chosen = choose_images(of_class, 3, seed=seed, **SIZES)
    assert chosen.predicted == (60, 80)
    for own, found in zip(chosen.own, of_class, strict=True):
        assert own.sum() == 20
        assert np.isin(chosen.training[own], found).all()
        measured = np.isin(chosen.evaluation, found).sum()
        assert measured >= 10 if shared else measured == 10
    assert (chosen.own[0] | chosen.own[1]).all()
    assert not np.isin(chosen.training, chosen.evaluation).any()
    for each in (chosen.training, chosen.evaluation):
        np.testing.assert_array_equal(each, np.unique(each))


def test_networks_that_agree_share_their_images() -> None:
    chosen = choose_images(many(60, 60, 60), 3, seed=0, **SIZES)
    assert (len(chosen.training), len(chosen.evaluation)) == (20, 10)
    assert chosen.own[0].all()
    assert chosen.own[1].all()


def test_few_images_are_shared_out_in_proportion() -> None:
    chosen = choose_images(many(18, 18, 18), 0, seed=0, **SIZES)
    assert (len(chosen.training), len(chosen.evaluation)) == (12, 6)


@pytest.mark.parametrize("n", [5, 6, 9, 13])
def test_too_few_to_measure_on_are_all_extracted_from(n: int) -> None:
    chosen = choose_images(many(n, n, n), 0, seed=0, **SIZES)
    assert (len(chosen.training), len(chosen.evaluation)) == (n, 0)


def test_no_evaluation_if_none_is_wanted() -> None:
    chosen = choose_images(many(60, 60, 30), 0, seed=0, extraction=20, evaluation=0, least=5)
    assert len(chosen.evaluation) == 0
    assert chosen.own[0].sum() == chosen.own[1].sum() == 20


def test_the_choice_depends_on_seed_and_class_alone() -> None:
    of_class = many(60, 80, 30)
    same = [choose_images(of_class, 3, seed=4, **SIZES) for _ in range(2)]
    np.testing.assert_array_equal(same[0].training, same[1].training)
    for number, seed in ((2, 4), (3, 5)):
        other = choose_images(of_class, number, seed=seed, **SIZES)
        assert other.training.tolist() != same[0].training.tolist()


def test_swapping_the_networks_swaps_their_images() -> None:
    of_class = many(60, 80, 30)
    straight = choose_images(of_class, 3, seed=0, **SIZES)
    turned = choose_images(of_class[::-1], 3, seed=0, **SIZES)
    np.testing.assert_array_equal(straight.training, turned.training)
    np.testing.assert_array_equal(straight.own[0], turned.own[1])
    np.testing.assert_array_equal(straight.evaluation, turned.evaluation)


def test_members_are_those_that_a_network_takes_for_the_class() -> None:
    predicted = np.array([0, 2, -1, 2]), np.array([2, 2, -1, 1])
    assert [found.tolist() for found in members(predicted, 2)] == [[1, 3], [0, 1]]


def test_reasons_to_skip_name_the_network() -> None:
    none, few, enough = np.arange(0), np.arange(4), np.arange(5)
    assert too_few((none, enough), ("a", "b"), 5) == "a never predicts it"
    assert too_few((enough, few), ("a", "b"), 5) == "b predicts it for 4 images, expected at least 5"
    assert too_few((enough, enough), ("a", "b"), 5) is None


def test_rows_of_patches() -> None:
    rows = patch_rows(np.array([7, 3]), np.array([3, 5, 7]), 2)
    assert rows.tolist() == [4, 5, 0, 1]


NAMES = ["red", "green", "7"]
PREDICTED = np.array([0, 0, -1]), np.array([0, 2, -1])


@pytest.mark.parametrize(
    ("classes", "numbers"),
    [(None, [0, 2]), ([1], [1]), (["green", 0, "red"], [0, 1]), (["2"], [2]), (["7"], [2])],
)
def test_classes_by_name_or_number(classes: list | None, numbers: list[int]) -> None:
    assert wanted_classes(classes, PREDICTED, NAMES) == numbers


@pytest.mark.parametrize(
    ("classes", "error", "message"),
    [
        ([], ValueError, "classes: expected at least one, found none"),
        (["gren"], ValueError, "classes: no class 'gren'; the nearest are 'green', 'red'"),
        ([3], ValueError, "classes: expected numbers 0 to 2, found 3"),
        (["12"], ValueError, "classes: expected numbers 0 to 2, found 12"),
        ([0.5], TypeError, "classes: expected numbers or names, found 0.5"),
        ([True], TypeError, "classes: expected numbers or names, found True"),
        ("red", TypeError, "classes: expected a list of numbers or names, found 'red'"),
    ],
)
def test_classes_that_are_not_there(classes: list, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        wanted_classes(classes, PREDICTED, NAMES)
