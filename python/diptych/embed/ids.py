"""Ids of items: found beside embeddings, and held against each other."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.embed.shards import IDS, families, index_of, shard_files
from diptych.embed.stored import stored_safetensors

#: Ids of n items: text or integers, or the path of a .npy or .txt file of them.
IdSource: TypeAlias = Sequence[Any] | NDArray[Any] | str | os.PathLike[str]


def load_ids(source: IdSource, name: str = "ids") -> NDArray[Any]:
    """Read ids of items.

    Args:
        source: A sequence or array of n strings or integers, or a path: a .npy file of one, or a .txt file
            in UTF-8 with an id in each line.
        name: What errors call a sequence.

    Returns:
        (n,) int64, uint64 or str.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: Ids that are neither strings nor integers.
        ValueError: Not one axis, an empty line, a file that is damaged or of another kind.
    """
    if not isinstance(source, str | os.PathLike):
        array = source.cpu().numpy() if isinstance(source, torch.Tensor) else np.asarray(source)
        return _checked(array, name)
    path = Path(source)
    if path.suffix not in (".npy", ".txt"):
        raise ValueError(f"{path}: expected ids in a .npy or .txt file")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    return _checked(_read_npy(path) if path.suffix == ".npy" else _read_txt(path), os.fspath(path))


def find_ids(path: str | os.PathLike[str]) -> NDArray[Any] | None:
    """Find the ids that lie in or beside a file or folder of embeddings.

    Looked for are: an array ``ids`` inside a .npz, .safetensors or .pt file; beside a file ``x.npy`` the
    files ``x.ids.npy`` and ``x.ids.txt``; in a folder of shards ``ids.npy`` and ``ids.txt``, or ids of every
    shard in either of the ways before, joined in the order of the shards (under an index: arrays ``ids.0``,
    ``ids.1``, ...).

    Args:
        path: The embeddings, as :func:`diptych.embed.load_embedding` takes them.

    Returns:
        (n,) int64, uint64 or str; None if there are none.

    Raises:
        ValueError: Ids in two places, of some shards only, or not readable; the message names the file.
        TypeError: Ids that are neither strings nor integers.
    """
    path = Path(path)
    return _of_folder(path) if path.is_dir() else _of_file(path)


def check_same_ids(a: NDArray[Any], b: NDArray[Any], names: tuple[str, str] = ("a", "b")) -> None:
    """Demand the same ids in the same order; integers equal the text that writes them.

    Raises:
        ValueError: They differ; the message tells the first place, and whether only the order differs.
    """
    first, second = names
    if len(a) != len(b):
        raise ValueError(f"ids: expected the same items in {first} and {second}, found {len(a)} and {len(b)}")
    if (a.dtype.kind == "U") != (b.dtype.kind == "U"):
        a, b = a.astype(str), b.astype(str)
    differ = np.flatnonzero(a != b)
    if not len(differ):
        return
    at = int(differ[0])
    where = f"{len(differ)} of {len(a)} places differ, first item {at}: {_shown(a[at])} in {first}, "
    where += f"{_shown(b[at])} in {second}"
    if np.array_equal(np.sort(a), np.sort(b)):
        raise ValueError(f"ids: {first} and {second} hold the same items in another order: {where}")
    raise ValueError(f"ids: {first} and {second} hold different items: {where}")


def check_count(ids: NDArray[Any], n: int, name: str) -> None:
    """Demand an id for each of n items."""
    if len(ids) != n:
        raise ValueError(f"{name}: expected {n} ids, one per item, found {len(ids)}")


def _shown(value: Any) -> str:
    return repr(value.item() if isinstance(value, np.generic) else value)


def _checked(array: NDArray[Any], name: str) -> NDArray[Any]:
    if array.ndim != 1:
        raise ValueError(f"{name}: expected one id per item (n,), found shape {array.shape}")
    if array.dtype.kind == "O":
        kinds = {type(value) for value in array.tolist()}
        if kinds <= {str}:
            return array.astype(str)
        if not kinds <= {int}:
            found = ", ".join(sorted(kind.__name__ for kind in kinds))
            raise TypeError(f"{name}: expected ids of text or integers, found {found}")
        array = np.array(array.tolist())
    if array.dtype.kind == "S":
        try:
            return np.char.decode(array, "utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{name}: expected ids in UTF-8: {error}") from error
    if array.dtype.kind == "U":
        return array
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected ids of text or integers, found dtype {array.dtype}")
    return array.astype(np.uint64 if array.dtype == np.uint64 else np.int64)


def _read_npy(path: Path) -> NDArray[Any]:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{path}: not a readable .npy file: {error}") from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path}: expected one array of ids, found an archive")
    return array


def _read_txt(path: Path) -> NDArray[Any]:
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file in UTF-8: {error}") from error
    lines = text.removesuffix("\n").split("\n")
    if "" in lines:
        raise ValueError(f"{path}: expected an id in each line, found line {lines.index('') + 1} empty")
    return np.array(lines, dtype=str)


def _one_of(found: dict[str, NDArray[Any]]) -> NDArray[Any] | None:
    """The only ids that were found, if any; several places would leave open which hold."""
    if len(found) > 1:
        raise ValueError(f"ids: found in {' and in '.join(found)}; keep one of them")
    return next(iter(found.values()), None)


def _of_file(path: Path) -> NDArray[Any] | None:
    found = {}
    inside = _inside(path)
    if inside is not None:
        found[os.fspath(path)] = _checked(inside, f"{path}: ids")
    for ending in (".npy", ".txt"):
        beside = path.with_name(f"{path.stem}.{IDS}{ending}")
        if beside.is_file():
            found[os.fspath(beside)] = load_ids(beside)
    return _one_of(found)


def _inside(path: Path) -> NDArray[Any] | None:
    """The array ``ids`` of a file of several."""
    try:
        if path.suffix == ".safetensors":
            arrays = stored_safetensors(path)
            return arrays[IDS].read().numpy() if IDS in arrays else None
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return archive[IDS] if IDS in archive.files else None
        if path.suffix == ".pt":
            content = torch.load(path, map_location="cpu", weights_only=True)
            return np.asarray(content[IDS]) if isinstance(content, dict) and IDS in content else None
    except FileNotFoundError:
        raise
    except Exception as error:
        # Whatever the library raises, the user needs the name of the file.
        raise ValueError(f"{path}: ids cannot be read: {str(error) or type(error).__name__}") from error
    return None


def _of_folder(folder: Path) -> NDArray[Any] | None:
    found = {
        os.fspath(path): load_ids(path)
        for path in (folder / f"{IDS}.npy", folder / f"{IDS}.txt")
        if path.is_file()
    }
    index = index_of(folder)
    of_shards = _of_shards(folder) if index is None else _of_index(index)
    if of_shards is not None:
        found[f"the shards of {folder}"] = of_shards
    return _one_of(found)


def _of_index(index: Path) -> NDArray[Any] | None:
    parts = families(index, 1).get(IDS)
    return _joined([_checked(part.read().numpy(), f"{part.name}: ids") for part in parts]) if parts else None


def _of_shards(folder: Path) -> NDArray[Any] | None:
    files = shard_files(folder)
    each = [_of_file(path) for path in files]
    parts = [ids for ids in each if ids is not None]
    if not parts:
        return None
    if len(parts) < len(files):
        without = next(path for path, ids in zip(files, each, strict=True) if ids is None)
        raise ValueError(f"{folder}: expected ids of every shard or of none, {without.name} has none")
    return _joined(parts)


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """Concatenate; numpy would make floats of signed and unsigned integers."""
    alike = len({part.dtype.kind for part in parts}) == 1
    return np.concatenate(parts if alike else [part.astype(str) for part in parts])
