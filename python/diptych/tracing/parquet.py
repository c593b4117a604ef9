"""Answers in parquet files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.tracing.rows import NEEDED, OPTIONAL, RANKED, Coder, Header, Rows, Texts, header_of

# The key under which a file's metadata have the header.
_META = b"diptych.tracing"


def read(path: Path) -> Rows:
    """Read rows, column by column.

    Raises:
        FileNotFoundError: There is no such file.
        ModuleNotFoundError: pyarrow is not installed.
        ValueError: A damaged file, missing or unknown columns, columns of another type, empty entries; the
            message names the file, the column and the row, from 0.
    """
    require_pyarrow()
    import pyarrow.parquet

    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        table = pyarrow.parquet.read_table(path, partitioning=None).combine_chunks()
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"{path}: not a readable parquet file: {error}") from error
    return _Table(path, table, pyarrow).rows()


def write(path: Path, columns: dict[str, Any], header: dict[str, Any]) -> None:
    """Write columns: texts, or arrays of numbers, (n,) or (n, k)."""
    require_pyarrow()
    import pyarrow.parquet

    def arrow(column: Any) -> Any:
        if isinstance(column, Texts):
            if column.codes.ndim == 2:
                return pyarrow.FixedSizeListArray.from_arrays(
                    arrow(Texts(column.codes.ravel(), column.names)).cast(pyarrow.string()),
                    column.codes.shape[1],
                )
            return pyarrow.DictionaryArray.from_arrays(
                column.codes.astype(np.int32), pyarrow.array(list(column.names), pyarrow.string())
            )
        if column.ndim == 2:
            return pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(column.ravel()), column.shape[1])
        return pyarrow.array(column, from_pandas=True)  # NaN is an empty entry

    table = pyarrow.table({name: arrow(column) for name, column in columns.items()})
    table = table.replace_schema_metadata({_META: json.dumps(header)})
    pyarrow.parquet.write_table(table, path)


def require_pyarrow() -> None:
    """Say how to get pyarrow where it is not installed."""
    try:
        import pyarrow  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("parquet files need pyarrow: pip install pyarrow, or use .jsonl") from error


class _Table:
    """An Arrow table whose columns are checked as they are taken."""

    def __init__(self, path: Path, table: Any, pyarrow: Any) -> None:
        self._path, self._table, self._arrow = path, table, pyarrow
        for name in NEEDED:
            if name not in table.column_names:
                raise ValueError(
                    f"{path}: {name}: missing; found {', '.join(table.column_names) or 'nothing'}"
                )
        for name in table.column_names:
            if name not in NEEDED and name not in OPTIONAL:
                known = ", ".join(NEEDED + OPTIONAL)
                raise ValueError(f"{path}: {name}: no column of this format, expected {known}")
            if table.column_names.count(name) > 1:
                raise ValueError(f"{path}: {name}: expected one column of this name, found several")

    def rows(self) -> Rows:
        """All rows."""
        classes = Coder()
        texts = {name: self._texts(name) for name in ("learner", "phase", "image")}

        def numbered(text: Texts) -> NDArray[np.int64]:
            return np.array(classes(text.names), np.int64)[text.codes]

        label, response = numbered(self._texts("label")), numbered(self._texts("response"))
        ranking = None
        if self._has("ranking"):
            flat = self._lists("ranking", 2, RANKED)
            width = len(flat) // len(self._table)
            ranking = numbered(self._texts_of(flat, "ranking", width)).reshape(-1, width)
        return Rows(
            str(self._path),
            self._row,
            **texts,
            step=self._numbers("step"),
            classes=classes.names,
            label=label,
            response=response,
            ranking=ranking,
            seconds=self._seconds() if self._has("response_time") else None,
            truth=self._truth() if self._has("truth") else None,
            header=self._header(),
        )

    def _row(self, row: int) -> str:
        return f"{self._path}, row {row}"

    def _header(self) -> Header:
        said = (self._table.schema.metadata or {}).get(_META)
        if said is None:
            return Header()
        try:
            content = json.loads(said)
        except ValueError as error:
            raise ValueError(f"{self._path}: header: not JSON: {error}") from error
        return header_of(content, f"{self._path}: header")

    def _has(self, name: str) -> bool:
        """Whether there is such a column with anything in it."""
        return name in self._table.column_names and self._table[name].null_count < len(self._table)

    def _column(self, name: str) -> Any:
        """One Arrow array."""
        column = self._table[name]
        return column.chunk(0) if column.num_chunks else self._arrow.array([], column.type)

    def _full(self, name: str, array: Any, each: int = 1) -> Any:
        """Demand an entry in every row."""
        if array.null_count:
            row = int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0]) // each
            raise ValueError(f"{self._row(row)}: {name}: expected a value, found none")
        return array

    def _texts(self, name: str) -> Texts:
        return self._texts_of(self._column(name), name)

    def _texts_of(self, array: Any, name: str, each: int = 1) -> Texts:
        types = self._arrow.types
        if types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if not (types.is_string(array.type) or types.is_large_string(array.type)):
            raise ValueError(f"{self._path}: {name}: expected text, found {array.type}")
        # Numbers in the order in which texts first come.
        coded = self._full(name, array, each).dictionary_encode()
        return Texts(coded.indices.to_numpy().astype(np.int64), coded.dictionary.to_pylist())

    def _numbers(self, name: str) -> NDArray[np.int64]:
        array = self._full(name, self._column(name))
        if not self._arrow.types.is_integer(array.type):
            raise ValueError(f"{self._path}: {name}: expected whole numbers, found {array.type}")
        values = array.to_numpy()
        if values.dtype == np.uint64 and (values > np.iinfo(np.int64).max).any():
            row = int(np.argmax(values > np.iinfo(np.int64).max))
            raise ValueError(f"{self._row(row)}: {name}: expected less than 2^63, found {values[row]}")
        return values.astype(np.int64)

    def _seconds(self) -> NDArray[np.float64]:
        array, types = self._column("response_time"), self._arrow.types
        if not (types.is_floating(array.type) or types.is_integer(array.type)):
            raise ValueError(f"{self._path}: response_time: expected numbers, found {array.type}")
        return array.cast(self._arrow.float64(), safe=False).to_numpy(zero_copy_only=False)

    def _lists(self, name: str, least: int, most: int | None) -> Any:
        """The entries of all rows' lists, one after the other, which must be of one length."""
        array, types = self._full(name, self._column(name)), self._arrow.types
        kinds = (types.is_list, types.is_large_list, types.is_fixed_size_list)
        if not any(kind(array.type) for kind in kinds):
            raise ValueError(f"{self._path}: {name}: expected lists, found {array.type}")
        import pyarrow.compute

        lengths = pyarrow.compute.list_value_length(array).to_numpy()
        wanted = max(least, int(lengths[0]))
        wanted = wanted if most is None else min(wanted, most)
        if (lengths != wanted).any():
            row = int(np.argmax(lengths != wanted))
            raise ValueError(f"{self._row(row)}: {name}: expected a list of {wanted}, found {lengths[row]}")
        return array.flatten()

    def _truth(self) -> NDArray[np.float64]:
        flat = self._lists("truth", 1, None)
        if not self._arrow.types.is_floating(flat.type):
            raise ValueError(f"{self._path}: truth: expected lists of numbers, found lists of {flat.type}")
        width = len(flat) // len(self._table)
        return self._full("truth", flat, width).to_numpy().astype(np.float64).reshape(-1, width)
