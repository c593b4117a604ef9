"""Pictures as chat models are sent them, and several laid out as one."""

import hashlib
import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diptych.embed._extras import require
from diptych.embed.rgb import array_to_rgb, to_rgb

if TYPE_CHECKING:
    from PIL.Image import Image

#: Longest side, in pixels, of a picture that is sent; larger ones are shrunk. Services shrink further.
LONGEST_SIDE = 2048

_DIGEST_BYTES = 16


@dataclass(frozen=True)
class Picture:
    """A picture as a PNG file in memory; made by :func:`as_picture`.

    Attributes:
        data: The bytes of the file, in RGB, without metadata.
        digest: Hash of size and pixels, 32 hexadecimal digits: the same for every way to store them.
    """

    data: bytes
    digest: str

    media_type = "image/png"

    def open(self) -> "Image":
        """Decode it to a Pillow image of mode RGB."""
        module = require("PIL.Image", extra="language")
        image: Image = module.open(io.BytesIO(self.data)).convert("RGB")
        return image


def as_picture(image: Any) -> Picture:
    """Make a picture of anything that is one.

    It is always encoded anew, so that what a camera wrote beside the pixels (place, time, owner) is not sent.

    Args:
        image: A Pillow image, a uint8 array or tensor (h, w), (h, w, 3) or (h, w, 4), the path of an image
            file, or a :class:`Picture`, which is returned as it is.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: Something else, or pixels of another dtype.
        ValueError: Another shape, or a file that is damaged or no picture.
    """
    if isinstance(image, Picture):
        return image
    rgb = _as_rgb(image)
    if max(rgb.size) > LONGEST_SIDE:
        rgb.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    digest = hashlib.blake2b(f"{rgb.width} {rgb.height}".encode(), digest_size=_DIGEST_BYTES)
    digest.update(rgb.tobytes())
    buffer = io.BytesIO()
    rgb.info.clear()
    rgb.save(buffer, "PNG")
    return Picture(buffer.getvalue(), digest.hexdigest())


def collage(images: Sequence[Any], *, columns: int | None = None, cell: int = 128, gap: int = 4) -> "Image":
    """Lay pictures out row by row in a grid of equal cells on white.

    Each is scaled to fit its cell with its proportions kept: small patches are enlarged.

    Args:
        images: At least one of what :func:`as_picture` takes.
        columns: Cells of a row; as near to a square as goes without it.
        cell: Side of a cell in pixels.
        gap: Pixels between cells.

    Raises:
        ValueError: No images, or a size that is not positive.
    """
    module = require("PIL.Image", extra="language")
    if len(images) == 0:
        raise ValueError("images: expected at least one picture for a collage, found none")
    columns = math.ceil(math.sqrt(len(images))) if columns is None else columns
    for name, value, least in (("columns", columns, 1), ("cell", cell, 1), ("gap", gap, 0)):
        if value < least:
            raise ValueError(f"{name}: expected at least {least}, found {value}")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    step = cell + gap
    sheet: Image = module.new("RGB", (columns * step - gap, rows * step - gap), "white")
    for place, image in enumerate(images):
        rgb = image.open() if isinstance(image, Picture) else _as_rgb(image)
        scale = cell / max(rgb.size)
        rgb = rgb.resize((max(1, round(rgb.width * scale)), max(1, round(rgb.height * scale))))
        row, column = divmod(place, columns)
        left, top = column * step + (cell - rgb.width) // 2, row * step + (cell - rgb.height) // 2
        sheet.paste(rgb, (left, top))
    return sheet


def _as_rgb(image: Any) -> "Image":
    """Decode to a Pillow image of mode RGB that is the caller's to change."""
    module = require("PIL.Image", extra="language")
    if isinstance(image, module.Image):
        return to_rgb(image).copy()
    if isinstance(image, (str, os.PathLike)):
        try:
            with module.open(image) as opened:
                return to_rgb(opened).copy()
        except FileNotFoundError:
            raise
        except Exception as error:
            # Pillow has many kinds of error for a damaged file; the user needs its name.
            raise ValueError(f"images: {os.fspath(image)}: {error or type(error).__name__}") from error
    if not hasattr(image, "shape"):
        raise TypeError(
            f"images: expected Pillow images, uint8 arrays or paths, found {type(image).__name__}"
        )
    return array_to_rgb(image)
