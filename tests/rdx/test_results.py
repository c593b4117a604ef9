"""What a comparison gives: its words, its table, and its file."""

import errno
import json
import pickle
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas
import pytest
from by_definition import gathered

from diptych.rdx import Explanations, Parameters, RDXResult, compare
from diptych.rdx.results import _FORMAT


class Trap:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("unpickled"),))


@pytest.fixture(scope="module")
def result() -> RDXResult:
    a, b = gathered(80, 15)
    found = compare(a.astype(np.float32), b, n_explanations=2, grid_size=5, align="a_to_b", progress=False)
    found.names = ("ours", "theirs ½")
    found.a.notes.append('A note with "quotes", <tags> and an umlaut: ü.')
    return found


@pytest.fixture(scope="module")
def empty() -> RDXResult:
    a, _ = gathered(40, 8)
    return compare(a, a, progress=False)


def assert_same(found: RDXResult, expected: RDXResult) -> None:
    for side, other in ((found.a, expected.a), (found.b, expected.b)):
        assert len(side.grids) == len(other.grids)
        for grid, twin in zip(side.grids, other.grids, strict=True):
            assert grid.dtype == np.int64
            np.testing.assert_array_equal(grid, twin)
        assert side.labels.dtype == np.int64
        np.testing.assert_array_equal(side.labels, other.labels)
        np.testing.assert_array_equal(side.bsr_per_grid, other.bsr_per_grid)
        np.testing.assert_array_equal(side.mean_affinity, other.mean_affinity)
        np.testing.assert_equal(side.bsr, other.bsr)  # NaN equals NaN here
        assert side.raw_bsr == other.raw_bsr
        assert side.notes == other.notes
    assert found.parameters == expected.parameters
    assert found.names == expected.names
    assert (found.cka, found.mutual_knn) == (expected.cka, expected.mutual_knn)
    assert found.aligned_cka == expected.aligned_cka
    assert found.seconds == expected.seconds
    assert found.versions == expected.versions
    assert found.n == expected.n


def test_a_result_comes_back_as_it_was(result: RDXResult, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "result.npz"
    result.save(path)
    found = RDXResult.load(str(path))
    assert_same(found, result)
    assert found.embeddings is not None
    assert result.embeddings is not None
    for array, twin in zip(found.embeddings, result.embeddings, strict=True):
        assert array.dtype == twin.dtype
        np.testing.assert_array_equal(array, twin)
    assert found.summary() == result.summary()
    assert list(path.parent.iterdir()) == [path]


def test_embeddings_can_be_left_out(result: RDXResult, tmp_path: Path) -> None:
    result.save(tmp_path / "small.npz", embeddings=False)
    result.save(tmp_path / "whole.npz")
    found = RDXResult.load(tmp_path / "small.npz")
    assert found.embeddings is None
    assert_same(found, result)
    assert (tmp_path / "small.npz").stat().st_size < (tmp_path / "whole.npz").stat().st_size
    found.save(tmp_path / "again.npz")
    assert RDXResult.load(tmp_path / "again.npz").embeddings is None


def test_a_result_without_differences_comes_back(empty: RDXResult, tmp_path: Path) -> None:
    empty.save(tmp_path / "empty.npz")
    found = RDXResult.load(tmp_path / "empty.npz")
    assert_same(found, empty)
    assert found.a.grids == []
    assert np.isnan(found.a.bsr)


def test_grids_of_no_and_one_item_come_back(result: RDXResult, tmp_path: Path) -> None:
    side = Explanations(
        grids=[np.array([3]), np.array([1, 2, 0]), np.array([4])],
        labels=np.array([1, 1, 1, 0, 2, -1]),
        bsr=0.5,
        bsr_per_grid=np.array([np.nan, 0.5, np.nan]),
        mean_affinity=np.array([0.0, 2.0, 0.0]),
    )
    RDXResult(side, side, Parameters()).save(tmp_path / "odd.npz")
    found = RDXResult.load(tmp_path / "odd.npz")
    assert [grid.tolist() for grid in found.a.grids] == [[3], [1, 2, 0], [4]]
    np.testing.assert_array_equal(found.b.bsr_per_grid, side.bsr_per_grid)
    assert np.isnan(found.cka)
    assert found.a.raw_bsr is None


def test_the_ending_of_the_path_is_the_users(result: RDXResult, tmp_path: Path) -> None:
    result.save(tmp_path / "comparison.rdx")
    assert [path.name for path in tmp_path.iterdir()] == ["comparison.rdx"]
    assert_same(RDXResult.load(tmp_path / "comparison.rdx"), result)


def test_the_file_is_plain_arrays_and_json(result: RDXResult, tmp_path: Path) -> None:
    result.save(tmp_path / "result.npz")
    with np.load(tmp_path / "result.npz", allow_pickle=False) as archive:
        meta = json.loads(str(archive["meta"]))
        assert all(archive[name].dtype != object for name in archive.files)
    assert meta["format"] == _FORMAT
    assert Parameters(**meta["parameters"]) == result.parameters


def test_numpy_scalars_as_parameters_can_be_saved(tmp_path: Path) -> None:
    a, b = gathered(40, 8)
    found = compare(
        a,
        b,
        n_explanations=np.int64(2),
        grid_size=np.int32(4),
        gamma=np.float32(0.25),
        beta=np.float64(2),
        seed=np.uint8(3),
        progress=False,
    )
    assert {type(value) for value in asdict(found.parameters).values()} <= {int, float, str, type(None)}
    found.save(tmp_path / "result.npz")
    assert RDXResult.load(tmp_path / "result.npz").parameters == Parameters(2, 4, 0.25, 2.0, seed=3)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    result: RDXResult, empty: RDXResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "result.npz"
    result.save(path)
    before = path.read_bytes()

    def full(file: object, **arrays: object) -> None:
        file.write(b"PK half an archive")  # type: ignore[attr-defined]
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        empty.save(path)
    with pytest.raises(OSError, match="No space left"):
        empty.save(tmp_path / "new.npz")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_leaves_nothing_that_looks_whole(
    result: RDXResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(file: object, **arrays: object) -> None:
        file.write(b"PK half an archive")  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", interrupted)
    with pytest.raises(KeyboardInterrupt):
        result.save(tmp_path / "result.npz")
    assert list(tmp_path.iterdir()) == []


def test_loading_never_unpickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, result: RDXResult) -> None:
    monkeypatch.chdir(tmp_path)
    result.save("good.npz")
    with np.load("good.npz") as archive:
        arrays = dict(archive)
    arrays["a_labels"] = np.array([Trap()], dtype=object)
    np.savez("trap.npz", allow_pickle=True, **arrays)
    with pytest.raises(ValueError, match=r"trap\.npz: not a readable RDX result: .*allow_pickle"):
        RDXResult.load("trap.npz")
    Path("raw.npz").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match=r"raw\.npz: not a readable RDX result"):
        RDXResult.load("raw.npz")
    assert not Path("unpickled").exists()
    # The trap works where unpickling is allowed, so the checks above could have failed.
    pickle.loads(Path("raw.npz").read_bytes())
    assert Path("unpickled").exists()


