"""A run from two models and a folder of images to tables, on networks that tell colors apart."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from made_images import COLORS, folder_of_images, pixels, small_model, taught
from PIL import Image

from diptych import rsvc
from diptych.embed import ImageModel, PatchGrid, activations, open_images

pytestmark = pytest.mark.usefixtures("one_thread")

OPTIONS: dict[str, Any] = {"images_per_class": 8, "eval_images_per_class": 5, "k": 4, "progress": False}

PROGRAM = """
import sys
import torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
from made_images import two_models
from diptych import rsvc
from diptych.rsvc import run_classes
run_classes._TOGETHER = 2
images, out = sys.argv[2:]
options = {"images_per_class": 8, "eval_images_per_class": 5, "k": 4, "progress": False}
rsvc.run(*two_models(images), images, out=out, resume=True, **options)
"""


@pytest.fixture(scope="module", autouse=True)
def in_pairs() -> Iterator[None]:
    """Classes are taken up two by two, so that a killed run has some of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("diptych.rsvc.run_classes._TOGETHER", 2)
        yield


@pytest.fixture(scope="module")
def finished(
    images: Path, models: tuple[ImageModel, ImageModel], tmp_path_factory: pytest.TempPathFactory
) -> rsvc.RunResult:
    torch.set_num_threads(1)
    return rsvc.run(*models, images, out=tmp_path_factory.mktemp("run") / "out", **OPTIONS)


def assert_same(found: rsvc.RunResult, expected: rsvc.RunResult) -> None:
    assert found.rows == expected.rows
    pandas.testing.assert_frame_equal(found.concepts, expected.concepts, check_exact=True)
    for name in expected:
        mine, theirs = found[name], expected[name]
        for key, value in vars(theirs).items():
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(getattr(mine, key), value)
        assert mine.regression_1 is not None
        assert theirs.regression_1 is not None
        np.testing.assert_array_equal(mine.regression_1.weights, theirs.regression_1.weights)


def test_every_class_and_concept_has_a_row(finished: rsvc.RunResult) -> None:
    assert [row.name for row in finished.rows] == list(COLORS)
    assert list(finished) == list(COLORS)
    assert not finished.skipped
    concepts = finished.concepts
    assert len(concepts) == len(COLORS) * 2 * 4
    assert concepts["class_name"].tolist() == [name for name in COLORS for _ in range(8)]
    assert concepts["network"].unique().tolist() == ["small-24-32", "small-32-48"]
    for column in ("cmcs", "cmcs_spearman", "smcs", "mcs", "importance", "kl", "match", "delta_accuracy"):
        assert concepts[column].notna().all()
    for row in finished.rows:
        own = concepts[concepts["class"] == row.number]
        first = own[own["network"] == "small-24-32"]
        assert row.cmcs_2to1 == pytest.approx(first["cmcs"].mean(), abs=1e-5)  # six digits
        assert (row.training_images, row.evaluation_images) == (8, 5)
        assert row.evaluated_on == "evaluation patches"


