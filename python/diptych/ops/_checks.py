"""Argument checks of ops, estimators and workflows.

Each error names the argument, what was found and what was expected.
"""

import math
import numbers
from collections.abc import Collection, Sequence
from functools import lru_cache

import torch

from diptych import _cpu
from diptych.ops._arrays import numpy_view
from diptych.ops._operator import AffinityOperator

INT32_MAX = 2**31 - 1
FLOAT32_MAX = torch.finfo(torch.float32).max


def matrix(name: str, tensor: torch.Tensor) -> None:
    """Demand a matrix with at least one row and one column."""
    if tensor.ndim != 2:
        raise ValueError(f"{name}: expected a matrix (n, d), found shape {tuple(tensor.shape)}")
    if tensor.shape[0] == 0 or tensor.shape[1] == 0:
        raise ValueError(f"{name}: expected at least one row and column, found {tuple(tensor.shape)}")


def square(name: str, tensor: torch.Tensor) -> None:
    """Demand an (n, n) matrix whose item numbers fit in int32."""
    matrix(name, tensor)
    square_shape(name, tensor.shape)


def square_shape(name: str, shape: Sequence[int]) -> None:
    """Demand (n, n) with item numbers that fit in int32."""
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(f"{name}: expected a square (n, n) matrix, found {tuple(shape)}")
    item_count(name, shape[0])


def item_count(name: str, n: int) -> None:
    """Demand that ranks of n items fit in int32."""
    if n > INT32_MAX:
        raise ValueError(f"{name}: {n} items, but ranks are int32 and count to {INT32_MAX}")


def same_shape(first: str, a: torch.Tensor, second: str, b: torch.Tensor) -> None:
    """Demand equal shapes."""
    if a.shape != b.shape:
        raise ValueError(f"{first} and {second}: shapes differ, {tuple(a.shape)} and {tuple(b.shape)}")


def same_rows(first: str, a: torch.Tensor, second: str, b: torch.Tensor) -> None:
    """Demand the same number of items."""
    if a.shape[0] != b.shape[0]:
        raise ValueError(
            f"{first} and {second}: expected the same items, found {a.shape[0]} and {b.shape[0]} rows"
        )


def same_columns(first: str, a: torch.Tensor, second: str, b: torch.Tensor) -> None:
    """Demand the same number of features."""
    if a.shape[1] != b.shape[1]:
        raise ValueError(
            f"{first} and {second}: expected the same features, found {a.shape[1]} and {b.shape[1]} columns"
        )


def same_device(**tensors: torch.Tensor | AffinityOperator) -> None:
    """Demand that all tensors live on one device."""
    first, *others = tensors.values()
    device = first.device
    if any(tensor.device != device for tensor in others):
        listed = ", ".join(f"{name} on {tensor.device}" for name, tensor in tensors.items())
        raise ValueError(f"expected all arrays on one device, found {listed}")


def peak(tensor: torch.Tensor) -> float:
    """The largest size of an entry; NaN or Inf where one is not finite. One pass without temporaries."""
    if in_kernels_reach(tensor):
        return _cpu.peak(numpy_view(tensor.detach()), torch.get_num_threads())
    low, high = tensor.aminmax()
    return max(-low.item(), high.item())


def in_kernels_reach(tensor: torch.Tensor) -> bool:
    """Whether the C++ kernels can read a tensor as it is."""
    return (
        tensor.device.type == "cpu"
        and tensor.is_contiguous()
        and tensor.dtype in (torch.float32, torch.float64)
    )


def finite(name: str, tensor: torch.Tensor) -> None:
    """Demand numbers without NaN and Inf; the error tells the first row that has one."""
    if not tensor.is_floating_point() or tensor.numel() == 0 or math.isfinite(peak(tensor)):
        return
    bad = ~torch.isfinite(tensor)
    rows = bad.flatten(1).any(1) if tensor.ndim > 1 else bad
    row = int(rows.nonzero()[0])
    raise ValueError(f"{name}: expected finite numbers, found NaN or Inf in row {row}")


