"""Data sets that list their images in text files: lines of an id and a value."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

Key = TypeVar("Key", int, str)
Value = TypeVar("Value")


def lines_of(path: Path, dataset: str) -> list[str]:
    """The lines of a file.

    Raises:
        FileNotFoundError: It is not there; the message names it, and asks whether this is the data set.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; is this the folder of {dataset}?")
    return path.read_text(encoding="utf-8").splitlines()


def table(
    path: Path, key: Callable[[str], Key], value: Callable[[str], Value], dataset: str
) -> dict[Key, Value]:
    """Lines "id value" as a dictionary, in their order; a value may hold spaces.

    Raises:
        FileNotFoundError: As :func:`lines_of`.
        ValueError: A line that is no such pair, an id that comes twice, no lines; file and line are named.
    """
    found: dict[Key, Value] = {}
    for number, line in enumerate(lines_of(path, dataset), start=1):
        if not line.strip():
            continue
        fields = line.split(maxsplit=1)
        try:
            name, entry = key(fields[0]), value(fields[1].strip())
        except (ValueError, IndexError) as error:
            raise ValueError(f"{path}, line {number}: expected an id and a value, found {line!r}") from error
        if name in found:
            raise ValueError(f"{path}, line {number}: id {name} is there for the second time")
        found[name] = entry
    if not found:
        raise ValueError(f"{path}: expected at least one line, found none")
    return found


def flag(text: str) -> bool:
    """Read "0" or "1"."""
    if text not in ("0", "1"):
        raise ValueError(text)
    return text == "1"


def same_ids(path: Path, entries: Mapping[Key, object], images: Mapping[Key, str]) -> None:
    """Demand that a file tells of the very images of images.txt."""
    for image in images.keys() - entries.keys():
        raise ValueError(f"{path}: image {image} of images.txt is missing")
    for image in entries.keys() - images.keys():
        raise ValueError(f"{path}: image {image} is not in images.txt")


def known_classes(path: Path, labels: Mapping[Key, int], classes: Mapping[int, str]) -> None:
    """Demand that classes.txt has the class of every image."""
    for image, class_id in labels.items():
        if class_id not in classes:
            raise ValueError(f"{path}: image {image} has class {class_id}, which classes.txt lacks")
