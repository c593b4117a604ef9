"""What a vision-language model says, on the pages and in the file beside them; without a browser."""

import csv
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rsvc_results import NAMES, comparison, pictures

from diptych import report
from diptych.language import ChatError
from diptych.rdx import words as rdx_words
from diptych.rdx.results import RDXResult
from diptych.rsvc import words as rsvc_words

pytestmark = pytest.mark.usefixtures("one_thread")

HOSTILE = "</p><script>alert(1)</script>{{ 7 * 7 }}"
GOOD = "Description: birds & branches\n"


def read(page: str) -> str:
    """The page as a reader's eye has it: no scripts, no styles, no tags, single spaces."""
    text = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", page)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def table(folder: Path) -> list[dict[str, str]]:
    with open(folder / "descriptions.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def part(page: str, name: str) -> str:
    """The card of that name."""
    found = re.search(rf'(?s)<article class="[^"]*" id="{name}".*?</article>', page)
    assert found is not None
    return found[0]


@pytest.fixture(scope="module")
def grids(digits: Any) -> RDXResult:
    return replace(digits.result, embeddings=None)


@pytest.fixture(scope="module")
def described(grids: RDXResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a description, a malformed answer, a question that failed and hostile text of each kind."""
    failed = rdx_words.GridDescription(error="no answer <b>at</b> all")
    a = [rdx_words.read(GOOD), rdx_words.read(f"I see\n  birds. {HOSTILE}"), failed]
    b = [rdx_words.read(f"Description: {HOSTILE}"), replace(failed, error=HOSTILE), rdx_words.read(GOOD)]
    path = tmp_path_factory.mktemp("grids") / "report"
    return report.write(grids, path, descriptions=(a, b), described_by="seer <7b>", progress=False)


def test_a_grid_has_its_description_marked_as_a_guess(described: Path) -> None:
    page = (described / "index.html").read_text("utf-8")
    assert "A model’s guess birds &amp; branches" in read(part(page, "a-1"))
    assert "A model’s guess birds &amp; branches" in read(part(page, "b-3"))
    assert page.count("seer &lt;7b&gt;, a vision-language model, says") == 1
    assert "in descriptions.csv ." in read(page)


def test_a_malformed_answer_is_shown_word_for_word_and_marked(described: Path) -> None:
    card = part((described / "index.html").read_text("utf-8"), "a-2")
    assert "not in the form asked for: Description is missing" in read(card)
    assert "I see\n  birds. &lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt;{{ 7 * 7 }}" in card
    assert "A model’s guess" not in card


def test_a_failed_question_is_told_quietly(described: Path) -> None:
    card = part((described / "index.html").read_text("utf-8"), "a-3")
    assert "<summary>No description</summary><p>no answer &lt;b&gt;at&lt;/b&gt; all</p></details>" in card
    assert " open" not in card
    assert "A model’s" not in card


def test_what_a_model_says_is_escaped(described: Path) -> None:
    page = (described / "index.html").read_text("utf-8")
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;{{ 7 * 7 }}") == 3
    assert len(re.findall(r"<script", page)) == 2  # the data, the page's own


def test_the_table_of_grids_holds_every_answer(described: Path) -> None:
    rows = table(described)
    assert [(row["representation"], row["group"]) for row in rows] == [
        (name, number) for name in ("Upper half", "Lower half") for number in "123"
    ]
    assert {row["model"] for row in rows} == {"seer <7b>"}
    assert rows[0] | {"model": ""} == {
        "representation": "Upper half",
        "group": "1",
        "description": "birds & branches",
        "answer": GOOD,
        "problems": "",
        "error": "",
        "model": "",
    }
    assert rows[1]["answer"] == f"I see\n  birds. {HOSTILE}"
    assert (rows[1]["problems"], rows[1]["description"]) == ("Description is missing", "")
    assert rows[2]["error"] == "no answer <b>at</b> all"


def test_without_descriptions_nothing_is_said_of_them(grids: RDXResult, tmp_path: Path) -> None:
    path = report.write(grids, tmp_path / "r", progress=False)
    assert not (path / "descriptions.csv").exists()
    page = (path / "index.html").read_text("utf-8")
    assert 'class="said' not in page
    assert "descriptions.csv" not in page


def test_a_report_with_descriptions_can_be_replaced(
    identical: RDXResult, described: Path, tmp_path: Path
) -> None:
    path = report.write(identical, tmp_path / "r", descriptions=([], []), progress=False)
    assert table(path) == []
    report.write(identical, path, overwrite=True, progress=False)
    assert not (path / "descriptions.csv").exists()


def test_text_that_utf8_cannot_hold_is_written(grids: RDXResult, tmp_path: Path) -> None:
    odd = [rdx_words.read("Description: \ud800 and a NUL \0 there")] * 3
    path = report.write(grids, tmp_path / "r", descriptions=(odd, odd), progress=False)
    assert "? and a NUL" in (path / "index.html").read_text("utf-8")
    assert table(path)[0]["description"] == "\\ud800 and a NUL \0 there"


def test_no_cell_is_a_formula(grids: RDXResult, tmp_path: Path) -> None:
    odd = [
        rdx_words.GridDescription(answer=f"{first}1+1", description=f"{first}2", error=f"{first}3")
        for first in ("=", "+", "-", "@", "\t", "\r")
    ]
    path = report.write(
        replace(grids, names=("=A", "B")),
        tmp_path / "r",
        descriptions=(odd[:3], odd[3:]),
        described_by="=4",
        progress=False,
    )
    rows = table(path)
    assert [row["representation"] for row in rows] == ["'=A"] * 3 + ["B"] * 3
    assert [row["group"] for row in rows] == ["1", "2", "3"] * 2
    for row, each in zip(rows, odd, strict=True):
        assert (row["answer"], row["description"]) == (f"'{each.answer}", f"'{each.description}")
        assert (row["problems"], row["error"], row["model"]) == ("", f"'{each.error}", "'=4")


_GRID = rdx_words.read(GOOD)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"descriptions": ([_GRID] * 2, [_GRID] * 3)},
            ValueError,
            "expected 3 of Upper half, one per grid, found 2",
        ),
        ({"descriptions": ([_GRID] * 3, [])}, ValueError, "expected 3 of Lower half, one per grid, found 0"),
        ({"descriptions": [_GRID] * 6}, TypeError, r"expected \(a, b\), .* found list"),
        ({"descriptions": 7}, TypeError, r"expected \(a, b\), .* found int"),
        ({"descriptions": ("abc", "abc")}, TypeError, "expected a list of those of Upper half, found str"),
        ({"descriptions": (["a"] * 3, [_GRID] * 3)}, TypeError, "GridDescription of Upper half, found str"),
        ({"described_by": "seer"}, ValueError, "described_by: expected descriptions beside it"),
        (
            {"descriptions": ([_GRID] * 3,) * 2, "described_by": 7},
            TypeError,
            "described_by: expected the name of a model, found int",
        ),
    ],
)
def test_descriptions_that_do_not_fit_the_grids(
    grids: RDXResult, options: Any, error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        report.write(grids, tmp_path / "r", progress=False, **options)
    assert list(tmp_path.iterdir()) == []


def answer(of: str, semantic: str = "Yes") -> str:
    return (
        f"IC1: {of} birds\nIC2: {of} branches\nSimilarity: {of} sky\nDifference: {of} wings\n"
        f"Semantic difference: {semantic}"
    )


class Counting:
    """A model whose answers are numbered; the second is malformed, the third an error."""

    def __init__(self) -> None:
        self.asked = 0

    def ask(self, prompt: str, images: Any = ()) -> str:
        self.asked += 1
        if self.asked == 2:
            return f"Two {HOSTILE}"
        if self.asked == 3:
            raise ChatError(HOSTILE)
        return answer(f"{HOSTILE if self.asked == 4 else self.asked}", "No" if self.asked == 1 else "Yes")


@pytest.fixture(scope="module")
def result() -> Any:
    return comparison(heads=False)


@pytest.fixture(scope="module")
def concepts(result: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[Any, Any], Path]:
    found = rsvc_words.describe_concepts(Counting(), result, pictures(), shown=False)
    path = tmp_path_factory.mktemp("concepts") / "report"
    written = report.write(
        result, path, patches=pictures(), descriptions=found, described_by="seer", progress=False
    )
    return found, written


def card_of(key: tuple[int, Any, int]) -> str:
    return f"{'ab'[key[0] - 1]}-0-{key[2]}"


def test_the_concepts_asked_about_are_those_shown(concepts: Any) -> None:
    found, folder = concepts
    page = (folder / "index.html").read_text("utf-8")
    shown = re.findall(r'<article class="concept . *" id="([^"]+)"', page)
    assert sorted(shown) == sorted(card_of(key) for key in found)
    assert page.count('class="said') == len(shown) == 6


def test_a_concept_has_its_five_fields(concepts: Any) -> None:
    found, folder = concepts
    page = (folder / "index.html").read_text("utf-8")
    first, *_, last = found
    assert (
        "A model’s guess IC1, most of it 1 birds IC2, predicted too low 1 branches Similarity 1 sky "
        "Difference 1 wings Semantic difference No"
    ) in read(part(page, card_of(first)))
    assert "Semantic difference Yes" in read(part(page, card_of(last)))
    assert page.count("seer, a vision-language model, says") == 1
    assert "in descriptions.csv ." in read(page)


def test_malformed_failed_and_hostile_answers_about_concepts(concepts: Any) -> None:
    found, folder = concepts
    page = (folder / "index.html").read_text("utf-8")
    cards = [part(page, card_of(key)) for key in found]
    escaped = "&lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt;{{ 7 * 7 }}"
    assert "not in the form asked for: IC1 is missing; IC2 is missing;" in cards[1]
    assert f">Two {escaped}</p>" in cards[1]
    assert f"<summary>No description</summary><p>{escaped}</p>" in cards[2]
    assert cards[3].count(escaped) == 4
    assert "<script>alert" not in page


def test_the_table_of_concepts_holds_every_answer(concepts: Any) -> None:
    found, folder = concepts
    rows = table(folder)
    assert [(NAMES.index(row["network"]) + 1, int(row["concept"])) for row in rows] == [
        (network, concept) for network, _, concept in found
    ]
    assert "class" not in rows[0]
    fields = ["1 birds", "1 branches", "1 sky", "1 wings", "No"]
    assert [
        rows[0][key] for key in ("ic1", "ic2", "similarity", "difference", "semantic_difference")
    ] == fields
    assert rows[0]["answer"] == answer("1", "No")
    assert rows[1]["answer"] == f"Two {HOSTILE}"
    assert rows[2]["error"] == HOSTILE


def test_descriptions_of_many_classes(result: Any, tmp_path: Path) -> None:
    fall = result.cmcs_1to2 - result.smcs_2
    lowest, highest = int(fall.argmin()), int(fall.argmax())
    given = {(2, "dog", concept): rsvc_words.read(answer("a")) for concept in (lowest, highest)}
    classes = {"cat": result, "dog": result}
    # Two classes alike: the lowest of either is shown, the highest of neither.
    path = report.write_rsvc(classes, tmp_path / "r", descriptions=given, shown=2, progress=False)
    page = (path / "index.html").read_text("utf-8")
    assert page.count('class="said') == 1
    assert "A model’s guess" in part(page, f"b-1-{lowest}")
    assert "What a vision-language model says" in page
    assert [(row["class"], int(row["concept"])) for row in table(path)] == [("dog", lowest), ("dog", highest)]


_CONCEPT = rsvc_words.read(answer("a"))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"descriptions": [_CONCEPT]},
            TypeError,
            "expected a mapping by .*, found list",
        ),
        ({"descriptions": {(3, None, 0): _CONCEPT}}, ValueError, r"of the results, found \(3, None, 0\)"),
        ({"descriptions": {(1, "cat", 0): _CONCEPT}}, ValueError, r"found \(1, 'cat', 0\)"),
        ({"descriptions": {(1, None, 3): _CONCEPT}}, ValueError, r"found \(1, None, 3\)"),
        ({"descriptions": {"a-0-1": _CONCEPT}}, ValueError, "found 'a-0-1'"),
        (
            {"descriptions": {(1, None, 0): _GRID}},
            TypeError,
            "Description of .*0.*, found Grid",
        ),
        ({"described_by": "seer"}, ValueError, "described_by: expected descriptions beside it"),
    ],
)
def test_descriptions_that_do_not_fit_the_concepts(
    result: Any, options: Any, error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        report.write(result, tmp_path / "r", progress=False, **options)
    assert list(tmp_path.iterdir()) == []
