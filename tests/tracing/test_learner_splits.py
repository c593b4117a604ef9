"""Learners are divided among training, validation and test."""

from typing import Any

import numpy as np
import pytest

from diptych.tracing.sequences import Sequences
from diptych.tracing.splits import SPLITS, split, splits


@pytest.mark.parametrize(
    ("n", "sizes"),
    [
        (3, (1, 1, 1)),
        (4, (2, 1, 1)),
        (9, (6, 1, 2)),  # 4/30 of 9 is 1.2, 5/30 is 1.5
        (30, (21, 4, 5)),
        (150, (105, 20, 25)),
        (151, (106, 20, 25)),
    ],
)
def test_sizes_are_rounded_as_told(n: int, sizes: tuple[int, int, int]) -> None:
    assert tuple(map(len, split(n))) == sizes


@pytest.mark.parametrize("n", range(3, 40))
def test_every_learner_is_in_one_part(n: int) -> None:
    for number in range(3):
        parts = split(n, number, seed=n)
        assert all(len(part) for part in parts)
        np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(n))
        assert all((np.diff(part) > 0).all() for part in parts)


def test_splits_differ_and_come_again() -> None:
    five = splits(150)
    assert len(five) == SPLITS == 5
    for number, each in enumerate(five):
        for part, again in zip(each, split(150, number), strict=True):
            np.testing.assert_array_equal(part, again)
    tests = {tuple(each.test) for each in five} | {tuple(each.test) for each in splits(150, seed=1)}
    assert len(tests) == 10


def test_learners_are_tested_equally_often() -> None:
    """Over 600 splits a learner is tested 100 times in mean, with a deviation of 9.1."""
    tested = np.bincount(np.concatenate([split(30, number, 3).test for number in range(600)]), minlength=30)
    # Four deviations: passed by 30 fair learners with probability 0.998.
    assert np.abs(tested - 100).max() < 4 * (600 * (5 / 30) * (25 / 30)) ** 0.5


def test_sequences_are_taken_for_their_learners() -> None:
    n = 6
    each = np.repeat(np.arange(n), 2)
    sequences = Sequences(
        ("a", "b"), ("x", "y"), np.arange(2), tuple("uvwxyz"), each, each % 2, each % 2, each > n
    )
    parts = split(sequences, 1, 4)
    for part, other in zip(parts, split(n, 1, 4), strict=True):
        np.testing.assert_array_equal(part, other)
    assert sequences.of(parts.train).learners == tuple("uvwxyz"[i] for i in parts.train)


@pytest.mark.parametrize(
    ("arguments", "kind", "told"),
    [
        ((2,), ValueError, "learners: expected at least 3, one for each part, found 2"),
        ((0,), ValueError, "learners: expected at least 3"),
        ((-1,), ValueError, "learners"),
        ((3.0,), TypeError, "learners: expected an integer"),
        ((9, -1), ValueError, "number: expected 0 to"),
        ((9, 0, -1), ValueError, "seed"),
        ((9, True), TypeError, "number: expected an integer"),
    ],
)
def test_what_cannot_be_divided_is_refused(arguments: Any, kind: type[Exception], told: str) -> None:
    with pytest.raises(kind, match=told):
        split(*arguments)


def test_no_splits_are_refused() -> None:
    with pytest.raises(ValueError, match="n: expected 1 to"):
        splits(9, 0)
