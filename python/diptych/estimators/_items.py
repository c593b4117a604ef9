"""The items an estimator is given, as every estimator takes them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data

from diptych.ops import _checks
from diptych.ops._arrays import to_tensor


def checked_items(estimator: Any, x: object, *, reset: bool) -> NDArray[Any]:
    """Return ``x`` as a finite (n, d) float32 or float64 array; keep or compare its columns.

    Args:
        estimator: The estimator whose ``n_features_in_`` is set (``reset``) or compared.
        x: What the user gave; no copy is made of an array that is already right.
        reset: True when fitting.

    Raises:
        TypeError: ``x`` is sparse.
        ValueError: The rank is not 2, there is no item or no feature, d is not that of the fit, or
            a value is NaN, infinite or complex.
    """
    items = validate_data(
        estimator,
        x,
        reset=reset,
        dtype=[np.float64, np.float32],
        ensure_all_finite=False,
    )
    _checks.finite("X", to_tensor("X", items))
    return items
