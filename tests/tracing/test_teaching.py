from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from drawn_tracers import drawn
from made_up import random_sequences

from diptych.tracing import policies, teaching
from diptych.tracing.batches import pad
from diptych.tracing.lessons import Lessons
from diptych.tracing.models import MODELS
from diptych.tracing.policies import POLICIES, Choice
from diptych.tracing.sequences import Sequences
from diptych.tracing.simulate import simulate
from diptych.tracing.tracer import Tracer

SMALL: dict[str, Any] = {
    "n_learners": 3,
    "n_steps": 4,
    "seeds": (0, 1),
    "n_candidates": 3,
    "n_pool": 5,
    "n_held_out": 8,
}


@pytest.fixture(scope="module")
def answers() -> Sequences:
    return random_sequences([4, 4], [0, 0], dimension=3)


@pytest.fixture(scope="module")
def world() -> Sequences:
    return simulate("gradient", 4, 5, 2, n_classes=3, dimension=3, n_images=30)


def followed(tracer: Tracer, sequences: Sequences, learner: int = 0) -> None:
    tracer.start()
    for row in np.flatnonzero(sequences.learner == learner):
        item = sequences.item[row]
        tracer.update(sequences.features[item], sequences.labels[item], int(sequences.response[row]))


def choice_of(tracer: Tracer, sequences: Sequences, learners: list[int]) -> Choice:
    """Images 0 to 3 as candidates, in another order for each learner, and 4 to 11 as the pool."""
    features = tracer.extractor.embed(torch.from_numpy(sequences.features))
    labels = torch.from_numpy(sequences.labels)
    some = pad(sequences.of(np.array(learners))).batch(features)
    shown = torch.stack([torch.arange(4).roll(each) for each in learners])
    with torch.no_grad():
        state = tracer.model.follow(some)[1]
    return Choice(tracer.model, state, features[shown], labels[shown], features[4:], labels[4:])


def by_hand(tracer: Tracer, sequences: Sequences) -> np.ndarray:
    """The expected gain of images 0 to 3, one candidate and one answer at a time."""
    pool, true = sequences.features[4:], sequences.labels[4:]

    def right() -> float:
        return float(tracer.predict(pool, true)[np.arange(8), true].mean())

    gains = []
    for image, label in zip(sequences.features[:4], sequences.labels[:4], strict=True):
        followed(tracer, sequences)
        before, chances = right(), tracer.predict(image[None], [label])[0]
        gain = 0.0
        for response in range(3):
            followed(tracer, sequences)
            tracer.update(image, label, response)
            gain += float(chances[response]) * (right() - before)
        gains.append(gain)
    return np.array(gains)


