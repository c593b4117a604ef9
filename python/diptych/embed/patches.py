"""Concept proposals: evenly spaced square patches of each image, at the size that the model takes."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch.nn.functional import interpolate

Conventions = Literal["whole-image", "published-code"]

#: A patch's left, top, right and bottom edge in pixels; right and bottom are outside.
Box = tuple[int, int, int, int]

# Share of a patch by which the published code moves on: 51 pixels for patches of 64.
_PUBLISHED_STEP = 0.8


@dataclass(frozen=True)
class PatchGrid:
    """A grid of patches in every image: 4 by 4 of 64 pixels in an image of 224 (RSVC, thesis ch. 3).

    At other image sizes patches keep their share of the image's shorter side, so that models with different
    input sizes see the same regions: 18 pixels of 64, 96 of 336.

    Attributes:
        size: Side of a patch in pixels, in an image whose shorter side is ``image_size``.
        image_size: That side.
        grid: Patches in a row and in a column.
        conventions: "whole-image" spreads the patches so that the first begins at the image's edge and the
            last ends at the opposite one, at round(linspace(0, side − patch, grid)). "published-code" steps
            by int(0.8 · patch) from 0, 51 pixels for 64, and leaves the last seven of 224 pixels unseen.

    Raises:
        TypeError: A size or the grid is no whole number.
        ValueError: A size or the grid below 1, a patch larger than the image, other conventions.
    """

    size: int = 64
    image_size: int = 224
    grid: int = 4
    conventions: Conventions = "whole-image"

    def __post_init__(self) -> None:
        for name in ("size", "image_size", "grid"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name}: expected a whole number, found {value!r}")
            if value < 1:
                raise ValueError(f"{name}: expected at least 1, found {value}")
        if self.size > self.image_size:
            raise ValueError(f"size: expected at most image_size={self.image_size}, found {self.size}")
        if self.conventions not in get_args(Conventions):
            known = ", ".join(map(repr, get_args(Conventions)))
            raise ValueError(f"conventions: expected one of {known}, found {self.conventions!r}")

    def __len__(self) -> int:
        return self.grid**2

    def boxes(self, height: int, width: int) -> list[Box]:
        """Where the patches of an image lie, row by row.

        Args:
            height: Rows of pixels.
            width: Columns of pixels.

        Returns:
            grid² boxes (left, top, right, bottom).

        Raises:
            ValueError: An empty image; more patches than the published step has room for.
        """
        if min(height, width) < 1:
            raise ValueError(f"image: expected at least one pixel, found {height}x{width}")
        side = max(1, round(self.size * min(height, width) / self.image_size))
        rows, columns = self._starts(height, side), self._starts(width, side)
        return [(left, top, left + side, top + side) for top in rows for left in columns]

    def _starts(self, length: int, side: int) -> list[int]:
        if self.conventions == "published-code":
            step = max(1, int(_PUBLISHED_STEP * side))
            starts = [step * number for number in range(self.grid)]
            if starts[-1] + side > length:
                raise ValueError(
                    f"grid: expected at most {(length - side) // step + 1} patches of {side} pixels in steps "
                    f"of {step} in {length}, found {self.grid}"
                )
            return starts
        gaps = max(1, self.grid - 1)
        return [round(number * (length - side) / gaps) for number in range(self.grid)]


def concept_patches(
    images: torch.Tensor, grid: PatchGrid | None = None, *, size: int | tuple[int, int] | None = None
) -> torch.Tensor:
    """Cut the patches of a batch of images and resize them to what a model takes.

    Resizing is bilinear (``align_corners=False``), antialiased where it shrinks; enlarging, the usual case,
    is plain bilinear.

    Args:
        images: (n, c, h, w) floating-point tensor, already preprocessed for the model.
        grid: Which patches; 16 of 64 pixels in 224 by default.
        size: Height and width of the result, or one number for both; those of the images by default.

    Returns:
        (n · grid², c, height, width), the patches of an image one after the other, in the order of
        :meth:`PatchGrid.boxes`, on the same device.

    Complexity:
        O(n grid² c height width) time; the result and one patch of every image in memory.

    Raises:
        TypeError: Not a floating-point tensor.
        ValueError: Not four axes, a size below 1, or as :meth:`PatchGrid.boxes`.
    """
    if not isinstance(images, torch.Tensor) or not images.is_floating_point():
        found = images.dtype if isinstance(images, torch.Tensor) else type(images).__name__
        raise TypeError(f"images: expected a floating-point tensor, found {found}")
    if images.ndim != 4:
        raise ValueError(f"images: expected shape (n, c, h, w), found {tuple(images.shape)}")
    grid = grid or PatchGrid()
    n, channels, height, width = images.shape
    target = (height, width) if size is None else (size, size) if isinstance(size, int) else tuple(size)
    if len(target) != 2 or min(target) < 1:
        raise ValueError(f"size: expected a height and a width of at least 1, found {size}")
    out = images.new_empty((n, len(grid), channels, *target))
    for number, (left, top, right, bottom) in enumerate(grid.boxes(height, width)):
        patch = images[:, :, top:bottom, left:right]
        out[:, number] = interpolate(patch, target, mode="bilinear", align_corners=False, antialias=True)
    return out.flatten(0, 1)
