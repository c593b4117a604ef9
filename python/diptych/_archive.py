"""Results on disk: arrays and a JSON description in one .npz, nothing unpickled."""

import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych._files import atomic_path


def write_archive(
    path: str | os.PathLike[str], meta: str, said: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> Path:
    """Write what :func:`read_archive` reads, whole or not at all; ``said`` becomes the array ``meta``."""
    whole: dict[str, Any] = {meta: np.array(json.dumps(said)), **arrays}
    # An open file: to a name of another ending numpy would add its own.
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **whole)
    return Path(path)


def read_archive(
    file: Path | io.BytesIO, meta: str, newest: int
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read the arrays of a saved result, and what its array ``meta`` says in JSON.

    Raises:
        ValueError: It holds other arrays, or its format is later than ``newest``.
        Exception: What numpy raises where the file is no archive; see :func:`readable`.
    """
    with np.load(file, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    if meta not in arrays:
        raise ValueError("it holds other arrays")
    said = json.loads(str(arrays.pop(meta)))
    if said["format"] > newest:
        raise ValueError(f"it has format {said['format']}, this version reads {newest}")
    return arrays, said


@contextmanager
def readable(name: str, kind: str) -> Iterator[None]:
    """Name the file, and the kind of result it should be, in whatever error its content leads to."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"{name}: not a readable {kind} result: {error}") from error


def packed(value: Any, arrays: dict[str, NDArray[Any]], name: str) -> Any:
    """Describe a value of dataclasses, tuples and dictionaries in JSON; put its arrays aside.

    Args:
        value: Dataclasses, tuples, dictionaries with text as keys, arrays, and what JSON has.
        arrays: Takes the arrays, by the path that leads to them.
        name: Where the path begins.

    Returns:
        What :func:`unpacked` reads, together with ``arrays``.
    """
    if isinstance(value, np.ndarray):
        arrays[name] = value
        return {"array": name}
    if is_dataclass(value):
        inner = {each.name: getattr(value, each.name) for each in fields(value)}
        return {type(value).__name__: {key: packed(x, arrays, f"{name}/{key}") for key, x in inner.items()}}
    if isinstance(value, tuple):
        return {"tuple": [packed(x, arrays, f"{name}/{place}") for place, x in enumerate(value)]}
    if isinstance(value, dict):
        return {"dict": {key: packed(x, arrays, f"{name}/{key}") for key, x in value.items()}}
    return value


def unpacked(said: Any, arrays: Mapping[str, NDArray[Any]], kinds: Mapping[str, type[Any]]) -> Any:
    """Read what :func:`packed` described.

    Args:
        said: What it returned.
        arrays: The arrays it put aside.
        kinds: The dataclasses that may come, by name.

    Raises:
        Exception: Arrays are missing, or a dataclass has other fields or is not among ``kinds``.
    """
    if not isinstance(said, dict):
        return said
    ((kind, content),) = said.items()
    if kind == "array":
        return arrays[content]
    if kind == "tuple":
        return tuple(unpacked(each, arrays, kinds) for each in content)
    inner = {key: unpacked(each, arrays, kinds) for key, each in content.items()}
    return inner if kind == "dict" else kinds[kind](**inner)
