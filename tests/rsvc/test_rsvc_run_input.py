"""Names that tables cannot hold; what a run refuses, and that it leaves the folder to another try."""

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas
import pytest
import torch
from made_images import small_model

from diptych import report, rsvc
from diptych.embed import ImageModel

pytestmark = pytest.mark.usefixtures("one_thread")

OPTIONS: dict[str, Any] = {"images_per_class": 8, "eval_images_per_class": 5, "k": 4, "progress": False}


def test_names_with_undecodable_bytes(
    images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path
) -> None:
    odd = tmp_path / "odd"
    shutil.copytree(images, odd)
    name = os.fsdecode(b"1-caf\xe9")
    (odd / "1-green").rename(odd / name)
    (odd / name / os.fsdecode(b"\xe9.png")).write_bytes(b"no picture")
    named = replace(models[0], name="\udce9"), models[1]
    found = rsvc.run(*named, odd, out=tmp_path / "out", classes=[0, name], table_format="parquet", **OPTIONS)
    assert list(found) == ["0-red", "1-caf\\udce9"]
    assert found["1-caf\\udce9"].names == found.names == ("\\udce9", "small-32-48")
    assert list(found.unreadable) == [f"{name}/\udce9.png"]
    assert set(found.least_expressed(1)["network"]) == set(found.names)
    tables = (
        pandas.read_csv(tmp_path / "out" / "concepts.csv"),
        pandas.read_parquet(tmp_path / "out" / "concepts.parquet"),
    )
    for table in tables:
        assert set(table["class_name"]) == set(found)
    page = report.write(found, tmp_path / "page", progress=False) / "index.html"
    assert "1-caf\\udce9" in page.read_text("utf-8")


def test_parquet_without_pyarrow_is_refused_before_the_work(
    images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match="table_format: 'parquet' needs pyarrow"):
        rsvc.run(*models, images, out=tmp_path / "out", table_format="parquet", **OPTIONS)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"images_per_class": 4}, ValueError, "images_per_class: expected 5 to .*, found 4"),
        ({"eval_images_per_class": -1}, ValueError, "eval_images_per_class: expected 0 to .*, found -1"),
        ({"folds": 9}, ValueError, "images_per_class: expected 9 to .*, found 8"),
        (
            {"table_format": "xlsx"},
            ValueError,
            "table_format: expected one of 'csv', 'parquet', found 'xlsx'",
        ),
        (
            {"layer_1": "rellu"},
            ValueError,
            "layer_1: small-24-32: layers: no layer 'rellu'; the nearest are 'relu'",
        ),
        ({"layer_2": ["relu"]}, TypeError, r"layer_2: expected the name of a layer, found \['relu'\]"),
        ({"class_names": ["a", "b"]}, ValueError, "class_names: expected 4, one for each logit, found 2"),
        (
            {"class_names": ["a", "b", "a", "c"]},
            ValueError,
            "class_names: expected each once, found 'a' twice",
        ),
        ({"classes": ["rde"]}, ValueError, "classes: no class 'rde'; the nearest are '0-red'"),
        ({"method": "pca"}, ValueError, "method: expected one of"),
        ({"k": 0}, ValueError, "k: expected"),
    ],
)
def test_options_that_are_refused(
    options: dict[str, Any],
    error: type[Exception],
    message: str,
    images: Path,
    models: tuple[ImageModel, ImageModel],
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=message):
        rsvc.run(*models, images, out=tmp_path / "out", **(OPTIONS | options))


def test_a_class_that_is_not_there_leaves_the_folder_to_another_try(
    images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="no class 'grey'; the nearest are '3-grey'"):
        rsvc.run(*models, images, out=tmp_path, classes=["grey"], **OPTIONS)
    assert [path.name for path in tmp_path.iterdir()] == ["activations"]
    assert list(rsvc.run(*models, images, out=tmp_path, classes=["3-grey"], **OPTIONS)) == ["3-grey"]


def test_models_of_other_classes_are_refused(
    images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    other = small_model(8, 0)
    other.module.head = torch.nn.Linear(8, 3)
    with pytest.raises(ValueError, match="found 4 of small-24-32 and 3 of small-8-32"):
        rsvc.run(models[0], other, images, out=tmp_path, **OPTIONS)
