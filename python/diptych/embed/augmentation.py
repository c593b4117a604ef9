"""Random changes of the images that a network is trained on."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diptych.ops import _checks

if TYPE_CHECKING:
    from PIL.Image import Image

# Of the crop's sides, beside those of the image (Szegedy et al. 2015, "Going deeper with convolutions").
_STRETCH = 4 / 3


@dataclass(frozen=True)
class RandomCrop:
    """Take a random part of an image, stretched to the image's size, and mirror it half of the time.

    The part has a share of the image's area drawn between ``least_area`` and 1, and sides stretched by a
    factor of up to 4/3 either way. As the result is as large as the image was, any preprocessing takes it.

    Attributes:
        least_area: Least share of the image's area, above 0; 1 keeps images whole.
        flip: Whether images may be mirrored, left and right.

    Raises:
        TypeError: No number.
        ValueError: A share that is not above 0 or is above 1.
    """

    least_area: float = 0.25
    flip: bool = True

    def __post_init__(self) -> None:
        _checks.real("crop_area", self.least_area)
        if not 0 < self.least_area <= 1:
            raise ValueError(f"crop_area: expected a share above 0 and at most 1, found {self.least_area}")

    def __call__(self, image: "Image", rng: np.random.Generator) -> "Image":
        """Change a Pillow image; what is drawn is the same whatever its size."""
        from PIL.Image import Resampling, Transpose

        area, stretch, left, top, mirror = rng.random(5)
        if self.least_area < 1:
            share = self.least_area + area * (1 - self.least_area)
            ratio = math.exp((2 * stretch - 1) * math.log(_STRETCH))
            width = image.width * min(1.0, math.sqrt(share * ratio))
            height = image.height * min(1.0, math.sqrt(share / ratio))
            x, y = left * (image.width - width), top * (image.height - height)
            # Rounding may not carry the box over the edge, which Pillow refuses.
            box = (x, y, min(x + width, image.width), min(y + height, image.height))
            image = image.resize(image.size, Resampling.BICUBIC, box=box)
        if self.flip and mirror < 0.5:
            image = image.transpose(Transpose.FLIP_LEFT_RIGHT)
        return image
