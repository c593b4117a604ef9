"""Sequences of simulated learners: who is shown what, and answers how."""

import json

import numpy as np
import pytest
import torch
from slow_learners import answer, seen

from diptych.tracing.learners import KINDS
from diptych.tracing.sequences import Sequences
from diptych.tracing.simulate import simulate

# Sums of some ten terms in another order, through exponentials of numbers below 30.
ROUNDING = 1e-11
# What chance alone exceeds once in 10^6 tests, in standard errors.
RARE = 4.9


@pytest.fixture(scope="module", params=KINDS)
def many(request: pytest.FixtureRequest) -> Sequences:
    return simulate(request.param, 1000, seed=7)


def test_a_table_of_150_learners() -> None:
    s = simulate("gradient")
    assert len(s) == 150
    assert len(s.classes) == 5
    assert (s.lengths == 45).all()
    assert (s.test == (s.step >= 30)).all()
    assert s.features is not None
    assert s.truth is not None
    assert s.rankings is not None
    assert s.features.shape == (300, 8)
    assert s.features.dtype == np.float32
    assert (np.bincount(s.labels) == 60).all()
    assert s.truth.shape == (6750, 5)
    assert s.rankings.shape == (6750, 3)
    for each in (s.labels, s.learner, s.item, s.response, s.rankings):
        assert each.dtype == np.int64
    assert s.about == json.loads(json.dumps(s.about))
    assert s.about["simulated"] == "gradient"


@pytest.mark.parametrize("kind", KINDS)
def test_truth_follows_from_traits_and_images(kind: str) -> None:
    for seed in range(3):
        s = simulate(kind, 5, 6, 3, seed, n_images=12, dimension=3, n_classes=4, spread=0.0, careless=0.3)
        assert s.features is not None
        assert s.truth is not None
        pool, past = seen(s.features), []
        for row in range(len(s.learner)):
            if s.step[row] == 0:
                past = []
            trait = s.about["traits"][s.learners[s.learner[row]]]
            z = pool[s.item[row]]
            wanted = answer(kind, trait, np.zeros((4, 4)), pool, s.labels, past, z)
            np.testing.assert_allclose(s.truth[row], wanted, rtol=ROUNDING, atol=ROUNDING)
            if not s.test[row]:
                past.append((z, s.label[row]))


def test_responses_are_drawn_from_the_truth(many: Sequences) -> None:
    assert many.truth is not None
    np.testing.assert_allclose(many.truth.sum(1), 1, atol=1e-12)
    hot = np.eye(5)[many.response]
    for low, high in ((0, 0.05), (0.05, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 0.95), (0.95, 1)):
        within = (many.truth >= low) & (many.truth < high)
        p = many.truth[within]
        assert abs((hot[within] - p).sum()) < RARE * np.sqrt((p * (1 - p)).sum())


def test_rankings_are_drawn_without_replacement(many: Sequences) -> None:
    assert many.truth is not None
    assert many.rankings is not None
    first, second, third = many.rankings.T
    assert (first == many.response).all()
    assert ((first != second) & (second != third) & (first != third)).all()
    rows = np.arange(len(first))
    left = many.truth.copy()
    left[rows, first] = 0
    left /= left.sum(1, keepdims=True)
    excess = np.eye(5)[second] - left
    assert (np.abs(excess.sum(0)) < RARE * np.sqrt((left * (1 - left)).sum(0))).all()


def test_orders_are_the_learners_own(many: Sequences) -> None:
    item = many.item.reshape(1000, 45)
    assert all(len(set(row)) == 45 for row in item.tolist())
    assert len(np.unique(item, axis=0)) == 1000
    shown = np.bincount(many.item, minlength=300) / 1000
    assert np.abs(shown - 0.15).max() < RARE * np.sqrt(0.15 * 0.85 / 1000)


def test_those_who_learn_get_better_and_others_do_not(many: Sequences) -> None:
    assert many.truth is not None
    right = many.truth[np.arange(len(many.item)), many.label].reshape(1000, 45)
    early, late = right[:, :5].mean(1), right[:, 30:].mean(1)
    gain = late - early
    error = gain.std() / np.sqrt(1000)
    if many.about["simulated"] == "static":
        assert abs(gain.mean()) < RARE * error
    else:
        assert gain.mean() > 0.15 + RARE * error


