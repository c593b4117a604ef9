"""Fine-tuning refuses what it cannot be done with, and leaves the folder to another try."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_images import COLORS, folder_of_images, small_model

from diptych import rsvc
from diptych.embed import Preprocess, load_model, open_images

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = {"epochs": 3, "batch_size": 8, "workers": 2, "progress": False}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of_images(tmp_path_factory.mktemp("images") / "images", 6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs: expected 1 to"),
        ({"batch_size": 0}, "batch_size: expected 1 to"),
        ({"workers": 0}, "workers: expected 1 to"),
        ({"seed": -1}, "seed: expected 0 to"),
        ({"learning_rate": 0.0}, "learning_rate: expected a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate: expected a number above 0"),
        ({"backbone_rate": -1.0}, "backbone_rate: expected a number above 0"),
        ({"weight_decay": -0.1}, "weight_decay: expected a finite number of at least 0"),
        ({"warmup": 1.0}, "warmup: expected a share below 1, found 1.0"),
        ({"label_smoothing": 1.0}, "label_smoothing: expected a share below 1, found 1.0"),
        ({"crop_area": 0.0}, "crop_area: expected a share above 0"),
        ({"precision": "float8"}, "precision: expected one of"),
        ({"precision": "float16"}, "precision: gradients do not fit float16; choose 'bfloat16'"),
        ({"resume": True}, "resume: expected out, the folder to go on with, found None"),
        ({"classes": ["4-pink"]}, "classes: no class '4-pink'; the nearest are"),
        ({"classes": ["0-red"]}, "classes: expected images of at least 2 classes, found '0-red'"),
        ({"device": "nowhere"}, "device: cannot compute on 'nowhere'"),
        ({"frozen": True, "learning_rate": 0.1}, "learning_rate: a frozen backbone is trained without"),
        ({"frozen": True, "backbone_rate": 0.1}, "backbone_rate: a frozen backbone is trained without"),
        ({"frozen": True, "weight_decay": -1.0}, "weight_decay: expected a finite number of at least 0"),
        ({"frozen": True, "epochs": 0}, "epochs: expected 1 to"),
        ({"frozen": True, "label_smoothing": 1.5}, "label_smoothing: expected a share below 1, found 1.5"),
    ],
)
def test_bad_options(images: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rsvc.finetune(small_model(8), images, **({"progress": False} | options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 1.5}, "epochs: expected an integer, found 1.5"),
        ({"learning_rate": "fast"}, "learning_rate: expected a number, found 'fast'"),
        ({"classes": "0-red"}, "classes: expected a list of numbers or names"),
    ],
)
def test_options_of_another_type(images: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        rsvc.finetune(small_model(8), images, progress=False, **options)


def test_images_without_classes_and_classes_without_images(images: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="images: expected a class of each image, found none; give a folder"):
        rsvc.finetune(small_model(8), images / "0-red")
    with pytest.raises(ValueError, match="validation: expected a class of each image, found none"):
        rsvc.finetune(small_model(8), images, validation=images / "0-red")
    one = np.zeros((2, 8, 8), np.uint8)
    with pytest.raises(ValueError, match="images: expected at least 2 classes, found 1"):
        rsvc.finetune(small_model(8), open_images(one, labels=[0, 0]))
    with pytest.raises(ValueError, match="classes: expected images of at least 2 classes, found '0-red'"):
        rsvc.finetune(small_model(8), open_images(images).take(range(6)))
    for frozen in (True, False):
        with pytest.raises(ValueError, match="images: expected labels of at least 0, found -3 of 1"):
            rsvc.finetune(small_model(8), negative(), frozen=frozen, progress=False)
    damaged = folder_of_images(tmp_path / "damaged", 1)
    for name in list(COLORS)[1:]:
        (damaged / name / "0.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    for frozen in (True, False):
        with pytest.raises(ValueError, match="2 classes among those that can be read, found 0 alone"):
            rsvc.finetune(small_model(8), damaged, frozen=frozen, out=out, progress=False)
        # The folder is left to another try.
        assert not (out / "job.json").exists()
    assert rsvc.finetune(small_model(8), images, frozen=True, out=out, progress=False).weights


def negative() -> Any:
    return open_images(np.zeros((3, 32, 32), np.uint8), labels=[0, -3, 1])


def test_validation_images_of_other_classes(images: Path, tmp_path: Path) -> None:
    other = folder_of_images(tmp_path / "other", 1)
    (other / "1-green" / "0.png").unlink()
    (other / "1-green").rmdir()
    with pytest.raises(
        ValueError,
        match="validation: expected the classes of images, found 3 for 4; class 1 is '2-blue' for '1-green'",
    ):
        rsvc.finetune(small_model(8), images, validation=other)
    pixels = np.zeros((2, 8, 8), np.uint8)
    with pytest.raises(ValueError, match="validation: expected labels 0 to 3, found 4"):
        rsvc.finetune(small_model(8), images, validation=open_images(pixels, labels=[0, 4]))


def test_models_that_cannot_be_trained(images: Path, tmp_path: Path) -> None:
    unknown = load_model(small_model(8).module, preprocess=Preprocess(32), name="unknown")
    with pytest.raises(ValueError, match="classifier: unknown in unknown; give load_model its module path"):
        rsvc.finetune(unknown, images)
    with pytest.raises(ValueError, match=r"learning_rate: 1e\+30 made the loss"):
        rsvc.finetune(small_model(8), images, out=tmp_path / "out", **QUICK, learning_rate=1e30)
    assert not (tmp_path / "out" / "job.json").exists()


def test_a_folder_wants_words_for_the_preprocessing(images: Path, tmp_path: Path) -> None:
    preprocess = Preprocess(32)
    model = load_model(small_model(8).module, preprocess=lambda image: preprocess(image), classifier="head")
    for frozen in (True, False):
        with pytest.raises(ValueError, match="preprocess_name: out needs words for the preprocessing"):
            rsvc.finetune(model, images, out=tmp_path, frozen=frozen, **QUICK)
    assert rsvc.finetune(model, images, **(QUICK | {"epochs": 1})).weights is None
