import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from collect_images import CLASSES

from diptych.collect import Store, Study, export
from diptych.collect.session import ConflictError, Sessions, UnknownLearnerError

AnswerAll = Callable[..., None]


def test_a_learner_goes_through_training_with_feedback_and_a_test_without(
    sessions: Sessions, token: str
) -> None:
    screens = []
    for step in range(6):
        told = sessions.go(token, "visit")
        screens.append(told["screen"])
        assert (told["step"], told["steps"], told["trial"]["classes"]) == (step, 6, CLASSES)
        assert "feedback" not in told
        sessions.answer(token, "visit", step, [0, 1, 2], 1.0)
        told = sessions.go(token, "visit")
        if step < 4:
            assert (told["screen"], told["step"], told["answer"]) == ("feedback", step, [0, 1, 2])
            trial = sessions.store.steps(0)[step].trial
            assert told["feedback"] == {"label": sessions.store.study.kind.labels[trial.images[0]]}
            sessions.go(token, "visit", step)
    assert screens == ["trial"] * 6
    assert sessions.go(token, "visit") == {"screen": "end", "steps": 6}


def test_places_are_counted_in_each_phase(sessions: Sessions, token: str, answer_all: AnswerAll) -> None:
    places = []
    for _ in range(6):
        told = sessions.go(token, "visit")
        places.append((told["phase"], told["place"], told["places"]))
        answer_all(token, 1)
    assert places == [("train", each, 4) for each in range(4)] + [("test", each, 2) for each in range(2)]


def test_a_reload_at_any_point_shows_the_same(sessions: Sessions, token: str) -> None:
    trial = sessions.go(token, "one")
    assert sessions.go(token, "two") == trial
    sessions.answer(token, "two", 0, [2, 1, 0], 1.0)
    feedback = sessions.go(token, "two")
    assert feedback["screen"] == "feedback"
    assert sessions.go(token, "three") == feedback
    following = sessions.go(token, "three", 0)
    assert (following["screen"], following["step"]) == ("trial", 1)
    # The same word again changes nothing, and neither does one of a step that is not the last.
    assert sessions.go(token, "three", 0) == following
    assert sessions.go(token, "three", 5) == following


def test_a_new_server_goes_on_where_the_last_stopped(
    sessions: Sessions, token: str, study: Study, answer_all: AnswerAll
) -> None:
    answer_all(token, 2)
    before = sessions.go(token, "visit")
    sessions.store.close()
    store = Store(sessions.store.path, study)
    assert Sessions(store).go(token, "visit") == before
    store.close()


def test_the_same_answer_again_is_kept_once(sessions: Sessions, token: str, clock) -> None:
    sessions.go(token, "visit")
    clock.now += 9
    sessions.answer(token, "visit", 0, [0, 1, 2], 1.0)
    sessions.answer(token, "visit", 0, [0, 1, 2], 2.0)
    assert [step.answer for step in sessions.store.steps(0)] == [[0, 1, 2]] + [None] * 5
    assert sessions.store.steps(0)[0].seconds == 1.0
    sessions.go(token, "visit", 0)
    # Also when the learner has gone on.
    sessions.answer(token, "visit", 0, [0, 1, 2], 3.0)
    assert sessions.go(token, "visit")["step"] == 1


def test_another_answer_to_a_step_is_refused(sessions: Sessions, token: str) -> None:
    sessions.go(token, "visit")
    sessions.answer(token, "visit", 0, [0, 1, 2], 1.0)
    with pytest.raises(ConflictError, match="another answer to this step came before"):
        sessions.answer(token, "visit", 0, [1, 0, 2], 1.0)
    assert sessions.store.steps(0)[0].answer == [0, 1, 2]


def test_a_step_is_answered_only_when_it_has_been_shown(sessions: Sessions, token: str) -> None:
    with pytest.raises(ConflictError, match="has not been shown"):
        sessions.answer(token, "visit", 0, [0, 1, 2], 1.0)
    sessions.go(token, "visit")
    sessions.answer(token, "visit", 0, [0, 1, 2], 1.0)
    # The next is shown when the learner goes on from the feedback.
    sessions.go(token, "visit")
    with pytest.raises(ConflictError, match="has not been shown"):
        sessions.answer(token, "visit", 1, [0, 1, 2], 1.0)


@pytest.mark.parametrize(
    ("step", "answer", "seconds", "told"),
    [
        (6, [0, 1, 2], 1.0, "step: expected 0 to 5, found 6"),
        (-1, [0, 1, 2], 1.0, "step: expected 0 to 5, found -1"),
        (0, [0, 1], 1.0, "answer: expected a list of 3"),
        (0, [0, 1, 2], -0.1, "response_time: expected seconds that are not negative, found -0.1"),
        (0, [0, 1, 2], math.nan, "response_time: .* found nan"),
        (0, [0, 1, 2], math.inf, "response_time: .* found inf"),
    ],
)
def test_what_is_no_answer_is_refused(
    sessions: Sessions, token: str, step: int, answer: list[int], seconds: float, told: str
) -> None:
    sessions.go(token, "visit")
    with pytest.raises(ValueError, match=told):
        sessions.answer(token, "visit", step, answer, seconds)
    assert all(each.answer is None for each in sessions.store.steps(0))


