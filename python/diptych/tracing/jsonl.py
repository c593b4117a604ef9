"""Answers in lines of JSON."""

import json
from collections.abc import Callable, Iterator
from itertools import chain, islice
from math import nan
from pathlib import Path
from types import NoneType
from typing import Any, NoReturn, TextIO

import numpy as np
from numpy.typing import NDArray

from diptych._progress import Stages, track
from diptych.tracing.rows import NEEDED, OPTIONAL, RANKED, Coder, Header, Rows, Texts, header_of

# Lines in work at once: few enough that their objects stay in the cache, which is half of the time.
_BLOCK = 1 << 8
_LARGEST = 2**63


def read(path: Path, *, progress: bool) -> Rows:
    """Read rows, one JSON object a line; empty lines do not count.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line that is no object, lacks a column or has an unknown one, or a value of another
            type; the message names the line.
    """
    table = _Table(path)
    with (
        Stages({f"reading {path.name}": 1.0}, enabled=progress) as stages,
        open(path, encoding="utf-8-sig") as file,
    ):
        stages.enter(f"reading {path.name}")
        size = max(1, path.stat().st_size)
        for lines, first in _blocks(path, file):
            table.add(lines, first)
            stages.advance(sum(map(len, lines)) / size)
    return table.rows()


def write(path: Path, columns: dict[str, Any], n: int, header: dict[str, Any], *, progress: bool) -> None:
    """Write a header and n rows; ``columns[name](start, stop)`` gives the values of some of them."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(header, ensure_ascii=True) + "\n")
        for start in track(range(0, n, _BLOCK), "writing answers", shown=progress):
            values = [column(start, min(start + _BLOCK, n)) for column in columns.values()]
            rows = (dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True))
            file.writelines(json.dumps(row) + "\n" for row in rows)


def _blocks(path: Path, file: TextIO) -> Iterator[tuple[list[str], int]]:
    """Some lines, and the number of the first of them."""
    first = 1
    while True:
        try:
            lines = list(islice(file, _BLOCK))
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not a text file in UTF-8: {error}") from error
        if not lines:
            return
        yield lines, first
        first += len(lines)


class _Table:
    """The columns of the rows that were read so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._decode = json.JSONDecoder(parse_constant=_no_constant).decode
        self._header = Header()
        self._coders = {name: Coder() for name in ("learner", "phase", "image")}
        self._classes = Coder()
        self._parts: dict[str, list[NDArray[Any]]] = {}
        self._numbers: list[NDArray[np.int64]] = []

    def add(self, lines: list[str], first: int) -> None:
        """Take further lines, the first of them of this number."""
        numbers = [first + place for place, line in enumerate(lines) if not line.isspace()]
        rows = [self._parsed(lines[number - first], number) for number in numbers]
        if rows and not self._numbers and "format" in rows[0]:
            self._header = header_of(rows.pop(0), self._line(numbers.pop(0)))
        if not rows:
            return
        block = _Block(rows, numbers, self._line)
        for name, coder in self._coders.items():
            self._keep(name, coder(block.column(name, "text", str)), np.int64)
        for name in ("label", "response"):
            self._keep(name, self._classes(block.column(name, "text", str)), np.int64)
        self._keep("step", block.steps(), np.int64)
        self._keep("response_time", block.times(), np.float64)
        if self._wanted(block, "ranking"):
            rankings = block.rankings(self._width("ranking"))
            codes = self._classes(chain.from_iterable(rankings))
            self._keep("ranking", np.reshape(codes, (len(rankings), -1)), np.int64)
        if self._wanted(block, "truth"):
            self._keep("truth", block.truths(self._width("truth")), np.float64)
        self._numbers.append(np.array(numbers, np.int64))

    def rows(self) -> Rows:
        """All of them."""
        source = str(self._path)
        numbers = np.concatenate([np.zeros(0, np.int64), *self._numbers])
        if not len(numbers):
            nobody = Texts(numbers, [])
            return Rows(source, self._line, nobody, numbers, nobody, nobody, [], numbers, numbers)
        columns = {name: np.concatenate(parts) for name, parts in self._parts.items()}
        seconds = columns["response_time"]
        return Rows(
            source,
            lambda row: self._line(int(numbers[row])),
            **{name: Texts(columns[name], coder.names) for name, coder in self._coders.items()},
            step=columns["step"],
            classes=self._classes.names,
            label=columns["label"],
            response=columns["response"],
            ranking=columns.get("ranking"),
            seconds=None if np.isnan(seconds).all() else seconds,
            truth=columns.get("truth"),
            header=self._header,
        )

    def _line(self, number: int) -> str:
        return f"{self._path}, line {number}"

    def _parsed(self, line: str, number: int) -> dict[str, Any]:
        try:
            row = self._decode(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{self._line(number)}: not a line of JSON: {error}") from error
        if type(row) is not dict:
            raise ValueError(f"{self._line(number)}: expected a JSON object, found {row!r:.80}")
        return row

    def _wanted(self, block: "_Block", name: str) -> bool:
        """Whether a column is there that all rows have or none."""
        before = name in self._parts if self._numbers else None
        return block.has(name, before)

    def _width(self, name: str) -> int | None:
        """How long the lists of earlier rows are."""
        return self._parts[name][0].shape[1] if name in self._parts else None

    def _keep(self, name: str, values: Any, dtype: type) -> None:
        self._parts.setdefault(name, []).append(np.asarray(values, dtype))


class _Block:
    """Some rows by column, whose values are checked as they are taken."""

    def __init__(self, rows: list[dict[str, Any]], numbers: list[int], line: Callable[[int], str]) -> None:
        self._numbers, self._line = numbers, line
        shapes = list(map(tuple, rows))
        for shape in set(shapes):
            self._check_names(shape, shapes.index(shape))
        names = NEEDED + OPTIONAL
        if len(set(shapes)) == 1:
            columns = dict(zip(shapes[0], zip(*map(dict.values, rows), strict=True), strict=True))
        else:
            columns = {name: tuple(row.get(name) for row in rows) for name in names}
        self._columns = {name: columns.get(name, (None,) * len(rows)) for name in names}

    def column(self, name: str, wanted: str, *kinds: type) -> tuple[Any, ...]:
        """A column of values of some types."""
        values = self._columns[name]
        if not set(map(type, values)) <= set(kinds):
            bad = next(place for place, value in enumerate(values) if type(value) not in kinds)
            self._refuse(bad, f"{name}: expected {wanted}, found {json.dumps(values[bad]):.80}")
        return values

    def has(self, name: str, before: bool | None) -> bool:
        """Whether all rows have a column; ``before`` tells of earlier rows."""
        values = self._columns[name]
        first = values[0] is not None if before is None else before
        if values.count(None) != (0 if first else len(values)):
            bad = next(place for place, value in enumerate(values) if (value is not None) != first)
            self._refuse(bad, f"{name}: expected in all rows or in none, found it in some")
        return first

    def steps(self) -> tuple[int, ...]:
        """Steps that int64 can hold."""
        steps = self.column("step", "a whole number", int)
        if max(steps) >= _LARGEST or min(steps) < -_LARGEST:
            bad = next(place for place, step in enumerate(steps) if not -_LARGEST <= step < _LARGEST)
            self._refuse(bad, f"step: expected less than 2^63, found {steps[bad]}")
        return steps

    def times(self) -> list[float]:
        """Seconds, NaN where unknown."""
        times = self.column("response_time", "seconds or null", float, int, NoneType)
        try:
            return [nan if time is None else float(time) for time in times]
        except OverflowError:
            bad = max(range(len(times)), key=lambda place: abs(times[place] or 0))
            self._refuse(bad, "response_time: expected seconds, found a number beyond all bounds")

    def rankings(self, width: int | None) -> tuple[list[str], ...]:
        """Lists of classes, of one length."""
        rankings = self.column("ranking", "a list of classes", list)
        wanted = min(max(2, len(rankings[0])), RANKED) if width is None else width
        for place, ranking in enumerate(rankings):
            if len(ranking) != wanted or not all(type(name) is str for name in ranking):
                self._refuse(place, f"ranking: expected a list of {wanted} classes, found {ranking!r:.80}")
        return rankings

    def truths(self, width: int | None) -> tuple[list[float], ...]:
        """Lists of numbers of one length."""
        truths = self.column("truth", "a list of probabilities", list)
        wanted = len(truths[0]) if width is None else width
        for place, truth in enumerate(truths):
            # The size is looked at so that no whole number is beyond float64.
            if len(truth) != wanted or not all(type(p) in (float, int) and abs(p) < 2 for p in truth):
                self._refuse(place, f"truth: expected a list of {wanted} probabilities, found {truth!r:.80}")
        return truths

    def _check_names(self, shape: tuple[str, ...], place: int) -> None:
        for name in NEEDED:
            if name not in shape:
                self._refuse(place, f"{name}: missing; found {', '.join(shape) or 'nothing'}")
        for name in shape:
            if name not in NEEDED + OPTIONAL:
                known = ", ".join(NEEDED + OPTIONAL)
                self._refuse(place, f"{name}: no column of this format, expected {known}")

    def _refuse(self, place: int, what: str) -> NoReturn:
        raise ValueError(f"{self._line(self._numbers[place])}: {what}")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
