from collections import Counter

import numpy as np
import pytest

from diptych.collect.order import balanced_order, check_order

CLASSES = ("a", "b", "c", "d")
LABELS = np.repeat(np.arange(4), 12).tolist()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("train", "test"), [(30, 15), (4, 0), (5, 1), (13, 3)])
def test_classes_are_balanced_in_each_phase_and_no_image_comes_twice(
    seed: int, train: int, test: int
) -> None:
    check_order(LABELS, CLASSES, train, test)
    trials = balanced_order(LABELS, train, test, [seed, 0])
    assert [trial.phase for trial in trials] == ["train"] * train + ["test"] * test
    shown = [image for trial in trials for image in trial.images]
    assert len(set(shown)) == len(shown) == train + test
    for phase, steps in (("train", train), ("test", test)):
        counts = Counter(LABELS[trial.images[0]] for trial in trials if trial.phase == phase)
        found = [counts[each] for each in range(4)]
        assert sum(found) == steps
        assert max(found) - min(found) <= 1


def test_orders_are_the_same_for_a_seed_and_differ_between_learners_and_seeds() -> None:
    first = balanced_order(LABELS, 20, 8, [0, 0])
    assert balanced_order(LABELS, 20, 8, [0, 0]) == first
    others = [balanced_order(LABELS, 20, 8, seed) for seed in ([0, 1], [1, 0], [1, 1])]
    assert all(other != first for other in others)


def test_which_class_has_one_step_more_is_drawn() -> None:
    more = Counter()
    for learner in range(200):
        counts = Counter(LABELS[trial.images[0]] for trial in balanced_order(LABELS, 5, 0, [7, learner]))
        more[counts.most_common(1)[0][0]] += 1
    # Each of four classes 50 times in mean, with a standard deviation of 6.1.
    assert min(more[each] for each in range(4)) > 50 - 4 * 6.2


def test_numbers_of_steps_for_which_there_is_no_order_are_refused() -> None:
    with pytest.raises(ValueError, match="classes: expected at least two, found 1: a"):
        check_order([0, 0], ("a",), 2, 0)
    with pytest.raises(
        ValueError, match="train: expected at least one step for each of the 4 classes, found 3"
    ):
        check_order(LABELS, CLASSES, 3, 0)
    with pytest.raises(ValueError, match="test: expected at least 0 steps, found -1"):
        check_order(LABELS, CLASSES, 4, -1)
    # ceil(41/4) + ceil(5/4) = 13 of a class may be needed, and there are 12.
    with pytest.raises(ValueError, match=r"class a: expected at least 13 images.* found 12; add images"):
        check_order(LABELS, CLASSES, 41, 5)
    check_order(LABELS, CLASSES, 40, 8)
