"""One picture of an item or a patch as an array that every figure, page and chat model can take."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

CHANNELS = (1, 3, 4)


class Pictures(Protocol):
    """Anything that gives the picture of an item by its index: an array, a list, a dictionary."""

    def __getitem__(self, item: Any, /) -> Any:
        """Return the picture of an item."""


#: What shows a patch: anything indexed by patch, or a function of its index.
PatchSource = Pictures | Callable[[int], Any]


def as_picture(picture: Any, name: str = "images") -> NDArray[np.uint8]:
    """Return a picture as (h, w), (h, w, 3) or (h, w, 4) uint8.

    Args:
        picture: (h, w), (h, w, c) or (c, h, w) with c = 1, 3 or 4; uint8, bool, or float in [0, 1].
            A shape that reads both ways has its channels last.
        name: What to call it in an error.

    Raises:
        TypeError: It is neither uint8, bool nor float.
        ValueError: Its shape is none of the above, or its values leave [0, 1].
    """
    array = np.asarray(picture)
    if array.ndim == 3 and array.shape[2] not in CHANNELS and array.shape[0] in CHANNELS:
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in CHANNELS):
        raise ValueError(
            f"{name}: found a picture of shape {array.shape}, wanted (h, w), (h, w, 3) or (h, w, 4)"
        )
    if array.size == 0:
        raise ValueError(f"{name}: found an empty picture of shape {array.shape}")
    return np.ascontiguousarray(_as_bytes(array, name))


def picture_of(patches: PatchSource, patch: int) -> NDArray[np.uint8]:
    """The picture of one patch, (h, w), (h, w, 3) or (h, w, 4) uint8.

    Raises:
        TypeError: It is neither uint8, bool nor float.
        ValueError: Its shape or range is not that of a picture.
    """
    found = patches(int(patch)) if callable(patches) else patches[int(patch)]
    return as_picture(found, f"patches, patch {int(patch)}")


def _as_bytes(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if not np.issubdtype(array.dtype, np.floating):
        raise TypeError(f"{name}: found dtype {array.dtype}, wanted uint8, or float in [0, 1]")
    low, high = float(array.min()), float(array.max())
    if not (low >= 0.0 and high <= 1.0):  # NaN fails both comparisons
        raise ValueError(
            f"{name}: found float values from {low:g} to {high:g}, wanted uint8, or float in [0, 1]"
        )
    return np.round(array.astype(np.float32) * 255).astype(np.uint8)
