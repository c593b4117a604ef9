"""Sweeps against single comparisons."""

import itertools

import numpy as np
import pytest
from planted_concepts import two_networks

from diptych import rsvc

pytestmark = pytest.mark.usefixtures("one_thread")

ALPHAS, KS = (0.05, 0.5, 0.95), (2, 4)


@pytest.fixture(scope="module")
def data():
    first, second, _, groups = two_networks()
    test_1, test_2, _, _ = two_networks(seed=7)
    return {
        "acts_1": first,
        "acts_2": second,
        "groups": groups,
        "eval_acts_1": test_1,
        "eval_acts_2": test_2,
        "progress": False,
    }


@pytest.fixture(scope="module")
def frame(data):
    return rsvc.sweep(**data, alphas=ALPHAS, ks=KS)


def test_every_setting_is_a_comparison_of_its_own(data, frame) -> None:
    fields = {"1to1": "smcs_1", "2to1": "cmcs_2to1", "1to2": "cmcs_1to2", "2to2": "smcs_2"}
    counts = {"1to1": "nonzero_1", "2to1": "nonzero_2to1", "1to2": "nonzero_1to2", "2to2": "nonzero_2"}
    for k, alpha in itertools.product(KS, ALPHAS):
        alone = rsvc.compare(**data, k=k, alpha=alpha)
        for direction, field in fields.items():
            rows = frame.query(f"k == {k} and alpha == {alpha} and direction == '{direction}'")
            np.testing.assert_array_equal(rows["concept"], np.arange(k))
            np.testing.assert_array_equal(rows["pearson"], getattr(alone, field))
            np.testing.assert_array_equal(rows["spearman"], getattr(alone, f"{field}_spearman"))
            np.testing.assert_array_equal(rows["nonzero"], getattr(alone, counts[direction]))
            concepts = alone.concepts_1 if direction[-1] == "1" else alone.concepts_2
            assert set(rows["error"]) == {concepts.error}
    assert len(frame) == 4 * sum(KS) * len(ALPHAS)


def test_a_heavier_penalty_leaves_fewer_features(frame) -> None:
    mean = frame.query("k == 4").groupby("alpha")["nonzero"].mean()
    assert mean.is_monotonic_decreasing
    assert mean[0.05] > 5 * mean[0.95]


def test_more_concepts_leave_a_smaller_error(frame) -> None:
    error = frame.groupby(["direction", "k"])["error"].first().unstack()
    assert (error[4] < error[2]).all()


def test_refusals(data) -> None:
    cases = [
        ({"alphas": ()}, "alphas: expected at least one value, found none"),
        ({"ks": ()}, "ks: expected at least one value, found none"),
        ({"alphas": (0.1, 0.0)}, "alpha: expected a number above 0"),
        ({"ks": (3, 193)}, "k: expected at most 192"),
        ({"ks": (0,)}, "k: expected 1 to"),
        ({"folds": 25}, "groups: 25 folds need"),
    ]
    for changes, message in cases:
        with pytest.raises(ValueError, match=message):
            rsvc.sweep(**data | changes)


def test_it_needs_pandas(data, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ModuleNotFoundError, match="sweep needs pandas"):
        rsvc.sweep(**data)
