"""Embedding matrices in files, without ever unpickling."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from diptych._files import atomic_path
from diptych.embed.embedding import StoredEmbedding, in_pieces, of_map, open_embedding
from diptych.embed.mapped import is_mapped
from diptych.embed.shards import pick
from diptych.embed.stored import stored_safetensors
from diptych.ops._arrays import Array, to_tensor

#: An embedding matrix: an array, one that is still on disk, or the path of a file or folder that holds one.
Source: TypeAlias = Array | StoredEmbedding | str | os.PathLike[str]

SUFFIXES = (".npy", ".npz", ".safetensors", ".pt")


def load_embedding(path: str | os.PathLike[str], key: str | None = None) -> Any:
    """Read one matrix from a .npy, .npz, .safetensors or .pt file, or from a folder of shards.

    Args:
        path: The file. A .npy file is memory-mapped read-only, and must not be cut short while the array is
            in use: :func:`diptych.embed.open_embedding` is safe from that. A .pt file is read with
            ``weights_only=True``. Nothing is unpickled beyond torch's own safe subset. Or a folder of .npy
            or .safetensors shards, as :func:`diptych.embed.open_embedding` takes it.
        key: Name of the array in a file of several. Without it the file must hold exactly one matrix.

    Returns:
        A numpy array (.npy, .npz) or a CPU tensor (.safetensors, .pt). Several shards are read into one new
        array, a single .npy is mapped.

    Raises:
        FileNotFoundError: There is no such file, or no shards in the folder.
        ValueError: Another ending, a damaged file, one that would need unpickling, no such key, several
            candidates and no key, or shards that differ; the message names the file.
    """
    path = Path(path)
    if path.is_dir():
        return _load_folder(path, key)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: expected a file ending in {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if path.suffix == ".safetensors":
        return pick(path, stored_safetensors(path), key).read()
    try:
        content = _READERS[path.suffix](path)
    except Exception as error:
        # Each library has its own kinds of error for a damaged file; the user needs the name of the file.
        reason = str(error) or type(error).__name__
        raise ValueError(f"{path}: not a readable {path.suffix} file: {reason}") from error
    return pick(path, content, key) if isinstance(content, Mapping) else content


def opened(name: str, source: Source, key: str | None = None) -> StoredEmbedding | torch.Tensor:
    """Open what can be read in pieces, files and memory maps; load or view the rest as a tensor.

    Args:
        name: What errors call an array.
        source: The matrix.
        key: Name of the matrix in a file of several.

    Raises:
        FileNotFoundError: As :func:`load_embedding`.
        TypeError: Not an array of real numbers.
        ValueError: As :func:`load_embedding`.
    """
    if isinstance(source, StoredEmbedding):
        return source
    if isinstance(source, str | os.PathLike):
        if in_pieces(source):
            return open_embedding(source, key)
        return to_tensor(name, load_embedding(source, key))
    return of_map(name, source) if is_mapped(source) else to_tensor(name, source).detach()


def count_items(path: str | os.PathLike[str]) -> int:
    """Number of rows of a matrix that :func:`load_embedding` takes, from the header where that tells it.

    Raises:
        FileNotFoundError: As :func:`load_embedding`.
        ValueError: As :func:`load_embedding`, or no matrix.
    """
    return len(open_embedding(path) if in_pieces(path) else load_embedding(path))


def _load_folder(folder: Path, key: str | None) -> Any:
    embedding = open_embedding(folder, key)
    files = [Path(part.name) for part in embedding.parts]
    if files[0].suffix != ".npy":
        return embedding.read()
    return _read_npy(files[0]) if len(files) == 1 else embedding.read().numpy()


def save_embeddings(
    path: str | os.PathLike[str],
    embeddings: Mapping[str, NDArray[np.float32]],
    *,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write named (n, d) arrays to one .safetensors file, whole or not at all."""
    from safetensors.numpy import save_file

    arrays = {name: np.ascontiguousarray(array) for name, array in embeddings.items()}
    with atomic_path(path) as temporary:
        save_file(arrays, temporary, metadata=dict(metadata or {}))


def load_embeddings(
    path: str | os.PathLike[str],
) -> tuple[dict[str, NDArray[np.float32]], dict[str, str]]:
    """Read what :func:`save_embeddings` wrote: the arrays by name, and the metadata.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not a whole .safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{os.fspath(path)}: not a readable .safetensors file: {error}") from error


def _read_npy(path: Path) -> Any:
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _read_npz(path: Path) -> Any:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _read_pt(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


_READERS = {".npy": _read_npy, ".npz": _read_npz, ".pt": _read_pt}
