"""Folders and block sizes for the tests of diptych.embed."""

from pathlib import Path

import pytest

from diptych.embed import embedding as embedding_module


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of two rows or so, that a small matrix has many of."""
    monkeypatch.setattr(embedding_module, "_BLOCK_BYTES", 40)
    monkeypatch.setattr("diptych.embed.mapped._WINDOW", 16)
