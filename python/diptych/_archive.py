"""Results on disk: arrays and a JSON description in one .npz, nothing unpickled."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
