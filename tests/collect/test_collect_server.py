"""The addresses of the web page, and what is answered at each; no browser."""

import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra collect is not installed")
from fastapi.testclient import TestClient

from diptych.collect import Pictures, Ranking, Store, Study
from diptych.collect.guard import Hosts
from diptych.collect.server import make_app
from diptych.collect.session import Sessions

ROOT = "http://127.0.0.1:8000"
ORGANISER = "secret-of-the-organiser"


def make_client(sessions: Sessions, pictures: Pictures, **options: Any) -> TestClient:
    app = make_app(sessions, pictures, Hosts("127.0.0.1", ["study.example"]), ORGANISER)
    return TestClient(app, base_url=ROOT, follow_redirects=False, **options)


@pytest.fixture
def client(sessions: Sessions, pictures: Pictures) -> TestClient:
    return make_client(sessions, pictures)


def begin(client: TestClient) -> str:
    """The address of a new learner's page."""
    (action,) = re.findall(r'action="(begin/[^"]+)"', client.get("/").text)
    response = client.post(f"/{action}")
    assert response.status_code == 303
    # Relative, so that it holds behind a proxy with a path of its own.
    assert response.headers["location"].startswith("../learn/")
    return response.headers["location"].removeprefix("..")


def go(client: TestClient, page: str, **asked: Any) -> dict[str, Any]:
    response = client.post(f"{page}/go", json={"visit": "visit", **asked})
    assert response.status_code == 200
    return response.json()


def answer(client: TestClient, page: str, step: int, **changes: Any) -> Any:
    sent = {"visit": "visit", "step": step, "answer": [0, 1, 2], "response_time": 0.5, **changes}
    return client.post(f"{page}/answer", json=sent)


def test_a_whole_session(client: TestClient, pictures: Pictures) -> None:
    page = begin(client)
    assert 'data-kind="ranking"' in client.get(page).text
    for step in range(6):
        told = go(client, page)
        assert (told["screen"], told["step"]) == ("trial", step)
        (address,) = told["images"]
        picture = client.get(f"{page}/{address}")
        assert picture.headers["content-type"] == "image/png"
        assert "private" in picture.headers["cache-control"]
        for ahead in told["ahead"]:
            assert client.get(f"{page}/{ahead}").status_code == 200
        assert answer(client, page, step).json() == {"kept": step}
        assert answer(client, page, step).json() == {"kept": step}
        if step < 4:
            assert go(client, page)["screen"] == "feedback"
            go(client, page, seen=step)
    assert go(client, page)["screen"] == "end"
    exported = client.get(f"/organiser/{ORGANISER}/answers.jsonl")
    assert exported.headers["content-disposition"] == 'attachment; filename="answers.jsonl"'
    header, *rows = map(json.loads, exported.text.splitlines())
    assert header["classes"] == ["Agara", "Bari", "Cooka"]
    assert [row["step"] for row in rows] == list(range(6))
    assert {row["image"] for row in rows} <= set(pictures.names)
    assert page.removeprefix("/learn/") not in exported.text


def test_neither_addresses_nor_answers_before_feedback_tell_the_class(client: TestClient) -> None:
    page = begin(client)
    told = client.post(f"{page}/go", json={"visit": "visit"})
    # Class names are there as what may be chosen, and nowhere else.
    parts = told.json()
    assert parts.pop("trial") == {"classes": ["Agara", "Bari", "Cooka"], "depth": 3}
    assert not re.search("agara|bari|cooka|label", json.dumps(parts), re.IGNORECASE)


def test_every_response_forbids_what_pages_do_not_need(client: TestClient) -> None:
    page = begin(client)
    addresses = "/", page, "/static/session.js", f"{page}/image/0/0", f"/organiser/{ORGANISER}", "/nowhere"
    for response in (*map(client.get, addresses), client.post(f"{page}/go", json={"visit": "x"})):
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "same-origin"
        assert "set-cookie" not in response.headers
        assert "access-control-allow-origin" not in response.headers
    for address in ("/", page, f"/organiser/{ORGANISER}"):
        text = client.get(address).text
        assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=|https?:", text)
        assert client.get(address).headers["cache-control"] == "no-store"


HOSTS = [
    ("127.0.0.1:8000", True),
    ("127.0.0.1", True),
    ("127.1.2.3:9", True),
    ("localhost:8000", True),
    ("LOCALHOST", True),
    ("[::1]:8000", True),
    ("study.example", True),
    ("study.example:443", True),
    ("evil.example:8000", False),
    ("127.0.0.1.evil.example", False),
    ("localhost.evil.example", False),
    ("192.168.0.7:8000", False),
    ("[2001:db8::1]:8000", False),
    ("", False),
    ("[", False),
]


