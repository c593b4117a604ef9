"""How far actions move a scene."""

import numpy as np
import pytest
import torch
from planted_line import planted, rotation, walk

from diptych.numerosity import action_distances


def test_by_hand() -> None:
    z = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    found = action_distances(z, [(0, 1), (1, 0), (2, 2), (0, 2)], [0, 1, 2, 0], bins=5, unit=0.5)
    np.testing.assert_allclose(found.edges, [0, 2, 4, 6, 8, 10])
    np.testing.assert_array_equal(found.histogram, [[0, 1, 0, 0, 1], [0, 0, 0, 0, 1], [1, 0, 0, 0, 0]])
    np.testing.assert_array_equal(found.pairs, [2, 1, 1])
    np.testing.assert_allclose(found.mean, [6, 10, 0])
    np.testing.assert_allclose(found.spread, [np.sqrt(32), np.nan, np.nan])
    assert found.unit == 0.5


def test_puts_and_takes_move_by_one_and_shakes_do_not() -> None:
    z, counts = planted(d=7, each=5)
    pairs, actions = walk(counts, 300)
    found = action_distances(z @ rotation(7), pairs, actions)
    np.testing.assert_allclose(found.mean, [1, 1, 0], atol=1e-12)
    np.testing.assert_array_equal(found.histogram.sum(1), found.pairs)
    assert found.pairs.sum() == len(pairs)


def test_an_action_that_does_not_occur_and_no_movement() -> None:
    found = action_distances(np.ones((3, 2)), [(0, 1), (1, 2)], [2, 2], bins=4)
    np.testing.assert_array_equal(found.edges, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_array_equal(found.histogram[2], [2, 0, 0, 0])
    np.testing.assert_array_equal(np.isnan(found.mean), [True, True, False])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bins": 0}, "bins: expected 1 to"),
        ({"unit": 0.0}, "unit: expected a number above 0"),
        ({"pairs": [(0, 9)]}, "pairs: expected items 0 to 2, found 0 to 9"),
        ({"pairs": [(0, 0.5)]}, "pairs: expected whole numbers, found 0.5"),
        ({"actions": [4]}, "actions: expected 0"),
        ({"embeddings": np.full((3, 2), np.nan)}, "embeddings: expected finite numbers"),
    ],
)
def test_bad_values(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        action_distances(**{"embeddings": np.eye(3), "pairs": [(0, 1)], "actions": [0]} | options)


def test_bad_types() -> None:
    with pytest.raises(TypeError, match="pairs: expected an array of real numbers"):
        action_distances(np.eye(3), [("a", "b")], [0])
