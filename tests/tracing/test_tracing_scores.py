from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made_up import random_sequences
from sklearn.metrics import roc_auc_score
from test_tracer import drawn

from diptych.tracing.evaluate import carelessness, evaluate
from diptych.tracing.fingerprint import of_learners
from diptych.tracing.scores import BINS, score
from diptych.tracing.simulate import simulate
from diptych.tracing.train import fit


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """By its definition: the precision at each positive, those of equal score taken together."""
    found = [positive[scores >= scores[each]].mean() for each in np.flatnonzero(positive)]
    return float(np.mean(found))


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_their_definitions(seed: int) -> None:
    draw = np.random.default_rng(seed)
    chances = draw.dirichlet(np.ones(4), 60)
    # Some ties.
    chances[10:20] = chances[10]
    answers = draw.integers(4, size=60)
    answered = answers[:, None] == np.arange(4)
    found = score(chances, answers)
    each = [average_precision(chances[:, c], answered[:, c]) for c in range(4)]
    assert found.class_ap == pytest.approx(each)
    assert found.macro_ap == pytest.approx(np.mean(each))
    assert found.micro_ap == pytest.approx(average_precision(chances.ravel(), answered.ravel()))
    assert found.accuracy == (chances.argmax(1) == answers).mean()
    assert found.nll == pytest.approx(-np.log(chances[answered]).mean())
    top, right, ece = chances.max(1), chances.argmax(1) == answers, 0.0
    for low in range(BINS):
        inside = (top >= low / BINS) & (top < (low + 1) / BINS)
        if inside.any():
            ece += inside.mean() * abs(top[inside].mean() - right[inside].mean())
    assert found.ece == pytest.approx(ece)


def test_certainty_has_a_score() -> None:
    found = score(np.eye(3)[[0, 1, 1]], np.array([0, 1, 0]))
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.ece == pytest.approx(1 / 3)
    assert np.isfinite(found.nll)
    assert np.isnan(found.class_ap[2])
    assert found.macro_ap == pytest.approx(np.mean(found.class_ap[:2]))


@pytest.mark.parametrize(
    ("chances", "answers", "kind", "message"),
    [
        (np.zeros((0, 3)), np.zeros(0, int), ValueError, "probabilities: expected at least one row"),
        (np.eye(3), np.zeros(2, int), ValueError, r"responses: expected shape \(3,\), found \(2,\)"),
        (np.eye(3), np.zeros(3), TypeError, "responses: expected whole numbers, found"),
        (np.eye(3), np.array([0, 1, 3]), ValueError, "responses: expected 0 to 2, found 0 to 3"),
        (np.eye(3) * 2, np.arange(3), ValueError, "expected rows that sum to 1, found another in row 0"),
        (np.eye(3) * np.nan, np.arange(3), ValueError, "probabilities: expected finite numbers"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    chances: Any, answers: Any, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        score(chances, answers)


def test_a_frame_has_the_model_and_the_oracle_in_both_phases() -> None:
    sequences = simulate("gradient", n_learners=6, n_train=5, n_test=3, n_images=20, n_classes=3)
    tracer = drawn("cls_pred_y", sequences)
    frame = evaluate(tracer, sequences)
    assert frame[["model", "phase"]].to_numpy().tolist() == [
        [model, phase] for model in ("cls_pred_y", "oracle") for phase in ("train", "test")
    ]
    assert frame["answers"].tolist() == [30, 18, 30, 18]
    assert frame["learners"].tolist() == [6] * 4
    part = ~sequences.test
    own = score(tracer.probabilities(sequences)[part], sequences.response[part])
    assert sequences.truth is not None
    best = score(sequences.truth[part], sequences.response[part])
    for row, scores in ((0, own), (2, best)):
        assert frame.loc[row, "micro_ap"] == scores.micro_ap
        assert frame.loc[row, "ece"] == scores.ece
        for each, name in enumerate(sequences.classes):
            assert frame.loc[row, f"ap: {name}"] == scores.class_ap[each]
    untested = replace(random_sequences([4, 3], [0, 0], dimension=8), classes=sequences.classes)
    assert evaluate(tracer, untested)["model"].tolist() == ["cls_pred_y"]


def test_learners_that_a_tracer_was_trained_with_are_left_out() -> None:
    sequences = random_sequences([4, 3, 5, 2], [2, 2, 2, 2])
    tracer = drawn("static", sequences)
    digests = of_learners(sequences)
    tracer.about["learners"] = [digests[each] for each in (0, 2)]
    assert tracer.seen(sequences).tolist() == [True, False, True, False]
    assert evaluate(tracer, sequences).equals(evaluate(tracer, sequences.of(np.array([1, 3]))))
    assert evaluate(tracer, sequences, seen=True)["learners"].tolist() == [4, 4]
    # The same names, with other answers, are others.
    assert not tracer.seen(random_sequences([4, 3, 5, 2], [2, 2, 2, 2], seed=1)).any()
    # Who has answered more since is known all the same.
    longer = random_sequences([4, 3, 5, 2], [4, 4, 4, 4])
    kept = np.flatnonzero(longer.step < sequences.lengths[longer.learner])
    for name in ("item", "response", "test"):
        getattr(longer, name)[kept] = getattr(sequences, name)
    assert tracer.seen(longer).tolist() == [True, False, True, False]
    with pytest.raises(ValueError, match="expected learners that the tracer has not seen, found none among"):
        evaluate(tracer, sequences.of(np.array([0, 2])))


def test_carelessness_is_the_mean_surprise_of_the_first_answers() -> None:
    sequences = random_sequences([4, 2], [2, 1])
    tracer = drawn("static", sequences)
    frame = carelessness(tracer, sequences, after=(2, 4))
    chances = tracer.probabilities(sequences)
    own = [chances[row, sequences.response[row]] for row in range(4)]
    assert frame["learner"].tolist() == ["learner 0", "learner 0", "learner 1"]
    assert frame["answers"].tolist() == [2, 4, 2]
    # float32 probabilities.
    assert frame["score"][1] == pytest.approx(-np.log(own).mean(), rel=1e-5)
    assert frame["right"][1] == (sequences.response[:4] == sequences.label[:4]).mean()
    assert carelessness(tracer, sequences, after=(99,)).empty
    with pytest.raises(ValueError, match="after: expected 1 to"):
        carelessness(tracer, sequences, after=(0,))


@pytest.mark.parametrize("seed", range(3))
def test_careless_learners_are_told_the_better_the_more_they_answered(seed: int) -> None:
    sequences = simulate("prototype", n_learners=120, n_test=0, seed=seed, careless=0.25, n_classes=4)
    tracer = fit(sequences, "prototype", epochs=12, learning_rate=0.1, batch_size=42, progress=False)
    frame = carelessness(tracer, sequences)
    careless = frame["learner"].isin(sequences.about["careless"])
    areas = {
        answers: roc_auc_score(careless[frame["answers"] == answers], rows["score"])
        for answers, rows in frame.groupby("answers")
    }
    assert areas[10] > 0.7
    assert areas[30] > 0.92
    assert areas[10] < areas[20] < areas[30]
