"""Which files of a folder are the shards of a matrix, and in which order their rows follow each other."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diptych._files import natural_key
from diptych.embed.stored import Stored, stored_npy, stored_safetensors

_INDEX = ".safetensors.index.json"
IDS = "ids"


def matrix_shards(folder: Path, key: str | None = None) -> list[Stored]:
    """Find the shards of an (n, d) matrix in a folder, split by rows.

    With a file ``*.safetensors.index.json`` its ``weight_map`` (tensor to file) names the shards, in natural
    order of the tensors' names: ``x.0``, ``x.1``, ... Without one, all .npy or all .safetensors files are
    shards, in natural order of their names (2 before 10); hidden files, ids (``ids.npy``, ``*.ids.npy``) and
    files of other endings do not count, and of names like ``-00001-of-00004`` none may be missing.

    Args:
        folder: The folder.
        key: The matrix' name where .safetensors files hold several; under an index its name without the
            number of the shard.

    Raises:
        FileNotFoundError: The folder holds no shard, or the index names a file that is not there.
        ValueError: The folder holds both kinds, a shard is missing or damaged, or it is not clear which
            arrays are meant.
    """
    index = index_of(folder)
    if index is not None:
        return _indexed(index, key)
    files = shard_files(folder)
    if files[0].suffix == ".npy":
        return [stored_npy(path) for path in files]
    return [pick(path, stored_safetensors(path), key) for path in files]


def shard_files(folder: Path) -> list[Path]:
    """The .npy or .safetensors files of a folder without an index, in natural order of their names."""
    files = [
        path
        for path in folder.iterdir()
        if path.suffix in (".npy", ".safetensors") and not path.name.startswith(".") and not _holds_ids(path)
    ]
    if not files:
        raise FileNotFoundError(f"{folder}: no .npy or .safetensors file in this folder")
    files.sort(key=lambda path: natural_key(path.name))
    other = next((path for path in files if path.suffix != files[0].suffix), None)
    if other is not None:
        raise ValueError(
            f"{folder}: expected shards of one kind, found {files[0].name} and {other.name}; "
            "keep other arrays elsewhere"
        )
    _demand_all(folder, files)
    return files


def _holds_ids(path: Path) -> bool:
    return path.name == f"{IDS}.npy" or path.name.endswith(f".{IDS}.npy")


def _demand_all(folder: Path, files: list[Path]) -> None:
    """Of names that tell how many shards there are, demand that many, numbered from 0 or 1."""
    counted = {path: re.search(r"(\d+)-of-(\d+)$", path.stem) for path in files}
    found = {path: (int(match[1]), int(match[2])) for path, match in counted.items() if match}
    if not found:
        return
    first, (_, total) = next(iter(found.items()))
    for path in files:
        if path not in found or found[path][1] != total:
            raise ValueError(f"{folder}: expected shards of {total} as {first.name} is, found {path.name}")
    numbers = {number for number, _ in found.values()}
    wanted = range(total) if 0 in numbers else range(1, total + 1)
    missing = sorted(set(wanted) - numbers)
    if missing or len(files) != total:
        said = f"number {missing[0]} is missing" if missing else "a number is there twice or above"
        raise ValueError(f"{folder}: expected {total} shards, found {len(files)}: {said}")


def index_of(folder: Path) -> Path | None:
    """The index of a folder's shards, if it has one."""
    found = sorted(path for path in folder.iterdir() if path.name.endswith(_INDEX))
    if len(found) > 1:
        raise ValueError(f"{folder}: expected one {_INDEX[1:]}, found {found[0].name} and {found[1].name}")
    return found[0] if found else None


def families(index: Path, ndim: int) -> dict[str, list[Stored]]:
    """The arrays of ``ndim`` axes that an index names, by their names without numbers, in natural order."""
    places = _weight_map(index)
    opened = {file: stored_safetensors(index.parent / file) for file in dict.fromkeys(places.values())}
    found: dict[str, list[Stored]] = {}
    for name in sorted(places, key=natural_key):
        arrays = opened[places[name]]
        if name not in arrays:
            raise ValueError(f"{index}: expected {name!r} in {places[name]}, found {_listed(arrays)}")
        if arrays[name].ndim == ndim:
            found.setdefault(re.sub(r"[._/-]?\d+$", "", name), []).append(arrays[name])
    return found


def _indexed(index: Path, key: str | None) -> list[Stored]:
    matrices = families(index, 2)
    chosen = [parts for name, parts in matrices.items() if key in (None, name)]
    if len(chosen) != 1:
        wanted = "shards of one matrix" if key is None else f"shards of a matrix {key!r}"
        raise ValueError(f"{index}: expected {wanted}, found {_listed(matrices)}; choose one by key=")
    return chosen[0]


def _weight_map(index: Path) -> dict[str, str]:
    try:
        places = json.loads(index.read_text("utf-8"))["weight_map"]
        named = all(isinstance(file, str) and Path(file).name == file for file in places.values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"{index}: expected JSON with a weight_map of tensors to files: {reason}") from error
    if not named:
        raise ValueError(f"{index}: expected names of files beside it in the weight_map, found other values")
    return dict(places)


def pick(path: Path, content: Mapping[str, Any], key: str | None) -> Any:
    """The array of that name, or without a name the only matrix."""
    if key is not None:
        if key not in content:
            raise ValueError(f"{path}: no array {key!r}, it holds {_listed(content)}")
        return content[key]
    matrices = [name for name, value in content.items() if getattr(value, "ndim", 0) == 2]
    if len(matrices) != 1:
        raise ValueError(
            f"{path}: expected exactly one matrix, the file holds {_listed(content)}; "
            "diptych.embed.load_embedding(path, key) reads one of several"
        )
    return content[matrices[0]]


def _listed(content: Mapping[str, Any]) -> str:
    return ", ".join(sorted(map(str, content))) or "nothing"
