from dataclasses import replace

import numpy as np
import pytest
import torch
from made_up import random_sequences

from diptych.tracing.batches import pad
from diptych.tracing.models.inputs import class_accuracy, log_seconds


def test_steps_lie_side_by_side() -> None:
    sequences = random_sequences([3, 1], [1, 0])
    padded = pad(sequences)
    assert padded.shown.tolist() == [[True] * 4, [True] + [False] * 3]
    assert padded.test.tolist() == [[False, False, False, True], [False] * 4]
    for name, column in {"items": "item", "labels": "label", "responses": "response"}.items():
        table = getattr(padded, name)
        assert table[padded.shown].tolist() == getattr(sequences, column).tolist()
        assert not table[~padded.shown].any()
    assert padded.seconds is not None
    assert padded.seconds[0, 0] == 0
    np.testing.assert_array_equal(padded.seconds[0, 1:], sequences.seconds[1:4])
    assert pad(random_sequences([3, 1], [1, 0], times=False)).seconds is None


def test_steps_in_another_order_are_refused() -> None:
    sequences = random_sequences([3, 2], [1, 2])
    with pytest.raises(ValueError, match=r"a learner's training before its test, found another .* row 5"):
        pad(replace(sequences, test=np.arange(8) == 4))
    with pytest.raises(ValueError, match="expected learners in order, found another order in row 4"):
        pad(replace(sequences, learner=1 - sequences.learner))


def test_some_learners_are_cut_after_their_last_step() -> None:
    padded = pad(random_sequences([3, 1, 2], [1, 0, 1]))
    some = padded.of(torch.tensor([2, 1]))
    assert len(some) == 2
    assert some.shown.tolist() == [[True] * 3, [True, False, False]]
    assert torch.equal(some.responses[0], padded.responses[2, :3])


@pytest.mark.parametrize("seed", range(3))
def test_each_image_is_named_once(seed: int) -> None:
    sequences = random_sequences([5, 2], [4, 1], seed=seed)
    padded = pad(sequences)
    numbers, places = padded.images()
    assert numbers.tolist() == np.unique(sequences.item).tolist()
    features = torch.from_numpy(sequences.features)
    batch = padded.batch(features[numbers], places)
    assert torch.equal(batch.features[batch.shown], features[torch.from_numpy(sequences.item)])
    assert torch.equal(batch.features[batch.shown], padded.batch(features).features[batch.shown])


def test_accuracy_by_class_is_told_one_step_late() -> None:
    labels = torch.tensor([[0, 0, 1, 0, 1]])
    responses = torch.tensor([[0, 1, 1, 0, 1]])
    counted = torch.tensor([[True, True, True, True, False]])
    told = class_accuracy(labels, responses, counted, 3, torch.empty(0, dtype=torch.float64))
    assert told[0].tolist() == [[-1, -1, -1], [1, -1, -1], [0.5, -1, -1], [0.5, 1, -1], [2 / 3, 1, -1]]


def test_response_times_that_are_missed_are_named() -> None:
    told = log_seconds(torch.tensor([0.0, 1.0]), torch.empty(0))
    torch.testing.assert_close(told, torch.tensor([[0.0], [np.log(2)]], dtype=torch.float32))
    with pytest.raises(ValueError, match="seconds: expected sequences with response times, found none"):
        log_seconds(None, torch.empty(0))
