"""Pictures small enough to travel inside the page: single ones, and sheets of many."""

import base64
import io
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diptych.report.images import Images

SHEET_BYTES = 3_000_000
SHEET_ITEMS = 5_000
_SHEET_SIDE = 64
_GRID_SIDE = 160
_MANY_GRID_ITEMS = 300
_PER_SHEET = 1024
_COLUMNS = 32
_TRIAL = 64
_JPEG_BLOCK = 16
_BACKGROUND = 255


@dataclass(frozen=True)
class Sheets:
    """Thumbnails of many items on a few sheets, left to right, then top to bottom.

    Attributes:
        uris: The sheets as data URIs, ``per_sheet`` thumbnails on each but the last.
        items: The item of each place.
        cell: Distance of two thumbnails across and down, in pixels.
        size: Width and height of a thumbnail.
        columns: Thumbnails in a row.
        per_sheet: Thumbnails on a full sheet.
    """

    uris: list[str]
    items: NDArray[np.int64]
    cell: tuple[int, int]
    size: tuple[int, int]
    columns: int = _COLUMNS
    per_sheet: int = _PER_SHEET


def grid_thumbnails(images: Images, items: Iterable[int]) -> dict[int, str]:
    """Data URIs of the items shown in grids: at most 160 pixels wide and high (96 if they are many)."""
    wanted = list(dict.fromkeys(items))
    side = _GRID_SIDE if len(wanted) <= _MANY_GRID_ITEMS else _GRID_SIDE * 3 // 5
    return {
        item: thumbnail(picture, side)
        for item, picture in zip(wanted, _read_all(images, wanted), strict=True)
    }


def thumbnail(picture: NDArray[np.uint8], side: int) -> str:
    """Data URI of a picture, at most ``side`` pixels wide and high; exact where it is half as small."""
    return _data_uri(_flat(_fitted(picture, side)), lossless=max(picture.shape[:2]) <= side // 2)


def make_sheets(images: Images, items: NDArray[np.int64], advance: Callable[[float], Any]) -> Sheets | None:
    """Put thumbnails of at most 64 pixels on sheets, as many as fit ``SHEET_BYTES``.

    Args:
        images: The pictures.
        items: Items in order of importance; those that do not fit are left out from the end.
        advance: Called with the share of the work done.

    Returns:
        The sheets, or None if there are no items.
    """
    items = items[:SHEET_ITEMS]
    if len(items) == 0:
        return None
    trial = [_flat(_fitted(picture, _SHEET_SIDE)) for picture in _read_all(images, items[:_TRIAL])]
    lossless, bytes_each = _cheaper(trial)
    items = items[: max(_TRIAL, int(SHEET_BYTES / bytes_each))]
    sizes = {picture.size for picture in trial}
    size = sizes.pop() if len(sizes) == 1 and not images.from_files else (_SHEET_SIDE,) * 2
    step = 1 if lossless else _JPEG_BLOCK
    cell = (-(-size[0] // step) * step, -(-size[1] // step) * step)
    uris = []
    for start in range(0, len(items), _PER_SHEET):
        chunk = items[start : start + _PER_SHEET]
        thumbnails = [_fitted(picture, _SHEET_SIDE) for picture in _read_all(images, chunk)]
        uris.append(_data_uri(_sheet([_flat(t) for t in thumbnails], cell, size), lossless))
        advance(len(chunk) / len(items))
    return Sheets(uris, items, cell, size)


def _read_all(images: Images, items: Iterable[int]) -> Iterator[NDArray[np.uint8]]:
    indices = [int(item) for item in items]
    if not images.from_files:
        yield from (images[item] for item in indices)
        return
    with ThreadPoolExecutor() as pool:
        yield from pool.map(images.__getitem__, indices)


def _fitted(picture: NDArray[np.uint8], side: int) -> Image.Image:
    """Shrink a picture, if need be, until neither edge is longer than ``side``."""
    image = Image.fromarray(picture)
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return image


def _flat(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    ground = Image.new("RGBA", image.size, (_BACKGROUND,) * 3)
    return Image.alpha_composite(ground, image).convert("RGB")


def _cheaper(thumbnails: list[Image.Image]) -> tuple[bool, float]:
    """Whether PNG takes no more room than JPEG for such pictures, and the bytes of one."""
    width = max(image.width for image in thumbnails)
    height = max(image.height for image in thumbnails)
    cell = (-(-width // _JPEG_BLOCK) * _JPEG_BLOCK, -(-height // _JPEG_BLOCK) * _JPEG_BLOCK)
    png = len(_encoded(_sheet(thumbnails, (width, height), (width, height)), lossless=True))
    jpeg = len(_encoded(_sheet(thumbnails, cell, (width, height)), lossless=False))
    return png <= jpeg, min(png, jpeg) / len(thumbnails)


def _sheet(thumbnails: list[Image.Image], cell: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    grey = all(image.mode == "L" for image in thumbnails)
    rows = -(-len(thumbnails) // _COLUMNS)
    columns = min(_COLUMNS, len(thumbnails))
    sheet = Image.new("L" if grey else "RGB", (columns * cell[0], rows * cell[1]), "white")
    for place, image in enumerate(thumbnails):
        row, column = divmod(place, _COLUMNS)
        left = column * cell[0] + max(0, size[0] - image.width) // 2
        top = row * cell[1] + max(0, size[1] - image.height) // 2
        sheet.paste(image, (left, top))
    return sheet


def _encoded(image: Image.Image, lossless: bool) -> bytes:
    buffer = io.BytesIO()
    if lossless:
        image.save(buffer, "PNG", compress_level=7)
    else:
        image.save(buffer, "JPEG", quality=82)
    return buffer.getvalue()


def _data_uri(image: Image.Image, lossless: bool) -> str:
    kind = "png" if lossless else "jpeg"
    text = base64.b64encode(_encoded(image, lossless)).decode("ascii")
    return f"data:image/{kind};base64,{text}"
