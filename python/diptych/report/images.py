"""The pictures of the items: from an array, a .npy file, a folder or a list of files, one at a time."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from diptych._files import is_image_name, natural_key
from diptych._pictures import CHANNELS, as_picture
from diptych.embed.mapped import Mapped, is_mapped

ImageSource = Sequence[Any] | NDArray[Any] | str | os.PathLike[str]

_PLACEHOLDER_SIDE = 64


class Images:
    """n pictures, read when they are asked for.

    ``images[i]`` is uint8 of shape (h, w), (h, w, 3) or (h, w, 4). A file that cannot be read gives
    a grey placeholder and is told in ``unreadable``.

    Attributes:
        names: Names of the files, or None where the pictures came in an array.
        unreadable: Why a file could not be read, by item; it grows as pictures are read.
    """

    def __init__(
        self, n: int, read: Callable[[int], NDArray[np.uint8]], names: list[str] | None = None
    ) -> None:
        self._n = n
        self._read = read
        self.names = names
        self.unreadable: dict[int, str] = {}

    def __len__(self) -> int:
        return self._n

    @property
    def from_files(self) -> bool:
        """Whether each picture is a file of its own."""
        return self.names is not None

    def __getitem__(self, item: int) -> NDArray[np.uint8]:
        """Return one picture.

        Raises:
            ValueError: A float picture of an array leaves [0, 1].
        """
        if not self.from_files:
            return self._read(item)
        try:
            return self._read(item)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            # Pillow reports damaged files by any of these.
            self.unreadable[item] = str(error) or type(error).__name__
            return placeholder()


def placeholder() -> NDArray[np.uint8]:
    """A light grey square with a diagonal cross: no picture here."""
    side = _PLACEHOLDER_SIDE
    picture = np.full((side, side), 226, np.uint8)
    row, column = np.indices((side, side))
    picture[(abs(row - column) < 2) | (abs(row + column - side + 1) < 2)] = 186
    return picture


def load_images(source: ImageSource, n: int) -> Images:
    """Make n pictures ready to be read.

    Args:
        source: An array (n, h, w), (n, h, w, c) or (n, c, h, w) with c = 1, 3 or 4, uint8 or float
            in [0, 1]; the path of a .npy file of one; the path of a folder of image files, taken in
            natural order of their names (2 before 10); or a list of n paths.
        n: Number of items compared.

    Raises:
        FileNotFoundError: The path does not exist.
        TypeError: The array is neither uint8 nor float.
        ValueError: There are not n pictures, the array has another shape, or the file is no .npy.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if path.is_dir():
            names = _image_files(path)
            return _from_files(lambda item: path / names[item], names, n, f"images: {path}")
        return _from_array(_load_npy(path), n, f"images: {path}")
    if isinstance(source, list | tuple) and any(isinstance(x, str | os.PathLike) for x in source):
        if not all(isinstance(x, str | os.PathLike) for x in source):
            raise TypeError("images: found a list of paths and other things, wanted only paths")
        paths = [Path(x) for x in source]
        return _from_files(paths.__getitem__, [path.name for path in paths], n, "images")
    try:
        array = np.asarray(source)
    except ValueError as error:
        raise ValueError("images: found a list of pictures that differ in shape") from error
    return _from_array(array, n, "images")


def _image_files(folder: Path) -> list[str]:
    """Names of the image files of a folder that may hold millions, without asking for each file's status."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if is_image_name(entry.name) and entry.is_file()]
    return sorted(names, key=natural_key)


def _from_files(path_of: Callable[[int], Path], names: list[str], n: int, where: str) -> Images:
    if len(names) != n:
        raise ValueError(f"{where}: found {len(names)} image files, wanted {n}, one per item")
    return Images(n, lambda item: _read_file(path_of(item)), names)


def _read_file(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as file:
        if file.mode in ("I", "I;16", "I;16B", "F"):
            return _stretched(np.asarray(file, np.float64))
        picture = ImageOps.exif_transpose(file)
        transparent = "A" in picture.getbands() or "transparency" in picture.info
        mode = "RGBA" if transparent else "L" if picture.mode in ("1", "L") else "RGB"
        return as_picture(np.asarray(picture.convert(mode)))


def _stretched(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Bring pictures of more than eight bits into view: their own range becomes 0 to 255."""
    low, high = np.nanmin(values), np.nanmax(values)
    span = high - low if high > low else 1.0
    return np.nan_to_num((values - low) / span * 255).astype(np.uint8)


def _load_npy(path: Path) -> NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"images: {path}: not a readable .npy file: {error}") from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f"images: {path}: found an archive of arrays, wanted one array (.npy)")
    return array


def _from_array(array: NDArray[Any], n: int, where: str) -> Images:
    known = array.ndim == 3 or (
        array.ndim == 4 and (array.shape[3] in CHANNELS or array.shape[1] in CHANNELS)
    )
    if not known:
        raise ValueError(
            f"{where}: found shape {array.shape}, wanted (n, h, w), (n, h, w, c) or (n, c, h, w) "
            "with c = 1, 3 or 4"
        )
    if len(array) != n:
        raise ValueError(f"{where}: found {len(array)} pictures, wanted {n}, one per item")
    if not (array.dtype in (np.uint8, np.bool_) or np.issubdtype(array.dtype, np.floating)):
        raise TypeError(f"{where}: found dtype {array.dtype}, wanted uint8, or float in [0, 1]")
    read = Mapped(where, array).entry if is_mapped(array) else array.__getitem__
    return Images(n, lambda item: as_picture(read(item), f"{where}, item {item}"))