@torch.no_grad()
@pytest.mark.parametrize("name", MODELS)
def test_the_expected_gain_is_that_of_trying_each_answer(name: str, answers: Sequences) -> None:
    tracer = drawn(name, answers)
    found = POLICIES["expected_improvement"](choice_of(tracer, answers, [0]), np.random.default_rng())
    # Means of a dozen float32 probabilities.
    np.testing.assert_allclose(found[0], by_hand(tracer, answers), rtol=0, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("name", ["cls_pred_yz", "saint", "exemplar", "gt_label"])
@pytest.mark.parametrize("policy", ["hardest", "expected_improvement"])
def test_learners_side_by_side_are_taught_apart(name: str, policy: str, answers: Sequences) -> None:
    tracer, draw = drawn(name, answers), np.random.default_rng()
    both = POLICIES[policy](choice_of(tracer, answers, [0, 1]), draw)
    assert both.shape == (2, 4)
    for learner in (0, 1):
        alone = POLICIES[policy](choice_of(tracer, answers, [learner]), draw)[0]
        # float32 in another order.
        np.testing.assert_allclose(both[learner], alone, rtol=0, atol=1e-6)


@torch.no_grad()
def test_little_memory_makes_no_difference(answers: Sequences, monkeypatch: pytest.MonkeyPatch) -> None:
    choice, draw = choice_of(drawn("direct_yz", answers), answers, [0, 1]), np.random.default_rng()
    at_once = POLICIES["expected_improvement"](choice, draw)
    monkeypatch.setattr(policies, "_NUMBERS", 5 * 8 * 512)
    np.testing.assert_allclose(POLICIES["expected_improvement"](choice, draw), at_once, rtol=0, atol=1e-6)
    monkeypatch.setattr(policies, "_NUMBERS", 1)
    np.testing.assert_allclose(POLICIES["expected_improvement"](choice, draw), at_once, rtol=0, atol=1e-6)


def test_the_next_image_is_the_best_one(answers: Sequences) -> None:
    tracer = drawn("cls_pred_y", answers)
    images, labels = answers.features, answers.labels
    gains = by_hand(tracer, answers)
    followed(tracer, answers)
    told: dict[str, Any] = {"pool": images[4:], "pool_labels": labels[4:]}
    assert teaching.next_image(tracer, images[:4], labels[:4], **told) == gains.argmax()
    features = tracer.embed(images)
    told = {"pool": features[4:], "pool_labels": labels[4:], "embedded": True}
    assert teaching.next_image(tracer, features[:4], labels[:4], **told) == gains.argmax()
    chances = tracer.predict(images, labels)[np.arange(12), labels]
    assert teaching.next_image(tracer, images, labels, "hardest") == chances.argmin()


def test_the_pool_is_the_candidates_where_none_is_given(answers: Sequences) -> None:
    tracer = drawn("cls_pred_yz", answers)
    followed(tracer, answers)
    told: dict[str, Any] = {"pool": answers.features, "pool_labels": answers.labels}
    with_pool = teaching.next_image(tracer, answers.features, answers.labels, **told)
    assert teaching.next_image(tracer, answers.features, answers.labels) == with_pool


def test_nothing_changes_by_asking(answers: Sequences) -> None:
    tracer = drawn("cls_pred_y", answers, seconds=True)
    followed(tracer, answers)
    before = tracer.predict(answers.features)
    teaching.next_image(tracer, answers.features, answers.labels)
    assert np.array_equal(tracer.predict(answers.features), before)


def test_chance_is_seeded(answers: Sequences) -> None:
    tracer = drawn("static", answers)
    tracer.start("a")
    tracer.start("b")
    images, labels = answers.features[:4], answers.labels[:4]
    alike = {teaching.next_image(tracer, images, labels, "random", learner="a", seed=3) for _ in range(5)}
    assert len(alike) == 1
    draw = np.random.default_rng(0)
    found = {teaching.next_image(tracer, images, labels, "random", seed=draw) for _ in range(60)}
    # One of four is missed by 60 draws once in ten million.
    assert found == {0, 1, 2, 3}


def test_bad_choices_are_refused(answers: Sequences) -> None:
    tracer = drawn("cls_pred_y", answers)
    images, labels = answers.features[:4], answers.labels[:4]
    with pytest.raises(KeyError, match="learner: expected one who was started, nobody, found None"):
        teaching.next_image(tracer, images, labels)
    tracer.start()
    with pytest.raises(ValueError, match=r"policy: expected one of 'random', 'hardest', .*, found 'easy'"):
        teaching.next_image(tracer, images, labels, "easy")
    with pytest.raises(ValueError, match="pool, pool_labels: expected both or neither, found one of them"):
        teaching.next_image(tracer, images, labels, pool=images)
    with pytest.raises(ValueError, match="pool, pool_labels: expected both or neither, found one of them"):
        teaching.next_image(tracer, images, labels, pool_labels=labels)
    with pytest.raises(TypeError, match=r"seed: expected an integer, found 0\.5"):
        teaching.next_image(tracer, images, labels, "random", seed=0.5)
    with pytest.raises(ValueError, match="candidates: expected at least one image, found none"):
        teaching.next_image(tracer, images[:0], labels[:0])
    with pytest.raises(ValueError, match="pool: expected at least one image, found none"):
        teaching.next_image(tracer, images, labels, pool=images[:0], pool_labels=labels[:0])
    with pytest.raises(ValueError, match=r"candidates: expected features \(m, 3\), found shape \(4, 2\)"):
        teaching.next_image(tracer, images[:, :2], labels, embedded=True)
    with pytest.raises(ValueError, match=r"images: expected features \(m, 3\), found shape \(4, 2\)"):
        teaching.next_image(tracer, images[:, :2], labels)
    with pytest.raises(TypeError, match="labels of candidates: expected whole numbers, found float64"):
        teaching.next_image(tracer, images, labels.astype(float))
    with pytest.raises(
        ValueError, match=r"labels of candidates: expected one an image, 4, found shape \(3,\)"
    ):
        teaching.next_image(tracer, images, labels[:3])
    with pytest.raises(ValueError, match="labels of pool: expected 0 to 2, found 1 to 3"):
        teaching.next_image(tracer, images, labels, pool=images, pool_labels=[1, 2, 3, 1])


def test_teachers_have_the_same_learners(world: Sequences) -> None:
    found = teaching.evaluate(drawn("cls_pred_y", world), world, **SMALL)
    assert found.policies == ("random", "hardest", "expected_improvement")
    assert found.right.shape == (3, 2, 3, 5)
    assert (found.right > 0).all()
    assert (found.right < 1).all()
    assert np.array_equal(found.right[0, :, :, 0], found.right[2, :, :, 0])
    assert not np.array_equal(found.right[0, :, :, 1], found.right[2, :, :, 1])
    assert not np.array_equal(found.right[0, 0], found.right[0, 1])
    again = teaching.evaluate(drawn("cls_pred_y", world), world, policies=["hardest"], **SMALL)
    assert again.policies == ("random", "hardest")
    assert np.array_equal(again.right, found.right[:2])
    assert found.about["kind"] == "gradient"
    assert found.about["laws"]["spread"] == world.about["laws"]["spread"]


def test_teachers_who_choose_alike_teach_alike(world: Sequences, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(POLICIES, "hardest", lambda choice, draw: np.zeros(choice.labels.shape))
    monkeypatch.setitem(POLICIES, "expected_improvement", POLICIES["hardest"])
    found = teaching.evaluate(drawn("cls_pred_y", world), world, **SMALL)
    assert np.array_equal(found.right[1], found.right[2])
    assert not np.array_equal(found.right[0], found.right[1])


def test_no_image_is_shown_twice_or_held_out(world: Sequences, monkeypatch: pytest.MonkeyPatch) -> None:
    offers: list[torch.Tensor] = []

    def first(choice: Choice, draw: np.random.Generator) -> np.ndarray:
        offers.append(choice.candidates)
        return -np.arange(choice.labels.shape[1]) * np.ones(choice.labels.shape)

    monkeypatch.setitem(POLICIES, "hardest", first)
    told = {**SMALL, "seeds": (0,), "n_steps": 12, "n_candidates": 11}
    teaching.evaluate(drawn("static", world), world, policies=["hardest"], **told)
    offered = torch.stack(offers)
    assert offered.shape == (12, 3, 11, 3)
    # Of 30 images 8 are held out: all others are offered, and no more.
    assert len(offered.flatten(0, 2).unique(dim=0)) == 22
    for learner in range(3):
        assert len(offered[:, learner, 0].unique(dim=0)) == 12
        assert len(offered[0, learner].unique(dim=0)) == 11


def test_those_who_do_not_learn_are_not_taught(world: Sequences) -> None:
    found = teaching.evaluate(drawn("cls_pred_y", world), world, "static", **SMALL)
    assert (found.right == found.right[:1, :, :, :1]).all()
    frame = found.frame()
    assert (frame[["gain", "low", "high"]] == 0).all(axis=None)


@pytest.mark.parametrize("name", MODELS)
def test_any_model_teaches(name: str, world: Sequences) -> None:
    told = {**SMALL, "seeds": (0,), "n_steps": 2}
    found = teaching.evaluate(drawn(name, world), world, policies=["expected_improvement"], **told)
    assert np.isfinite(found.right).all()


def test_a_tracer_that_knows_the_law_teaches_better_than_chance() -> None:
    world = simulate("prototype", 2, 5, 2, n_classes=3, dimension=3, n_images=120, separation=1.0, seed=1)
    tracer = drawn("prototype", world)
    told = {"n_learners": 20, "n_steps": 8, "n_candidates": 12, "n_pool": 40, "n_held_out": 50}
    frame = teaching.evaluate(tracer, world, policies=["expected_improvement"], **told).frame()
    last = frame[(frame.policy == "expected_improvement") & (frame.step == 8)]
    assert (last.low > 0).all()


def test_gains_are_paired() -> None:
    right = np.random.default_rng(0).random((2, 3, 4, 5))
    frame = Lessons(("random", "hardest"), (0, 1, 2), right).frame()
    assert len(frame) == 10
    row = frame[(frame.policy == "hardest") & (frame.step == 2)].iloc[0]
    means = right[:, :, :, 2].mean(2)
    gains = means[1] - means[0]
    # Student's t of 0.975 with 2 degrees of freedom, from a table.
    reach = 4.30265273 * gains.std(ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(
        row[["mean", "sd", "gain", "low", "high"]].astype(float),
        [means[1].mean(), means[1].std(ddof=1), gains.mean(), gains.mean() - reach, gains.mean() + reach],
        rtol=1e-8,
    )
    assert (frame[frame.policy == "random"].gain == 0).all()
    assert frame[frame.policy == "random"].step.tolist() == [0, 1, 2, 3, 4]
    alone = Lessons(("random", "hardest"), (0,), right[:, :1]).frame()
    assert alone[["sd", "low", "high"]].isna().all(axis=None)
    assert alone["gain"].notna().all()
    with pytest.raises(ValueError, match="level: expected a probability between 0 and 1, found 1"):
        Lessons(("random",), (0,), right[:1, :1]).frame(1)


def test_lessons_are_kept_and_joined(tmp_path: Any) -> None:
    right = np.random.default_rng(0).random((2, 3, 4, 5))
    whole = Lessons(("random", "hardest"), (0, 1, 2), right, {"model": "static"})
    again = Lessons.load(whole.save(tmp_path / "lessons.npz"))
    assert (again.policies, again.seeds, again.about) == (whole.policies, whole.seeds, whole.about)
    assert np.array_equal(again.right, right)
    parts = [replace(whole, seeds=(0, 1), right=right[:, :2]), replace(whole, seeds=(2,), right=right[:, 2:])]
    joined = Lessons.joined(parts)
    assert joined.seeds == (0, 1, 2)
    assert np.array_equal(joined.right, right)
    with pytest.raises(ValueError, match="parts: expected the same teachers, learners and steps in each"):
        Lessons.joined([whole, replace(whole, right=right[:, :, :2])])
    with pytest.raises(ValueError, match="parts: expected the same teachers"):
        Lessons.joined([])
    with pytest.raises(FileNotFoundError, match="no such file"):
        Lessons.load(tmp_path / "none.npz")
    (tmp_path / "other.npz").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not a readable lessons result"):
        Lessons.load(tmp_path / "other.npz")


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"policies": []}, r"policies: expected some of random, .*, found \[\]"),
        ({"policies": "random"}, "policies: expected some of random, .*, found 'random'"),
        ({"policies": ["easy"]}, "policies: expected one of 'random', .*, found 'easy'"),
        ({"kind": "human"}, "kind: expected one of 'static', .*, found 'human'"),
        ({"seeds": []}, r"seeds: expected one or more, each once, found \[\]"),
        ({"seeds": [1, 1]}, r"seeds: expected one or more, each once, found \[1, 1\]"),
        ({"seeds": [-1]}, "seed: expected 0 to .*, found -1"),
        ({"n_learners": 0}, "n_learners: expected 1 to .*, found 0"),
        ({"n_steps": 0}, "n_steps: expected 1 to .*, found 0"),
        ({"n_candidates": 0}, "n_candidates: expected 1 to .*, found 0"),
        ({"n_pool": 0}, "n_pool: expected 1 to .*, found 0"),
        ({"n_held_out": 0}, "n_held_out: expected 1 to .*, found 0"),
        ({"n_candidates": 20}, "sequences: expected 31 images or more, 8 to hold out .*, found 30"),
        ({"n_pool": 23}, "sequences: expected 31 images or more, 8 to hold out .*, found 30"),
    ],
)
def test_bad_lessons_are_refused(told: dict[str, Any], message: str, world: Sequences) -> None:
    with pytest.raises(ValueError, match=message):
        teaching.evaluate(drawn("static", world), world, **{**SMALL, **told})


def test_bad_images_of_lessons_are_refused(world: Sequences) -> None:
    tracer = drawn("static", world)
    with pytest.raises(TypeError, match=r"n_steps: expected an integer, found 1\.5"):
        teaching.evaluate(tracer, world, n_steps=1.5)
    with pytest.raises(ValueError, match="kind: expected a kind of learners, for the sequences are not"):
        teaching.evaluate(tracer, replace(world, about={}), **SMALL)
    with pytest.raises(ValueError, match="sequences: expected known features, which simulated learners see"):
        teaching.evaluate(tracer, replace(world, features=None), **SMALL)
    with pytest.raises(ValueError, match=r"sequences: expected the 3 classes .* found 2, "):
        teaching.evaluate(tracer, simulate("gradient", 2, 3, 1, n_classes=2, dimension=3), **SMALL)
