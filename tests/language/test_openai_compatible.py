"""The client of OpenAI-compatible endpoints, against a server on this machine."""

import base64
import io
import json
import logging
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chat_server import Reply, Server
from PIL import Image

from diptych.language import Cached, ChatError, OpenAICompatible, ask_many

KEY = "sk-not-a-real-key-0123456789"


def error(code: int, message: str, **headers: str) -> Reply:
    body = json.dumps({"error": {"message": message}}).encode()
    return Reply(
        status=code, body=body, headers={name.replace("_", "-"): said for name, said in headers.items()}
    )


def test_the_answer_to_a_question(server: Server) -> None:
    with server.client(temperature=0.5, max_tokens=9, seed=3) as client:
        assert client.ask("What is it?") == "An answer."
    assert server.paths == ["/v1/chat/completions"]
    assert server.requests == [
        {
            "model": "tiny",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}]}],
            "temperature": 0.5,
            "max_tokens": 9,
            "seed": 3,
        }
    ]
    assert "Authorization" not in server.headers[0]


def test_options_that_are_none_are_left_to_the_endpoint(server: Server) -> None:
    with server.client(temperature=None, max_tokens=None) as client:
        client.ask("What is it?")
    assert set(server.requests[0]) == {"model", "messages"}


def test_images_arrive_whole_and_in_order(server: Server) -> None:
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in ((5, 7), (1, 1), (64, 33))]
    with server.client() as client:
        client.ask("What are they?", pictures)
    *parts, text = server.requests[0]["messages"][0]["content"]
    assert text == {"type": "text", "text": "What are they?"}
    assert len(parts) == len(pictures)
    for part, picture in zip(parts, pictures, strict=True):
        head, data = part["image_url"]["url"].split(",")
        assert head == "data:image/png;base64"
        decoded = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
        assert decoded.format == "PNG"
        np.testing.assert_array_equal(np.asarray(decoded), picture)


@pytest.mark.parametrize("suffix", ["", "/", "/chat/completions", "/chat/completions/"])
def test_the_address_may_have_its_ending(server: Server, suffix: str) -> None:
    with server.client(url=server.url + suffix) as client:
        client.ask("What is it?")
        assert client.identity["url"] == server.url
    assert server.paths == ["/v1/chat/completions"]


def test_a_version_in_the_address_is_kept(server: Server) -> None:
    with server.client(url=f"{server.url}?api-version=2026-01-01") as client:
        client.ask("What is it?")
    assert server.paths == ["/v1/chat/completions?api-version=2026-01-01"]


def test_an_answer_in_parts_is_joined(server: Server) -> None:
    parts = [{"type": "text", "text": "One "}, {"type": "thought"}, {"type": "text", "text": "two."}]
    server.replies = [Reply(body=json.dumps({"choices": [{"message": {"content": parts}}]}).encode())]
    with server.client() as client:
        assert client.ask("What is it?") == "One two."


def test_a_busy_server_is_asked_again_when_it_says(server: Server, waits: list[float]) -> None:
    server.replies = [error(429, "slow down", Retry_After="7"), Reply()]
    with server.client() as client:
        assert client.ask("What is it?") == "An answer."
    assert waits == [7]
    assert server.requests[0] == server.requests[1]


def test_a_date_to_come_back_at_is_obeyed(server: Server, waits: list[float]) -> None:
    later = datetime.now(UTC) + timedelta(seconds=40)
    past = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)
    server.replies = [
        error(503, "closed", Retry_After=format_datetime(later, usegmt=True)),
        error(503, "closed", Retry_After=past),
        error(503, "closed", Retry_After="some time"),
        Reply(),
    ]
    with server.client() as client:
        assert client.ask("What is it?") == "An answer."
    assert 30 < waits[0] <= 40
    assert waits[1] == 0
    assert 4 <= waits[2] <= 5, "an unreadable time is no time: the third wait of its own"


def test_a_time_too_long_to_wait_is_an_error(server: Server, waits: list[float]) -> None:
    server.replies = [error(429, "come back tomorrow", Retry_After="86400")]
    with server.client(patience=60) as client, pytest.raises(ChatError, match=r"86400 seconds.*tomorrow"):
        client.ask("What is it?")
    assert waits == []
    assert len(server.requests) == 1


