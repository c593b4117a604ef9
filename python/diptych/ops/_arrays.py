"""Arrays in, arrays out: numpy, torch and cupy at the door, torch tensors inside, without copies."""

import math
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch

from diptych.ops._operator import is_operator

#: What an op takes and gives: a numpy array, a torch tensor or a cupy array.
Array: TypeAlias = Any

# Bytes from which numpy asks for huge pages.
_HUGE = 1 << 22


def to_tensor(name: str, value: Array) -> torch.Tensor:
    """View an array as a torch tensor on its own device.

    Args:
        name: The argument's name, for the error message.
        value: numpy array (or anything ``numpy.asarray`` takes), torch tensor, or an array of another
            library that speaks DLPack. Copied only where torch cannot express the memory layout.

    Raises:
        TypeError: The value is no array of real numbers.
    """
    if isinstance(value, torch.Tensor):
        tensor = value
    elif hasattr(value, "__dlpack__") and not isinstance(value, np.ndarray):
        tensor = torch.from_dlpack(value)
    else:
        tensor = _from_numpy(name, _as_numpy(name, value))
    if tensor.is_complex() or tensor.is_sparse or tensor.is_quantized:
        raise TypeError(f"{name}: expected a dense array of real numbers, found {tensor.dtype}")
    return tensor


def to_output(name: str, value: Array) -> torch.Tensor:
    """View an array that an op shall write into as a torch tensor.

    Raises:
        TypeError: The value is not an array of numbers, or its memory can only be reached by a copy.
        ValueError: The array is read-only.
    """
    if isinstance(value, np.ndarray):
        if not value.flags.writeable:
            raise ValueError(f"{name}: expected an array to write into, found a read-only one")
        if not value.dtype.isnative:
            raise TypeError(f"{name}: expected native byte order, found dtype {value.dtype}")
        if any(stride < 0 for stride in value.strides):
            raise ValueError(f"{name}: expected a contiguous array, found strides {value.strides}")
    elif not hasattr(value, "__dlpack__"):
        raise TypeError(f"{name}: expected an array to write into, found {type(value).__name__}")
    return to_tensor(name, value).detach()


def _as_numpy(name: str, value: Array) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: expected an array of real numbers: {error}") from error


def _from_numpy(name: str, array: np.ndarray) -> torch.Tensor:
    if array.dtype.kind == "O" and array.ndim == 0:
        found = type(array.item()).__name__
        raise TypeError(f"{name}: expected a dense array of real numbers, found {found}")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected an array of real numbers, found dtype {array.dtype}")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    view = torch.from_numpy if array.flags.writeable else _view_of_read_only
    try:
        return view(array)
    except TypeError as error:
        raise TypeError(f"{name}: torch has no equivalent of dtype {array.dtype}") from error
    except ValueError:  # strides that are negative or no multiple of the entries' size
        return torch.from_numpy(np.array(array, order="C"))


def _view_of_read_only(array: np.ndarray) -> torch.Tensor:
    """View a read-only array (a memory map), which is fine here: inputs are never written to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def returner(value: Array) -> Callable[[torch.Tensor], Array]:
    """Return the function that turns a result into the kind of array ``value`` is."""
    if isinstance(value, torch.Tensor) or is_operator(value):
        return lambda tensor: tensor
    if type(value).__module__.partition(".")[0] == "cupy":
        import cupy

        return lambda tensor: cupy.from_dlpack(tensor.detach())
    return _to_numpy


def _to_numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy() if tensor.requires_grad or tensor.is_cuda else tensor.numpy()


def floating(tensor: torch.Tensor) -> torch.Tensor:
    """Widen to a type the kernels compute in: halves and short integers to float32, long ones to float64."""
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    long = tensor.dtype in (torch.int32, torch.int64, torch.uint32, torch.uint64)
    return tensor.to(torch.float64 if long else torch.float32)


def empty(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Allocate a result; a large one on the CPU by numpy, which asks the system for huge pages.

    First touching 100 MB costs 6 ms so, and 26 ms in pages of 4 KiB.
    """
    if math.prod(shape) * dtype.itemsize < _HUGE or device.type != "cpu":
        return torch.empty(shape, dtype=dtype, device=device)
    return torch.from_numpy(np.empty(shape, str(dtype).removeprefix("torch.")))


def numpy_view(tensor: torch.Tensor) -> np.ndarray:
    """Return the numpy view the C++ kernels take, of a contiguous CPU tensor."""
    return tensor.numpy()
