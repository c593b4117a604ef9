from dataclasses import replace

import numpy as np
import pytest
from made_up import random_sequences

from diptych.tracing.sequences import Sequences


@pytest.fixture(scope="module")
def answers() -> Sequences:
    """Five learners, of whom the second and the last have no steps."""
    five = random_sequences([3, 0, 5, 2, 0], [1, 0, 0, 4, 0])
    rankings = np.stack([five.response, (five.response + 1) % 3, (five.response + 2) % 3], 1)
    return replace(five, rankings=rankings, truth=np.random.default_rng(0).random((len(five.item), 3)))


@pytest.mark.parametrize("chosen", [[0], [4, 1], [3, 0], [2, 4, 0], [4, 3, 2, 1, 0], [0, 1, 2, 3, 4], []])
def test_some_learners_keep_all_their_steps(chosen: list[int], answers: Sequences) -> None:
    some = answers.of(np.array(chosen, np.int64))
    assert some.learners == tuple(answers.learners[each] for each in chosen)
    rows = [row for each in chosen for row in range(len(answers.learner)) if answers.learner[row] == each]
    places = [place for place, each in enumerate(chosen) for _ in range(answers.lengths[each])]
    assert some.learner.tolist() == places
    assert some.step.tolist() == answers.step[rows].tolist()
    for name in ("item", "response", "test", "rankings", "seconds", "truth"):
        np.testing.assert_array_equal(getattr(some, name), getattr(answers, name)[rows], err_msg=name)
    for name in ("items", "labels", "features", "classes"):
        assert getattr(some, name) is getattr(answers, name)


def test_learners_at_random_keep_their_answers() -> None:
    for seed in range(5):
        draw = np.random.default_rng(seed)
        many = random_sequences(draw.integers(6, size=40).tolist(), draw.integers(3, size=40).tolist())
        chosen = draw.permutation(40)[: draw.integers(1, 41)]
        rows = np.concatenate([np.flatnonzero(many.learner == each) for each in chosen])
        assert np.array_equal(many.of(chosen).response, many.response[rows])


@pytest.mark.parametrize("chosen", [[0, 0], [5], [-1]])
def test_learners_who_are_not_there_are_refused(chosen: list[int], answers: Sequences) -> None:
    with pytest.raises(ValueError, match="learners: expected different numbers from 0 to 4, found"):
        answers.of(np.array(chosen))
