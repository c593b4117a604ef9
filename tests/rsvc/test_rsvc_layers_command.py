"""``diptych rsvc layers`` on two of timm's smallest models, taught to tell a folder's colors apart."""

from pathlib import Path

import pytest
from command_line import diptych
from made_images import two_checkpoints
from PIL import Image

from diptych import rsvc

pytestmark = pytest.mark.usefixtures("one_thread")


def layers(files: Path, *arguments: object, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command on both models; later options stand in for earlier ones."""
    return diptych("rsvc", "layers", *two_checkpoints(files), *arguments, monkeypatch=monkeypatch)


def test_from_checkpoints_to_a_figure(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["--out", out, "--k", 3, "--classes", "0", "--layers-1", "stages", "--layers-2", "blocks.0"]
    arguments += ["--layers-2", "norm"]
    assert layers(files, *arguments, monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "1 classes compared, 0 skipped; all 32 images were read" in printed
    assert "4 layers of timm:test_resnet by 2 of timm:test_vit: 8 pairs" in printed
    assert "The most similar layer of each" in printed
    assert f"Results: {out}" in printed
    found = rsvc.LayersResult.load(out)
    assert found.layers_1 == ["layer1", "layer2", "layer3", "layer4"]
    assert found.layers_2 == ["blocks.0", "norm"]
    with Image.open(out / "matrix.png") as figure:
        assert figure.format == "PNG"
        assert figure.convert("L").getextrema()[0] < 100


def test_without_a_common_class_there_is_no_figure(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images").mkdir()
    for item in range(4):
        (tmp_path / "images" / f"{item}.png").write_bytes(
            (files / "images" / "0-red" / f"{item}.png").read_bytes()
        )
    arguments = ["--images", tmp_path / "images", "--out", tmp_path / "out", "--classes", "0"]
    assert layers(files, *arguments, monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "0 classes compared, 1 skipped" in printed
    assert "expected at least 5" in printed
    assert not (tmp_path / "out" / "matrix.png").exists()


def test_options_reach_the_run(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def instead(*models: object, **options: object) -> None:
        seen.update(options, models=[model.name for model in models[:2]])  # type: ignore[attr-defined]
        raise ValueError("enough")

    monkeypatch.setattr(rsvc, "run_layers", instead)
    options = ["--layers-2", "blocks", "--images-per-class", 9, "--conventions", "published-code"]
    options += ["--seed", 4, "--device", "cpu", "--precision", "bfloat16", "--batch-size", 7]
    options += ["--cache", tmp_path / "cache", "--classes", "1,2", "--classes", "a, b", "--resume"]
    assert layers(files, "--out", tmp_path / "out", *options, monkeypatch=monkeypatch) == 2
    assert seen == {
        "models": ["timm:test_resnet", "timm:test_vit"],
        "out": tmp_path / "out",
        "layers_1": "rsvc",
        "layers_2": ["blocks"],
        "classes": ["1", "2", "a, b"],
        "images_per_class": 9,
        "k": 10,
        "conventions": "published-code",
        "seed": 4,
        "device": "cpu",
        "precision": "bfloat16",
        "batch_size": 7,
        "cache": tmp_path / "cache",
        "resume": True,
    }


def test_what_is_not_there_is_one_line_and_status_2(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--layers-2", "blocks.99", "--out", tmp_path / "out"]
    assert layers(files, *arguments, monkeypatch=monkeypatch) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: layers_2: timm:test_vit: layers: no layer 'blocks.99'; the nearest are")
    assert told.count("\n") == 1
