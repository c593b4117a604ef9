"""Scenes of photographs: objects, cut out or whole, on backgrounds."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.embed import ImageSet, UnreadableImageError, open_images
from diptych.embed.image_readers import is_of_the_image
from diptych.embed.rgb import to_rgb
from diptych.numerosity.laws import SceneLaw, covariates_of
from diptych.ops._counter import derived_seed, numbers

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

#: Photographs: a folder of images, or a list of their paths.
Pictures: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_LAW = SceneLaw(sides=(20, 40))

# Which object and which background is drawn by another seed than the places, so that neither tells of the
# other.
_PICTURES = 1 << 10
# Draws of a scene before those of its objects: the background, and where it is cropped.
_OF_THE_SCENE = 2
# Backgrounds that are kept in memory, some 200 KB each; the others are read again.
_KEPT = 256


class Photographs:
    """A data set of photographs for :func:`scenes` and :func:`sequences`: objects pasted on backgrounds.

    Each object of a scene is a photograph drawn at random from all, brought to fit into one of the squares
    that the law places, in its own proportions; what is transparent in it shows the background. The
    background is drawn, too, and cropped to a square at random. Deterministic: a scene depends on the seed,
    on its number and on its count alone, given the same pictures.

    Attributes:
        law: Where and how large the objects are; a contrast below 1 lets the background shine through.
        amounts: Least and largest number of objects that an action moves: the law's.
    """

    def __init__(
        self,
        objects: Pictures,
        backgrounds: Pictures | None = None,
        law: SceneLaw = _LAW,
    ) -> None:
        """Find the pictures; they are read when they are first shown.

        Args:
            objects: Photographs of objects, with transparency or without.
            backgrounds: What they are pasted on; None for black.
            law: Of the squares that objects fit into.

        Raises:
            FileNotFoundError: There is no such folder, or no image in it.
            ValueError: No pictures.
            TypeError: Neither a folder nor paths, or another kind of law.
            ModuleNotFoundError: Pillow is not installed.
        """
        if not isinstance(law, SceneLaw):
            raise TypeError(f"law: expected a SceneLaw, found {law!r}")
        self.law, self.amounts = law, law.amounts
        self._objects = _files("objects", objects)
        self._backgrounds = None if backgrounds is None else open_images(_paths("backgrounds", backgrounds))
        self._cut_out: dict[int, Image] = {}
        self._scaled: dict[tuple[int, int], NDArray[np.uint8]] = {}

    def __repr__(self) -> str:
        grounds = [] if self._backgrounds is None else self._backgrounds.files or []
        digest = hashlib.blake2b(digest_size=8)
        for path in (*self._objects, *grounds):
            digest.update(f"{path.name} {path.stat().st_size}\n".encode(errors="surrogateescape"))
        told = f"{len(self._objects)} objects, {len(grounds)} backgrounds, {digest.hexdigest()}"
        return f"Photographs({told}, {self.law})"

    def __call__(
        self, counts: torch.Tensor, size: int, seed: int, first: int
    ) -> "tuple[torch.Tensor, pd.DataFrame]":
        """Draw scenes number first, first + 1, ..., as every renderer does.

        Returns:
            (N, 3, size, size) uint8, and covariates: the mean intensity of all pixels and channels, and the
            areas of the squares that the objects fit into.

        Complexity:
            O(size²) per scene beside reading: each object is read once, up to 256 backgrounds are kept.

        Raises:
            UnreadableImageError: A picture is damaged or has gone; a ``ValueError``.
            ValueError: As :func:`diptych.ops.place_squares`.
        """
        squares = self.law.squares(counts, size, seed, first, "cpu")
        images = np.empty((len(counts), size, size, 3), np.uint8)
        for scene, (image, placed) in enumerate(zip(images, squares.numpy(), strict=True)):
            there = placed[placed[:, 2] > 0]
            draws = numbers(derived_seed(seed, _PICTURES), first + scene, _OF_THE_SCENE + len(there)).tolist()
            image[...] = self._background(draws[0], draws[1], size)
            for (x, y, side, contrast), bits in zip(there.tolist(), draws[_OF_THE_SCENE:], strict=True):
                item = bits * len(self._objects) >> 64
                _paste(self._object(item), image[y : y + side, x : x + side], contrast / 65535)
        covariates = covariates_of(squares, size)
        covariates["mean_intensity"] = images.mean((1, 2, 3)) / 255
        return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), covariates

    def _object(self, item: int) -> "Image":
        """An object in RGBA, no larger than any square."""
        if item not in self._cut_out:
            image = _read_rgba(self._objects[item])
            image.thumbnail((self.law.sides[1] + self.law.side_jitter,) * 2)
            self._cut_out[item] = image
        return self._cut_out[item]

    def _background(self, which: int, where: int, size: int) -> NDArray[np.uint8]:
        """A square of a background, (size, size, 3)."""
        if self._backgrounds is None:
            return np.zeros((size, size, 3), np.uint8)
        item = which * len(self._backgrounds) >> 64
        picture = self._scaled.get((item, size))
        if picture is None:
            picture = _shortest_side(self._backgrounds, item, size)
            if len(self._scaled) < _KEPT:
                self._scaled[item, size] = picture
        y, x = (where * (length - size + 1) >> 64 for length in picture.shape[:2])
        return picture[y : y + size, x : x + size]


def _files(name: str, pictures: Pictures) -> list[Path]:
    files = open_images(_paths(name, pictures)).files
    assert files is not None
    return files


def _paths(name: str, pictures: Pictures) -> Pictures:
    """Demand a folder or paths: of arrays it would not be known what is transparent."""
    if isinstance(pictures, str | os.PathLike):
        return pictures
    if isinstance(pictures, list | tuple) and all(isinstance(each, str | os.PathLike) for each in pictures):
        return pictures
    raise TypeError(f"{name}: expected a folder or a list of paths, found {type(pictures).__name__}")


def _read_rgba(path: Path) -> "Image":
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            transparent = "A" in image.getbands() or "transparency" in image.info
            return (image if transparent else to_rgb(image)).convert("RGBA")
    except Exception as error:
        # Pillow has many kinds of error for a damaged file; the user needs its name.
        if not is_of_the_image(error):
            raise
        raise UnreadableImageError(f"{path}: {error or type(error).__name__}") from error


def _shortest_side(images: ImageSet, item: int, size: int) -> NDArray[np.uint8]:
    """A picture (h, w, 3) whose shortest side has so many pixels."""
    image = images.read(item)
    factor = size / min(image.size)
    width, height = (max(size, round(length * factor)) for length in image.size)
    return np.asarray(image.resize((width, height)))


def _paste(picture: "Image", square: NDArray[np.uint8], contrast: float) -> None:
    """Lay a picture (RGBA) over the middle of a square (side, side, 3), as large as fits."""
    side = len(square)
    factor = side / max(picture.size)
    width, height = (max(1, round(length * factor)) for length in picture.size)
    pixels = np.asarray(picture.resize((width, height)), np.float32)
    y, x = (side - height) // 2, (side - width) // 2
    under = square[y : y + height, x : x + width]
    share = pixels[:, :, 3:] * (contrast / 255)
    under[...] = np.rint(under + share * (pixels[:, :, :3] - under))
