"""Tables of results: dataclasses to CSV and back."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_type_hints

from diptych._files import atomic_path

# Of truth values, which csv writes as words.
_BOOLEANS = {"True": True, "False": False}


def write_csv(path: Path, kind: type[Any], rows: Sequence[Any]) -> None:
    """Write rows of a dataclass, whole or not at all; numbers with six digits."""
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [column.name for column in fields(kind)], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            values = asdict(row).items()
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in values})


def read_csv(path: Path, kind: type[Any]) -> list[Any]:
    """Read what :func:`write_csv` wrote.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged or has other columns; the message names it.
    """
    converters = {
        name: _BOOLEANS.__getitem__ if each is bool else each for name, each in get_type_hints(kind).items()
    }
    with open(path, newline="", encoding="utf-8") as file:
        try:
            return [
                kind(**{name: converters[name](value) for name, value in row.items()})
                for row in csv.DictReader(file)
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: not a table of {kind.__name__}: {error}") from error
