import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import diptych
from PIL import Image

from diptych import collect


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collect") / "images"
    for name in ("left", "middle", "right"):
        (folder / name).mkdir(parents=True)
        for number in range(4):
            pixels = np.full((4, 4, 3), 60 * number, np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


SMALL = ("--train", 4, "--test", 2, "--port", 0)


def test_the_options_reach_the_server_and_the_answers_are_exported(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    served: list[Any] = []
    monkeypatch.setattr(collect, "serve", lambda *given, **options: served.append((given, options)))
    answers = tmp_path / "answers.sqlite"
    asked = "tracing", "collect", "--images", folder, "--out", answers, *SMALL, "--seed", 5
    some = "--classes", "left,right", "--allow-host", "lab.example"
    assert diptych(*asked, *some, monkeypatch=monkeypatch) == 0
    (((kind, pictures, out, _), options),) = served
    assert (kind.classes, kind.train, kind.test, kind.seed) == (("left", "right"), 4, 2, 5)
    assert (out, options["host"], options["allowed_hosts"]) == (answers, "127.0.0.1", ["lab.example"])
    assert capsys.readouterr().err == ""

    store = collect.Store(answers, collect.Study(kind, pictures.fingerprint))
    for token in ("one", "two"):
        store.begin(token, 0.0)
    for step in range(3):
        store.keep(0, step, [1, 0], 0.5, 1.0)
    store.close()
    table = tmp_path / "answers.jsonl"
    export = "tracing", "collect", "--out", answers, "--export", table
    assert diptych(*export, monkeypatch=monkeypatch) == 0
    told = capsys.readouterr().out
    assert f"Answers: 3, learners: 1. Written to {table}" in told
    assert "Learners with fewer than two answers, left out: 1" in told
    _, *rows = map(json.loads, table.read_text().splitlines())
    assert [row["response"] for row in rows] == ["right"] * 3


def test_a_host_that_others_reach_is_warned_of(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(collect, "serve", lambda *_, **__: None)
    asked = "tracing", "collect", "--images", folder, "--out", tmp_path / "a.sqlite", *SMALL
    assert diptych(*asked, "--host", "0.0.0.0", monkeypatch=monkeypatch) == 0
    assert "warning: on 0.0.0.0 whoever reaches this machine" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "--images: expected a folder of images, or --export, found neither"),
        (("--images", "{folder}", "--export", "a.jsonl"), "--export: expected no --images beside it"),
        (("--export", "{tmp}/a.parquet"), "--export: expected a file ending in .jsonl, found"),
        (("--export", "{tmp}/a.jsonl", "--out", "{tmp}/none.sqlite"), "none.sqlite: no such file of answers"),
        (("--images", "{tmp}"), "no image in this folder"),
        (("--images", "{tmp}/missing"), "missing: no such folder of images"),
        (("--images", "{folder}/left"), "expected a folder for each class, found images alone"),
        (("--images", "{folder}", "--classes", "left"), "expected at least two classes, found 1: left"),
        (("--images", "{folder}", "--classes", "left, up"), "classes: up has no images in"),
        (("--images", "{folder}"), "class left: expected at least 15 images"),
        (("--images", "{folder}", "--port", "65536"), "port: expected 1 to 65535"),
        (
            ("--images", "{folder}", "--host", "203.0.113.9"),
            "host: expected a name or number of this machine",
        ),
    ],
)
def test_what_cannot_be_served_is_told_in_one_line(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    told: str,
) -> None:
    port = () if "--port" in options else ("--port", 0)
    given = [option.format(folder=folder, tmp=tmp_path) for option in options]
    assert diptych("tracing", "collect", *given, *port, monkeypatch=monkeypatch) == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("error: ")
    assert told in last
    assert list(tmp_path.iterdir()) == []
