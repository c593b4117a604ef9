"""The page of models of learners: the folder, and what it says; without a browser."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from markupsafe import escape
from matplotlib.figure import Figure
from PIL import Image
from tracing_results import made_up

from diptych import plots, report
from diptych.plots.canvas import blank
from diptych.report.tracing_page import finding
from diptych.tracing.lessons import Lessons
from diptych.tracing.results import TracingResult

pytestmark = pytest.mark.usefixtures("one_thread")

# That of several runs has a page of its own.
FIGURES = {name: title for name, title in plots.TRACING_FIGURES.items() if name != "study"}

HOSTILE = '"><script>alert(1)</script>{{ 7 * 7 }}$x$'


@pytest.fixture(scope="module")
def result() -> TracingResult:
    """Of a model with a hostile name, as are a class and all learners."""
    plain = made_up()
    paths = plain.paths
    assert paths is not None
    answers = replace(plain.answers, classes=(HOSTILE, *plain.answers.classes[1:]), learners=(HOSTILE,) * 5)
    chances = {"static": plain.probabilities["static"], HOSTILE: plain.probabilities["a_$model"]}
    trained = {"model": "dkt", "is": f"A model of {HOSTILE}.", "split": 2, "seed": None}
    about = {"sequences": {"simulated": HOSTILE, "seed": 3, "laws": {"lapse": 0}}, "seen": 0}
    about["tracers"] = {HOSTILE: trained}
    return TracingResult(answers, chances, replace(paths, model=HOSTILE), about)


@pytest.fixture(scope="module")
def lessons() -> Lessons:
    return Lessons(("random", "hardest"), (0, 1), np.random.default_rng(0).random((2, 2, 3, 4)))


@pytest.fixture(scope="module")
def folder(result: TracingResult, lessons: Lessons, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report whose figures are stood in for: tests of plots draw each of them, of names as hostile."""

    def stand_in(name: str, given: TracingResult | Lessons) -> Figure:
        assert given is (lessons if name == "lessons" else result)
        return blank(2.0 + len(name) / 10, 2.0)

    path = tmp_path_factory.mktemp("tracing") / "deep" / "report"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("diptych.report.tracing_write.tracing_figure", stand_in)
        return report.write(result, path, lessons=lessons, progress=False)


@pytest.fixture(scope="module")
def source(folder: Path) -> str:
    return (folder / "index.html").read_text("utf-8")


def read(page: str) -> str:
    """The page as a reader's eye has it: no scripts, no styles, no tags, single spaces."""
    text = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", page)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def test_the_folder_holds_page_tables_and_pictures(
    result: TracingResult, lessons: Lessons, folder: Path
) -> None:
    pictures = {f"{name}.png" for name in FIGURES}
    files = {"index.html", "result.npz", "models.csv", "lessons.npz"}
    assert {entry.name for entry in folder.iterdir()} == pictures | files
    frame = pandas.read_csv(folder / "models.csv")
    pandas.testing.assert_frame_equal(frame, result.frame(), check_dtype=False)
    again = TracingResult.load(folder / "result.npz")
    assert np.array_equal(again.probabilities["static"], result.probabilities["static"])
    assert np.array_equal(Lessons.load(folder / "lessons.npz").right, lessons.right)
    for name in FIGURES:
        with Image.open(folder / f"{name}.png") as picture:
            # The stand-in's size in inches at 120 dots each: every file holds its own figure.
            assert picture.size == (int(120 * (2.0 + len(name) / 10)), 240)


def test_the_page_says_what_was_found(result: TracingResult, lessons: Lessons, source: str) -> None:
    text, escaped = read(source), str(escape(HOSTILE))
    for row in result.frame().itertuples():
        assert f"{row.micro_ap:.3f}" in text
    for sentence in finding(result, result.frame(), lessons):
        assert sentence.split(HOSTILE)[-1] in text
    for title in FIGURES.values():
        assert title.replace("'", "&#39;") in text
    assert source.count("data:image/png;base64,") == len(FIGURES)
    assert f"simulated {escaped}" in text
    assert "laws" not in text
    assert "whom no model had seen" in text
    assert f"followed {escaped}" in text
    assert f"{escaped} A model of {escaped}." in text
    assert f"{escaped} model dkt, split 2 " in text


def test_the_page_needs_nothing_else_and_runs_nothing_foreign(source: str) -> None:
    assert "<script>alert(1)" not in source
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{ 7 * 7 }}" in source
    assert not re.search(r"""(src|href)=(?!["'](data:|#))""", source)


def test_the_finding_names_the_best_model() -> None:
    many = made_up()
    truth = many.answers.truth
    assert truth is not None
    response = truth.argmax(1)
    answers = replace(many.answers, response=response)
    half = (truth + many.probabilities["static"]) / 2
    better = TracingResult(answers, {**many.probabilities, "half": half.astype(np.float32)})
    said = finding(better, better.frame(), None)
    assert said[0].startswith("Answers in the test are foretold best by half: micro average precision")
    assert re.fullmatch(r"That closes \d+ % of the gap from static to oracle\.", said[1])
    alone = replace(
        better, answers=replace(answers, truth=None), probabilities={"half": better.probabilities["half"]}
    )
    assert re.fullmatch(
        r".* by half: micro average precision \d\.\d{3}\.", " ".join(finding(alone, alone.frame(), None))
    )


def test_the_finding_tells_what_teaching_gained() -> None:
    right = np.zeros((2, 2, 3, 4))
    right[1] = np.array([0.01, 0.03])[:, None, None] * [0, 1, 2, 3]
    many = made_up()
    said = finding(many, many.frame(), Lessons(("random", "hardest"), (0, 1), right))[-1]
    assert said.startswith(
        "Simulated learners whose teacher chooses by “hardest” end 6.0 points of right answers above those "
    )
    # Student's t of 0.975 with one degree of freedom is 12.706, and half the difference of two its error.
    assert said.endswith("taught at random (95 % interval −32.1 to +44.1).")
    alone = Lessons(("random", "hardest"), (0,), -right[:, 1:])
    assert finding(many, many.frame(), alone)[-1].endswith(
        "9.0 points of right answers below those taught at random."
    )


def test_a_bare_result_has_a_page(tmp_path: Path) -> None:
    plain = made_up(tests=0)
    bare = TracingResult(replace(plain.answers, truth=None), {"ours": plain.probabilities["static"]})
    folder = report.write(bare, tmp_path / "bare", progress=False, title="Bare", command="diptych x")
    names = {entry.name for entry in folder.iterdir()}
    pictures = {"accuracy.png", "learner.png", "confusion.png", "calibration.png"}
    assert names == pictures | {"index.html", "result.npz", "models.csv"}
    text = read((folder / "index.html").read_text("utf-8"))
    assert "Bare" in text
    assert "diptych x" in text
    assert "Share of the gap" not in text
    assert "Test Micro AP" not in text
    for name in pictures:
        with Image.open(folder / name) as picture:
            assert min(picture.size) > 200


def test_bad_reports_are_refused(result: TracingResult, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="result: expected TracingResult, found int"):
        report.write_tracing(3, tmp_path / "a")  # type: ignore[arg-type]
    wrong: Any = {"right": 1}
    with pytest.raises(TypeError, match="lessons: expected Lessons, found dict"):
        report.write(result, tmp_path / "a", lessons=wrong)
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError, match="exists; choose another, or overwrite it"):
        report.write(result, tmp_path / "there")
    assert not (tmp_path / "a").exists()
