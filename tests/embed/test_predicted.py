"""Images grouped by predicted class."""

from typing import Any

import numpy as np
import pytest

from diptych.embed import group_by_prediction

RNG = np.random.default_rng(0)


def test_groups_hold_images_their_model_predicts_the_class_for() -> None:
    first = RNG.integers(0, 4, 1000)
    second = np.where(RNG.random(1000) < 0.8, first, RNG.integers(0, 4, 1000))
    found = group_by_prediction([first, second], per_class=50)
    assert list(found.groups) == [0, 1, 2, 3]
    assert not found.skipped
    for label, group in found.groups.items():
        for predicted, chosen in zip((first, second), group.by_model, strict=True):
            assert len(chosen) == 50
            assert (np.diff(chosen) > 0).all()
            assert (predicted[chosen] == label).all()
        assert group.union.tolist() == sorted({*group.by_model[0].tolist(), *group.by_model[1].tolist()})
        # Drawn in one order, models that agree on four of five images share most of them.
        assert len(group.union) < 75


def test_all_images_are_taken_where_there_are_no_more() -> None:
    predicted = np.repeat([7, 3], [6, 9])[RNG.permutation(15)]
    found = group_by_prediction([predicted])
    for label in (3, 7):
        np.testing.assert_array_equal(found.groups[label].by_model[0], np.flatnonzero(predicted == label))
        np.testing.assert_array_equal(found.groups[label].union, np.flatnonzero(predicted == label))


def test_models_that_agree_draw_the_same_and_the_seed_decides() -> None:
    predicted = np.zeros(300, int)
    one = group_by_prediction([predicted, predicted]).groups[0]
    np.testing.assert_array_equal(one.by_model[0], one.by_model[1])
    again = group_by_prediction([predicted]).groups[0]
    np.testing.assert_array_equal(again.union, one.union)
    other = group_by_prediction([predicted], seed=1).groups[0]
    assert not np.array_equal(other.union, one.union)
    # Not the first hundred.
    assert one.union.max() > 200


def test_classes_that_a_model_never_or_seldom_predicts_are_skipped_in_words() -> None:
    first = np.repeat([0, 1, 2], [10, 10, 4])
    second = np.repeat([0, 2], [10, 14])
    found = group_by_prediction([first, second])
    assert list(found.groups) == [0]
    assert found.skipped == {
        1: "model 2 predicts it for 0 images, wanted 5",
        2: "model 1 predicts it for 4 images, wanted 5",
    }
    assert list(group_by_prediction([first, second], at_least=4).groups) == [0, 2]
    assert group_by_prediction([np.empty(0, int)]).groups == {}


def test_bad_predictions_are_refused() -> None:
    good = np.zeros(5, int)
    with pytest.raises(ValueError, match="predictions: expected those of at least one model, found none"):
        group_by_prediction([])
    with pytest.raises(ValueError, match=r"one class of each of 5 images, found shape \(4,\) for model 2"):
        group_by_prediction([good, good[:4]])
    with pytest.raises(ValueError, match=r"found shape \(5, 5\) for model 1"):
        group_by_prediction([np.eye(5, dtype=int)])
    with pytest.raises(TypeError, match="expected whole numbers, found float64 for model 1"):
        group_by_prediction([good / 2])
    with pytest.raises(ValueError, match="expected classes from 0, found -1 for image 3 of model 1"):
        group_by_prediction([np.array([0, 1, 2, -1])])
    bad: Any = {"at_least": 0}
    with pytest.raises(ValueError, match="at_least: expected at least 1, found 0"):
        group_by_prediction([good], **bad)
    with pytest.raises(ValueError, match="per_class: expected at least at_least=5, found 3"):
        group_by_prediction([good], per_class=3)
