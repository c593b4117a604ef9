"""Checks that every estimator makes at its door."""

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data


def check_integer(name: str, value: object, *, at_least: int, at_most: int | None = None) -> int:
    """Return ``value`` as an int.

    Raises:
        TypeError: It is not an integer (a bool is none).
        ValueError: It is below ``at_least`` or above ``at_most``.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} is {value!r}, wanted an integer of at least {at_least}")
    number = int(value)
    if number < at_least:
        raise ValueError(f"{name} is {number}, wanted at least {at_least}")
    if at_most is not None and number > at_most:
        raise ValueError(f"{name} is {number}, wanted at most {at_most}")
    return number


def check_real(name: str, value: object, *, positive: bool = False) -> float:
    """Return ``value`` as a float that is finite and at least 0 (above 0 if ``positive``).

    Raises:
        TypeError: It is not a real number (a bool is none).
        ValueError: It is NaN, infinite or too small.
    """
    bound = "above 0" if positive else "of at least 0"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} is {value!r}, wanted a number {bound}")
    number = float(value)
    if not math.isfinite(number) or number < 0 or (positive and number == 0):
        raise ValueError(f"{name} is {number}, wanted a finite number {bound}")
    return number


def check_finite(name: str, values: NDArray[Any]) -> None:
    """Refuse NaN and infinity, naming the first row that holds one.

    Raises:
        ValueError: The (n, d) array holds a NaN or an infinity.
    """
    # The sum is finite for almost all sound input, which spares the n·d booleans.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):
            return
    finite = np.isfinite(values)
    if not finite.all():
        row = int(np.flatnonzero(~finite.all(axis=1))[0])
        kind = "NaN" if np.isnan(values[row]).any() else "inf"
        raise ValueError(f"{name}: row {row} holds {kind}, wanted finite values (no NaN, no inf)")


def check_items(estimator: Any, x: object, *, reset: bool) -> NDArray[Any]:
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
    check_finite("X", items)
    return items
