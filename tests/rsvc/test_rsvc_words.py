"""Concepts in words: what is asked, and what is read out of the answers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rsvc_results import comparison, pictures

from diptych import rsvc
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


class Keeping:
    """A model that keeps what it is shown, and says the same of all."""

    def __init__(self) -> None:
        self.shown: list[list[Any]] = []

    def ask(self, prompt: str, images: Sequence[Any] = ()) -> str:
        self.shown.append([np.asarray(image) for image in images])
        return ANSWER


def pair(result: Any, network: int, concept: int, images: Any) -> list[Any]:
    """Both collages of a concept, by hand."""
    own, cross = (("1", "2to1"), ("2", "1to2"))[network - 1]
    real = getattr(result, f"coefficients_{own}")[:, concept]
    chosen = rsvc.collages(real, getattr(result, f"predicted_{cross}")[:, concept], result.groups)
    return [np.asarray(collage([images[patch] for patch in each], cell=8)) for each in chosen[:2]]


@pytest.fixture(scope="module")
def result() -> Any:
    return comparison()


@pytest.mark.usefixtures("one_thread")
def test_the_concepts_that_are_shown_are_asked_about(result: Any) -> None:
    images, model = pictures(), Keeping()
    found = words.describe_concepts(model, result, images, cell=8, shown=False)
    falls = result.cmcs_2to1 - result.smcs_1, result.cmcs_1to2 - result.smcs_2
    harms = result.replacement_1["delta_kl"], result.replacement_2["delta_kl"]
    expected = [
        (network, None, concept)
        for network in (1, 2)
        for concept in rsvc.chosen_concepts(falls[network - 1], harms[network - 1]).tolist()
    ]
    assert list(found) == expected
    assert {each.ic2 for each in found.values()} == {"branches without birds"}
    for (network, _, concept), shown in zip(expected, model.shown, strict=True):
        for drawn, by_hand in zip(shown, pair(result, network, concept, images), strict=True):
            np.testing.assert_array_equal(drawn, by_hand)


def test_patches_come_as_the_page_takes_them(result: Any) -> None:
    images = pictures()
    sources = [
        images,
        lambda patch: images[patch],
        (images / 255).astype(np.float32),
        images.transpose(0, 3, 1, 2),
        dict(enumerate(images)),
    ]
    shown = []
    for source in sources:
        model = Keeping()
        assert words.describe_concepts(model, result, source, count=1, cell=8, shown=False)
        shown.append(model.shown)
    for other in shown[1:]:
        np.testing.assert_equal(other, shown[0])


def test_many_classes_share_the_choice() -> None:
    results = {"cat": comparison(0, heads=False), "dog": comparison(1, heads=False)}
    patches = {"cat": pictures(0), "dog": pictures(1)}
    model = Keeping()
    found = words.describe_concepts(model, results, patches, count=2, cell=8, shown=False)
    # In either class it is the planted concept whose similarity falls most.
    assert {(key.network, key.label) for key in found} == {(n, label) for n in (1, 2) for label in results}
    for (network, label, concept), shown in zip(found, model.shown, strict=True):
        by_hand = pair(results[label], network, concept, patches[label])
        np.testing.assert_equal(shown, by_hand)


def test_a_concept_that_is_never_predicted_too_low_is_not_asked_about(result: Any) -> None:
    model = Keeping()
    high = replace(result, predicted_2to1=result.coefficients_1 + 1)
    found = words.describe_concepts(model, high, pictures(), shown=False)
    for key, each in found.items():
        assert (each.error is None) == (key.network == 2)
    assert any("no patch is predicted too low" in (each.error or "") for each in found.values())
    assert len(model.shown) == sum(key.network == 2 for key in found)


def test_nothing_to_show_is_nothing_to_ask() -> None:
    model = Keeping()
    assert words.describe_concepts(model, comparison(same=True), pictures(), shown=False) == {}
    assert model.shown == []


def test_one_picture_that_cannot_be_read_costs_its_concept(result: Any) -> None:
    def look(patch: int) -> Any:
        raise ValueError(f"{patch}.jpg: damaged")

    found = words.describe_concepts(Keeping(), result, look, shown=False)
    assert found
    assert all("jpg: damaged" in (each.error or "") for each in found.values())


@pytest.mark.parametrize(
    ("results", "patches", "options", "error", "message"),
    [
        ([1], pictures(), {}, TypeError, "results: expected results by their class, found list"),
        ({}, {}, {}, ValueError, "results: expected at least one class"),
        ({"a": 1}, {}, {}, TypeError, "expected RSVCResult of class 'a', found int"),
        ("one", 7, {}, TypeError, "patches: expected pictures by patch, or a function of a patch, found int"),
        ("one", pictures()[:5], {}, ValueError, "patches: expected 48 pictures, one per patch, found 5"),
        ("many", pictures(), {}, TypeError, "patches: expected a mapping by class, found ndarray"),
        ("many", {"b": pictures()}, {}, ValueError, "patches: found none for 1 classes, 'a' among them"),
        ("many", {"a": pictures()[:5]}, {}, ValueError, "expected 48 pictures of class 'a'"),
        ("one", pictures(), {"count": 0}, ValueError, "count: expected 1"),
    ],
)
def test_bad_input_is_named(
    result: Any, results: Any, patches: Any, options: Any, error: type[Exception], message: str
) -> None:
    if isinstance(results, str):
        results = {"one": result, "many": {"a": result}}[results]
    model = Keeping()
    with pytest.raises(error, match=message):
        words.describe_concepts(model, results, patches, shown=False, **options)
    assert model.shown == []
