"""Color MNIST with a pink square: images for which it is known what one network sees and another does not.

The toy-concept experiment of RSVC (thesis sec. 3.5.1): a square that stands on one class alone is a concept
to a network trained on it; where it stands on any class by chance, it tells nothing and may be ignored.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch.nn.functional import interpolate

from diptych.embed.patches import PatchGrid
from diptych.ops import _checks

#: Side of an image in pixels.
SIDE = 64

#: Side of the square in pixels.
SQUARE = 12

PINK = (255, 105, 180)
CLASSES = 10

# Backgrounds are dark and digits light, so that a digit is legible and nothing but the square is pink.
_BACKGROUND_BELOW = 112
_INK = (160, 256)


@dataclass(frozen=True, eq=False)
class ColorDigits:
    """Coloured digits, some with a square.

    Attributes:
        images: (n, 64, 64, 3) uint8.
        labels: (n,) int64, the digit, 0 to 9.
        boxes: (n, 4) int64, the square's left, top, right and bottom edge in pixels; right and bottom are
            outside; all 0 where there is no square.
        sources: (n,) int64, which of the 5,000 images each was made of.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    boxes: NDArray[np.int64]
    sources: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def with_square(self) -> NDArray[np.bool_]:
        """(n,) which images bear a square."""
        return self.boxes[:, 2] > self.boxes[:, 0]

    def take(self, items: ArrayLike) -> "ColorDigits":
        """The images with these indices (or this mask), in this order."""
        chosen = np.asarray(items)
        return replace(
            self,
            images=self.images[chosen],
            labels=self.labels[chosen],
            boxes=self.boxes[chosen],
            sources=self.sources[chosen],
        )

    def relabelled(self, shift: int) -> "ColorDigits":
        """The same images as classes of their own, labels raised by ``shift``."""
        return replace(self, labels=self.labels + shift)


def color_digits(
    digits: NDArray[np.uint8],
    labels: NDArray[np.int64],
    sources: NDArray[np.int64],
    *,
    probability: float,
    digit: int | None,
    square: int = SQUARE,
    seed: int = 0,
) -> ColorDigits:
    """Colour digits, enlarge them to 64 pixels, and put a pink square on some.

    A background is one dark colour, each channel drawn evenly from 0 to 111; the digit is a grey of 160 to
    255, both drawn anew for each image. The square is opaque and anywhere in the image, each place equally
    likely. Colours, squares and places are drawn one after the other for all images: with the same seed
    images differ only in whether they bear the square.

    Args:
        digits: (n, 28, 28) uint8, 0 for paper and 255 for ink.
        labels: (n,) digits that were written, 0 to 9.
        sources: (n,) which images these are.
        probability: Of a square, 0 to 1.
        digit: The class that may have squares; None: all of them.
        square: Its side in pixels, 1 to 64.
        seed: Of colours and squares.

    Raises:
        ValueError: No such class, a probability or a side out of range, arrays that do not fit.
        TypeError: Digits that are not uint8, a digit or side that is no whole number.
    """
    _check(digits, labels, sources, probability, digit)
    _checks.integer("square", square, 1, SIDE)
    _checks.seed(seed)
    rng = np.random.default_rng(seed)
    n = len(labels)
    background = rng.integers(0, _BACKGROUND_BELOW, (n, 1, 1, 3))
    ink = rng.integers(*_INK, (n, 1, 1, 1))
    marked = rng.random(n) < probability
    corners = rng.integers(0, SIDE - square + 1, (n, 2))
    if digit is not None:
        marked &= labels == digit
    enlarged = interpolate(torch.from_numpy(digits)[:, None].float(), (SIDE, SIDE), mode="bilinear")
    cover = enlarged[:, 0, :, :, None].numpy() / 255
    images = np.round(background + cover * (ink - background)).astype(np.uint8)
    boxes = np.concatenate([corners, corners + square], 1) * marked[:, None]
    for image, (left, top, right, bottom) in zip(images, boxes.tolist(), strict=True):
        image[top:bottom, left:right] = PINK
    return ColorDigits(images, labels, boxes, sources)


def joined(first: ColorDigits, second: ColorDigits) -> ColorDigits:
    """The images of both, one set after the other."""
    return ColorDigits(
        *(np.concatenate([getattr(each, part.name) for each in (first, second)]) for part in fields(first))
    )


def split(labels: NDArray[np.int64], held_out: int, *, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Split images into some to train on and ``held_out`` of each digit to test with: ascending indices.

    Raises:
        ValueError: A digit has no more than ``held_out`` images, or ``held_out`` is below 1.
        TypeError: ``held_out`` is no whole number.
    """
    _checks.integer("held_out", held_out, 1)
    _checks.seed(seed)
    rng = np.random.default_rng(seed)
    away = np.zeros(len(labels), bool)
    for digit in np.unique(labels):
        items = np.flatnonzero(labels == digit)
        if len(items) <= held_out:
            raise ValueError(
                f"held_out: expected fewer than the {len(items)} images of digit {digit}, found {held_out}"
            )
        away[rng.choice(items, held_out, replace=False)] = True
    return np.flatnonzero(~away), np.flatnonzero(away)


def square_shares(boxes: NDArray[np.int64], grid: PatchGrid) -> NDArray[np.float64]:
    """How much of the square each patch of an image holds.

    Args:
        boxes: (n, 4) the square of each image, as in :class:`ColorDigits`.
        grid: The patches of a 64 × 64 image.

    Returns:
        (n, p) from 0 to 1: area of the square inside the patch over the area of the square; 0 where there is
        no square.
    """
    patches = np.array(grid.boxes(SIDE, SIDE))
    low = np.maximum(boxes[:, None, :2], patches[:, :2])
    high = np.minimum(boxes[:, None, 2:], patches[:, 2:])
    inside = (high - low).clip(0).prod(2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return inside / np.maximum(area, 1)[:, None]


def _check(
    digits: NDArray[np.uint8],
    labels: NDArray[np.int64],
    sources: NDArray[np.int64],
    probability: float,
    digit: int | None,
) -> None:
    if digits.dtype != np.uint8:
        raise TypeError(f"digits: expected uint8, found {digits.dtype}")
    if digits.ndim != 3 or digits.shape[1:] != (28, 28) or not len(digits):
        raise ValueError(f"digits: expected shape (n, 28, 28), n at least 1, found {digits.shape}")
    for name, array in (("labels", labels), ("sources", sources)):
        if array.shape != (len(digits),):
            raise ValueError(f"{name}: expected shape ({len(digits)},), found {array.shape}")
    if labels.min() < 0 or labels.max() >= CLASSES:
        raise ValueError(f"labels: expected digits 0 to 9, found {labels.min()} to {labels.max()}")
    if not 0 <= probability <= 1:
        raise ValueError(f"probability: expected a number from 0 to 1, found {probability}")
    if digit is not None:
        _checks.integer("digit", digit, 0, CLASSES - 1)
