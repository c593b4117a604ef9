"""Fixtures of the tests of diptych.language."""

from collections.abc import Iterator

import pytest
from chat_server import Server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    yield server
    server.close()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds a client would have waited between its attempts; it does not."""
    waited: list[float] = []
    monkeypatch.setattr("diptych.language.openai_compatible.sleep", waited.append)
    return waited
