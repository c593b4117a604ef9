"""Maximum sampling: a concept is shown by the items in which it is strongest."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diptych.ops import _checks
from diptych.ops._arrays import to_tensor


def maximum_sampling(coefficients: ArrayLike, grid_size: int) -> list[NDArray[np.int64]]:
    """Return for each concept the items with its largest coefficients.

    Signed coefficients (principal components, say) are compared as they are, not by magnitude: an
    item with a large negative coefficient is the concept's opposite and not shown. A concept that
    no item has (a column of equal values) is shown by the first items.

    Args:
        coefficients: (n, k), real; one column per concept.
        grid_size: Items per concept, 1 <= grid_size <= n.

    Returns:
        k arrays of shape (grid_size,), int64: largest coefficient first, ties to the lower index.

        O(k n log n) operations, O(n) memory.

    Raises:
        TypeError: ``coefficients`` is not real, or ``grid_size`` no integer.
        ValueError: The rank of ``coefficients`` is not 2, a value is NaN or infinite, or
            ``grid_size`` is not in 1..n.
    """
    values = np.asarray(coefficients)
    if values.ndim != 2:
        raise ValueError(f"coefficients: expected shape (n_items, n_concepts), found {values.shape}")
    _checks.finite("coefficients", to_tensor("coefficients", values))
    _checks.integer("grid_size", grid_size, 1, len(values))
    return [_largest(column, grid_size) for column in values.T]


def _largest(column: NDArray[np.generic], size: int) -> NDArray[np.int64]:
    # A stable ascending sort of the reversed column, read backwards, descends with ties in order.
    ascending = np.argsort(column[::-1], kind="stable")
    return (len(column) - 1 - ascending[::-1][:size]).astype(np.int64)
