"""The options that have a vision-language model describe what is found, against a server on this machine."""

import csv
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from chat_server import Reply, Server
from command_line import diptych
from PIL import Image
from rsvc_results import comparison, pictures

from diptych import report
from diptych.cli import _words
from diptych.language import ChatError
from diptych.rdx.results import Explanations, Parameters, RDXResult

pytestmark = pytest.mark.usefixtures("one_thread")

run = partial(diptych, "compare")

KEY = "a-key-of-more-than-sixteen-letters"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Embeddings of 24 items by two models that disagree, and the items' pictures."""
    folder, rng = tmp_path_factory.mktemp("inputs"), np.random.default_rng(0)
    for name in "ab":
        np.save(folder / f"{name}.npy", rng.normal(size=(24, 4)))
    np.save(folder / "images.npy", rng.integers(0, 256, (24, 6, 6, 3), dtype=np.uint8))
    return folder


def compared(inputs: Path, out: Path, *options: object) -> list[object]:
    files = [inputs / "a.npy", inputs / "b.npy", "--images", inputs / "images.npy", "--out", out]
    return [*files, "-m", 2, "--grid-size", 3, *options]


def test_a_report_with_words(
    inputs: Path,
    tmp_path: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    server.replies = [Reply("Description: pink <noise>"), Reply(status=400), Reply("Who knows?")]
    options = ["--describe-url", server.url, "--describe-model", "seer", "--describe-key-from", "MY_KEY"]
    options += ["--describe-cache", str(tmp_path / "answers")]
    assert run(*compared(inputs, tmp_path / "report", *options), monkeypatch=monkeypatch) == 0
    with open(tmp_path / "report" / "descriptions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    asked = len(rows)
    assert len(server.requests) == asked > 3
    assert {row["model"] for row in rows} == {"seer"}
    assert [row["description"] for row in rows].count("pink <noise>") == 1
    assert sum("status 400" in row["error"] for row in rows) == 1
    assert sum(row["problems"] == "Description is missing" for row in rows) == asked - 2
    assert f"1 of {asked} descriptions are missing; the first: " in capsys.readouterr().err
    page = (tmp_path / "report" / "index.html").read_text()
    assert "pink &lt;noise&gt;" in page
    assert "What seer, a vision-language model, says" in page
    assert {each["Authorization"] for each in server.headers} == {f"Bearer {KEY}"}
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in path.read_bytes() for path in written)
    # What got no answer is not kept, and asked again.
    assert len(list((tmp_path / "answers").iterdir())) == asked - 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--describe-url", "http://x/v1"], "--describe-url: expected --describe-model beside it"),
        (["--describe-key-from", "MY_KEY"], "--describe-key-from: expected --describe-model beside it"),
        (["--describe-cache", "answers"], "--describe-cache: expected --describe-model beside it"),
        (
            ["--describe-model", "x", "--describe-key-from", "MY_KEY"],
            "--describe-key-from: expected --describe-url",
        ),
        (["--describe-model", "x", "--describe-url", "x"], "url: expected http://HOST/..."),
        (
            ["--describe-model", "x", "--describe-url", "http://me:hidden@x/v1"],
            "--describe-url: expected no user or password in it",
        ),
        (
            ["--describe-model", "x", "--describe-url", "http://x/v1", "--describe-key-from", "sk-hidden"],
            "--describe-key-from: expected the name of an environment variable",
        ),
        (
            ["--describe-model", "x", "--describe-url", "http://x/v1", "--describe-key-from", "NOT_SET_1"],
            "the environment variable NOT_SET_1 is not set",
        ),
    ],
)
def test_options_that_say_nothing_stop_before_the_work(
    options: list[str],
    message: str,
    inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("diptych.rdx.compare", lambda *_, **__: pytest.fail("the work began"))
    assert run(*compared(inputs, tmp_path / "report", *options), monkeypatch=monkeypatch) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert "hidden" not in printed
    assert list(tmp_path.iterdir()) == []


def test_without_images_there_is_nothing_to_describe(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [inputs / "a.npy", inputs / "b.npy", "--out", tmp_path / "report"]
    options = ["--describe-model", "seer", "--describe-url", "http://x/v1"]
    assert run(*files, *options, monkeypatch=monkeypatch) == 2
    assert "--images: expected pictures for --describe-model to look at" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'diptych\[language\]'"):
        _words.describer("http://x/v1", "seer", None, None, images="photos")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'diptych\[language-local\]'"):
        _words.describer(None, "seer", None, None, images="photos")


def test_a_local_model_is_looked_for_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(path: str, **options: Any) -> Any:
        assert options["local_files_only"]
        if not Path(path).is_dir():
            raise OSError(f"no {path}")
        return SimpleNamespace(chat_template="{{ messages }}")

    # In place of the package, which takes seconds to import.
    stub = SimpleNamespace(AutoProcessor=SimpleNamespace(from_pretrained=load))
    monkeypatch.setitem(sys.modules, "transformers", stub)
    asked = _words.describer(None, str(tmp_path), None, tmp_path / "answers", images="photos")
    assert asked is not None
    assert asked.name == tmp_path.name
    assert asked.model.identity["model"] == str(tmp_path)
    with pytest.raises(ChatError, match="the model cannot be loaded"):
        _words.describer(None, str(tmp_path / "absent"), None, None, images="photos")


def test_off_by_default() -> None:
    assert _words.describer(None, None, None, None, images=None) is None


def test_an_image_that_cannot_be_read_costs_its_grid(tmp_path: Path, server: Server) -> None:
    for item in range(4):
        Image.new("RGB", (3, 3)).save(tmp_path / f"{item}.png")
    (tmp_path / "2.png").write_bytes(b"no picture")
    side = Explanations([np.array([0, 1]), np.array([2, 3])], np.zeros(4, int), 1.0, np.ones(2), np.ones(2))
    server.replies = [Reply("Description: black")]
    asked = _words.describer(server.url, "seer", None, None, images=tmp_path)
    assert asked is not None
    a, b = asked.of_grids(RDXResult(side, side, Parameters()), tmp_path)["descriptions"]
    for first, second in (a, b):
        assert first.description == "black"
        assert second.error.startswith("2.png cannot be read: ")
    assert len(server.requests) == 2


def test_concepts_in_words(server: Server, tmp_path: Path) -> None:
    result = comparison(heads=False)
    lines = "IC1: a\nIC2: b\nSimilarity: c\nDifference: d\nSemantic difference: No"
    server.replies = [Reply(lines)]
    asked = _words.describer(server.url, "seer", None, None, images="photos")
    assert asked is not None
    said = asked.of_concepts(result, pictures(), 1)
    assert len(server.requests) == len(said["descriptions"]) == 2
    path = report.write_rsvc(result, tmp_path / "r", patches=pictures(), shown=1, progress=False, **said)
    assert (path / "index.html").read_text().count("A model’s guess</p>") == 2
