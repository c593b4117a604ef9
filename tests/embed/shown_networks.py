"""Networks with random weights, and the seven pictures that they are shown."""

import functools
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from diptych.embed import ImageModel, Preprocess, load_model

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 40, 36, 3), dtype=np.uint8)


def random_resnet() -> ImageModel:
    """timm's own initialisation has blocks that add nothing: their last normalisation is zero."""
    torch.manual_seed(0)
    model = load_model("timm:resnet18", pretrained=False, input_size=64)
    for each in model.module.modules():
        if isinstance(each, nn.BatchNorm2d):
            nn.init.uniform_(each.weight, 0.5, 1.0)
            nn.init.normal_(each.bias)
    return model


@functools.cache
def resnet() -> ImageModel:
    return random_resnet()


@functools.cache
def vit() -> ImageModel:
    torch.manual_seed(0)
    return load_model("timm:vit_tiny_patch16_224", pretrained=False, input_size=32)


def batch(model: ImageModel) -> torch.Tensor:
    return torch.stack([model.preprocess(Image.fromarray(each)) for each in PIXELS])


def small(module: nn.Module, **options: Any) -> ImageModel:
    return load_model(module, preprocess=Preprocess(16), **options)


class Fixed(nn.Sequential):
    """Puts out what it is given, whatever it sees: its child "0" is called on that."""

    def __init__(self, output: Any, **attributes: Any) -> None:
        super().__init__(nn.Identity())
        self.output = output
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x: torch.Tensor) -> Any:
        return self[0](self.output)
