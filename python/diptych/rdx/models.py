"""The small convolutional network of the MNIST experiments."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class DigitCNN(nn.Module):
    """Two convolutions of 5×5, a pooled embedding and a linear head (thesis ch. 4, MNIST models).

    Each of the two blocks is convolution without padding, batch normalisation, ReLU and 2×2 maximum
    pooling; the average over the remaining 4×4 places is the embedding.

    Args:
        n_classes: Outputs of the head.
        embedding_dim: Filters of the second convolution, which is the length of the embedding.
        width: Filters of the first convolution.

    Raises:
        ValueError: An argument is below 1.
    """

    def __init__(self, n_classes: int = 10, embedding_dim: int = 64, width: int = 16) -> None:
        for name, value in (
            ("n_classes", n_classes),
            ("embedding_dim", embedding_dim),
            ("width", width),
        ):
            if value < 1:
                raise ValueError(f"{name}: expected at least 1, found {value}")
        super().__init__()
        self.features = nn.Sequential(
            *_block(1, width), *_block(width, embedding_dim), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.head = nn.Linear(embedding_dim, n_classes)

    def embed(self, images: Tensor) -> Tensor:
        """(n, 1, 28, 28) float32 images in [0, 1] to their (n, embedding_dim) embeddings."""
        return self.features(images)

    def forward(self, images: Tensor) -> Tensor:
        """(n, 1, 28, 28) float32 images in [0, 1] to (n, n_classes) logits."""
        return self.head(self.embed(images))


def to_input(images: NDArray[np.uint8], device: torch.device | str = "cpu") -> Tensor:
    """(n, 28, 28) uint8 images as the (n, 1, 28, 28) float32 in [0, 1] that the network takes.

    Raises:
        ValueError: The images have another shape.
        TypeError: The images are not uint8.
    """
    if images.ndim != 3 or images.shape[1:] != (28, 28):
        raise ValueError(f"images: expected shape (n, 28, 28), found {images.shape}")
    if images.dtype != np.uint8:
        raise TypeError(f"images: expected uint8, found {images.dtype}")
    return torch.tensor(images, device=device).unsqueeze(1).float() / 255


def _block(channels: int, filters: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, filters, 5), nn.BatchNorm2d(filters), nn.ReLU(), nn.MaxPool2d(2)]
