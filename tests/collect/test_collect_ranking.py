from typing import Any

import pytest

from diptych.collect import Ranking, Trial

TRAIN, TEST = Trial("train", (1,)), Trial("test", (1,))


def ranking(classes: int, **options: Any) -> Ranking:
    names = tuple("abcdefghij"[:classes])
    images = tuple(f"{name}/{number}.png" for name in names for number in range(3))
    labels = tuple(number for number in range(classes) for _ in range(3))
    return Ranking(images, names, labels, **{"train": classes, "test": 2, **options})


@pytest.mark.parametrize(("classes", "depth"), [(2, 2), (3, 3), (10, 3)])
def test_three_classes_are_ranked_or_all_where_there_are_fewer(classes: int, depth: int) -> None:
    kind = ranking(classes)
    assert kind.shown(TRAIN) == {"classes": kind.classes, "depth": depth}
    assert kind.read(TRAIN, list(range(depth))) == list(range(depth))
    assert f"rank the {'two' if depth == 2 else 'three'} classes" in kind.instructions()[0]


@pytest.mark.parametrize(
    "answer",
    [
        [0, 1],
        [0, 1, 2, 3],
        [0, 1, 1],
        [0, 1, 4],
        [0, 1, -1],
        [0, 1, True],
        [0, 1, 2.0],
        [0, 1, "2"],
        [0, 1, None],
        [[0], 1, 2],
        [],
        None,
        "012",
        {"0": 1},
        7,
    ],
)
def test_what_is_no_ranking_is_refused(answer: Any) -> None:
    with pytest.raises(ValueError, match="answer: expected a list of 3 different numbers of classes, 0 to 3"):
        ranking(4).read(TRAIN, answer)


def test_the_true_class_is_told_in_training_alone() -> None:
    kind = ranking(4)
    assert kind.feedback(TRAIN, [2, 1, 0]) == {"label": 0}
    assert kind.feedback(TEST, [2, 1, 0]) is None
    assert "label" not in kind.shown(TRAIN)


def test_a_row_has_names() -> None:
    assert ranking(4).row(TEST, [2, 0, 3]) == {
        "image": "a/1.png",
        "label": "a",
        "response": "c",
        "ranking": ["c", "a", "d"],
    }


def test_instructions_tell_of_a_test_only_if_there_is_one() -> None:
    assert "You will see 6 pictures" in ranking(4).instructions()[0]
    assert "test" in " ".join(ranking(4).instructions())
    assert "test" not in " ".join(ranking(4, test=0).instructions())


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seed: expected a number that is not negative, found -1"):
        ranking(4, seed=-1)
