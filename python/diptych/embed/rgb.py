"""Any picture as the RGB that image models take: grayscale, palettes, transparency, sixteen bits."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

# A sixteen-bit grey of 65535 is 255 in eight bits.
_PER_STEP = 257


def to_rgb(image: "Image") -> "Image":
    """Convert a Pillow image to mode RGB.

    Transparent pictures are laid over white, grey and palette ones get three channels, sixteen-bit grey is
    scaled to eight, and a camera's orientation tag is obeyed, as in the reports.

    Raises:
        ValueError: Pixels of floating point, which have no agreed white.
    """
    from PIL import Image, ImageOps

    if image.mode == "F":
        raise ValueError("expected whole numbers as pixels, found floating point")
    if image.mode.startswith("I"):
        deep = np.asarray(image).astype(np.int64)
        scale = 1 if deep.max(initial=0) <= 255 else _PER_STEP
        image = Image.fromarray(np.clip(deep // scale, 0, 255).astype(np.uint8))
    image = ImageOps.exif_transpose(image)
    if "A" in image.getbands() or "transparency" in image.info:
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def shrunk(image: "Image", longest_side: int) -> "Image":
    """Bring a larger picture's longest side to so many pixels, antialiased; leave others as they are."""
    from PIL import Image

    found = max(image.size)
    if found <= longest_side:
        return image
    width, height = (max(1, round(side * longest_side / found)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def array_to_rgb(pixels: Any) -> "Image":
    """Convert one picture of whole numbers 0 to 255 to a Pillow image of mode RGB.

    Args:
        pixels: (h, w), (h, w, 1), (h, w, 3) or (h, w, 4) uint8, numpy or torch; a tensor may have its
            channels first, (c, h, w), as torch data sets have them.

    Raises:
        TypeError: Not uint8.
        ValueError: Another shape.
    """
    from PIL import Image

    array: NDArray[Any]
    if isinstance(pixels, torch.Tensor):
        array = pixels.detach().cpu().numpy()
        if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (1, 3, 4):
            array = array.transpose(1, 2, 0)
    else:
        array = np.asarray(pixels)
    if array.dtype != np.uint8:
        raise TypeError(f"expected uint8 pixels, found {array.dtype}")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in (3, 4)):
        raise ValueError(f"expected a picture (h, w), (h, w, 3) or (h, w, 4), found shape {array.shape}")
    if 0 in array.shape:
        raise ValueError(f"expected a picture of at least one pixel, found shape {array.shape}")
    return to_rgb(Image.fromarray(np.ascontiguousarray(array)))
