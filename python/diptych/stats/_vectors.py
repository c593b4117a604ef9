"""Checks of the vectors that statistics take."""

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.ops import _checks
from diptych.ops._arrays import Array, to_tensor


def values(name: str, given: Array) -> NDArray[np.float64]:
    """Finite numbers of any shape, as float64 in numpy.

    Raises:
        ValueError: NaN or Inf.
        TypeError: Not an array of real numbers.
    """
    tensor = to_tensor(name, given).detach().to("cpu", torch.float64)
    flat = tensor.reshape(-1)
    _checks.finite(name, flat)
    return tensor.numpy()


def vector(name: str, given: Array) -> NDArray[np.float64]:
    """As :func:`values`, of shape (n,)."""
    found = values(name, given)
    if found.ndim != 1:
        raise ValueError(f"{name}: expected a vector (n,), found shape {found.shape}")
    return found


def same_length(**vectors: NDArray[np.float64]) -> None:
    """Demand vectors of one length."""
    if len({len(each) for each in vectors.values()}) > 1:
        listed = ", ".join(f"{len(each)}" for each in vectors.values())
        raise ValueError(f"{', '.join(vectors)}: expected the same length, found {listed}")


def level(value: float) -> None:
    """Demand a probability strictly between 0 and 1."""
    _checks.real("level", value)
    if not 0 < value < 1:
        raise ValueError(f"level: expected a probability between 0 and 1, found {value}")
