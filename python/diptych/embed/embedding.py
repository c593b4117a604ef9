"""An embedding matrix that stays on disk until its rows are wanted."""

import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

import torch
from numpy.typing import NDArray

from diptych.embed.mapped import Mapped
from diptych.embed.shards import matrix_shards, pick
from diptych.embed.stored import stored_npy, stored_safetensors
from diptych.ops._arrays import empty, floating

# Bytes of rows in work while all are read.
_BLOCK_BYTES = 1 << 23


class Rows(Protocol):
    """Rows (n, d) that can be read from somewhere."""

    @property
    def name(self) -> str:
        """What errors call them."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, d)."""

    @property
    def dtype(self) -> torch.dtype:
        """Type of the entries."""

    def fill(self, out: torch.Tensor, start: int) -> None:
        """Read rows from ``start`` on into ``out``, contiguous, of the same dtype, on the CPU."""


class StoredEmbedding:
    """An (n, d) matrix in a file, in shards of rows, or behind a memory map; made by :func:`open_embedding`.

    Rows are read when they are asked for, by explicit reads: a file that was cut short or changed since it
    was opened is an error that names it. Half precision stays half until it is read.

    Attributes:
        name: Path of the file or folder, or the name of the array.
        shape: (n, d).
        dtype: Type of the entries on disk, a torch.dtype in this machine's byte order.
        parts: The shards, in order.
        path: The file or folder; None behind a memory map.
    """

    def __init__(self, name: str, parts: Sequence[Rows], path: str | None = None) -> None:
        self.name, self.parts, self.path = name, list(parts), path
        first = self.parts[0]
        for part in self.parts:
            if len(part.shape) != 2:
                raise ValueError(f"{part.name}: expected a matrix (n, d), found shape {part.shape}")
            if part.shape[1] != first.shape[1]:
                wanted = f"{first.shape[1]} columns as {first.name} has"
                raise ValueError(f"{part.name}: expected {wanted}, found {part.shape[1]}")
            if part.dtype != first.dtype:
                raise ValueError(
                    f"{part.name}: expected {first.dtype} as {first.name} is, found {part.dtype}"
                )
        self._ends = list(accumulate(part.shape[0] for part in self.parts))
        self.shape = (self._ends[-1], first.shape[1])
        self.dtype = first.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"StoredEmbedding({self.name!r}, shape={self.shape}, dtype={self.dtype})"

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Read rows start to stop - 1.

        Args:
            start: First row, from 0.
            stop: Row after the last, at most n.

        Returns:
            (stop - start, d) CPU tensor of the dtype on disk.

        Raises:
            IndexError: Not 0 <= start <= stop <= n.
            ValueError: A file was cut short or changed since it was opened.
        """
        if not 0 <= start <= stop <= len(self):
            raise IndexError(
                f"{self.name}: expected 0 <= start <= stop <= {len(self)}, found {start}, {stop}"
            )
        out = torch.empty((stop - start, self.shape[1]), dtype=self.dtype)
        self.fill(out, start)
        return out

    def read(
        self, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> torch.Tensor:
        """Read all of it, converting a block of 8 MiB at a time.

        Args:
            dtype: Type wanted; that on disk by default.
            device: Where to; the CPU by default.

        Returns:
            (n, d) tensor: the only memory taken beside one block.

        Raises:
            ValueError: A file was cut short or changed since it was opened.
        """
        wanted, place = dtype or self.dtype, torch.device("cpu" if device is None else device)
        make = empty if wanted in (torch.float32, torch.float64) else torch.empty  # numpy has no bfloat16
        out = make(self.shape, dtype=wanted, device=place)
        blocks = self.blocks()
        if out.dtype == self.dtype and out.device.type == "cpu":
            for start, stop in blocks:
                self.fill(out[start:stop], start)
            return out
        buffer = torch.empty((blocks[0][1] if blocks else 0, self.shape[1]), dtype=self.dtype)
        for start, stop in blocks:
            block = buffer[: stop - start]
            self.fill(block, start)
            out[start:stop].copy_(block)
        return out

    def blocks(self) -> list[tuple[int, int]]:
        """(start, stop) of successive rows, about 8 MiB each, in order."""
        row = max(1, self.shape[1] * self.dtype.itemsize)
        step = max(1, _BLOCK_BYTES // row)
        return [(start, min(start + step, len(self))) for start in range(0, len(self), step)]

    def fill(self, out: torch.Tensor, start: int) -> None:
        """Read rows from ``start`` on into ``out``, as many as it has; for loops that keep their buffer.

        Args:
            out: (rows, d) contiguous CPU tensor of the dtype on disk.
            start: First row; start + rows is at most n.

        Raises:
            ValueError: A file was cut short or changed since it was opened.
        """
        number, done = bisect_right(self._ends, start), 0
        while done < len(out):
            first = self._ends[number] - self.parts[number].shape[0]
            count = min(len(out) - done, self._ends[number] - start - done)
            self.parts[number].fill(out[done : done + count], start + done - first)
            done, number = done + count, number + 1


def open_embedding(path: str | os.PathLike[str], key: str | None = None) -> StoredEmbedding:
    """Open an (n, d) matrix without reading it.

    Args:
        path: A .npy file (C or Fortran order, either byte order), a .safetensors file, or a folder of shards
            of either, split by rows: :func:`diptych.embed.shards.matrix_shards` tells which files count and
            in which order.
        key: Name of the matrix where a .safetensors file holds several.

    Returns:
        The open matrix. Headers are read, and held against the sizes of the files.

    Raises:
        FileNotFoundError: There is no such file or folder, or the folder holds no shards.
        ValueError: A file is damaged or of another kind, no matrix, or shards differ in width or dtype; the
            message names the file.
    """
    path = Path(path)
    if path.is_dir():
        parts = matrix_shards(path, key)
    elif path.suffix == ".npy":
        parts = [stored_npy(path)]
    elif path.suffix == ".safetensors":
        parts = [pick(path, stored_safetensors(path), key)]
    else:
        raise ValueError(
            f"{path}: expected a folder, .npy or .safetensors, which can be read in pieces; "
            "diptych.embed.load_embedding reads others whole"
        )
    return StoredEmbedding(os.fspath(path), parts, os.fspath(path))


def in_pieces(path: str | os.PathLike[str]) -> bool:
    """Whether :func:`open_embedding` takes such a path."""
    return Path(path).suffix in (".npy", ".safetensors") or Path(path).is_dir()


def of_map(name: str, array: NDArray[Any]) -> StoredEmbedding:
    """The matrix behind a :class:`numpy.memmap`, for which :func:`diptych.embed.mapped.is_mapped` holds."""
    return StoredEmbedding(name, [Mapped(name, array)])


def widened(dtype: torch.dtype) -> torch.dtype:
    """The type a matrix of this type is computed in: float32 or float64."""
    return floating(torch.empty(0, dtype=dtype)).dtype
