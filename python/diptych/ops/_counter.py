"""Random numbers that depend on counters alone, seed, row and draw, as csrc/core/counter.hpp has them."""

from collections.abc import Iterator
from itertools import count

import numpy as np
from numpy.typing import NDArray

_STEP = np.array([0x9E3779B97F4A7C15], np.uint64)
_FACTORS = np.array([0xBF58476D1CE4E5B9, 0x94D049BB133111EB], np.uint64)
_SHIFTS = np.array([30, 27, 31], np.uint64)
# Numbers drawn at once by `each`.
_AHEAD = 64


def scrambled(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea & Flood 2014): every bit of x moves each of the result."""
    x = (x ^ (x >> _SHIFTS[0])) * _FACTORS[0]
    x = (x ^ (x >> _SHIFTS[1])) * _FACTORS[1]
    return x ^ (x >> _SHIFTS[2])


def numbers(seed: int, row: int, draws: int, first: int = 0) -> NDArray[np.uint64]:
    """Draws first .. first + draws of 64 random bits, (draws,)."""
    # Arrays wrap around in silence, scalars would warn.
    start = scrambled(np.array([seed], np.uint64) + _STEP)
    stream = scrambled(start + np.array([row + 1], np.uint64) * _STEP)
    return scrambled(stream + np.arange(first + 1, first + draws + 1, dtype=np.uint64) * _STEP)


def each(seed: int, row: int) -> Iterator[int]:
    """All draws, one after the other."""
    for first in count(0, _AHEAD):
        yield from numbers(seed, row, _AHEAD, first).tolist()


def derived_seed(seed: int, purpose: int) -> int:
    """Another seed, 0 to 2^63 - 1, whose numbers have nothing to do with those of this one."""
    return int(numbers(seed, purpose, 1)[0]) >> 1
