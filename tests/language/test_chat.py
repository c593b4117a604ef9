"""Asking many questions, messages, and fields read out of answers."""

from collections.abc import Sequence
from typing import Any

import pytest

from diptych.language import ChatError, Message, ask_many, parse_fields
from diptych.language.chat import question


class Answering:
    """A model that answers with the prompt, or raises what its table has for it."""

    def __init__(self, errors: dict[str, BaseException], concurrency: int = 1) -> None:
        self.errors, self.concurrency = errors, concurrency
        self.asked: list[str] = []

    def ask(self, prompt: str, images: Sequence[Any] = ()) -> str:
        self.asked.append(prompt)
        if prompt in self.errors:
            raise self.errors[prompt]
        return prompt


QUESTIONS = [("one", ()), ("two", ()), ("three", ()), ("four", ())]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_question_that_fails_leaves_its_error(concurrency: int) -> None:
    errors = {"two": ChatError("no", status=500), "three": OSError("unreadable")}
    model = Answering(dict(errors), concurrency)
    assert ask_many(model, QUESTIONS, shown=False) == ["one", errors["two"], errors["three"], "four"]
    assert sorted(model.asked) == sorted(prompt for prompt, _ in QUESTIONS)


def test_after_a_final_error_nothing_more_is_asked() -> None:
    refused = ChatError("no such key", status=401, final=True)
    model = Answering({"two": refused})
    assert ask_many(model, QUESTIONS, shown=False) == ["one", refused, refused, refused]
    assert model.asked == ["one", "two"]


def test_an_interruption_ends_the_asking() -> None:
    model = Answering({"two": KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        ask_many(model, QUESTIONS * 50, shown=False)
    assert len(model.asked) < 200


def test_no_questions() -> None:
    assert ask_many(Answering({}), []) == []


@pytest.mark.usefixtures("impatient")
def test_the_bar_shows_an_eta_and_goes(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask_many(Answering({}), QUESTIONS) == ["one", "two", "three", "four"]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert ask_many(Answering({}), QUESTIONS, shown=False) == ["one", "two", "three", "four"]
    assert capsys.readouterr() == ("", "")


def test_a_message_has_a_role() -> None:
    assert question("What is it?") == Message("What is it?", (), "user")
    with pytest.raises(ValueError, match="role: expected 'user', 'system' or 'assistant', found 'tool'"):
        Message("What is it?", (), "tool")


@pytest.mark.parametrize(
    "answer",
    [
        "A: one\nB two: Yes",
        "  a : one  \n\nB TWO: Yes\n",
        "Sure! Here it is.\n\n**A:** one\n**B two**: Yes",
        "- A: one\n- B two: Yes",
        "1. A: one\r\n2. B  two: Yes\r\n",
        "# A: one\n> B two: Yes",
        "B two: Yes\nA: one",
    ],
)
def test_fields_in_many_dresses(answer: str) -> None:
    assert parse_fields(answer, ("A", "B two")) == ({"A": "one", "B two": "Yes"}, [])


def test_a_field_may_run_over_lines_and_hold_colons() -> None:
    fields, problems = parse_fields(
        "A: one\nmore: of it\n\nand more\nB two: A: no, this is text", ("A", "B two")
    )
    assert fields == {"A": "one\nmore: of it\n\nand more", "B two": "A: no, this is text"}
    assert problems == []


@pytest.mark.parametrize(
    ("answer", "fields", "problems"),
    [
        ("", {}, ["A is missing", "B two is missing"]),
        ("nothing of the kind", {}, ["A is missing", "B two is missing"]),
        ("A: one", {"A": "one"}, ["B two is missing"]),
        ("A:\nB two: Yes", {"B two": "Yes"}, ["A is empty"]),
        ("A: one\nA: other\nB two: Yes", {"B two": "Yes"}, ["A is given twice"]),
        ("AA: one\nB twofold: Yes", {}, ["A is missing", "B two is missing"]),
        ("A: one B two: Yes", {"A": "one B two: Yes"}, ["B two is missing"]),
    ],
)
def test_fields_that_are_not_there(answer: str, fields: dict[str, str], problems: list[str]) -> None:
    assert parse_fields(answer, ("A", "B two")) == (fields, problems)
