"""A folder of small pictures in four classes, and small networks that tell them apart."""

from pathlib import Path

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from diptych.embed import ImageModel, ImageSet, Preprocess, activations, load_model, open_images

COLORS = {
    "0-red": (200, 40, 40),
    "1-green": (40, 200, 40),
    "2-blue": (40, 40, 200),
    "3-grey": (120, 120, 120),
}
#: Names of two of timm's smallest models, whose fitted weights :func:`save_checkpoints` writes.
CHECKPOINTS = ("test_resnet", "test_vit")


def pixels(color: tuple[int, int, int], seed: int, side: int = 32) -> NDArray[np.uint8]:
    """A plain ground, and squares of random colors on it, so that patches differ."""
    rng = np.random.default_rng(seed)
    picture = np.empty((side, side, 3))
    picture[:] = color
    for _ in range(4):
        top, left = rng.integers(0, side - 8, 2)
        picture[top : top + 8, left : left + 8] = rng.integers(0, 256, 3)
    return np.clip(picture + rng.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)


def folder_of_images(path: Path, per_class: int = 12) -> Path:
    """A folder for each class."""
    for number, (name, color) in enumerate(COLORS.items()):
        (path / name).mkdir(parents=True)
        for item in range(per_class):
            Image.fromarray(pixels(color, 1000 * number + item)).save(path / name / f"{item}.png")
    return path


class Small(nn.Module):
    """A convolution with fixed filters, and a linear classifier of its mean activations."""

    def __init__(self, width: int, seed: int, classes: int = len(COLORS)) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv = nn.Conv2d(3, width, 3, stride=2)
        self.relu = nn.ReLU()
        self.head = nn.Linear(width, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.relu(self.conv(images)).mean((2, 3)))


def small_model(width: int = 24, seed: int = 0, side: int = 32, name: str | None = None) -> ImageModel:
    """The network with its preprocessing, its classifier untrained."""
    return load_model(
        Small(width, seed),
        preprocess=Preprocess(side),
        classifier="head",
        name=name or f"small-{width}-{side}",
    )


def taught(model: ImageModel, images: ImageSet, labels: NDArray[np.int64] | None = None) -> ImageModel:
    """Fit the classifier to the images by least squares."""
    labels = images.labels if labels is None else labels
    assert labels is not None
    features = torch.from_numpy(activations(model, images, "embedding", progress=False)["embedding"]).double()
    head = model.head()
    wanted = 6 * torch.eye(head.out_features, dtype=torch.float64)[torch.from_numpy(labels)] - 1.5
    design = torch.cat([features, torch.ones(len(features), 1)], 1)
    penalty = 1e-3 * torch.eye(design.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(design.T @ design + penalty, design.T @ wanted)
    with torch.no_grad():
        head.weight.copy_(weights[:-1].T)
        head.bias.copy_(weights[-1])
    return model


def two_models(path: Path) -> tuple[ImageModel, ImageModel]:
    """Networks of different widths and input sizes that tell the classes of the folder apart."""
    images = open_images(path)
    return taught(small_model(24, 0, 32), images), taught(small_model(32, 1, 48), images)


def save_checkpoints(root: Path, per_class: int) -> None:
    """Make a folder ``images``, and a checkpoint of two of timm's models that tell its classes apart."""
    images = open_images(folder_of_images(root / "images", per_class))
    for name in CHECKPOINTS:
        torch.manual_seed(0)
        module = timm.create_model(name, num_classes=len(COLORS)).eval()
        taught(load_model(module, name=name), images)
        save_file(module.state_dict(), root / f"{name}.safetensors")


def two_checkpoints(root: Path) -> list[object]:
    """The options of a command that name these models and the images."""
    options: list[object] = []
    for side, name in enumerate(CHECKPOINTS, 1):
        options += [f"--model-{side}", f"timm:{name}", f"--checkpoint-{side}", root / f"{name}.safetensors"]
    return [*options, "--images", root / "images"]
