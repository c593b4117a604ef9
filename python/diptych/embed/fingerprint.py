"""A short name for the content of an embedding matrix."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import torch

from diptych.embed.embedding import StoredEmbedding
from diptych.embed.files import Source, opened
from diptych.embed.stored import bytes_of

_DIGEST_BYTES = 16

# Bytes hashed as one leaf: part of the definition.
_LEAF_BYTES = 1 << 20


def fingerprint(source: Source, key: str | None = None) -> str:
    """Hash a matrix by its shape, its dtype and its entries' bits.

    The same matrix has the same fingerprint wherever it lies: in memory, in one file or in shards of any
    length, in C or Fortran order, in either byte order. A half that was widened is another matrix.

    BLAKE2b (RFC 7693) of successive rows, 1 MiB at a time, and then of those digests: the leaves are hashed
    in torch's number of threads, which does not change the result.

    Args:
        source: (n, d) array, an open embedding, or a path that :func:`diptych.embed.load_embedding` takes.
        key: Name of the matrix in a file of several.

    Returns:
        32 hexadecimal digits.

    Complexity:
        O(n d) time, a pass over the bytes; 1 MiB of memory a thread.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: Not an array of real numbers.
        ValueError: No matrix, or a file that is damaged or was cut short while it was read.
    """
    rows = opened("source", source, key)
    if len(rows.shape) != 2:
        raise ValueError(f"source: expected a matrix (n, d), found shape {tuple(rows.shape)}")
    n, d = rows.shape
    step = max(1, _LEAF_BYTES // max(1, d * rows.dtype.itemsize))
    workers = torch.get_num_threads()
    buffers: SimpleQueue[torch.Tensor] = SimpleQueue()
    for _ in range(workers):
        buffers.put(torch.empty((min(step, n), d), dtype=rows.dtype))

    def leaf(start: int) -> bytes:
        buffer = buffers.get()
        try:
            return _leaf(rows, start, buffer[: n - start])
        finally:
            buffers.put(buffer)

    whole = hashlib.blake2b(f"{n} {d} {rows.dtype}".encode(), digest_size=_DIGEST_BYTES)
    with ThreadPoolExecutor(workers) as pool:
        for digest in pool.map(leaf, range(0, n, step)):
            whole.update(digest)
    return whole.hexdigest()


def _leaf(rows: StoredEmbedding | torch.Tensor, start: int, buffer: torch.Tensor) -> bytes:
    if isinstance(rows, StoredEmbedding):
        rows.fill(buffer, start)
    else:
        buffer = rows[start : start + len(buffer)].cpu().contiguous()
    return hashlib.blake2b(bytes_of(buffer), digest_size=_DIGEST_BYTES).digest()