def positive(name: str, value: float) -> None:
    """Demand a number above zero that float32 can hold."""
    real(name, value)
    if not 0 < value <= FLOAT32_MAX:
        raise ValueError(f"{name}: expected a number above 0 and at most {FLOAT32_MAX:.3g}, found {value}")


def not_negative(name: str, value: float) -> None:
    """Demand a finite number of at least zero."""
    real(name, value)
    if not 0 <= value < math.inf:
        raise ValueError(f"{name}: expected a finite number of at least 0, found {value}")


def squarable(name: str, tensor: torch.Tensor) -> None:
    """Demand finite entries whose squares neither overflow, summed over a row, nor all vanish."""
    largest = peak(tensor)
    if not math.isfinite(largest):
        finite(name, tensor)
    low, high = _squarable_range(tensor.dtype, tensor.shape[-1])
    if largest > high or 0 < largest < low:
        raise ValueError(
            f"{name}: expected entries of size {low:.1e} to {high:.1e}, whose squares {tensor.dtype} "
            f"can hold, found at most {largest:.3g}; scale the data or convert it to float64"
        )


@lru_cache(maxsize=256)
def _squarable_range(dtype: torch.dtype, columns: int) -> tuple[float, float]:
    """Remembered, for what torch takes to tell the limits of a dtype is a tenth of a small call."""
    limits = torch.finfo(dtype)
    return math.sqrt(limits.tiny / limits.eps), math.sqrt(limits.max / columns) / 4


def rows_with_a_direction(name: str, tensor: torch.Tensor) -> None:
    """Demand finite rows none of which is all zero."""
    finite(name, tensor)
    if in_kernels_reach(tensor):
        row = _cpu.first_zero_row(numpy_view(tensor.detach()))
    else:
        zero = (tensor == 0).all(1)
        row = int(zero.nonzero()[0]) if bool(zero.any()) else -1
    if row >= 0:
        raise ValueError(f"{name}: row {row} is all zero, its cosine distance is not defined")


def real(name: str, value: float) -> None:
    """Demand a real number; a bool is none."""
    if type(value) is not float and (not isinstance(value, numbers.Real) or isinstance(value, bool)):
        raise TypeError(f"{name}: expected a number, found {value!r}")


def integer(name: str, value: int, low: int, high: int = INT32_MAX) -> None:
    """Demand an integer with low <= value <= high; a bool is none."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(f"{name}: expected an integer, found {value!r}")
    within(name, value, low, high)


def seed(value: int) -> None:
    """Demand a seed that torch's generators take."""
    integer("seed", value, 0, 2**63 - 1)


def within(name: str, value: float, low: float, high: float) -> None:
    """Demand low <= value <= high."""
    real(name, value)
    if not low <= value <= high:
        raise ValueError(f"{name}: expected {low} to {high}, found {value}")


def one_of(name: str, value: object, choices: Collection[object]) -> None:
    """Demand one of the named choices."""
    if value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name}: expected one of {listed}, found {value!r}")


def output(
    name: str,
    out: torch.Tensor,
    shape: tuple[int, ...],
    dtype: torch.dtype,
    inputs: Collection[torch.Tensor],
) -> None:
    """Demand an output of this shape and type, contiguous, on the inputs' device, apart from them."""
    if tuple(out.shape) != shape or out.dtype != dtype:
        raise ValueError(
            f"{name}: expected shape {shape} and {dtype}, found {tuple(out.shape)} and {out.dtype}"
        )
    if not out.is_contiguous():
        raise ValueError(f"{name}: expected a contiguous array, found strides {out.stride()}")
    for tensor in inputs:
        if out.device != tensor.device:
            raise ValueError(f"{name}: expected device {tensor.device}, found {out.device}")
        if overlap(out, tensor):
            raise ValueError(f"{name}: shares memory with an input")


def overlap(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors' memory spans touch."""
    if a.device != b.device or a.numel() == 0 or b.numel() == 0:
        return False

    def span(tensor: torch.Tensor) -> tuple[int, int]:
        start = tensor.data_ptr()
        if tensor.is_contiguous():
            return start, start + tensor.nbytes
        last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
        return start, start + (last + 1) * tensor.element_size()

    (start_a, end_a), (start_b, end_b) = span(a), span(b)
    return start_a < end_b and start_b < end_a