@pytest.mark.parametrize(
    ("visit", "seconds", "kept"),
    [
        ("first", 3.0, 3.0),
        ("first", None, None),
        # No browser measures more than went by since the trial was sent, but for clocks that are set.
        ("first", 6.9, 6.9),
        ("first", 7.1, None),
        # After a reload the time since the image was first seen is not known.
        ("second", 3.0, None),
    ],
)
def test_only_times_that_can_be_are_kept(
    sessions: Sessions, token: str, clock, visit: str, seconds: float | None, kept: float | None
) -> None:
    sessions.go(token, "first")
    clock.now += 5
    sessions.go(token, visit)
    sessions.answer(token, visit, 0, [0, 1, 2], seconds)
    assert sessions.store.steps(0)[0].seconds == kept
    assert sessions.store.steps(0)[0].answer == [0, 1, 2]


def test_only_images_up_to_the_next_may_be_fetched(
    sessions: Sessions, token: str, answer_all: AnswerAll
) -> None:
    steps = sessions.store.steps(0)
    assert [sessions.image(token, step, 0) for step in (0, 1)] == [step.trial.images[0] for step in steps[:2]]
    for step, place in ((2, 0), (-1, 0), (0, 1), (0, -1), (10**9, 0)):
        with pytest.raises(UnknownLearnerError):
            sessions.image(token, step, place)
    answer_all(token, 6)
    assert sessions.image(token, 5, 0) == steps[5].trial.images[0]
    with pytest.raises(UnknownLearnerError):
        sessions.image(token, 6, 0)


def test_only_tickets_of_ours_let_somebody_begin(sessions: Sessions) -> None:
    ticket = sessions.ticket()
    token, signature = ticket.split(".")
    for wrong in ("", "a.b", token, f"{token}.", f"{token}x.{signature}", f"{token}.{signature[:-1]}", "é.é"):
        with pytest.raises(UnknownLearnerError):
            sessions.begin(wrong)
    assert sessions.store.learners() == []
    assert sessions.begin(ticket) == sessions.begin(ticket) == token
    assert len(sessions.store.learners()) == 1


def test_nobody_is_known_by_another_token(sessions: Sessions, token: str) -> None:
    for wrong in ("", "0", token[:-1], token + "x", token.swapcase()):
        with pytest.raises(UnknownLearnerError, match="nobody has begun at this address"):
            sessions.go(wrong, "visit")
        with pytest.raises(UnknownLearnerError):
            sessions.answer(wrong, "visit", 0, [0, 1, 2], 1.0)
        with pytest.raises(UnknownLearnerError):
            sessions.image(wrong, 0, 0)


def test_an_export_has_a_row_for_each_answer(
    sessions: Sessions, token: str, tmp_path: Path, answer_all: AnswerAll
) -> None:
    other, single = (sessions.begin(sessions.ticket()) for _ in range(2))
    answer_all(token, 6)
    answer_all(other, 2, (2, 0, 1))
    answer_all(single, 1)
    told = export(sessions.store.path, tmp_path / "answers.jsonl")
    # A single answer is no sequence.
    assert (told.learners, told.steps, told.left_out) == (2, 8, 1)
    content = (tmp_path / "answers.jsonl").read_text()
    header, *rows = map(json.loads, content.splitlines())
    names = {number: learner.name for number, learner in enumerate(sessions.store.learners())}
    kind = sessions.store.study.kind
    assert [row["learner"] for row in rows] == sorted([names[0]] * 6 + [names[1]] * 2)
    for number, (steps, ranking) in enumerate([(6, (0, 1, 2)), (2, (2, 0, 1))]):
        trials = [step.trial for step in sessions.store.steps(number)][:steps]
        expected = [
            {
                "learner": names[number],
                "step": step,
                "phase": trial.phase,
                "image": kind.images[trial.images[0]],
                "label": CLASSES[kind.labels[trial.images[0]]],
                "response": CLASSES[ranking[0]],
                "ranking": [CLASSES[each] for each in ranking],
                "response_time": 1.5,
            }
            for step, trial in enumerate(trials)
        ]
        assert [row for row in rows if row["learner"] == names[number]] == expected
    assert header == {
        "format": 1,
        "classes": list(CLASSES),
        "images": {name: CLASSES[label] for name, label in zip(kind.images, kind.labels, strict=True)},
        "about": {"trials": "ranking", "train": 4, "test": 2, "seed": 3},
    }
    assert token not in content
    assert other not in content


def test_tracing_loads_an_export(
    sessions: Sessions, token: str, folder: Path, tmp_path: Path, answer_all: AnswerAll
) -> None:
    data = pytest.importorskip("diptych.tracing.data", reason="diptych.tracing reads no files yet")
    answer_all(token, 6, (1, 2, 0))
    export(sessions.store.path, tmp_path / "answers.jsonl")
    sequences = data.load(tmp_path / "answers.jsonl", images=folder)
    kind = sessions.store.study.kind
    shown = [step.trial.images[0] for step in sessions.store.steps(0)]
    assert sequences.classes == CLASSES
    assert [sequences.items[item] for item in sequences.item] == [kind.images[image] for image in shown]
    assert [sequences.labels[item] for item in sequences.item] == [kind.labels[image] for image in shown]
    assert sequences.test.tolist() == [False] * 4 + [True] * 2
    assert sequences.rankings.tolist() == [[1, 2, 0]] * 6
    assert sequences.seconds.tolist() == [1.5] * 6


def test_an_export_needs_a_file_of_answers_and_another_to_write(sessions: Sessions, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file of answers"):
        export(tmp_path / "missing.sqlite", tmp_path / "out.jsonl")
    with pytest.raises(ValueError, match="expected another file than that of the answers"):
        export(sessions.store.path, sessions.store.path)
    assert not (tmp_path / "out.jsonl").exists()
