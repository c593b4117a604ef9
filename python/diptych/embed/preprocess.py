"""A plain preprocessing of images for networks that bring none."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Preprocess:
    """Resize to a square, scale to [0, 1], normalise each channel.

    The whole image is kept: one that is no square is stretched. Resizing is Pillow's bilinear, antialiased
    where it shrinks.

    Attributes:
        size: Side of the square in pixels; None leaves images as large as they are.
        mean: Of each channel, subtracted.
        std: Of each channel, divided by.

    Raises:
        ValueError: A size below 1, not three numbers, a standard deviation that is not positive.
    """

    size: int | None = None
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 1:
            raise ValueError(f"size: expected at least 1, found {self.size}")
        for name in ("mean", "std"):
            if len(getattr(self, name)) != 3:
                raise ValueError(f"{name}: expected three numbers, found {getattr(self, name)}")
        if not all(each > 0 for each in self.std):
            raise ValueError(f"std: expected positive numbers, found {self.std}")

    def __call__(self, image: "Image") -> torch.Tensor:
        """A Pillow image in RGB to a (3, h, w) float32 tensor."""
        from PIL.Image import Resampling

        if self.size is not None and image.size != (self.size, self.size):
            image = image.resize((self.size, self.size), Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(image, np.float32)).permute(2, 0, 1) / 255
        mean, std = (torch.tensor(each).view(3, 1, 1) for each in (self.mean, self.std))
        return (pixels - mean) / std
