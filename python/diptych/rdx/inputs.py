"""What a comparison takes: two matrices, wherever they lie, and the ids of their items."""

import os
from typing import Any, TypeAlias

import torch
from numpy.typing import NDArray

from diptych.embed import StoredEmbedding, find_ids, load_ids
from diptych.embed.embedding import widened
from diptych.embed.files import Source, opened
from diptych.embed.ids import IdSource, check_count, check_same_ids
from diptych.ops import _checks
from diptych.ops._arrays import floating

#: ``"auto"`` (those beside files), None (not looked at), or those of a and of b.
Ids: TypeAlias = str | tuple[IdSource | None, IdSource | None] | None

# Bytes compared at once in search of a row that differs.
_BLOCK_BYTES = 1 << 23


def load_pair(
    a: Source, b: Source, ids: Ids, device: str | torch.device | None
) -> tuple[tuple[torch.Tensor, torch.Tensor], NDArray[Any] | None]:
    """Read two matrices of the same items, and check them.

    What lies on disk is read once, by explicit reads, into memory of its own: nothing done later depends on
    the files. Half precision is widened a block at a time.

    Returns:
        (n, d_a) and (n, d_b) tensors of float32 or float64, and the (n,) ids where either has some.

    Raises:
        ValueError: No matrix, different numbers of items, NaN, Inf, no variance, a file that cannot be read
            or was cut short meanwhile, ids that differ; the message names the argument or the file.
        TypeError: Not an array of real numbers, ids that are neither text nor integers.
        FileNotFoundError: No such file.
    """
    sources = opened("a", a), opened("b", b)
    shapes = [torch.empty(tuple(each.shape), device="meta") for each in sources]
    for name, shape in zip("ab", shapes, strict=True):
        _checks.matrix(name, shape)
    _checks.same_rows("a", shapes[0], "b", shapes[1])
    known = _same_ids((a, b), ids, len(shapes[0]))
    first, second = (_tensor(name, each, device) for name, each in zip("ab", sources, strict=True))
    return (first, second), known


def _tensor(
    name: str, source: StoredEmbedding | torch.Tensor, device: str | torch.device | None
) -> torch.Tensor:
    place = None if device is None else _checked_device(device)
    if isinstance(source, StoredEmbedding):
        tensor = source.read(dtype=widened(source.dtype), device=place)
    else:
        tensor = floating(source).detach()
        tensor = tensor if place is None else tensor.to(place)
    _checks.finite(name, tensor)
    rows = max(1, _BLOCK_BYTES // (tensor.shape[1] * tensor.element_size()))
    if all(bool((block == tensor[0]).all()) for block in tensor.split(rows)):
        raise ValueError(f"{name}: all items have the same embedding, there is nothing to compare")
    return tensor


def _checked_device(device: str | torch.device) -> torch.device:
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(f"device: cannot compute on {device!r}: {error}") from error


def _same_ids(sources: tuple[Source, Source], ids: Ids, n: int) -> NDArray[Any] | None:
    if ids is None:
        return None
    if isinstance(ids, str) and ids == "auto":
        sides = [(_ids_beside(source), f"ids of {_path(source)}") for source in sources]
    elif isinstance(ids, tuple) and len(ids) == 2:
        names = "ids of a", "ids of b"
        sides = [
            (None if each is None else load_ids(each, name), name)
            for each, name in zip(ids, names, strict=True)
        ]
    else:
        raise TypeError(f"ids: expected 'auto', None or a pair (ids of a, ids of b), found {ids!r:.60}")
    found = []
    for each, name in sides:
        if each is not None:
            check_count(each, n, name)
            found.append(each)
    if len(found) == 2:
        check_same_ids(found[0], found[1])
    return found[0] if found else None


def _ids_beside(source: Source) -> NDArray[Any] | None:
    path = _path(source)
    return None if path is None else find_ids(path)


def _path(source: Source) -> str | None:
    if isinstance(source, StoredEmbedding):
        return source.path
    return os.fspath(source) if isinstance(source, str | os.PathLike) else None
