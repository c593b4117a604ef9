"""Grids in words: what is asked, what is read, and what one failure costs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from diptych.language import ChatError
from diptych.rdx import words
from diptych.rdx.results import Explanations, Parameters, RDXResult


class Answering:
    """A model that names the grey levels of the grid it is shown, from left to right."""

    def __init__(self, errors: dict[int, Exception] | None = None) -> None:
        self.errors = errors or {}
        self.asked: list[tuple[str, np.ndarray]] = []

    def ask(self, prompt: str, images: Sequence[Any] = ()) -> str:
        (sheet,) = images
        self.asked.append((prompt, np.asarray(sheet)))
        if len(self.asked) in self.errors:
            raise self.errors[len(self.asked)]
        levels = [str(level) for level in np.asarray(sheet)[::4, ::4, 0].ravel()]
        return f"Description: {' '.join(levels)}"


IMAGES = np.arange(12, dtype=np.uint8)[:, None, None, None].repeat(3, 1).repeat(3, 2).repeat(3, 3)


def comparison(a: list[list[int]], b: list[list[int]]) -> RDXResult:
    def side(grids: list[list[int]]) -> Explanations:
        m = len(grids)
        arrays = [np.array(grid, np.int64) for grid in grids]
        return Explanations(arrays, np.full(12, -1), 0.9, np.full(m, 0.9), np.full(m, 0.1))

    return RDXResult(side(a), side(b), Parameters())


def test_each_grid_is_shown_in_its_order() -> None:
    model = Answering()
    result = comparison([[3, 1, 2, 0], [7, 6, 5, 4]], [[8, 9, 10, 11]])
    a, b = words.describe(model, result, IMAGES, cell=4, shown=False)
    # Cells of 4 pixels with 4 between them: every second pixel of four is the white of a gap.
    assert [each.description for each in a] == ["3 255 1 255 255 255 2 255 0", "7 255 6 255 255 255 5 255 4"]
    assert [each.description for each in b] == ["8 255 9 255 255 255 10 255 11"]
    assert not any(each.malformed or each.error for each in (*a, *b))
    assert {prompt for prompt, _ in model.asked} == {words.PROMPT}
    assert "\nDescription: " in words.PROMPT


def test_images_may_come_from_a_function() -> None:
    result = comparison([[3]], [])
    assert words.describe(Answering(), result, lambda item: IMAGES[item], cell=4, shown=False) == (
        [words.GridDescription("Description: 3", "3")],
        [],
    )


def test_no_grids() -> None:
    model = Answering()
    assert words.describe(model, comparison([], []), IMAGES, shown=False) == ([], [])
    assert model.asked == []


def test_one_grid_that_fails_does_not_stop_the_others() -> None:
    def look(item: int) -> Any:
        if item == 5:
            raise ValueError("5.jpg: damaged")
        return IMAGES[item]

    model = Answering({2: ChatError("no answer")})
    a, b = words.describe(model, comparison([[0], [4, 5]], [[1], [2]]), look, cell=4, shown=False)
    assert [each.error for each in a] == [None, "5.jpg: damaged"]
    assert [each.error for each in b] == ["no answer", None]
    assert [each.description for each in (*a, *b)] == ["0", None, None, "2"]


def test_images_that_are_none() -> None:
    with pytest.raises(TypeError, match="images: expected pictures by item, or a function"):
        words.describe(Answering(), comparison([[0]], []), 7)


def test_one_grid() -> None:
    assert words.describe_grid(Answering(), IMAGES[:2], cell=4).description == "0 255 1"
    with pytest.raises(ChatError, match="no answer"):
        words.describe_grid(Answering({1: ChatError("no answer")}), IMAGES[:2])
    with pytest.raises(ValueError, match="at least one picture"):
        words.describe_grid(Answering(), [])


@pytest.mark.parametrize(
    "answer", ["They are <b>birds</b>.", "Description:", "Description: a\nDescription: b", ""]
)
def test_a_malformed_answer_is_kept_word_for_word_and_marked(answer: str) -> None:
    found = words.read(answer)
    assert found.answer == answer
    assert found.malformed
    assert found.description is None
