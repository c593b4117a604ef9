"""Where single pictures come from: files, arrays and data sets; read in RGB, hashed, and labelled."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.embed.rgb import array_to_rgb, shrunk, to_rgb

if TYPE_CHECKING:
    from PIL.Image import Image

DIGEST_BYTES = 16


class Reader(Protocol):
    """Where pictures come from."""

    def read(self, item: int) -> "Image":
        """Return one picture in RGB."""

    def digest(self, item: int) -> bytes:
        """Hash its content."""

    def labels(self, items: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Class indices that come with the pictures themselves, -1 of unreadable ones; None if none do."""


def is_of_the_image(error: Exception) -> bool:
    """Whether it is an image that is damaged or missing, and not the machine that is short of something."""
    if isinstance(error, OSError) and error.errno is not None:
        return isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError | NotADirectoryError)
    return not isinstance(error, MemoryError | ImportError)


class Files:
    """Pictures that are a file each."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def read(self, item: int) -> "Image":
        """Return one picture in RGB."""
        from PIL import Image

        with Image.open(self.paths[item]) as file:
            return to_rgb(file)

    def digest(self, item: int) -> bytes:
        """Hash the file's bytes."""
        with open(self.paths[item], "rb") as file:
            return hashlib.file_digest(file, _hasher).digest()

    def labels(self, items: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """None: a file tells no class."""
        return None


class ShrunkFiles(Files):
    """Pictures that are a file each, larger ones shrunk until their longest side has so many pixels."""

    def __init__(self, paths: list[Path], longest_side: int) -> None:
        super().__init__(paths)
        self._longest_side = longest_side

    def read(self, item: int) -> "Image":
        """Return one picture in RGB."""
        return shrunk(super().read(item), self._longest_side)

    def digest(self, item: int) -> bytes:
        """Hash the file's bytes, and the size that its picture is shrunk to."""
        hasher = _hasher()
        hasher.update(f"longest side {self._longest_side}".encode())
        hasher.update(super().digest(item))
        return hasher.digest()


class Pixels:
    """Pictures that are arrays, tensors or Pillow images."""

    def __init__(self, picture: Callable[[int], Any]) -> None:
        self._picture = picture

    def read(self, item: int) -> "Image":
        """Return one picture in RGB."""
        from PIL import Image

        picture = self._picture(item)
        return to_rgb(picture) if isinstance(picture, Image.Image) else array_to_rgb(picture)

    def digest(self, item: int) -> bytes:
        """Hash the size and the pixels in RGB."""
        image = self.read(item)
        hasher = _hasher()
        hasher.update(f"{image.size}".encode())
        hasher.update(image.tobytes())
        return hasher.digest()

    def labels(self, items: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """None: pixels tell no class."""
        return None


class Dataset(Pixels):
    """Pictures of a torch data set, with the labels that come with them."""

    def __init__(self, dataset: Any) -> None:
        super().__init__(self._entry)
        self._dataset, self._lock = dataset, Lock()
        self._labels: dict[int, int | None] = {}

    def _entry(self, item: int) -> Any:
        # Data sets promise nothing about threads.
        with self._lock:
            entry = self._dataset[item]
        if not isinstance(entry, tuple | list):
            self._labels[item] = None
            return entry
        label = entry[1] if len(entry) > 1 else None
        if isinstance(label, torch.Tensor):
            label = label.numpy(force=True)
        numbers = np.asarray(label if isinstance(label, int | np.integer | np.ndarray) else None)
        whole = numbers.shape == () and numbers.dtype.kind in "iu"
        self._labels[item] = int(numbers) if whole else None
        return entry[0]

    def labels(self, items: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Class indices, -1 of unreadable items; None if any item has none. Reads what was not read yet."""
        found = [self._label(item) for item in items.tolist()]
        return None if None in found else np.array(found, np.int64)

    def _label(self, item: int) -> int | None:
        if item not in self._labels:
            try:
                self._entry(item)
            except Exception as error:
                if not is_of_the_image(error):
                    raise
                return -1
        return self._labels[item]


def _hasher() -> Any:
    return hashlib.blake2b(digest_size=DIGEST_BYTES)
