"""``diptych rsvc finetune`` on a tiny folder in the layout of NABirds, and on a plain one."""

from functools import partial
from pathlib import Path

import pytest
import timm
import torch
from command_line import diptych
from made_images import COLORS, folder_of_images
from safetensors.torch import save_file

from diptych import rsvc
from diptych.embed import ImageSet

pytestmark = pytest.mark.usefixtures("one_thread")

run = partial(diptych, "rsvc", "finetune")


@pytest.fixture(scope="module")
def birds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four classes of six images, every third of the test split, and a checkpoint of a model."""
    root = tmp_path_factory.mktemp("birds")
    folder = folder_of_images(root / "images", 6)
    names = [f"{color}/{item}.png" for color in COLORS for item in range(6)]
    assert all((folder / name).is_file() for name in names)
    lines = {
        "images.txt": [f"i{number} {name}" for number, name in enumerate(names)],
        "classes.txt": [f"{number} {name}" for number, name in enumerate(COLORS)],
        "image_class_labels.txt": [f"i{number} {number // 6}" for number in range(24)],
        "train_test_split.txt": [f"i{number} {int(number % 3 > 0)}" for number in range(24)],
    }
    for file, content in lines.items():
        (root / file).write_text("\n".join(content) + "\n")
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet", num_classes=3).state_dict(), root / "resnet.safetensors")
    return root


def test_a_data_set_is_trained_and_validated_on_its_splits(
    birds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["--model", "timm:test_resnet", "--checkpoint", birds / "resnet.safetensors"]
    arguments += ["--images", birds, "--layout", "nabirds", "--frozen", "--out", out]
    assert run(*arguments, "--resume", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "timm:test_resnet: 4 classes, all 16 images were read" in printed
    assert "validation accuracy " in printed
    assert "validation: all 8 images were read" in printed
    assert f"Weights: {out / 'weights.safetensors'}" in printed
    assert (out / "weights.safetensors").is_file()
    assert run(*arguments, "--resume", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == printed
    assert run(*arguments, monkeypatch=monkeypatch) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert "holds a finished fine-tuning" in told
    assert told.count("\n") == 1


def test_options_reach_the_function(birds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}

    def instead(model: object, images: object, **options: object) -> None:
        seen.update(options, model=model.name, images=len(images))  # type: ignore[attr-defined, arg-type]
        raise ValueError("enough")

    monkeypatch.setattr(rsvc, "finetune", instead)
    common = ["--model", "timm:test_vit", "--no-pretrained", "--out", tmp_path / "out"]
    options = ["--classes", "0,2", "--validation", birds / "images", "--epochs", 3, "--learning-rate", 0.01]
    options += ["--backbone-rate", 0.5, "--weight-decay", 0.2, "--label-smoothing", 0.1, "--crop-area", 0.5]
    options += ["--no-flip", "--seed", 4, "--device", "cpu", "--precision", "bfloat16", "--batch-size", 7]
    options += ["--workers", 2]
    assert run(*common, "--images", birds / "images", *options, monkeypatch=monkeypatch) == 2
    held = seen.pop("validation")
    assert isinstance(held, ImageSet)
    assert len(held) == 24
    assert seen == {
        "model": "timm:test_vit",
        "images": 24,
        "out": tmp_path / "out",
        "frozen": False,
        "classes": ["0", "2"],
        "epochs": 3,
        "learning_rate": 0.01,
        "backbone_rate": 0.5,
        "weight_decay": 0.2,
        "label_smoothing": 0.1,
        "crop_area": 0.5,
        "flip": False,
        "seed": 4,
        "device": "cpu",
        "precision": "bfloat16",
        "batch_size": 7,
        "workers": 2,
        "resume": False,
    }
    assert run(*common, "--images", birds / "images", monkeypatch=monkeypatch) == 2
    assert seen["validation"] is None
    nabirds = [*common, "--images", birds, "--layout", "nabirds", "--no-validate"]
    assert run(*nabirds, monkeypatch=monkeypatch) == 2
    assert (seen["validation"], seen["images"]) == (None, 16)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--images", "nowhere"], "nowhere: no such folder of images"),
        (["--validation", "nowhere"], "nowhere: no such folder of images"),
        (["--layout", "nabirds"], "images.txt: no such file; is this the folder of NABirds?"),
        (["--classes", "4-pink"], "classes: no class '4-pink'; the nearest are"),
        (["--frozen", "--learning-rate", "1"], "learning_rate: a frozen backbone is trained without"),
    ],
)
def test_what_cannot_be_is_one_line_and_status_2(
    birds: Path,
    tmp_path: Path,
    change: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--model", "timm:test_resnet", "--no-pretrained", "--images", birds / "images"]
    assert run(*arguments, "--out", tmp_path / "out", *change, monkeypatch=monkeypatch) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.startswith("error: ")
    assert told.count("\n") == 1
