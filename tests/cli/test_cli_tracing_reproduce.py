"""``diptych tracing reproduce``."""

from pathlib import Path
from typing import Any

import pytest
from command_line import diptych
from tracing_rows import study

from diptych import tracing
from diptych.tracing import TracingStudy

pytest.importorskip("lightning")
pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_study_is_made_with_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "study"
    small = "--learners", 6, "--epochs", 1, "--seeds", 2, "--model", "static", "--table", "models"
    asked = "tracing", "reproduce", "--out", out, "--kind", "static", *small
    assert diptych(*asked, monkeypatch=monkeypatch) == 0
    told = capsys.readouterr().out
    assert "static learners, train: static near the best (static): 0.000" in told
    assert (out / "report" / "index.html").is_file()
    assert TracingStudy.load(out).sets == ("static",)
    assert diptych(*asked, monkeypatch=monkeypatch) == 2
    assert "holds a finished study of tracing" in capsys.readouterr().err
    assert diptych(*asked, "--resume", monkeypatch=monkeypatch) == 0


def test_answers_of_people_are_given_by_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def reproduce(*arguments: Any, **options: Any) -> TracingStudy:
        asked.append((*arguments, options))
        return study(folder=tmp_path / "out")

    monkeypatch.setattr("diptych.tracing.reproduce", reproduce)
    monkeypatch.setattr("diptych.report.write", lambda *_, **__: tmp_path)
    answers = tracing.simulate("static", 4, 2, 1, seed=0)
    for name in ("moths", "birds"):
        tracing.save(answers, tmp_path / f"{name}.jsonl")
    files = [part for name in ("moths", "birds") for part in ("--answers", tmp_path / f"{name}.jsonl")]
    out = "--out", tmp_path / "out", "--workers", 3
    assert diptych("tracing", "reproduce", *out, *files, monkeypatch=monkeypatch) == 0
    ((_, given, options),) = asked
    assert list(given) == ["moths", "birds"]
    assert len(given["birds"]) == 4
    assert (options["workers"], options["seeds"]) == (3, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--answers", "{0}/a.jsonl", "--kind", "static"), "--answers: expected neither --kind nor"),
        (("--answers", "{0}/a.jsonl", "--answers", "{0}/b/a.jsonl"), "--answers: expected different names"),
        (("--answers", "{0}/a.jsonl"), "no such file"),
        (("--model", "owl"), "models: expected one of"),
        (("--workers", "0"), "workers: expected"),
    ],
)
def test_bad_options_are_told(
    options: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [each.format(tmp_path) for each in options]
    out = tmp_path / "out"
    assert diptych("tracing", "reproduce", "--out", out, *given, monkeypatch=monkeypatch) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")
    assert not out.exists()