def test_a_class_is_what_compare_finds_of_its_patches(
    finished: rsvc.RunResult, images: Path, models: tuple[ImageModel, ImageModel]
) -> None:
    result = finished["2-blue"]
    source, grid = open_images(images), PatchGrid()
    measured = np.flatnonzero(np.isin(source.ids, result.groups))
    # Both networks take all of a class's images for the class, so both have the same ones.
    of_class = np.flatnonzero(source.ids.astype("U6") == "2-blue")
    order = np.random.default_rng([0, 2]).permutation(of_class)
    training = np.sort(order[:8])
    np.testing.assert_array_equal(np.sort(order[8:13]), measured)
    acts = {
        (side, name): activations(model, source.take(items), "embedding", proposals=grid, progress=False)[
            "embedding"
        ]
        for side, model in enumerate(models)
        for name, items in (("training", training), ("measured", measured))
    }
    expected = rsvc.compare(
        acts[0, "training"],
        acts[1, "training"],
        k=4,
        groups=np.repeat(source.ids[training], 16),
        eval_acts_1=acts[0, "measured"],
        eval_acts_2=acts[1, "measured"],
        head_1=models[0].head(),
        head_2=models[1].head(),
        target=2,
        labels=np.full(5 * 16, 2),
        progress=False,
    )
    for key in ("cmcs_1to2", "cmcs_2to1", "smcs_1", "smcs_2", "mcs_1", "importance_1", "importance_2"):
        # Batches of other sizes differ by rounding in float32, which the extraction amplifies.
        np.testing.assert_allclose(getattr(result, key), getattr(expected, key), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(result.replacement["kl"], expected.replacement["kl"], rtol=1e-2, atol=1e-5)


def test_a_saved_run_is_read_again(finished: rsvc.RunResult) -> None:
    again = rsvc.RunResult.load(finished.folder)
    assert_same(again, finished)
    assert again.summary() == finished.summary()
    assert "4 classes compared, 0 skipped; all 56 images were read" in finished.summary()
    assert "small-24-32: 16 concepts, predicted by small-32-48" in finished.summary()
    with pytest.raises(KeyError, match="4-pink"):
        again["4-pink"]


def test_killed_and_resumed_it_finds_the_same(finished: rsvc.RunResult, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", PROGRAM, str(Path(__file__).parent), str(images), str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list(out.glob("classes/*.npz")):
        time.sleep(0.002)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert 1 <= len(list(out.glob("classes/*.npz"))) < len(COLORS)
    assert not (out / "run.json").exists()
    first = min(out.glob("classes/*.npz"))
    before = first.stat().st_mtime_ns
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert first.stat().st_mtime_ns == before
    assert_same(rsvc.RunResult.load(out), finished)


def test_a_finished_run_is_not_computed_again(
    finished: rsvc.RunResult,
    images: Path,
    models: tuple[ImageModel, ImageModel],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(sys.modules["diptych.embed.activations"], "compute", never)
    monkeypatch.setattr("diptych.rsvc.run_classes.compare_classes", never)
    assert_same(rsvc.run(*models, images, out=finished.folder, resume=True, **OPTIONS), finished)


def test_what_a_folder_holds_is_never_overwritten(
    finished: rsvc.RunResult, images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path
) -> None:
    with pytest.raises(FileExistsError, match="holds a finished run; read it again"):
        rsvc.run(*models, images, out=finished.folder, **OPTIONS)
    with pytest.raises(ValueError, match="holds another comparison, k is 4 there and 3 here"):
        rsvc.run(*models, images, out=finished.folder, resume=True, **(OPTIONS | {"k": 3}))
    with pytest.raises(ValueError, match="holds another comparison, model_1 is 'small-24-32' there"):
        rsvc.run(*models[::-1], images, out=finished.folder, resume=True, **OPTIONS)
    with pytest.raises(ValueError, match="holds another comparison, images is '"):
        rsvc.run(*models, open_images(images).take([0, 1, 2]), out=finished.folder, resume=True, **OPTIONS)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(FileExistsError, match="other: holds something else than a run"):
        rsvc.run(*models, images, out=tmp_path / "other", resume=True, **OPTIONS)
    with pytest.raises(FileExistsError, match=r"thesis\.tex: expected a folder, found a file"):
        rsvc.run(*models, images, out=tmp_path / "other" / "thesis.tex", **OPTIONS)


def test_an_unfinished_run_wants_to_be_resumed(
    images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("diptych.rsvc.run_classes.compare_classes", stop)
        with pytest.raises(KeyboardInterrupt):
            rsvc.run(*models, images, out=tmp_path, **OPTIONS)
    with pytest.raises(FileExistsError, match="holds an unfinished run; go on with it"):
        rsvc.run(*models, images, out=tmp_path, **OPTIONS)
    with pytest.raises(FileNotFoundError, match=r"no finished run, run\.json is not there"):
        rsvc.RunResult.load(tmp_path)


def test_classes_that_cannot_be_compared_are_named_and_counted(
    images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path
) -> None:
    source = open_images(images)
    assert source.labels is not None
    # Network 1 takes what is blue for red; of green there are four images.
    blind = taught(small_model(24, 0, 32), source, np.where(source.labels == 2, 0, source.labels))
    some = source.take([item for item in range(len(source)) if not 18 <= item < 28])
    found = rsvc.run(blind, models[1], some, out=tmp_path / "out", **OPTIONS)
    assert found.skipped == {
        "1-green": "small-24-32 predicts it for 4 images, expected at least 5",
        "2-blue": "small-24-32 never predicts it",
    }
    assert list(found) == ["0-red", "3-grey"]
    assert [(row.predicted_1, row.predicted_2) for row in found.rows] == [(28, 14), (4, 4), (0, 14), (14, 14)]
    assert np.isnan(found.rows[2].cmcs_1to2)
    assert "2 classes compared, 2 skipped" in found.summary()
    assert "skipped 2-blue: small-24-32 never predicts it" in found.summary()
    # Concepts of red come from what each network takes for red.
    result = found["0-red"]
    assert {group[:5] for group in result.groups.tolist()} == {"0-red", "2-blu"}
    with pytest.raises(KeyError):
        found["2-blue"]
    alone = rsvc.run(blind, models[1], some, out=tmp_path / "none", classes=["2-blue"], **OPTIONS)
    assert (len(alone), list(alone.skipped)) == (0, ["2-blue"])
    assert len(alone.concepts) == 0
    assert rsvc.RunResult.load(tmp_path / "none").summary() == alone.summary()


def test_constant_activations_are_a_reason_to_skip(
    images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path
) -> None:
    constant = small_model(24, 5, 32, "constant")
    with torch.no_grad():
        constant.module.conv.weight.zero_()  # type: ignore[union-attr]
        constant.module.conv.bias.fill_(1.0)  # type: ignore[union-attr]
        constant.head().bias.copy_(torch.tensor([9.0, 0, 0, 0]))
    arguments = (constant, models[1], images)
    found = rsvc.run(*arguments, out=tmp_path, classes=[0], **OPTIONS)
    assert "acts_1: all patches have the same activations" in found.skipped["0-red"]
    again = rsvc.run(*arguments, out=tmp_path, classes=[0], resume=True, **OPTIONS)
    assert again.skipped == found.skipped
    (tmp_path / "classes" / "00000.json").write_text("{}")
    with pytest.raises(ValueError, match=r"00000\.json: damaged, remove it"):
        rsvc.run(*arguments, out=tmp_path, classes=[0], resume=True, **OPTIONS)


def test_dead_concepts_are_undefined_and_not_zero(tmp_path: Path, images: Path) -> None:
    narrow = small_model(24, 0, 32, "narrow")
    with torch.no_grad():
        narrow.module.conv.weight[1:].zero_()  # type: ignore[union-attr]
        narrow.module.conv.bias[1:] = -1.0  # type: ignore[union-attr]
        narrow.module.conv.weight[0].abs_()  # type: ignore[union-attr]
        narrow.head().bias.copy_(torch.tensor([9.0, 0, 0, 0]))
        narrow.head().weight.zero_()
    found = rsvc.run(narrow, narrow, images, out=tmp_path, classes=[0], **OPTIONS)
    concepts = found.concepts
    assert concepts["network"].unique().tolist() == ["narrow (1)", "narrow (2)"]
    assert concepts["dead"].sum() > 0
    assert concepts.loc[concepts["dead"], ["cmcs", "smcs", "mcs"]].isna().all(axis=None)
    assert concepts.loc[~concepts["dead"], "cmcs"].notna().all()
    assert "are undefined" in found.summary()
    # Undefined is written as such.
    assert ",nan," in (tmp_path / "concepts.csv").read_text()


def test_grey_transparent_and_corrupt_files(models: tuple[ImageModel, ImageModel], tmp_path: Path) -> None:
    folder = folder_of_images(tmp_path / "images", 6)
    Image.fromarray(pixels((120, 120, 120), 9)).convert("L").save(folder / "3-grey" / "grey.png")
    alpha = Image.fromarray(pixels((200, 40, 40), 8)).convert("RGBA")
    alpha.putalpha(250)
    alpha.save(folder / "0-red" / "alpha.png")
    (folder / "1-green" / "broken.png").write_bytes(b"no picture")
    (folder / "2-blue" / "cut.png").write_bytes((folder / "2-blue" / "0.png").read_bytes()[:100])
    found = rsvc.run(*models, folder, out=tmp_path / "out", **(OPTIONS | {"eval_images_per_class": 0}))
    assert found.images == 28
    assert set(found.unreadable) == {"1-green/broken.png", "2-blue/cut.png"}
    assert "2 of 28 images could not be read and were skipped: 1-green/broken.png" in found.summary()
    assert [row.predicted_1 for row in found.rows] == [7, 6, 6, 7]
    assert {row.evaluated_on for row in found.rows} == {"held-out folds"}
    assert set(found["3-grey"].groups) >= {"3-grey/grey.png"}


def test_other_layers_have_no_importance_and_other_conventions_other_patches(
    finished: rsvc.RunResult, images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path
) -> None:
    some = OPTIONS | {"classes": ["3-grey"]}
    found = rsvc.run(*models, images, out=tmp_path / "layer", layer_1="relu", **some)
    own = found.concepts["network"] == "small-24-32"
    assert found.concepts.loc[own, ["importance", "kl"]].isna().all(axis=None)
    assert found.concepts.loc[~own, ["importance", "kl"]].notna().all(axis=None)
    assert "no linear classifier is known behind 'relu'" in found.summary()
    # The mean of the ReLU's maps is what enters the classifier.
    np.testing.assert_allclose(found["3-grey"].cmcs_1to2, finished["3-grey"].cmcs_1to2, rtol=1e-3)
    published = rsvc.run(*models, images, out=tmp_path / "code", conventions="published-code", **some)
    assert published["3-grey"].parameters.conventions == "published-code"
    assert not np.allclose(published["3-grey"].coefficients_1, finished["3-grey"].coefficients_1)


def test_tables_as_parquet_and_a_shared_cache(
    finished: rsvc.RunResult, images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    cache = finished.folder / "activations"
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*.npy")}
    out = tmp_path / "out"
    found = rsvc.run(*models, images, out=out, cache=cache, table_format="parquet", **OPTIONS)
    assert_same(found, finished)
    assert not (out / "activations").exists()
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.npy")} == before
    concepts = pandas.read_parquet(out / "concepts.parquet")
    pandas.testing.assert_frame_equal(concepts, finished.concepts, check_exact=False, rtol=1e-8)
    classes = pandas.read_parquet(out / "classes.parquet")
    assert classes["name"].tolist() == list(COLORS)


def test_class_names_can_be_given(
    images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path
) -> None:
    array = np.stack([np.asarray(open_images(images).read(item)) for item in range(28)])
    names = ["rose", "grass", "sky", "road"]
    found = rsvc.run(*models, array, out=tmp_path, class_names=names, **OPTIONS)
    assert list(found) == ["rose", "grass"]
    assert "2 of 4 classes are predicted by neither network." in found.summary()
    unnamed = rsvc.run(*models, array, out=tmp_path / "numbers", classes=[1], **OPTIONS)
    assert list(unnamed) == ["1"]


def test_a_damaged_run_is_named(finished: rsvc.RunResult, tmp_path: Path) -> None:
    for name in ("classes.csv", "concepts.csv", "run.json"):
        os.link(finished.folder / name, tmp_path / name)
    harms: dict[str, Callable[[Path], object]] = {
        "run.json": lambda path: path.write_text("[]"),
        "concepts.csv": lambda path: path.write_text(""),
        "classes.csv": lambda path: path.write_text("number,name\n0,red\n"),
    }
    for name, harm in harms.items():
        (tmp_path / name).unlink()
        harm(tmp_path / name)
        with pytest.raises(ValueError, match=rf"{name}: "):
            rsvc.RunResult.load(tmp_path)
        (tmp_path / name).unlink()
        os.link(finished.folder / name, tmp_path / name)
