"""Files that are whole or not there."""

import os
import stat
from pathlib import Path

import pytest

from diptych._files import atomic_path


def test_a_finished_block_puts_the_file_in_place_and_leaves_nothing_else(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "result.npz") as temporary:
        temporary.write_bytes(b"whole")
        assert not (tmp_path / "result.npz").exists()
        assert temporary.parent == tmp_path  # one file system, so that renaming is one step
        assert temporary.suffix == ".npz"  # writers go by the ending
    assert (tmp_path / "result.npz").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["result.npz"]


def test_an_old_file_is_there_until_the_new_one_is(tmp_path: Path) -> None:
    target = tmp_path / "x.json"
    target.write_text("old")
    with atomic_path(str(target)) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError()])
def test_a_failed_block_changes_nothing(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "x.npz"
    target.write_text("old")

    def write() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(type(error)):
        write()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_rename_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("not now")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="not now"), atomic_path(tmp_path / "x.npz") as temporary:
        temporary.write_text("whole")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_way_is_an_error_and_stays(tmp_path: Path) -> None:
    (tmp_path / "x.npz").mkdir()
    with pytest.raises(OSError, match=r"x\.npz"), atomic_path(tmp_path / "x.npz") as temporary:
        temporary.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]
    assert (tmp_path / "x.npz").is_dir()


def test_a_block_that_removed_its_file_fails_without_a_trace(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "x.npz") as temporary:
        temporary.unlink()
    assert list(tmp_path.iterdir()) == []


def test_missing_folders_are_made(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a" / "b" / "x.txt") as temporary:
        temporary.write_text("here")
    assert (tmp_path / "a" / "b" / "x.txt").read_text() == "here"


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_permissions_are_those_of_a_new_file(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with atomic_path(tmp_path / "x.txt") as temporary:
            temporary.write_text("here")
        assert os.umask(mask) == mask  # reading the mask did not change it
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x.txt").stat().st_mode) == 0o666 & ~mask


def test_two_writers_at_once_do_not_meet(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "x.txt") as first, atomic_path(tmp_path / "x.txt") as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert (tmp_path / "x.txt").read_text() == "first"  # the last to finish
    assert len(list(tmp_path.iterdir())) == 1