def test_only_names_of_this_server_are_answered(client: TestClient) -> None:
    for host, allowed in HOSTS:
        for path in ("/", f"/organiser/{ORGANISER}"):
            response = client.get(path, headers={"host": host})
            assert response.status_code == (200 if allowed else 421), host
            assert ("--allow-host" in response.text) is not allowed


def test_a_server_on_all_interfaces_is_called_by_number_but_not_by_any_name() -> None:
    hosts = Hosts("0.0.0.0")
    assert all(map(hosts.allows, ("192.168.0.7:8000", "[2001:db8::1]", "127.0.0.1", "localhost:1")))
    assert not any(map(hosts.allows, ("evil.example", "evil.example:8000", "0x7f.1.evil", "")))
    assert Hosts("lab.example").allows("lab.example:80")


PATHS = [
    "{page}/image/0/../../../../../{file}",
    "{page}/image/..%2f..%2f..%2f{file}",
    "{page}/image/%2e%2e/%2e%2e/{file}",
    "{page}/image/..%5c..%5c{file}/0",
    "{page}/image/0/..%252f{file}",
    "{page}/image/{file}/0",
    "{page}/image/{absolute}",
    "{page}/image//{absolute}/0",
    "{page}/image/0/0%00{file}",
    "{page}/image/-1/0",
    "{page}/image/0x0/0",
    "{page}/image/2/0",
    "{page}/image/99999999999999999999999/0",
    "/static/../server.py",
    "/static/..%2fserver.py",
    "/static/%2e%2e/server.py",
    "/static/..%2f..%2f..%2f..%2f{file}",
    "/static//etc/passwd",
    "/static/%2fetc%2fpasswd",
    "/static/",
    "/Agara/agara_0.png",
    "/images/Agara/agara_0.png",
    "/learn/../Agara/agara_0.png",
]


def test_no_path_leads_to_a_file(client: TestClient, folder: Path) -> None:
    page = begin(client)
    for path in PATHS:
        asked = path.format(page=page, file="Agara/agara_0.png", absolute=folder / "Agara" / "agara_0.png")
        response = client.get(ROOT + asked)
        assert response.status_code in (404, 422), asked
        assert response.headers["content-type"].startswith("text/html")
        for secret in ("root:", "PNG", "import", str(folder)):
            assert secret not in response.text, asked


def test_a_picture_that_became_a_link_out_of_the_folder_is_not_served(
    tmp_path: Path, folder: Path, kind: Ranking
) -> None:
    inside = tmp_path / "inside"
    shutil.copytree(folder, inside)
    pictures = Pictures(inside)
    store = Store(tmp_path / "answers.sqlite", Study(kind, pictures.fingerprint))
    client = make_client(Sessions(store), pictures)
    page = begin(client)
    name = kind.images[store.steps(0)[0].trial.images[0]]
    (inside / name).unlink()
    (inside / name).symlink_to(folder / name)
    response = client.get(f"{page}/image/0/0")
    assert response.status_code == 410
    assert "cannot be read any more" in response.text
    store.close()


def test_what_is_posted_needs_a_token_of_ours(client: TestClient, sessions: Sessions) -> None:
    page = begin(client)
    go(client, page)
    for path in ("/learn/guessed", "/learn/%20", "/learn/guessed/image"):
        assert client.post(f"{path}/go", json={"visit": "x"}).status_code == 404
        assert answer(client, path, 0).status_code == 404
    for ticket in ("guessed", "guessed.guessed", page.removeprefix("/learn/")):
        response = client.post(f"/begin/{ticket}")
        assert response.status_code == 404
        assert "begin anew" in response.text
    assert len(sessions.store.learners()) == 1
    assert sessions.store.learners()[0].answered == 0


def test_only_the_organiser_sees_progress_and_answers(client: TestClient, sessions: Sessions) -> None:
    page = begin(client)
    token = page.removeprefix("/learn/")
    for wrong in ("", "guessed", token, ORGANISER[:-1], "%C3%A9"):
        assert client.get(f"/organiser/{wrong}").status_code == 404
        assert client.get(f"/organiser/{wrong}/answers.jsonl").status_code == 404
    go(client, page)
    answer(client, page, 0)
    text = client.get(f"/organiser/{ORGANISER}").text
    (learner,) = sessions.store.learners()
    assert learner.name in text
    assert "1 of 6" in text
    assert token not in text


