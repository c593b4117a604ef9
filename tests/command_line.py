"""The command line in the process of a test."""

import sys

import pytest

from diptych.cli import app


def diptych(*arguments: object, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run ``diptych`` with these arguments, on a wide terminal; returns its exit status."""
    monkeypatch.setattr(sys, "argv", ["diptych", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as leaving:
        app.main()
    return int(leaving.value.code or 0)
