"""Memory-mapped arrays, copied so that pages the file no longer has are an error, not a SIGBUS."""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.embed.stored import bytes_of
from diptych.ops._arrays import to_tensor

# Bytes copied at a time: the window stays in the second-level cache.
_WINDOW = 1 << 18


class Mapped:
    """An array (n, ...) that views a memory map of a file.

    The kernel does the copying: it answers a write from a page that is gone with an error, where touching
    the page from here would end the process.

    Args:
        name: What errors call the array.
        array: A :class:`numpy.memmap`, or a view of one, for which :func:`is_mapped` holds.

    Raises:
        TypeError: The array holds no real numbers.
        ValueError: The file is already shorter than its map.
    """

    def __init__(self, name: str, array: NDArray[Any]) -> None:
        mapped = _map_behind(array)
        assert mapped is not None
        self.name, self.shape, self.ndim = name, array.shape, array.ndim
        # A dtype that no tensor has is an error before anything is read.
        self.dtype = to_tensor(name, np.empty(0, array.dtype)).dtype
        self._array, self._map = array, mapped.base
        self._file, self._offset = mapped.filename, mapped.offset
        self._bytes = np.frombuffer(self._map, np.uint8)
        self._size = self._map.size()
        if array.size and self._end() > self._size:
            raise ValueError(self._cut_short(self._end()))

    def fill(self, out: torch.Tensor, start: int) -> None:
        """Copy entries of the first axis from ``start`` on into ``out``, (rows, ...) on the CPU.

        Raises:
            ValueError: The file has been cut short.
        """
        with _memory_file() as window:
            self._copy(self._array[start : start + out.shape[0]], out, window)
        if self._map.size() < self._size:
            raise ValueError(self._cut_short(self._size))

    def entry(self, item: int) -> NDArray[Any]:
        """Copy one entry of the first axis.

        Raises:
            ValueError: The file has been cut short.
        """
        copied = torch.empty((1, *self.shape[1:]), dtype=self.dtype)
        self.fill(copied, item)
        return copied[0].numpy()

    def _copy(self, block: NDArray[Any], out: torch.Tensor, window: int) -> None:
        """Copy the whole span of a block, or, where most of it is of others, one part after another."""
        low, high = _span(block)
        strides = [abs(stride) if n > 1 else 0 for stride, n in zip(block.strides, block.shape, strict=True)]
        axis = int(np.argmax(strides))
        step = max(1, _WINDOW // max(strides[axis], 1))
        if high - low > 2 * block.nbytes + _WINDOW and step < block.shape[axis]:
            before = (slice(None),) * axis
            for start in range(0, block.shape[axis], step):
                part = *before, slice(start, start + step)
                self._copy(block[part], out[part], window)
            return
        first = low - _address(self._bytes)
        if block.flags.c_contiguous and block.dtype.isnative and out.is_contiguous():
            self._read(first, bytes_of(out), window)
            return
        copied = np.empty(high - low, np.uint8)
        self._read(first, copied, window)
        same: NDArray[Any] = np.ndarray(
            block.shape, block.dtype, copied, _address(block) - low, block.strides
        )
        out.copy_(to_tensor(self.name, same))

    def _read(self, first: int, into: NDArray[np.uint8], window: int) -> None:
        """Copy the map's bytes from ``first`` on."""
        for start in range(0, len(into), _WINDOW):
            stop = min(start + _WINDOW, len(into))
            try:
                count = os.pwrite(window, self._bytes[first + start : first + stop], 0)
            except OSError as error:
                raise ValueError(self._cut_short(self._size)) from error
            if count < stop - start:
                raise ValueError(self._cut_short(self._size))
            os.preadv(window, [into[start:stop]], 0)

    def _end(self) -> int:
        """Bytes the file must have for all of the array to be there."""
        granule = self._offset % mmap.ALLOCATIONGRANULARITY
        return self._offset - granule + _span(self._array)[1] - _address(self._bytes)

    def _cut_short(self, wanted: int) -> str:
        file = self._file or "the file"
        return (
            f"{self.name}: {file} behind the memory map was cut short: expected {wanted} bytes, found "
            f"{self._map.size()}"
        )


def is_mapped(array: Any) -> bool:
    """Whether an array is a :class:`numpy.memmap` or views one."""
    return _map_behind(array) is not None


def _map_behind(array: Any) -> Any:
    """The memory map whose memory an array views, or None."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap):
            return array
        array = array.base
    return None


def _address(array: NDArray[Any]) -> int:
    """Address of the first entry."""
    address: int = array.__array_interface__["data"][0]
    return address


def _span(array: NDArray[Any]) -> tuple[int, int]:
    """Addresses of the first byte of an array and of the byte after its last; nothing is read."""
    reach = [stride * (n - 1) for stride, n in zip(array.strides, array.shape, strict=True)]
    low = _address(array) + sum(each for each in reach if each < 0)
    return low, _address(array) + sum(each for each in reach if each > 0) + array.itemsize


@contextmanager
def _memory_file() -> Iterator[int]:
    descriptor = os.memfd_create("diptych")
    try:
        yield descriptor
    finally:
        os.close(descriptor)
