"""Simulated learners against their laws, computed one number at a time."""

import numpy as np
import pytest
from slow_learners import answer, seen

from diptych.tracing.learners import KINDS, Laws, Pool, Traits, draw_learners

# Sums of some ten terms in another order, through exponentials of numbers below 30.
ROUNDING = 1e-11


def pool_of(seed: int, d: int = 3, n_classes: int = 4) -> Pool:
    random = np.random.default_rng(seed)
    labels = np.append(np.arange(n_classes), random.integers(n_classes, size=16))
    return Pool.of(random.normal(5.0, 3.0, size=(20, d)).astype(np.float32), labels)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_answers_follow_the_law(kind: str, seed: int) -> None:
    pool = pool_of(seed)
    random = np.random.default_rng([seed, 1])
    traits = Traits(*random.uniform([0.5, 0.5, 0.0, 0.0, 0.5], [2.0, 3.0, 0.3, 0.4, 3.0], size=(6, 5)).T)
    start = random.normal(size=(6, 4, 4))
    learners = KINDS[kind](traits, np.zeros(6, bool), start, pool)
    shown = random.permuted(np.tile(np.arange(20), (6, 1)), axis=1)[:, :9]
    for step in range(9):
        given = learners.probabilities(pool.features[shown[:, step:]])
        assert given.shape == (6, 9 - step, 4)
        for i in range(6):
            trait = dict(zip(Traits._fields, np.stack(traits, 1)[i], strict=True))
            past = [(pool.features[j], pool.labels[j]) for j in shown[i, :step]]
            wanted = [
                answer(kind, trait, start[i], pool.features, pool.labels, past, pool.features[j])
                for j in shown[i, step:]
            ]
            np.testing.assert_allclose(given[i], wanted, rtol=ROUNDING, atol=ROUNDING)
        learners.learn(pool.features[shown[:, step]], pool.labels[shown[:, step]])


def test_learners_see_features_of_mean_0_and_mean_square_norm_1() -> None:
    features = np.random.default_rng(0).normal(7.0, 4.0, size=(50, 6)).astype(np.float32)
    pool = Pool.of(features, np.arange(50) % 3)
    np.testing.assert_allclose(pool.features, seen(features), rtol=0, atol=1e-12)
    assert pool.n_classes == 3


def test_images_that_do_not_differ_teach_nothing() -> None:
    with pytest.raises(ValueError, match=r"features: expected images that differ, found 4 alike"):
        Pool.of(np.ones((4, 2), np.float32), np.arange(4) % 2)


def test_static_ability_1_is_the_ideal_observer_of_spherical_classes() -> None:
    random = np.random.default_rng(0)
    means = 2 * random.normal(size=(3, 4))
    labels = np.arange(60_000) % 3
    features = means[labels] + random.normal(size=(60_000, 4))
    pool = Pool.of(features.astype(np.float32), labels)
    learners = draw_learners("static", 1, pool, laws=Laws(1.0, 0.0, 0.0, 0.0))
    logits = -np.square(features[:500, None] - means).sum(-1) / 2
    ideal = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    # Means and variance of 20,000 images a class are known to about a hundredth.
    np.testing.assert_allclose(learners.probabilities(pool.features[None, :500])[0], ideal, atol=0.03)


