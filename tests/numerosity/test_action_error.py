"""Errors of naming actions."""

import numpy as np
import pytest
import torch
from scipy.stats import beta

from diptych.numerosity import action_error

BEFORE = np.array([0, 1, 1, 2, 3, 3, 2, 4])
AFTER = np.array([1, 0, 1, 3, 2, 3, 3, 3])
ACTIONS = np.array([0, 1, 2, 0, 1, 2, 0, 1])
PREDICTED = np.array([0, 1, 2, 0, 2, 2, 2, 2])


def test_by_hand() -> None:
    found = action_error(BEFORE, AFTER, ACTIONS, PREDICTED)
    np.testing.assert_array_equal(found.objects, [1, 3, 4])
    np.testing.assert_array_equal(found.pairs, [3, 4, 1])
    np.testing.assert_array_equal(found.errors, [0, 2, 1])
    np.testing.assert_array_equal(found.share, [0, 0.5, 1])
    np.testing.assert_array_equal(found.confusion, [[2, 0, 1], [0, 1, 2], [0, 0, 2]])
    np.testing.assert_allclose(found.low, beta([1, 3, 2], [4, 3, 1]).ppf(0.025))
    np.testing.assert_allclose(found.high, beta([1, 3, 2], [4, 3, 1]).ppf(0.975))


def test_pooled_over_objects() -> None:
    found = action_error(torch.from_numpy(BEFORE), AFTER, ACTIONS, torch.from_numpy(PREDICTED))
    assert found.overall == pytest.approx((3 / 8, *beta(4, 6).ppf([0.025, 0.975])))
    assert found.within(3) == pytest.approx((2 / 7, *beta(3, 6).ppf([0.025, 0.975])))
    assert found.beyond(3) == pytest.approx((1, *beta(2, 1).ppf([0.025, 0.975])))
    assert np.isnan(found.within(0)).all()


@pytest.mark.parametrize(
    ("by", "objects", "pairs"),
    [("before", [0, 1, 2, 3, 4], [1, 2, 2, 2, 1]), ("after", [0, 1, 2, 3], [1, 2, 1, 4])],
)
def test_other_numbers_of_objects(by, objects, pairs) -> None:
    found = action_error(BEFORE, AFTER, ACTIONS, PREDICTED, by=by)
    np.testing.assert_array_equal(found.objects, objects)
    np.testing.assert_array_equal(found.pairs, pairs)
    assert found.errors.sum() == 3
    assert found.by == by


def test_pairs_in_any_order() -> None:
    order = np.random.default_rng(0).permutation(8)
    found = action_error(BEFORE, AFTER, ACTIONS, PREDICTED)
    other = action_error(BEFORE[order], AFTER[order], ACTIONS[order], PREDICTED[order])
    for name in ("objects", "pairs", "errors", "low", "high", "confusion"):
        np.testing.assert_array_equal(getattr(found, name), getattr(other, name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actions": ACTIONS[:-1]}, r"actions: expected shape \(8,\), found \(7,\)"),
        ({"after": AFTER[:-1]}, r"after: expected shape \(8,\), found \(7,\)"),
        ({"predicted": PREDICTED + 1}, r"predicted: expected 0 \(put\), 1 \(take\), 2 \(shake\), found 3"),
        ({"actions": 1 - ACTIONS}, "actions: expected 0 .* found -1"),
        ({"before": AFTER, "after": BEFORE}, "actions: pair 0 goes from 1 to 0 objects, which is no put"),
        ({"actions": np.full(8, 1)}, "actions: pair 0 goes from 0 to 1 objects, which is no take"),
        ({"actions": np.full(8, 2)}, "actions: pair 0 goes from 0 to 1 objects, which is no shake"),
        ({"before": BEFORE - 1}, "before: expected numbers of objects, at least 0, found -1"),
        ({"before": BEFORE + 0.5}, "before: expected whole numbers, found 0.5 in row 0"),
        ({"before": BEFORE + 1e12}, "before: expected at most 2147483647"),
        ({"before": []}, "before: expected at least one item, found none"),
        ({"by": "mean"}, "by: expected one of 'largest', 'before', 'after', found 'mean'"),
    ],
)
def test_bad_values(change, message) -> None:
    given = {"before": BEFORE, "after": AFTER, "actions": ACTIONS, "predicted": PREDICTED} | change
    with pytest.raises(ValueError, match=message):
        action_error(**given)


def test_bad_types() -> None:
    with pytest.raises(TypeError, match="predicted: expected an array of real numbers"):
        action_error(BEFORE, AFTER, ACTIONS, ["put"] * 8)
