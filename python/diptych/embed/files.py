"""Embedding matrices in files, without ever unpickling."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diptych._files import atomic_path

SUFFIXES = (".npy", ".npz", ".safetensors", ".pt")


def load_embedding(path: str | os.PathLike[str], key: str | None = None) -> Any:
    """Read one matrix from a .npy, .npz, .safetensors or .pt file.

    Args:
        path: The file. A .npy file is memory-mapped read-only; a .pt file is read with
            ``weights_only=True``. Nothing is unpickled beyond torch's own safe subset.
        key: Name of the array in a file of several. Without it the file must hold exactly one matrix.

    Returns:
        A numpy array (.npy, .npz) or a CPU tensor (.safetensors, .pt).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Another ending, a damaged file, one that would need unpickling, no such key, or
            several candidates and no key; the message names the file.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: expected a file ending in {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        content = _READERS[path.suffix](path)
    except Exception as error:
        # Each library has its own kinds of error for a damaged file; the user needs the name of the file.
        reason = str(error) or type(error).__name__
        raise ValueError(f"{path}: not a readable {path.suffix} file: {reason}") from error
    if not isinstance(content, Mapping):
        return content
    return _pick(path, content, key)


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


def _read_safetensors(path: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(path)


def _read_pt(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


_READERS = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
    ".pt": _read_pt,
}


def _pick(path: Path, content: Mapping[str, Any], key: str | None) -> Any:
    if key is not None:
        if key not in content:
            raise ValueError(f"{path}: no array {key!r}, it holds {', '.join(sorted(map(str, content)))}")
        return content[key]
    matrices = [name for name, value in content.items() if getattr(value, "ndim", 0) == 2]
    if len(matrices) != 1:
        listed = ", ".join(sorted(map(str, content))) or "nothing"
        raise ValueError(
            f"{path}: expected exactly one matrix, the file holds {listed}; "
            "diptych.embed.load_embedding(path, key) reads one of several"
        )
    return content[matrices[0]]