def test_other_files_are_refused_by_name(result: RDXResult, tmp_path: Path) -> None:
    np.savez(tmp_path / "foreign.npz", x=np.ones(3))
    np.save(tmp_path / "array.npy", np.ones((3, 2)))
    (tmp_path / "text.npz").write_text("not an archive")
    (tmp_path / "nothing.npz").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "empty.npz", "w"):
        pass
    np.savez(tmp_path / "nojson.npz", meta=np.array("{"))
    np.savez(tmp_path / "list.npz", meta=np.array("[1]"))
    result.save(tmp_path / "whole.npz")
    whole = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "truncated.npz").write_bytes(whole[: len(whole) // 2])
    with np.load(tmp_path / "whole.npz") as archive:
        arrays = dict(archive)
    del arrays["b_sizes"]
    np.savez(tmp_path / "missing.npz", **arrays)
    (tmp_path / "folder.npz").mkdir()
    names = "foreign array text nothing empty nojson list truncated missing folder"
    for name in names.split():
        (path,) = tmp_path.glob(f"{name}.np?")
        with pytest.raises(ValueError, match=rf"{name}\.np.: not a readable RDX result: \S"):
            RDXResult.load(path)
    with pytest.raises(FileNotFoundError, match=r"absent\.npz"):
        RDXResult.load(tmp_path / "absent.npz")


def test_a_flipped_byte_is_noticed(result: RDXResult, tmp_path: Path) -> None:
    path = tmp_path / "result.npz"
    result.save(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"result\.npz: not a readable RDX result"):
        RDXResult.load(path)


def test_a_later_format_is_refused_by_name(result: RDXResult, tmp_path: Path) -> None:
    result.save(tmp_path / "result.npz")
    with np.load(tmp_path / "result.npz") as archive:
        arrays = dict(archive)
    meta = json.loads(str(arrays["meta"])) | {"format": _FORMAT + 1, "something": "new"}
    np.savez(tmp_path / "later.npz", **arrays | {"meta": np.array(json.dumps(meta))})
    wanted = rf"later\.npz: .*it has format {_FORMAT + 1}, this version reads {_FORMAT}"
    with pytest.raises(ValueError, match=wanted):
        RDXResult.load(tmp_path / "later.npz")


def test_the_summary_tells_the_figures(result: RDXResult) -> None:
    text = result.summary()
    assert text.splitlines()[0] == (
        f"80 items, ours against theirs ½: CKA {result.cka:.3f} ({result.aligned_cka:.3f} after alignment), "
        f"mutual 10-NN {result.mutual_knn:.3f}"
    )
    for name, other, side in result.directions:
        line = (
            f"{name} groups what {other} does not: 2 explanations, "
            f"{sum(map(len, side.grids))} items, BSR {side.bsr:.3f} ({side.raw_bsr:.3f} before alignment)"
        )
        assert line in text.splitlines()
        for note in side.notes:
            assert f"  {note}" in text.splitlines()


def test_the_summary_of_no_differences_says_so(empty: RDXResult) -> None:
    text = empty.summary()
    assert "A groups nothing that B does not: no differences found." in text
    assert "B groups nothing that A does not: no differences found." in text
    assert "nan" not in text.lower()


def test_the_frame_has_a_row_per_item_of_each_grid(result: RDXResult) -> None:
    frame = result.to_frame()
    columns = ["representation", "explanation", "position", "item", "grid_bsr", "mean_affinity"]
    assert list(frame.columns) == columns
    assert len(frame) == sum(len(grid) for _, _, side in result.directions for grid in side.grids)
    for name, _, side in result.directions:
        for number, grid in enumerate(side.grids):
            rows = frame[(frame.representation == name) & (frame.explanation == number)]
            assert rows.item.tolist() == grid.tolist()
            assert rows.position.tolist() == list(range(len(grid)))
            assert set(rows.grid_bsr) == {side.bsr_per_grid[number]}
            assert set(rows.mean_affinity) == {side.mean_affinity[number]}


def test_the_frame_of_no_differences_is_empty_with_its_columns(empty: RDXResult) -> None:
    frame = empty.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert len(frame) == 0
    assert list(frame.columns)[:2] == ["representation", "explanation"]