def test_traits_are_drawn_from_their_laws() -> None:
    laws = Laws(
        (0.5, 8.0), 0.0, (0.1, 0.3), (0.0, 0.2), (1.0, 4.0), spread=2.0, careless=0.3, careless_lapse=0.9
    )
    for seed in range(3):
        learners = draw_learners("gradient", 4000, pool_of(0), seed, laws)
        traits = learners.traits
        share = learners.careless.mean()
        # Five standard errors of 4,000 draws.
        assert abs(share - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 4000)
        assert (traits.lapse[learners.careless] == 0.9).all()
        assert (traits.learning_rate == 0).all()
        uniform = {
            "ability": np.log2(traits.ability / 0.5) / 4,
            "forgetting": (traits.forgetting - 0.1) / 0.2,
            "lapse": traits.lapse[~learners.careless] / 0.2,
            "gamma": np.log2(traits.gamma) / 2,
        }
        for name, u in uniform.items():
            assert ((u > -1e-9) & (u < 1 + 1e-9)).all(), name
            for power in (1, 2):
                spread = np.sqrt((1 / (2 * power + 1) - 1 / (power + 1) ** 2) / len(u))
                assert abs((u**power).mean() - 1 / (power + 1)) < 5 * spread, name
        correlations = np.corrcoef([u for name, u in uniform.items() if name != "lapse"]) - np.eye(3)
        assert np.abs(correlations).max() < 5 / np.sqrt(4000)
        assert abs(learners.matrix.std() / 2 - 1) < 5 / np.sqrt(2 * learners.matrix.size)


def test_another_law_of_a_trait_leaves_the_others() -> None:
    uniform = np.random.default_rng(0).random((20, 6))
    some, careless = Laws((1.0, 2.0), (1.0, 2.0), (0.0, 0.1), (0.0, 0.1)).draw(uniform)
    other, careful = Laws(1.0, (1.0, 2.0), (0.0, 0.1), (0.0, 0.1), careless=1.0).draw(uniform)
    assert not careless.any()
    assert careful.all()
    for name in ("learning_rate", "forgetting", "gamma"):
        np.testing.assert_array_equal(getattr(some, name), getattr(other, name))


@pytest.mark.parametrize(
    ("law", "error", "said"),
    [
        (
            {"ability": (2.0, 1.0)},
            ValueError,
            "ability: expected the least before the largest, found 2.0 and 1.0",
        ),
        ({"ability": (0.0, 1.0)}, ValueError, "ability: expected a least value above 0 or 0 alone"),
        ({"ability": -1.0}, ValueError, "ability: expected a finite number of at least 0, found -1.0"),
        ({"ability": (1.0, 2.0, 3.0)}, ValueError, "ability: expected a number or the least and the largest"),
        ({"learning_rate": "much"}, TypeError, "learning_rate: expected a number, found 'much'"),
        ({"learning_rate": (1.0, np.inf)}, ValueError, "learning_rate: expected a finite number"),
        ({"forgetting": (0.5, 1.5)}, ValueError, "forgetting: expected 0 to 1, found 1.5"),
        ({"lapse": np.nan}, ValueError, "lapse: expected 0 to 1, found nan"),
        ({"lapse": ("low", 1.0)}, TypeError, "lapse: expected a number, found 'low'"),
        ({"careless_lapse": 2.0}, ValueError, "careless_lapse: expected 0 to 1, found 2.0"),
        ({"gamma": (3.0, 2.0)}, ValueError, "gamma: expected the least before"),
        ({"spread": -1.0}, ValueError, "spread: expected a finite number of at least 0, found -1.0"),
        ({"careless": 1.1}, ValueError, "careless: expected 0 to 1, found 1.1"),
    ],
)
def test_laws_that_nothing_can_be_drawn_from(law: dict, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        Laws(**{"ability": 1.0, "learning_rate": 1.0, "forgetting": 0.0, "lapse": 0.0, **law})


@pytest.mark.parametrize(
    ("kind", "n", "seed", "error", "said"),
    [
        ("parrot", 1, 0, ValueError, "kind: expected one of 'static', 'prototype', 'exemplar', 'gradient'"),
        ("static", 0, 0, ValueError, "n_learners: expected 1 to"),
        ("static", 1.5, 0, TypeError, "n_learners: expected an integer, found 1.5"),
        ("static", 1, -1, ValueError, "seed: expected 0 to"),
    ],
)
def test_learners_that_cannot_be_drawn(
    kind: str, n: int, seed: int, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        draw_learners(kind, n, pool_of(0), seed)
