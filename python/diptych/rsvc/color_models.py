"""The small convolutional network of the color MNIST experiments."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diptych.ops import _checks

_WIDTHS = (32, 64, 64, 128)
_STRIDES = (2, 2, 2, 1)


class ColorCNN(nn.Module):
    """Convolutions of 3×3, the average over places, and a linear head.

    Each block is a convolution, batch normalisation and ReLU. The first three halve the image's sides, of 32,
    64 and 64 filters; all further ones keep them, of 128 filters.

    Args:
        n_classes: Outputs of the head.
        depth: Convolutions, at least 4.

    Raises:
        ValueError: An argument out of range.
        TypeError: An argument that is no whole number.
    """

    def __init__(self, n_classes: int = 10, depth: int = 4) -> None:
        _checks.integer("n_classes", n_classes, 1)
        _checks.integer("depth", depth, len(_WIDTHS))
        super().__init__()
        extra = depth - len(_WIDTHS)
        widths = (3, *_WIDTHS, *[_WIDTHS[-1]] * extra)
        strides = (*_STRIDES, *[1] * extra)
        self.features = nn.Sequential(
            *(_block(*each) for each in zip(widths, widths[1:], strides, strict=False)),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(widths[-1], n_classes)

    def embed(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) float32 images in [0, 1] to their (n, 128) activations, at least 0."""
        return self.features(images)

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) float32 images in [0, 1] to (n, n_classes) logits."""
        return self.head(self.embed(images))


def to_input(images: NDArray[np.uint8]) -> Tensor:
    """(n, h, w, 3) uint8 images as the (n, 3, h, w) float32 in [0, 1] that the network takes."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255)


def _block(channels: int, filters: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False), nn.BatchNorm2d(filters), nn.ReLU()
    )
