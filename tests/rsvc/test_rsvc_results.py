"""Saving, loading and telling what a comparison found."""

import dataclasses
import json
from dataclasses import fields, replace

import numpy as np
import pandas
import pytest
from planted_concepts import two_networks

from diptych import rsvc
from diptych.rsvc.results import REPLACEMENT

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def result():
    first, second, _, groups = two_networks()
    head = np.random.default_rng(0).standard_normal((3, 30)), None
    return rsvc.compare(first, second, k=3, groups=groups, head_1=head, target=1, progress=False)


def assert_same(a, b) -> None:
    """Equal, array by array."""
    if dataclasses.is_dataclass(a):
        assert type(a) is type(b)
        for field in dataclasses.fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name))
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    else:
        assert a == b


def test_what_is_saved_is_loaded(result, tmp_path) -> None:
    path = tmp_path / "deep" / "class.npz"
    result.names = ("resnet18", "resnet50")
    result.save(path)
    assert_same(rsvc.RSVCResult.load(path), result)
    assert list(path.parent.iterdir()) == [path]
    result.names = ("1", "2")


def test_regressions_can_stay_behind(result, tmp_path) -> None:
    result.save(tmp_path / "whole.npz")
    result.save(tmp_path / "small.npz", regressions=False)
    assert (tmp_path / "small.npz").stat().st_size < (tmp_path / "whole.npz").stat().st_size
    small = rsvc.RSVCResult.load(tmp_path / "small.npz")
    assert small.regression_1 is None
    assert small.regression_2 is None
    assert_same(small.cmcs_1to2, result.cmcs_1to2)
    small.save(tmp_path / "again.npz")
    assert_same(rsvc.RSVCResult.load(tmp_path / "again.npz"), small)


def test_a_loaded_regression_predicts(result, tmp_path) -> None:
    result.save(tmp_path / "r.npz")
    loaded = rsvc.RSVCResult.load(tmp_path / "r.npz")
    first = two_networks(seed=3)[0]
    np.testing.assert_array_equal(loaded.regression_1.predict(first), result.regression_1.predict(first))


def test_names_of_images_may_be_strings(tmp_path) -> None:
    first, second, _, groups = two_networks()
    names = np.array([f"n0144/{group}.jpg" for group in groups])
    result = rsvc.compare(first, second, k=2, groups=names, progress=False)
    result.save(tmp_path / "r.npz")
    np.testing.assert_array_equal(rsvc.RSVCResult.load(tmp_path / "r.npz").groups, names)


def test_nothing_is_unpickled(result, tmp_path) -> None:
    path = tmp_path / "r.npz"
    result.save(path)
    with np.load(path, allow_pickle=False) as archive:
        assert all(archive[name].dtype.kind in "fiuUb" for name in archive.files)
    np.savez(path, rsvc=np.array([{"format": 1}], dtype=object))
    with pytest.raises(ValueError, match=r"r\.npz: not a readable RSVC result: .*allow_pickle"):
        rsvc.RSVCResult.load(path)


def test_a_failed_save_leaves_what_was_there(result, tmp_path, monkeypatch) -> None:
    path = tmp_path / "r.npz"
    path.write_bytes(b"before")

    def full(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="no space left"):
        result.save(path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_unreadable_files(result, tmp_path) -> None:
    path = tmp_path / "r.npz"
    with pytest.raises(FileNotFoundError):
        rsvc.RSVCResult.load(path)
    path.write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match=r"r\.npz: not a readable RSVC result"):
        rsvc.RSVCResult.load(path)
    np.savez(path, x=np.ones(3))
    with pytest.raises(ValueError, match="it holds other arrays"):
        rsvc.RSVCResult.load(path)
    np.savez(path, rsvc=np.array(json.dumps({"format": 99})))
    with pytest.raises(ValueError, match="it has format 99, this version reads 1"):
        rsvc.RSVCResult.load(path)
    result.save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="not a readable RSVC result"):
        rsvc.RSVCResult.load(path)


def test_the_frame_has_a_row_for_each_concept(result, tmp_path) -> None:
    frame = result.to_frame()
    assert frame["network"].tolist() == ["1"] * 3 + ["2"] * 3
    assert frame["concept"].tolist() == [0, 1, 2] * 2
    np.testing.assert_array_equal(frame["cmcs"], np.r_[result.cmcs_2to1, result.cmcs_1to2])
    np.testing.assert_array_equal(frame["smcs"], np.r_[result.smcs_1, result.smcs_2])
    np.testing.assert_array_equal(
        frame["cmcs_spearman"], np.r_[result.cmcs_2to1_spearman, result.cmcs_1to2_spearman]
    )
    np.testing.assert_array_equal(frame["mcs"], np.r_[result.mcs_1, result.mcs_2])
    np.testing.assert_array_equal(frame["importance"], np.r_[result.importance_1, [np.nan] * 3])
    np.testing.assert_array_equal(frame["kl"], np.r_[result.replacement_1["kl"], [np.nan] * 3])
    np.testing.assert_array_equal(frame["cross_nonzero"], np.r_[result.nonzero_2to1, result.nonzero_1to2])
    assert not frame["dead"].any()
    frame.to_csv(tmp_path / "frame.csv", index=False)
    back = pandas.read_csv(tmp_path / "frame.csv", dtype={"network": str})
    # The last digit may go: pandas 2 reads numbers to 1e-15.
    pandas.testing.assert_frame_equal(back, frame, rtol=1e-14)


def test_names_with_undecodable_bytes_can_be_written(result, tmp_path) -> None:
    odd = replace(result, names=("caf\udce9", "caf\udcea"))
    for frame, rows in ((odd.to_frame(), 3), (odd.replacement, 3)):
        assert (frame["network"] == "caf\\udce9").sum() == rows
        frame.to_csv(tmp_path / "f.csv", index=False)
        assert pandas.read_csv(tmp_path / "f.csv")["network"].tolist() == frame["network"].tolist()
    pytest.importorskip("pyarrow")
    odd.to_frame().to_parquet(tmp_path / "f.parquet")
    assert set(pandas.read_parquet(tmp_path / "f.parquet")["network"]) == {"caf\\udce9", "caf\\udcea"}


def test_scores_are_the_numbers_of_each_concept(result) -> None:
    for each in fields(result.scores):
        assert getattr(result.scores, each.name) is getattr(result, each.name)


def test_the_replacement_frame(result) -> None:
    frame = result.replacement
    assert frame.columns.tolist() == ["network", "concept", *REPLACEMENT]
    assert rsvc.Replacement._fields == REPLACEMENT
    assert frame["concept"].tolist() == [0, 1, 2]
    bare = dataclasses.replace(result, replacement_1={})
    assert bare.replacement.columns.tolist() == frame.columns.tolist()
    assert len(bare.replacement) == 0


def test_frames_need_pandas(result, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    for ask in (result.to_frame, lambda: result.replacement):
        with pytest.raises(ModuleNotFoundError, match=r"needs pandas: pip install 'diptych\[report\]'"):
            ask()


def test_summary(result) -> None:
    text = result.summary()
    assert "192 patches of 24 images, 1 against 2, similarity on held-out folds" in text
    lowest = int(result.cmcs_2to1.argmin())
    assert f"least by 2: concept {lowest} ({result.cmcs_2to1[lowest]:.3f}" in text
    undefined = dataclasses.replace(result, cmcs_2to1=np.full(3, np.nan))
    assert "1: all 3 concepts are undefined" in undefined.summary()