def test_a_broken_server_is_given_up_after_all_attempts(server: Server, waits: list[float]) -> None:
    server.replies = [error(500, "out of memory " + "x" * 2000)]
    with server.client(retries=3) as client, pytest.raises(ChatError) as caught:
        client.ask("What is it?")
    assert len(server.requests) == 4
    assert caught.value.status == 500
    assert not caught.value.final
    assert f"{server.url}: no answer from tiny after 4 attempts: status 500: out of memory" in str(
        caught.value
    )
    assert len(str(caught.value)) < 500
    for number, wait in enumerate(waits):
        assert 2**number <= wait <= 1.25 * 2**number


def test_waits_stop_growing(server: Server, waits: list[float]) -> None:
    server.replies = [error(502, "")]
    with server.client(retries=9) as client, pytest.raises(ChatError):
        client.ask("What is it?")
    assert len(waits) == 9
    assert max(waits) == 60


@pytest.mark.parametrize(
    ("code", "final"), [(400, False), (401, True), (403, True), (404, True), (422, False)]
)
def test_a_no_is_not_asked_again(server: Server, code: int, final: bool) -> None:
    server.replies = [error(code, "because")]
    with server.client() as client, pytest.raises(ChatError, match=f"tiny: status {code}: because") as caught:
        client.ask("What is it?")
    assert len(server.requests) == 1
    assert (caught.value.status, caught.value.final) == (code, code in (401, 403, 404))


def test_a_slow_server_is_given_up(server: Server, waits: list[float]) -> None:
    server.replies = [Reply(seconds=0.6)]
    with (
        server.client(timeout=0.1, retries=1) as client,
        pytest.raises(ChatError, match=r"2 attempts: no answer within 0\.1 seconds"),
    ):
        client.ask("What is it?")
    assert len(server.requests) == 2


def test_a_broken_connection_is_tried_again(server: Server, waits: list[float]) -> None:
    server.replies = [Reply(hang_up=True), Reply()]
    with server.client() as client:
        assert client.ask("What is it?") == "An answer."
    assert len(waits) == 1


def test_nobody_at_the_address(server: Server, waits: list[float]) -> None:
    server.close()
    with (
        server.client(retries=2) as client,
        pytest.raises(ChatError, match="3 attempts: no conn") as caught,
    ):
        client.ask("What is it?")
    assert caught.value.status is None
    assert server.host in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(body=b"{not json"), r"in \{not json"),
        (Reply(body=b"[" * 100_000), r"in \[\[\["),
        (Reply(body=b"\xff\xfe"), "in "),
        (
            Reply(body=b"<html>Welcome</html>", kind="text/html"),
            "expected JSON, found text/html: <html>Welcome",
        ),
        (Reply(body=b"[]"), r"expected choices\[0\]\.message, found none"),
        (Reply(body=b'{"choices": []}'), r"expected choices\[0\]\.message, found none"),
        (Reply(body=b'{"choices": [{"message": 7}]}'), r"expected choices\[0\]\.message, found none"),
        (Reply(body=b'{"choices": [{"message": {"content": null}}]}'), "expected a text"),
        (Reply(text="  \n "), "expected a text"),
        (Reply(body=b'{"choices": [{"message": {"content": null, "refusal": "No."}}]}'), r"refuses: No\."),
        (Reply(status=302, headers={"Location": "http://example.org/"}), "redirect"),
        (Reply(status=400, body=b"plain words", kind="text/plain"), "status 400: plain words"),
        (Reply(status=400, body=b'{"error": "a word"}'), "status 400: a word"),
        (Reply(status=400, body=b'{"error": {"code": 7}}'), 'status 400: {"code": 7}'),
        (Reply(status=400, body=b"[1]"), r"status 400: \[1\]"),
        (Reply(status=400, body=b""), "status 400: Bad Request"),
    ],
)
def test_a_reply_that_is_no_answer(server: Server, reply: Reply, message: str) -> None:
    server.replies = [reply]
    with server.client() as client, pytest.raises(ChatError, match=message):
        client.ask("What is it?")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000/v1",
        "127.0.0.1/v1",
        "//host/v1",
        "ftp://host/v1",
        "http://",
        "https:///v1",
        "http://[::1",
        "http://host:port/v1",
        "http://ho st/v1",
        KEY,
        f"http://me:{KEY}/x@host/v1",
        f"http://host/v1?key={KEY}",
        f"http://host/v1?api-version=1&key={KEY}",
        f"http://host/v1#{KEY}",
    ],
)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ValueError, match="url: ") as caught:
        OpenAICompatible(url, "tiny")
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": " "}, "model: expected the name"),
        ({"model": None}, "model: expected the name"),
        ({"retries": -1}, "retries: expected at least 0, found -1"),
        ({"concurrency": 0}, "concurrency: expected at least 1, found 0"),
        ({"timeout": 0}, "timeout: expected more than 0, found 0"),
        ({"timeout": float("nan")}, "timeout: expected more than 0, found nan"),
        ({"patience": -1}, "patience: expected at least 0, found -1"),
        ({"key": KEY, "key_from": "SOME_KEY"}, "found several"),
        ({"key": KEY, "url": "http://me:word@host/v1"}, "found several"),
        ({"key": " "}, "printable ASCII"),
        ({"key": KEY + "\nX: y"}, "printable ASCII"),
        ({"key": KEY + "é"}, "printable ASCII"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"url": "http://host/v1", "model": "tiny"} | options
    with pytest.raises(ValueError, match=message) as caught:
        OpenAICompatible(**given)
    assert KEY not in str(caught.value)