def test_gradient_learners_who_learn_nothing() -> None:
    s = simulate("gradient", 400, learning_rate=0.0, lapse=0.0, seed=1)
    assert s.truth is not None
    right = s.truth[np.arange(len(s.item)), s.label]
    # A random classifier is right by chance: of five classes, once in five.
    assert abs(right.reshape(400, 45).mean() - 0.2) < RARE * right.reshape(400, 45).mean(1).std() / 20


def test_careless_learners_are_named(many: Sequences) -> None:
    assert many.about["careless"] == []
    s = simulate(many.about["simulated"], 1000, seed=7, careless=0.2)
    named = s.about["careless"]
    assert abs(len(named) - 200) < RARE * np.sqrt(160)
    lapse = {name: trait["lapse"] for name, trait in s.about["traits"].items()}
    assert all((lapse[name] >= 0.6) == (name in set(named)) for name in s.learners)
    # What a careful learner sees and answers does not depend on who else is careless.
    careful = ~np.isin(s.learner, [int(name) for name in named])
    np.testing.assert_array_equal(s.response[careful], many.response[careful])


@pytest.mark.parametrize("kind", KINDS)
def test_a_learner_does_not_depend_on_the_others(kind: str) -> None:
    few, more = simulate(kind, 3, seed=5), simulate(kind, 40, seed=5).of(np.arange(3))
    for name in ("item", "response", "truth", "rankings", "labels", "features", "learners"):
        np.testing.assert_array_equal(getattr(few, name), getattr(more, name))
    assert not np.array_equal(few.response, simulate(kind, 3, seed=6).response)


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_given_features(convert) -> None:
    random = np.random.default_rng(0)
    features = random.normal(3.0, 50.0, size=(60, 4)).astype(np.float32)
    labels = np.arange(60) % 2
    s = simulate("exemplar", 4, features=convert(features), labels=convert(labels))
    assert s.features is not None
    np.testing.assert_array_equal(s.features, features)
    np.testing.assert_array_equal(s.labels, labels)
    assert s.rankings is None
    # A shift and another unit are nothing to learners; powers of two are nothing to rounding either.
    other = simulate("exemplar", 4, features=convert(features * 4), labels=convert(labels))
    np.testing.assert_array_equal(s.truth, other.truth)


BAD = np.zeros((50, 2), np.float32)
TWO = np.arange(50) % 2


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"kind": "parrot"}, ValueError, "kind: expected one of 'static'"),
        ({"n_train": 0}, ValueError, "n_train: expected 1 to"),
        ({"n_train": 1, "n_test": 0}, ValueError, "n_test: expected 1 to"),
        ({"n_train": 300}, ValueError, "features: expected an image for each of 315 steps, found 300"),
        ({"seed": -1}, ValueError, "seed: expected 0 to"),
        ({"n_learners": 0}, ValueError, "n_learners: expected 1 to"),
        ({"n_classes": 1}, ValueError, "n_classes: expected 2 to"),
        ({"n_images": 4}, ValueError, "n_images: expected 5 to"),
        ({"dimension": 0}, ValueError, "dimension: expected 1 to"),
        ({"separation": -1.0}, ValueError, "separation: expected a finite number"),
        ({"ability": (2.0, 1.0)}, ValueError, "ability: expected the least before"),
        ({"features": BAD}, ValueError, "features, labels: expected both or neither"),
        ({"features": BAD[0], "labels": TWO}, ValueError, "features: expected a matrix"),
        ({"features": BAD * np.nan, "labels": TWO}, ValueError, "features: expected finite numbers"),
        ({"features": BAD, "labels": TWO[1:]}, ValueError, r"labels: expected shape \(50,\), as features"),
        ({"features": BAD, "labels": TWO + 0.5}, TypeError, "labels: expected integers, found torch.float64"),
        ({"features": BAD, "labels": 2 * TWO}, ValueError, r"labels: expected each of 0 to C - 1.*\[0, 2\]"),
        (
            {"features": BAD, "labels": TWO},
            ValueError,
            "features: expected images that differ, found 50 alike",
        ),
    ],
)
def test_what_cannot_be_simulated(asked: dict, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        simulate(**{"kind": "gradient", **asked})