def test_another_answer_is_a_conflict_and_the_first_stays(client: TestClient, sessions: Sessions) -> None:
    page = begin(client)
    assert answer(client, page, 0).status_code == 409
    go(client, page)
    assert answer(client, page, 0).status_code == 200
    refused = answer(client, page, 0, answer=[2, 1, 0])
    assert refused.status_code == 409
    assert "that one is kept" in refused.json()["detail"]
    assert sessions.store.steps(0)[0].answer == [0, 1, 2]


BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"{}",
    b'{"visit": "v", "step": 0}',
    b'{"visit": "", "step": 0, "answer": [0, 1, 2]}',
    b'{"visit": 3, "step": 0, "answer": [0, 1, 2]}',
    b'{"visit": "\\ud800", "step": 0, "answer": [0, 1, 2]}',
    b'{"visit": "v", "step": true, "answer": [0, 1, 2]}',
    b'{"visit": "v", "step": 0.0, "answer": [0, 1, 2]}',
    b'{"visit": "v", "step": 1e999, "answer": [0, 1, 2]}',
    b'{"visit": "v", "step": 6, "answer": [0, 1, 2]}',
    b'{"visit": "v", "step": 0, "answer": [0, 1, 3]}',
    b'{"visit": "v", "step": 0, "answer": [0, 1, NaN]}',
    b'{"visit": "v", "step": 0, "answer": "<script>"}',
    b'{"visit": "v", "step": 0, "answer": [0, 1, 2], "response_time": NaN}',
    b'{"visit": "v", "step": 0, "answer": [0, 1, 2], "response_time": Infinity}',
    b'{"visit": "v", "step": 0, "answer": [0, 1, 2], "response_time": -1}',
    b'{"visit": "v", "step": 0, "answer": [0, 1, 2], "response_time": "1"}',
    b'{"visit": "v", "step": 0, "answer": [0, 1, 2], "learner": 1}',
    b'{"visit": "v", "step": 0, "answer": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    b"\xff\xfe",
]


def test_malformed_answers_are_refused_and_nothing_is_kept(client: TestClient, sessions: Sessions) -> None:
    page = begin(client)
    go(client, page)
    for body in BODIES:
        response = client.post(f"{page}/answer", content=body, headers={"content-type": "application/json"})
        assert response.status_code in (400, 422), body
        assert isinstance(response.json()["detail"], str)
        assert "<script>" not in response.text
        assert sessions.store.steps(0)[0].answer is None, body
    assert answer(client, page, 0).status_code == 200


def test_bodies_of_unknown_or_great_length_are_not_read(client: TestClient) -> None:
    page = begin(client)

    def pieces() -> Iterator[bytes]:
        yield b"{}"

    assert client.post(f"{page}/go", content=pieces()).status_code == 411
    assert client.post(f"{page}/go", content=b" " * 65_537).status_code == 413
    assert client.post(f"{page}/go", content=b"{}", headers={"content-length": "-2"}).status_code == 411


def test_other_methods_are_refused(client: TestClient) -> None:
    page = begin(client)
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert client.request(method, page).status_code == 405


def test_there_are_no_pages_that_load_from_a_network(client: TestClient) -> None:
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert client.get(path).status_code == 404


def test_errors_are_pages_that_escape_what_was_asked(client: TestClient) -> None:
    for path in ("/learn/<script>alert(1)</script>", "/static/<img src=x onerror=alert(1)>", "/<b>"):
        response = client.get(path)
        assert response.status_code == 404
        assert not re.search("<script>|<img|<b>", response.text)
        assert '<link rel="stylesheet"' in response.text
    # The style's address leads to the style from whatever depth.
    deep = client.get("/learn/nobody/image/0/0")
    (style,) = re.findall(r'rel="stylesheet" href="([^"]+)"', deep.text)
    assert style == "../../../../static/collect.css"


def test_a_file_of_answers_that_fails_is_told_and_may_be_tried_again(
    client: TestClient, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = begin(client)
    go(client, page)

    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(sessions.store, "keep", full)
        response = answer(client, page, 0)
        assert (response.status_code, response.text) == (503, "The file of answers cannot be written.")
    assert answer(client, page, 0).status_code == 200


def test_the_file_is_closed_when_the_server_stops(sessions: Sessions, pictures: Pictures) -> None:
    with make_client(sessions, pictures) as client:
        begin(client)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        sessions.store.learners()
