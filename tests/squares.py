"""Squares for the tests of the ops that draw and measure them."""

import numpy as np

#: No square.
NONE = (-1, -1, -1, -1)


def any_squares(n: int, k: int, size: int, seed: int = 0) -> np.ndarray:
    """(n, k, 4) int32 squares of any side and contrast within a scene, a third of them none."""
    random = np.random.default_rng(seed)
    side = random.integers(1, size + 1, (n, k))
    x, y = (random.integers(0, size - side + 1) for _ in range(2))
    squares = np.stack([x, y, side, random.integers(1, 65536, (n, k))], -1)
    squares[random.random((n, k)) < 1 / 3] = NONE
    return squares.astype(np.int32)
