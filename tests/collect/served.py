"""The web page behind a port of this machine, in a thread of the test."""

import threading
from pathlib import Path

import uvicorn

from diptych.collect import Pictures, Store, Study, TrialKind, listen
from diptych.collect.guard import Hosts
from diptych.collect.server import make_app
from diptych.collect.session import Sessions

ORGANISER = "secret-of-the-organiser"


class Served:
    """A study that is served until it is closed."""

    def __init__(self, kind: TrialKind, pictures: Pictures, answers: Path, port: int = 0) -> None:
        self.sessions = Sessions(Store(answers, Study(kind, pictures.fingerprint)))
        listening = listen(port=port)
        self.port = listening.getsockname()[1]
        self.root = f"http://127.0.0.1:{self.port}"
        app = make_app(self.sessions, pictures, Hosts("127.0.0.1"), ORGANISER)
        # What is still open is cut off: tests close servers in the middle of things.
        config = uvicorn.Config(app, log_level="critical", access_log=False, timeout_graceful_shutdown=0)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]})
        self._thread.start()

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()
