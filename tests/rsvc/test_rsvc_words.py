"""Concepts in words: what is asked, and what is read out of the answers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from diptych.language import ChatError, collage
from diptych.rsvc import words

ANSWER = """\
IC1: birds on branches
IC2: branches without birds
Similarity: branches before a sky
Difference: birds, in IC1 only
Semantic difference: Yes
"""


class Answering:
    """A model that gives its answers in turn, errors among them, and keeps what it was asked."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Sequence[Any]]] = []

    def ask(self, prompt: str, images: Sequence[Any] = ()) -> str:
        self.asked.append((prompt, images))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def picture(level: int) -> Any:
    return np.full((4, 4, 3), level, np.uint8)


def test_the_five_fields_of_an_answer() -> None:
    model = Answering(ANSWER)
    first, second = collage([picture(0)] * 5), collage([picture(9)] * 5)
    found = words.describe(model, first, second)
    assert found == words.Description(
        answer=ANSWER,
        ic1="birds on branches",
        ic2="branches without birds",
        similarity="branches before a sky",
        difference="birds, in IC1 only",
        semantic_difference=True,
    )
    assert not found.malformed
    ((prompt, images),) = model.asked
    assert images == (first, second)
    for line in ("IC1: ", "IC2: ", "Similarity: ", "Difference: ", "Semantic difference: Yes"):
        assert f"\n{line}" in prompt


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Yes", True),
        ("no.", False),
        ("[No]", False),
        ("**Yes**, as birds are alive", True),
        ("NO\nreally", False),
        ("YES - different", True),
    ],
)
def test_yes_and_no(said: str, meant: bool) -> None:
    found = words.read(ANSWER.replace("Yes", said))
    assert found.semantic_difference is meant
    assert not found.malformed


@pytest.mark.parametrize("said", ["Perhaps", "[Yes/No]", "Nothing much", "***"])
def test_neither_yes_nor_no(said: str) -> None:
    found = words.read(ANSWER.replace("Yes", said))
    assert found.semantic_difference is None
    assert found.problems == ("Semantic difference is neither Yes nor No",)
    assert found.difference == "birds, in IC1 only"


def test_a_malformed_answer_is_kept_word_for_word_and_marked() -> None:
    text = "I see <b>birds</b>.\nIC1: birds\n"
    found = words.describe(Answering(text), picture(0), picture(1))
    assert found.answer == text
    assert found.malformed
    assert found.ic1 == "birds"
    assert found.ic2 is None
    assert found.semantic_difference is None
    assert found.problems == (
        "IC2 is missing",
        "Similarity is missing",
        "Difference is missing",
        "Semantic difference is missing",
    )


def test_one_concept_that_fails_does_not_stop_the_others() -> None:
    model = Answering(ANSWER, ChatError("no answer"), "nonsense", ValueError())
    found = words.describe_many(model, [(picture(n), picture(n + 1)) for n in range(4)], shown=False)
    assert [each.error for each in found] == [None, "no answer", None, "ValueError"]
    assert [each.malformed for each in found] == [False, False, True, False]
    assert [each.answer for each in found] == [ANSWER, "", "nonsense", ""]
    assert [images[0][0, 0, 0] for _, images in model.asked] == [0, 1, 2, 3]


def test_an_error_of_a_single_question_is_the_callers() -> None:
    with pytest.raises(ChatError, match="no answer"):
        words.describe(Answering(ChatError("no answer")), picture(0), picture(1))
