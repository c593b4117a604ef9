"""A network that counts the images it is shown, and the store its activations go to."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from diptych.embed import Activations, ImageModel, Preprocess, activations, load_model

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 20, 20, 3), dtype=np.uint8)


class Counting(nn.Module):
    """A small network that counts the images it has seen, and can be told to fail at one."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3)
        self.act = nn.ReLU()
        self.fc = nn.Linear(4, 5)
        self.seen, self.fail_after = 0, 10**9

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.seen >= self.fail_after:
            raise KeyboardInterrupt
        self.seen += len(x)
        return self.fc(self.act(self.conv(x)).mean((2, 3)))


def counting(**options: Any) -> ImageModel:
    return load_model(Counting(), preprocess=Preprocess(16), classifier="fc", **options)


def compute(model: ImageModel, layers: Any = ("conv", "act", "logits"), **options: Any) -> Activations:
    return activations(
        model, options.pop("images", PIXELS), layers, store="store", **({"batch_size": 2} | options)
    )


def expected(layers: Any = ("conv", "act", "logits"), **options: Any) -> Activations:
    """Without a store, in the same batches: the same bits."""
    return activations(counting(), PIXELS, layers, **({"batch_size": 2} | options))


def assert_same(found: Activations, wanted: Activations) -> None:
    assert list(found) == list(wanted)
    for layer in wanted:
        np.testing.assert_array_equal(found[layer], wanted[layer])
    assert found.pooling == wanted.pooling
    assert found.ids.tolist() == wanted.ids.tolist()


def visible() -> set[str]:
    """Names of files and folders that are neither hidden nor in hidden folders."""
    paths = [path.relative_to("store") for path in Path("store").rglob("*")]
    return {path.name for path in paths if not any(part.startswith(".") for part in path.parts)}


def only_folder() -> Path:
    (folder,) = Path("store").iterdir()
    return folder
