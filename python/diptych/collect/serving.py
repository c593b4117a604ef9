"""Running the web page on a port of this machine, until Ctrl-C."""

import asyncio
import errno
import os
import secrets
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from diptych.collect.folder import Pictures
from diptych.collect.guard import Hosts, is_loopback
from diptych.collect.session import Sessions
from diptych.collect.store import Store
from diptych.collect.study import Study
from diptych.collect.trials import TrialKind
from diptych.embed._extras import require

_PORTS = 65535
# Seconds that requests under way have when the server is stopped.
_GRACE = 3


def listen(host: str = "127.0.0.1", port: int = 8000) -> socket.socket:
    """Open a port.

    Args:
        host: A name or number of this machine; "127.0.0.1" is reached from this machine alone, "0.0.0.0" from
            wherever its network leads.
        port: 1 to 65535, or 0 for any that is free.

    Raises:
        ValueError: There is no such port.
        OSError: Another server listens there (it is named where the system tells), the port may not be used,
            or the host is none of this machine.
    """
    if not 0 <= port <= _PORTS:
        raise ValueError(f"port: expected 1 to {_PORTS}, or 0 for any that is free, found {port}")
    try:
        if not host:
            # It would be every interface.
            raise UnicodeError("no name")
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise OSError(f"host: expected a name or number of this machine, found {host!r}: {error}") from error
    opened = socket.socket(family, kind, protocol)
    try:
        # So that a server can be started again while connections to the last one fade away.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(128)
    except OSError as error:
        opened.close()
        raise _explained(error, host, port) from error
    return opened


def serve(
    kind: TrialKind,
    pictures: Pictures,
    answers: str | os.PathLike[str],
    listening: socket.socket,
    *,
    host: str = "127.0.0.1",
    allowed_hosts: Iterable[str] = (),
    say: Callable[[str], None] = print,
) -> None:
    """Serve a study until Ctrl-C; to go on with it, serve it again.

    Args:
        kind: The trials.
        pictures: That they are about.
        answers: The file of answers, begun where there is none.
        listening: The port, from :func:`listen`; it is closed at the end.
        host: As :func:`listen` was told.
        allowed_hosts: Further names that the server is called by, as a proxy before it has one.
        say: Told where the pages are, and what there is at the end.

    Raises:
        ValueError: The file is not one of answers, or of another study.
        OSError: It cannot be written.
        ModuleNotFoundError: A package of the extra ``collect`` is not installed.
        RuntimeError: An event loop runs already in this thread, as in a notebook.
    """
    for package in ("fastapi", "jinja2"):
        require(package, "collect")
    uvicorn = require("uvicorn", "collect")
    from diptych.collect.server import make_app

    with listening:
        _demand_no_loop()
        store = Store(Path(answers), Study(kind, pictures.fingerprint))
        organiser = secrets.token_urlsafe(16)
        app = make_app(Sessions(store), pictures, Hosts(host, allowed_hosts), organiser)
        root = _address(listening, host)
        begun = len(store.learners())
        say(f"Learners begin at    {root}/")
        say(f"Organiser's page     {root}/organiser/{organiser}")
        say(f"Answers are kept in  {answers} (learners so far: {begun})")
        say("Ctrl-C stops the server; the same command goes on.")
        config = uvicorn.Config(
            app,
            log_level="warning",
            # Addresses hold the learners' tokens.
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE,
        )
        # Uvicorn hands Ctrl-C on when it has ended what was under way.
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
    say(f"\nStopped. The answers are in {answers}")


def warning(host: str) -> str | None:
    """What to know before a server listens on a host; None where only this machine reaches it."""
    if is_loopback(host):
        return None
    return (
        f"warning: on {host} whoever reaches this machine can take part and is sent the images, and what is "
        "sent is not encrypted; use a network that you trust, or a proxy with TLS before --host 127.0.0.1"
    )


def _demand_no_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(
        "serve: expected no event loop, found one that runs, as in a notebook; use diptych tracing collect, "
        "or another thread"
    )


def _address(listening: socket.socket, host: str) -> str:
    port = listening.getsockname()[1]
    shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def _explained(error: OSError, host: str, port: int) -> OSError:
    if error.errno == errno.EADDRINUSE:
        return OSError(
            f"port {port} of {host}: another server{_listening_there(port)} listens there; stop it, or give "
            "another --port"
        )
    if error.errno == errno.EACCES:
        return OSError(f"port {port} of {host}: may not be used; give a --port from 1024 on")
    return OSError(f"host: expected a name or number of this machine, found {host!r}: {error.strerror}")


def _listening_there(port: int) -> str:
    """The process that listens on a port, where the system tells."""
    try:
        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.laddr.port == port and each.pid:
                return f" ({psutil.Process(each.pid).name()}, process {each.pid})"
    except (psutil.Error, OSError):
        # Of processes of others, or on systems that tell nobody.
        pass
    return ""
