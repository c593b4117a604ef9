"""Labels and names of the items, from sequences or from a .csv file."""

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

LabelSource = Sequence[Any] | str | os.PathLike[str]


@dataclass(frozen=True)
class Labels:
    """Labels of the n items, and their names if the file had them."""

    labels: list[str]
    names: list[str] | None = None


def load_labels(source: LabelSource, n: int) -> Labels:
    """Read n labels.

    Args:
        source: n strings or integers (a list, an array), or the path of a .csv file in UTF-8: one
            column (a first cell ``label`` is its header), or several with a header that has
            ``label`` and maybe ``item`` or ``name``.
        n: Number of items compared.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: A label is neither a string nor a number.
        ValueError: There are not n labels, or the file has no column ``label``.
    """
    if isinstance(source, str | os.PathLike):
        read = _read_csv(Path(source))
        where = f"labels: {os.fspath(source)}"
    else:
        read = Labels([_as_text(label, "labels") for label in _as_list(source, "labels")])
        where = "labels"
    if len(read.labels) != n:
        raise ValueError(f"{where}: found {len(read.labels)} labels, wanted {n}, one per item")
    return read


def check_names(names: Sequence[Any], n: int) -> list[str]:
    """Return n item names as strings.

    Raises:
        TypeError: A name is neither a string nor a number.
        ValueError: There are not n of them.
    """
    checked = [_as_text(name, "item_names") for name in _as_list(names, "item_names")]
    if len(checked) != n:
        raise ValueError(f"item_names: found {len(checked)} names, wanted {n}, one per item")
    return checked


def _as_list(values: Any, argument: str) -> list[Any]:
    if hasattr(values, "tolist"):
        values = values.tolist()
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        raise TypeError(f"{argument}: found {type(values).__name__}, wanted a sequence")
    return list(values)


def _as_text(value: Any, argument: str) -> str:
    if isinstance(value, str | int | float | np.integer | np.floating):
        return str(value)
    raise TypeError(f"{argument}: found {type(value).__name__}, wanted strings or integers")


def _read_csv(path: Path) -> Labels:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"labels: {path}: not a .csv file in UTF-8: {error}") from error
    if not rows:
        raise ValueError(f"labels: {path}: found an empty file, wanted a column of labels")
    header = [cell.strip().casefold() for cell in rows[0]]
    if len(header) == 1:
        return Labels([row[0] for row in (rows[1:] if header == ["label"] else rows)])
    if "label" not in header:
        raise ValueError(f"labels: {path}: found columns {', '.join(rows[0])}, wanted one 'label'")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise ValueError(f"labels: {path}: found {len(row)} cells in row {number}, wanted {len(header)}")
    name = next((key for key in ("item", "name") if key in header), None)
    return Labels(
        labels=[row[header.index("label")] for row in rows[1:]],
        names=None if name is None else [row[header.index(name)] for row in rows[1:]],
    )
