"""Answers kept on disk: nothing is asked twice, and a damaged file costs one question."""

import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chat_server import Reply, Server
from PIL import Image

from diptych.language import Cached, ChatError, ask_many


class Scripted:
    """A model that counts what it is asked."""

    concurrency = 4

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.asked: list[str] = []
        self.entered = threading.Event()

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"model": "scripted", **self.options}

    def ask(self, prompt: str, images: Sequence[Any] = ()) -> str:
        self.asked.append(prompt)
        self.entered.wait(0.05)
        return f"{prompt}, {len(images)} images"


PIXELS = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


def test_a_rerun_asks_nothing(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        with server.client() as client:
            assert Cached(client, tmp_path / "new").ask("What is it?", [PIXELS]) == "An answer."
    assert len(server.requests) == 1
    (kept,) = (tmp_path / "new").iterdir()
    written = json.loads(kept.read_text())
    assert written["answer"] == "An answer."
    assert written["question"]["prompt"] == "What is it?"
    assert written["question"]["model"] == {
        "url": server.url,
        "model": "tiny",
        "temperature": 0.0,
        "max_tokens": 1024,
    }


def test_what_an_answer_depends_on(tmp_path: Path) -> None:
    def asks(prompt: str, images: Sequence[Any], **options: Any) -> int:
        model = Scripted(**options)
        assert Cached(model, tmp_path).ask(prompt, images) == f"{prompt}, {len(images)} images"
        return len(model.asked)

    other = PIXELS.copy()
    other[0, 0, 0] ^= 1
    questions: list[tuple[str, Sequence[Any], dict[str, Any]]] = [
        ("one", [], {}),
        ("two", [], {}),
        ("one", [PIXELS], {}),
        ("one", [other], {}),
        ("one", [PIXELS, other], {}),
        ("one", [other, PIXELS], {}),
        ("one", [PIXELS.reshape(2, 8, 3)], {}),
        ("one", [], {"temperature": 1.0}),
    ]
    assert [asks(prompt, images, **options) for prompt, images, options in questions] == [1] * 8
    assert [asks(prompt, images, **options) for prompt, images, options in questions] == [0] * 8


def test_the_pixels_count_not_how_they_are_stored(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png", compress_level=0)
    Image.fromarray(PIXELS).save(tmp_path / "b.bmp")
    model = Scripted()
    for image in (PIXELS, Image.fromarray(PIXELS), tmp_path / "a.png", tmp_path / "b.bmp"):
        Cached(model, tmp_path / "kept").ask("one", [image])
    assert len(model.asked) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Expecting value"),
        (b'{"version": 1, "question"', "not a kept answer"),
        (b"\xff\xfe\x00", "not a kept answer"),
        (b"[" * 100_000, "not a kept answer"),
        (b"[]", "expected an answer of version 1"),
        (b'{"version": 99}', "expected an answer of version 1"),
        (b'{"version": 1, "question": {}, "answer": "x"}', "it belongs to another question"),
    ],
)
def test_a_damaged_file_is_named_and_its_question_asked_again(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    model = Scripted()
    cached = Cached(model, tmp_path)
    cached.ask("one")
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(content)
    with pytest.warns(RuntimeWarning, match=reason) as warned:
        assert cached.ask("one") == "one, 0 images"
    assert str(path) in str(warned[0].message)
    assert model.asked == ["one", "one"]
    assert path.read_bytes() == whole


def test_an_answer_that_is_no_text_is_not_believed(tmp_path: Path) -> None:
    cached = Cached(Scripted(), tmp_path)
    cached.ask("one")
    (path,) = tmp_path.iterdir()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"answer": 7}))
    with pytest.warns(RuntimeWarning, match="expected an answer in text"):
        assert cached.ask("one") == "one, 0 images"


def test_an_answer_of_any_characters_comes_back(server: Server, tmp_path: Path) -> None:
    server.replies = [Reply("Ünïcode 🦜 \ud800 <b>&amp;</b>\r\n\x00")]
    with server.client() as client:
        first = Cached(client, tmp_path).ask("What is it?")
        assert Cached(client, tmp_path).ask("What is it?") == first
    assert first == "Ünïcode 🦜 \ud800 <b>&amp;</b>\r\n\x00"
    assert len(server.requests) == 1


def test_errors_are_not_kept(server: Server, tmp_path: Path) -> None:
    server.replies = [Reply(status=400), Reply()]
    with server.client() as client:
        cached = Cached(client, tmp_path)
        with pytest.raises(ChatError):
            cached.ask("What is it?")
        assert list(tmp_path.iterdir()) == []
        assert cached.ask("What is it?") == "An answer."


def test_one_question_of_several_threads_is_asked_once(tmp_path: Path) -> None:
    model = Scripted()
    cached = Cached(model, tmp_path)
    assert cached.concurrency == 4
    assert cached.identity == {"model": "scripted"}
    answers = ask_many(cached, [("one", ()), ("two", ())] * 6, shown=False)
    assert answers == ["one, 0 images", "two, 0 images"] * 6
    assert sorted(model.asked) == ["one", "two"]
    assert len(list(tmp_path.iterdir())) == 2, "and no temporary file is left"
