"""How close embeddings come to a line."""

import numpy as np
from scipy.linalg import eigh

from diptych.numerosity.inputs import Floats, matrix
from diptych.ops._arrays import Array


def linear_error(embeddings: Array, *, centered: bool = True) -> float:
    """Share of the embeddings that a line does not account for: ‖E − E₁‖ / ‖E‖ in Frobenius norm.

    E₁ is the best approximation of E of rank one (Kondapaneni & Perona 2024, doi
    10.1038/s41598-024-56828-2). Centered, the line may lie anywhere: the error is 0 where all items are on
    one line, and √(1 − 1/d) where they fill d dimensions alike.

    Args:
        embeddings: (N, d).
        centered: Take the mean off first; else the line passes through the origin.

    Returns:
        0 to 1.

    Complexity:
        O(N d min(N, d)) time, O(min(N, d)²) memory besides a copy of the embeddings in float64.

    Raises:
        ValueError: No matrix, NaN or Inf, all items the same (uncentered: all zero).
        TypeError: Not an array of real numbers.
    """
    z = matrix("embeddings", embeddings)
    if centered:
        if (z == z[0]).all():
            raise ValueError("embeddings: all items have the same embedding, there is no line through them")
        z = z - z.mean(0)
    largest = np.abs(z).max()
    if largest == 0:
        raise ValueError("embeddings: all are zero, there is no line through them")
    z = z / largest
    # The residual itself, not total minus explained variance, whose rounding would hide errors below 1e-8.
    return float(np.linalg.norm(z - _rank_one(z)) / np.linalg.norm(z))


def _rank_one(z: Floats) -> Floats:
    n, d = z.shape
    gram = z.T @ z if d <= n else z @ z.T
    last = len(gram) - 1
    direction = eigh(gram, subset_by_index=(last, last))[1][:, 0]
    return np.outer(z @ direction, direction) if d <= n else np.outer(direction, direction @ z)
