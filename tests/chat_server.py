"""A server on this machine that speaks the chat completions protocol."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from diptych.language import OpenAICompatible


@dataclass
class Reply:
    """What the server says to one request, after so many seconds."""

    text: str = "An answer."
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    kind: str = "application/json"
    seconds: float = 0.0
    hang_up: bool = False

    def content(self) -> bytes:
        if self.body is not None:
            return self.body
        return json.dumps({"choices": [{"message": {"role": "assistant", "content": self.text}}]}).encode()


class Server:
    """Gives ``replies`` in turn, the last one for ever, and keeps what it was asked."""

    def __init__(self) -> None:
        self.replies: list[Reply] = [Reply()]
        self.respond: Callable[[dict[str, Any]], Reply] | None = None
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.at_a_time = 0
        self._under_way = 0
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.host = f"127.0.0.1:{self._http.server_address[1]}"
        self.url = f"http://{self.host}/v1"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def client(self, **options: Any) -> OpenAICompatible:
        options = {"timeout": 10.0, "retries": 3} | options
        return OpenAICompatible(options.pop("url", self.url), "tiny", **options)

    def _reply(self, request: dict[str, Any]) -> Reply:
        if self.respond is not None:
            return self.respond(request)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server._lock:
                    server.requests.append(request)
                    server.headers.append(dict(self.headers))
                    server.paths.append(self.path)
                    server._under_way += 1
                    server.at_a_time = max(server.at_a_time, server._under_way)
                    reply = server._reply(request)
                time.sleep(reply.seconds)
                with server._lock:
                    server._under_way -= 1
                if reply.hang_up:
                    self.close_connection = True
                    return
                content = reply.content()
                with suppress(ConnectionError):  # of a client that waits no longer
                    self.send_response(reply.status)
                    for name, value in {"Content-Type": reply.kind, **reply.headers}.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
