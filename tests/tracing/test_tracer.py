import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn_tracers import drawn
from made_up import random_sequences
from safetensors.torch import save_file

from diptych.tracing.batches import pad
from diptych.tracing.extractor import Head
from diptych.tracing.models import MODELS, step_by_step
from diptych.tracing.schedule import Epoch
from diptych.tracing.sequences import Sequences
from diptych.tracing.tracer import Tracer


@pytest.fixture(scope="module")
def answers() -> Sequences:
    return random_sequences([6, 4], [3, 5], dimension=4)


def followed(tracer: Tracer, sequences: Sequences, learner: int, name: str = "learner", **told: Any) -> None:
    """Have a tracer follow a learner through the training."""
    tracer.start(name)
    for row in np.flatnonzero((sequences.learner == learner) & ~sequences.test):
        image = sequences.features[sequences.item[row]]
        tracer.update(image, sequences.label[row], int(sequences.response[row]), **told)


@pytest.mark.parametrize("name", MODELS)
def test_following_a_learner_is_the_loop_over_steps(name: str, answers: Sequences) -> None:
    tracer = drawn(name, answers)
    features = tracer.extractor.embed(torch.from_numpy(answers.features))
    chances = step_by_step(tracer.model, pad(answers).batch(features))[pad(answers).shown].exp()
    # A dozen layers of float32 in another order.
    np.testing.assert_allclose(tracer.probabilities(answers), chances.detach(), rtol=0, atol=1e-5)
    for learner in (0, 1):
        followed(tracer, answers, learner)
        rows = (answers.learner == learner) & answers.test
        found = tracer.predict(answers.features[answers.item[rows]], answers.label[rows])
        np.testing.assert_allclose(found, chances[torch.from_numpy(rows)].detach(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["cls_pred", "cls_pred_y", "direct_y", "static", "dkt"])
def test_without_labels_the_classes_are_alike(name: str, answers: Sequences) -> None:
    tracer = drawn(name, answers)
    followed(tracer, answers, 0)
    images = answers.features
    each = [tracer.predict(images, np.full(len(images), y)) for y in range(3)]
    found = tracer.predict(images)
    assert found.shape == (len(images), 3)
    # A mean of three float32.
    np.testing.assert_allclose(found, np.mean(each, 0), rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["cls_pred", "cls_pred_y", "static", "static_time"])
def test_the_classifier_answers_as_the_tracer_does(name: str, answers: Sequences) -> None:
    tracer = drawn(name, answers)
    followed(tracer, answers, 0)
    features = tracer.embed(answers.features)
    for label in range(3):
        weights, offsets = tracer.classifier(label)
        powers = np.exp(features @ weights.T + offsets)
        chances = tracer.predict(answers.features, np.full(len(features), label))
        # float32 in another order.
        np.testing.assert_allclose(powers / powers.sum(1, keepdims=True), chances, rtol=0, atol=1e-5)
    means = [np.mean([tracer.classifier(label)[part] for label in range(3)], 0) for part in (0, 1)]
    for own, mean in zip(tracer.classifier(), means, strict=True):
        np.testing.assert_allclose(own, mean, rtol=0, atol=1e-6)


def test_each_update_changes_what_is_predicted(answers: Sequences) -> None:
    tracer = drawn("cls_pred_y", answers)
    tracer.start()
    before = tracer.predict(answers.features)
    tracer.update(answers.features[0], 0, 1)
    once = tracer.predict(answers.features)
    tracer.update(answers.features[0], "a", "b")
    assert not np.array_equal(before, once)
    assert not np.array_equal(once, tracer.predict(answers.features))
    tracer.start()
    assert np.array_equal(tracer.predict(answers.features), before)


def test_learners_side_by_side_are_apart(answers: Sequences) -> None:
    tracer = drawn("cls_pred_yz", answers)
    alone = []
    for learner in (0, 1):
        followed(tracer, answers, learner)
        alone.append(tracer.predict(answers.features))
    tracer.start("first")
    tracer.start("second")
    assert tracer.learners == ("learner", "first", "second")
    for step in range(6):
        for learner, name in enumerate(("first", "second")):
            rows = np.flatnonzero((answers.learner == learner) & ~answers.test)
            if step < len(rows):
                row = rows[step]
                told = answers.features[answers.item[row]], answers.label[row], answers.response[row]
                tracer.update(*told, learner=name)
    assert np.array_equal(tracer.predict(answers.features, learner="first"), alone[0])
    assert np.array_equal(tracer.predict(answers.features), alone[1])
    assert np.array_equal(tracer.classifier(0, learner="second")[0], tracer.classifier(0)[0])


def test_what_is_embedded_once_need_not_be_embedded_again(answers: Sequences) -> None:
    tracer = drawn("cls_pred_yz", answers)
    features = tracer.embed(answers.features)
    followed(tracer, answers, 0)
    found = tracer.predict(answers.features)
    assert np.array_equal(tracer.predict(features, embedded=True), found)
    tracer.start()
    for row in np.flatnonzero((answers.learner == 0) & ~answers.test):
        item = answers.item[row]
        tracer.update(features[item], answers.labels[item], answers.response[row], embedded=True)
    assert np.array_equal(tracer.predict(answers.features), found)


def test_response_times_are_told(answers: Sequences) -> None:
    tracer = drawn("cls_pred_y", answers, seconds=True)
    followed(tracer, answers, 0)
    unknown = tracer.predict(answers.features)
    followed(tracer, answers, 0, seconds=0.0)
    assert np.array_equal(tracer.predict(answers.features), unknown)
    followed(tracer, answers, 0, seconds=3.0)
    assert not np.array_equal(tracer.predict(answers.features), unknown)


@pytest.mark.parametrize("name", MODELS)
def test_a_tracer_is_kept(name: str, tmp_path: Path, answers: Sequences) -> None:
    tracer = drawn(name, answers, {"split": 0})
    tracer.history = (Epoch(1, 1.5, 2.5),)
    again = Tracer.load(tracer.save(tmp_path / "tracer.safetensors"))
    assert np.array_equal(again.probabilities(answers), tracer.probabilities(answers))
    assert (again.name, again.options, again.classes) == (name, tracer.options, answers.classes)
    assert (again.about, again.history) == (tracer.about, tracer.history)
    assert again.learners == ()


def test_a_head_is_kept(tmp_path: Path, answers: Sequences) -> None:
    torch.manual_seed(0)
    tracer = Tracer("static", {}, MODELS["static"](3, 8), Head(4, 8), answers.classes)
    again = Tracer.load(tracer.save(tmp_path / "tracer.safetensors"))
    assert np.array_equal(again.embed(answers.features), tracer.embed(answers.features))


def test_what_is_no_tracer_is_refused(tmp_path: Path, answers: Sequences) -> None:
    path = tmp_path / "tracer.safetensors"
    with pytest.raises(FileNotFoundError, match="no such file"):
        Tracer.load(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not a saved tracer"):
        Tracer.load(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="not a saved tracer"):
        Tracer.load(path)
    said = {"format": 2}
    save_file({"a": torch.zeros(1)}, path, {"diptych.tracing": json.dumps(said)})
    with pytest.raises(ValueError, match="it has format 2, this version reads 1"):
        Tracer.load(path)
    whole = drawn("static", answers).save(path).read_bytes()
    path.write_bytes(whole[:-4])
    with pytest.raises(ValueError, match="not a saved tracer"):
        Tracer.load(path)


def test_bad_calls_are_refused(answers: Sequences) -> None:
    tracer = drawn("cls_pred_y", answers)
    image = answers.features[0]
    with pytest.raises(KeyError, match="expected one who was started, nobody, found None"):
        tracer.predict(answers.features)
    tracer.start("me")
    with pytest.raises(KeyError, match="expected one who was started, me, found 'you'"):
        tracer.classifier(learner="you")
    with pytest.raises(ValueError, match="label: expected 0 to 2, found 3"):
        tracer.update(image, 3, 0)
    with pytest.raises(ValueError, match="response: expected one of 'a', 'b', 'c', found 'd'"):
        tracer.update(image, 0, "d")
    with pytest.raises(TypeError, match=r"response: expected an integer, found 0\.5"):
        tracer.update(image, 0, 0.5)
    with pytest.raises(ValueError, match="seconds: expected a finite number of at least 0, found -1"):
        tracer.update(image, 0, 0, seconds=-1.0)
    with pytest.raises(ValueError, match=r"images: expected features \(m, 4\), found shape \(1, 2, 4\)"):
        tracer.update(answers.features[:2], 0, 0)
    for embedded in (False, True):
        with pytest.raises(ValueError, match=r"images: expected features \(m, 4\), found shape \(12, 3\)"):
            tracer.predict(answers.features[:, :3], embedded=embedded)
    unknown = np.where(np.arange(12)[:, None] == 2, np.nan, answers.features)
    for call in (lambda: tracer.predict(unknown), lambda: tracer.update(unknown[2], 0, 0)):
        with pytest.raises(ValueError, match="images: expected finite numbers, found NaN or Inf in row"):
            call()
    with pytest.raises(ValueError, match="labels: expected 12 whole numbers, one per image, found shape"):
        tracer.predict(answers.features, [0, 1])
    with pytest.raises(ValueError, match="labels: expected 0 to 2, found 0 to 3"):
        tracer.predict(answers.features[:2], [0, 3])
    other = drawn("dkt", answers)
    other.start()
    with pytest.raises(TypeError, match="DeepKnowledgeTracing has no linear classifier"):
        other.classifier()
    for classes, found in ((("a", "b"), "2, a, b"), (("b", "a", "c"), "3, b, a, c")):
        with pytest.raises(ValueError, match=f"the 3 classes a, b, c of the tracer .* found {found}"):
            tracer.probabilities(replace(answers, classes=classes))
    with pytest.raises(ValueError, match="sequences: expected features of width 4, found 5"):
        tracer.probabilities(random_sequences([3], [0], dimension=5))
