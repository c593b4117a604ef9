"""Fixtures of the tests of diptych.language."""

import pytest


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds a client would have waited between its attempts; it does not."""
    waited: list[float] = []
    monkeypatch.setattr("diptych.language.openai_compatible.sleep", waited.append)
    return waited
