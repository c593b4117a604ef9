import asyncio
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="the extra collect is not installed")
from collect_images import write_images
from served import Served

from diptych.collect import Pictures, Ranking, listen, serve
from diptych.collect.serving import warning


@pytest.fixture
def served(kind: Ranking, pictures: Pictures, tmp_path: Path) -> Iterator[Served]:
    served = Served(kind, pictures, tmp_path / "answers.sqlite")
    yield served
    served.close()


def test_it_listens_on_this_machine_alone_unless_told_otherwise() -> None:
    with listen(port=0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
    assert all(warning(host) is None for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9"))
    for host in ("0.0.0.0", "::", "192.168.0.7", "lab.example"):
        assert f"on {host} whoever reaches this machine can take part" in str(warning(host))


def test_another_server_on_the_port_is_named(tmp_path: Path) -> None:
    with listen(port=0) as listening:
        port = listening.getsockname()[1]
        told = rf"port {port} of 127.0.0.1: another server \(.*process {os.getpid()}\) listens there; stop"
        with pytest.raises(OSError, match=told):
            listen(port=port)


@pytest.mark.parametrize("port", [-1, 65536])
def test_ports_that_there_are_not(port: int) -> None:
    with pytest.raises(
        ValueError, match=f"port: expected 1 to 65535, or 0 for any that is free, found {port}"
    ):
        listen(port=port)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "", "x" * 70, "203.0.113.9"])
def test_hosts_that_are_not_of_this_machine(host: str) -> None:
    with pytest.raises(OSError, match="host: expected a name or number of this machine, found"):
        listen(host, 0)


PATHS = [
    "{page}/image/../../../../../../../../../../{file}",
    "{page}/image/0/../../../Agara/agara_0.png",
    "/../../../../../../../../../etc/passwd",
    "/static/../server.py",
    "/static/../../../../../../../../etc/passwd",
    "//etc/passwd",
    "/static/....//server.py",
]


def test_no_path_leads_to_a_file_as_it_is_sent(served: Served, folder: Path) -> None:
    """Clients bring paths into order before they send them; here they go out as they stand."""
    page = f"/learn/{served.sessions.begin(served.sessions.ticket())}"
    connection = http.client.HTTPConnection("127.0.0.1", served.port)
    for path in PATHS:
        connection.request("GET", path.format(page=page, file=str(folder / "Agara" / "agara_0.png")[1:]))
        response = connection.getresponse()
        content = response.read()
        assert response.status == 404, path
        assert not any(secret in content for secret in (b"root:", b"PNG", b"import")), path
    connection.close()


def test_bytes_that_are_no_request_do_no_harm(served: Served) -> None:
    for sent in (b"\x00" * 100, b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/9\r\nHost: x\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
            connection.sendall(sent)
            assert connection.recv(100).startswith((b"HTTP/1.1 400", b"HTTP/1.1 421"))
    with urllib.request.urlopen(served.root) as response:
        assert response.status == 200


def test_ctrl_c_ends_the_command_in_words(folder: Path, tmp_path: Path) -> None:
    """In a process of its own, which is what Ctrl-C ends."""
    answers = tmp_path / "answers.sqlite"
    options = "--train", "4", "--test", "2", "--port", "0", "--out", str(answers)
    command = sys.executable, "-m", "diptych", "tracing", "collect", "--images", str(folder), *options
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        try:
            said = [process.stdout.readline() for _ in range(4)]
            with urllib.request.urlopen(said[0].split()[-1], timeout=30) as response:
                assert response.status == 200
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert "/organiser/" in said[1]
    assert f"{answers} (learners so far: 0)" in said[2]
    assert (process.returncode, out, err) == (0, f"\nStopped. The answers are in {answers}\n", "")


def test_it_is_not_served_inside_an_event_loop(kind: Ranking, pictures: Pictures, tmp_path: Path) -> None:
    async def within() -> None:
        with pytest.raises(RuntimeError, match="serve: expected no event loop, found one that runs"):
            serve(kind, pictures, tmp_path / "answers.sqlite", listen(port=0))

    # In a thread: a browser's driver may have a loop in this one.
    thread = threading.Thread(target=lambda: done.append(asyncio.run(within())))
    done: list[None] = []
    thread.start()
    thread.join()
    assert done == [None]
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_is_missing_is_named_with_its_remedy(
    kind: Ranking, pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with (
        listen(port=0) as listening,
        pytest.raises(ModuleNotFoundError, match=r"needs uvicorn: pip install 'diptych\[collect\]'"),
    ):
        serve(kind, pictures, tmp_path / "answers.sqlite", listening)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_other_images_stops_the_server_before_it_starts(
    kind: Ranking, pictures: Pictures, tmp_path: Path
) -> None:
    other = Pictures(write_images(tmp_path / "other", each=7))
    asked = Ranking(other.names, other.classes, other.labels, kind.train, kind.test, kind.seed)
    listening = listen(port=0)
    Served(kind, pictures, tmp_path / "answers.sqlite").close()
    # In a thread: a browser's driver may have an event loop in this one.
    with (
        ThreadPoolExecutor(1) as thread,
        pytest.raises(ValueError, match="holds the answers of another study: it has 18 images, not 21"),
    ):
        thread.submit(serve, asked, other, tmp_path / "answers.sqlite", listening).result()
    # The port is free again.
    assert listening.fileno() == -1
