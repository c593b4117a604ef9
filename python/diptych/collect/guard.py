"""What every request has to be, and what every response says to browsers."""

import ipaddress
import socket
from collections.abc import Iterable
from typing import Any

# Bytes of the largest body that a page of ours posts, and room.
_LARGEST = 64 * 1024

_HEADERS = {
    # Nothing inline, nothing from elsewhere, in no frame.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    # Addresses hold the learners' tokens.
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-robots-tag": "noindex",
}
_HEADER_BYTES = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]


class Hosts:
    """By which names a server may be called.

    A page elsewhere whose name is made to lead to this machine (DNS rebinding) would be of one origin with
    ours, but calls it by its own name. Numbers lead nowhere else and may always be used; of a server on the
    loopback interface only those of that interface.
    """

    def __init__(self, host: str, further: Iterable[str] = ()) -> None:
        """Take the host that a server listens on, and further names that it is called by."""
        self._loopback = is_loopback(host)
        own = ["localhost", host, *further]
        self._names = {name.casefold() for name in (own if self._loopback else [*own, socket.gethostname()])}

    def allows(self, header: str) -> bool:
        """Whether a request with this ``Host`` may be answered."""
        # "name:port", "[number]:port", or without a port.
        name = header[1 : header.find("]")] if header.startswith("[") else header.partition(":")[0]
        if name.casefold() in self._names:
            return True
        try:
            number = ipaddress.ip_address(name)
        except ValueError:
            return False
        return number.is_loopback or not self._loopback


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"


class Guard:
    """An ASGI application around another that refuses requests it should not see."""

    def __init__(self, app: Any, hosts: Hosts) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            # Of a connection that is not HTTP's: it is closed.
            return await send({"type": "websocket.close", "code": 1008})

        async def secured(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADER_BYTES]
            await send(message)

        status, reason = self._refusal(scope)
        if status is None:
            return await self._app(scope, receive, secured)
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
        await secured({"type": "http.response.start", "status": status, "headers": headers})
        return await secured({"type": "http.response.body", "body": reason.encode()})

    def _refusal(self, scope: Any) -> tuple[int | None, str]:
        headers = dict(scope["headers"])
        if not self._hosts.allows(headers.get(b"host", b"").decode("latin-1")):
            return 421, "This server is not called by this name; --allow-host NAME lets it be.\n"
        if scope["method"] == "POST":
            length = headers.get(b"content-length", b"")
            if not length.isdigit():
                return 411, "The length of what is sent is missing.\n"
            if int(length) > _LARGEST:
                return 413, "More is sent than any page of ours sends.\n"
        return None, ""