def test_options_of_another_type() -> None:
    with pytest.raises(TypeError, match="url: expected a string, found int"):
        OpenAICompatible(7, "tiny")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="key: expected a string, found int"):
        OpenAICompatible("http://host/v1", "tiny", key=7)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_variable_without_a_key(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("SOME_KEY", value)
    with pytest.raises(ValueError, match="key_from: the environment variable SOME_KEY is not set"):
        OpenAICompatible("http://host/v1", "tiny", key_from="SOME_KEY")


@pytest.mark.parametrize(("prompt", "kind"), [("", ValueError), (" \n", ValueError), (7, TypeError)])
def test_no_question(server: Server, prompt: Any, kind: type[Exception]) -> None:
    with server.client() as client, pytest.raises(kind, match="prompt: expected text"):
        client.ask(prompt)
    assert server.requests == []


def test_the_key_goes_to_the_server_and_nowhere_else(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    waits: list[float],
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SOME_KEY", f" {KEY}\n")
    server.replies = [Reply(), error(500, f"you sent Bearer {KEY}")]
    with server.client(key_from="SOME_KEY", retries=1) as client:
        Cached(client, tmp_path).ask("What is it?")
        with pytest.raises(ChatError, match=r"you sent Bearer \*\*\*") as caught:
            Cached(client, tmp_path).ask("And this?")
        told = [repr(client), str(client.identity), str(caught.value), repr(vars(client)), caplog.text]
    assert all(headers["Authorization"] == f"Bearer {KEY}" for headers in server.headers)
    assert len(list(tmp_path.iterdir())) == 1
    assert not any(KEY.encode() in path.read_bytes() for path in tmp_path.iterdir())
    assert not any(KEY in text for text in told)
    assert caught.value.__context__ is None


def test_a_login_in_the_address_is_sent_and_shown_nowhere(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.replies = [Reply(), error(400, "no")]
    login = base64.b64encode(b"me:pass/word").decode()
    with server.client(url=f"http://me:pass%2Fword@{server.host}/v1") as client:
        Cached(client, tmp_path).ask("What is it?")
        with pytest.raises(ChatError) as caught:
            client.ask("And this?")
        told = [repr(client), str(client.identity), str(caught.value), repr(vars(client)), caplog.text]
    assert server.headers[0]["Authorization"] == f"Basic {login}"
    told += [path.read_text() for path in tmp_path.iterdir()]
    assert not any(secret in text for text in told for secret in (login, "pass/word", "pass%2Fword"))


def test_many_questions_a_few_at_a_time_in_order(server: Server) -> None:
    server.respond = lambda request: Reply(request["messages"][0]["content"][-1]["text"], seconds=0.05)
    with server.client(concurrency=3) as client:
        answers = ask_many(client, [(f"question {number}", ()) for number in range(9)], shown=False)
    assert answers == [f"question {number}" for number in range(9)]
    assert server.at_a_time == 3


def test_without_httpx_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs httpx: pip install 'diptych\[language\]'"):
        OpenAICompatible("http://host/v1", "tiny")


def test_nothing_is_sent_before_a_question(server: Server) -> None:
    server.client().close()
    time.sleep(0.05)
    assert server.requests == []
