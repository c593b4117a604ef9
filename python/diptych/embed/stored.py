"""An array inside a file, read by explicit reads: a file that shrinks is an error here, not a SIGBUS.

A memory map hands out pages that no longer exist once the file has been cut short; touching one of them kills
the process. A read that comes up short can be told by its length instead.
"""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

# A longer header is none: the format's own limit.
_MAX_HEADER = 100_000_000

_SAFETENSORS_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True)
class Stored:
    """Where an array lies in a file.

    Attributes:
        path: The file.
        offset: Bytes before the array.
        shape: Its shape, of at least one axis.
        dtype: Type of its entries once they are in this machine's byte order.
        fortran: Whether its first index runs fastest.
        swapped: Whether its entries are in the other byte order.
        state: Device, inode, size and time of change of the file when it was opened.
    """

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: torch.dtype
    fortran: bool
    swapped: bool
    state: tuple[int, ...]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def name(self) -> str:
        """What errors call it."""
        return os.fspath(self.path)

    def read(self) -> torch.Tensor:
        """Return all of it, of its own dtype."""
        out = torch.empty(self.shape, dtype=self.dtype)
        self.fill(out, 0)
        return out

    def fill(self, out: torch.Tensor, start: int) -> None:
        """Read entries of the first axis from ``start`` on, as many as ``out`` has.

        Args:
            out: (rows, ...) contiguous CPU tensor of this dtype.
            start: First entry; start + rows is at most the length.

        Raises:
            ValueError: The file is shorter than when it was opened, or was changed since.
        """
        with self._opened() as file:
            if self.fortran and self.ndim > 1:
                self._fill_by_columns(file, out, start)
            else:
                self._read(file, out, start * math.prod(self.shape[1:]))

    def _fill_by_columns(self, file: BinaryIO, out: torch.Tensor, start: int) -> None:
        rows, others = out.shape[0], self.shape[:0:-1]
        runs = torch.empty((math.prod(others), rows), dtype=self.dtype)
        for number, run in enumerate(runs):
            self._read(file, run, number * self.shape[0] + start)
        # Transposed as a whole, the runs' axes stand in the order of the array's.
        out.copy_(runs.view(*others, rows).permute(*range(self.ndim - 1, -1, -1)))

    def _read(self, file: BinaryIO, out: torch.Tensor, first: int) -> None:
        """Fill ``out`` with the entries that follow the ``first`` of the file's."""
        wanted = memoryview(bytes_of(out))
        at = self.offset + first * out.element_size()
        while wanted:
            count = os.preadv(file.fileno(), [wanted], at)
            if count == 0:
                self._check(file)
                raise ValueError(
                    f"{self.name}: expected {len(wanted)} more bytes at {at}, found the file's end"
                )
            wanted, at = wanted[count:], at + count
        if self.swapped:
            out.numpy().byteswap(inplace=True)

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        with open(self.path, "rb", buffering=0) as file:
            self._check(file)
            yield file
            self._check(file)

    def _check(self, file: BinaryIO) -> None:
        state = state_of(file)
        if state == self.state:
            return
        wanted, found = self.state[2], state[2]
        if found < wanted:
            raise ValueError(
                f"{self.name}: the file was cut short while it was in use, from {wanted} to {found} bytes"
            )
        raise ValueError(f"{self.name}: the file was changed while it was in use")


def bytes_of(tensor: torch.Tensor) -> NDArray[np.uint8]:
    """View the memory of a contiguous CPU tensor of any dtype."""
    return tensor.view(-1).view(torch.uint8).numpy()


def state_of(file: BinaryIO) -> tuple[int, ...]:
    """Device, inode, size and time of change of an open file."""
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def stored_npy(path: Path) -> Stored:
    """Find the array of a .npy file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, too short, or holds no numbers torch knows.
    """
    with _naming(path, ".npy"), open(path, "rb") as file:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version} of the format")
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(file)
        if not shape:
            raise ValueError("it holds a single number")
        _demand_counts(*shape)
        offset, state = file.tell(), state_of(file)
        wanted = offset + math.prod(shape) * dtype.itemsize
        if state[2] < wanted:
            raise ValueError(f"expected {wanted} bytes for shape {shape} of {dtype}, found {state[2]}")
        return Stored(path, offset, shape, _torch_dtype(dtype), fortran, not dtype.isnative, state)


def _demand_counts(*numbers: Any) -> None:
    """Headers are text that anybody may have written."""
    for number in numbers:
        if type(number) is not int or number < 0:
            raise ValueError(f"expected counts in its header, found {number!r:.40}")


def _torch_dtype(dtype: np.dtype[Any]) -> torch.dtype:
    if dtype.kind not in "fiub":
        raise ValueError(f"expected real numbers, found dtype {dtype}")
    try:
        return torch.from_numpy(np.empty(0, dtype.newbyteorder("="))).dtype
    except TypeError as error:
        raise ValueError(f"torch has no equivalent of dtype {dtype}") from error


def stored_safetensors(path: Path) -> dict[str, Stored]:
    """Find the arrays of a .safetensors file, but those of no axes, by name.

    The header is read here, for the package's own reader maps the whole file, which the system refuses where
    that is larger than its memory.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged or too short.
    """
    with _naming(path, ".safetensors"), open(path, "rb") as file:
        state = state_of(file)
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(state[2] - 8, _MAX_HEADER):
            raise ValueError(f"a header of {length} bytes in a file of {state[2]}")
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        found, end = {}, 0
        for name, entry in header.items():
            shape, (start, stop) = tuple(entry["shape"]), entry["data_offsets"]
            dtype = _safetensors_dtype(name, entry["dtype"])
            _demand_counts(*shape, start, stop)
            if stop - start != math.prod(shape) * dtype.itemsize:
                raise ValueError(f"array {name!r} of shape {shape} and {dtype} has bytes {start} to {stop}")
            end = max(end, stop)
            if shape:
                found[name] = Stored(path, 8 + length + start, shape, dtype, False, False, state)
        if state[2] != 8 + length + end:
            raise ValueError(f"expected {8 + length + end} bytes, found {state[2]}")
        return found


def _safetensors_dtype(name: str, dtype: str) -> torch.dtype:
    if dtype not in _SAFETENSORS_DTYPES:
        raise ValueError(
            f"array {name!r} has dtype {dtype}, expected one of {', '.join(_SAFETENSORS_DTYPES)}"
        )
    return _SAFETENSORS_DTYPES[dtype]


@contextmanager
def _naming(path: Path, kind: str) -> Iterator[None]:
    """Give errors of a file that is there, of whatever kind a library raises them, the file's name."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"{path}: not a readable {kind} file: {str(error) or type(error).__name__}"
        ) from error
