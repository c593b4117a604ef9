"""Activations on disk: a folder for each model and set of images, a .npy file for each layer."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from diptych._files import atomic_path
from diptych._progress import Stages
from diptych._text import storable

_ABOUT = "about.json"
_STATE = "state.json"
_PARTIAL = ".partial-"
_KEY_DIGITS = 16
# Of every .npy file here: fixed, so that the number of rows can be written when it is known.
_HEADER_BYTES = 128
# Between two notes of how far a run has come.
_NOTE_SECONDS = 5.0


@dataclass(frozen=True)
class Entry:
    """What the store holds of a layer.

    Attributes:
        layer: Its name.
        pooling: What was asked for.
        applied: What that turned out to be.
        per_row: Shape of one row: (d,), or (p, c) for patch tokens, which are p lines of the file.
        rows: Number of rows.
        unreadable: Why images have no rows, by their index.
        path: The .npy file.
    """

    layer: str
    pooling: str
    applied: str
    per_row: tuple[int, ...]
    rows: int
    unreadable: dict[int, str]
    path: Path

    def open(self) -> NDArray[np.float32]:
        """Map it read-only: (rows, d) or (rows, p, c)."""
        mapped: NDArray[np.float32] = np.load(self.path, mmap_mode="r", allow_pickle=False)
        return mapped.reshape(self.rows, *self.per_row)


class ActivationStore:
    """What is known of one model on one set of images.

    The folder ``root/NAME-KEY`` holds ``about.json``, which says what the key stands for, and for every layer
    LAYER.POOLING.npy, (rows, d) float32, and LAYER.POOLING.json; :func:`diptych.embed.open_embedding` opens
    the .npy. Files get these names when they are whole. One process writes at a time, others wait.

    Args:
        root: The store's folder, made if need be.
        name: What the model is called.
        key: All that the activations depend on, as JSON can hold it.
    """

    def __init__(self, root: str | os.PathLike[str], name: str, key: Mapping[str, Any]) -> None:
        text = json.dumps(dict(key), sort_keys=True)
        digest = hashlib.blake2b(text.encode(), digest_size=_KEY_DIGITS // 2).hexdigest()
        self.folder = Path(root) / f"{_file_name(name)}-{digest}"
        self.folder.mkdir(parents=True, exist_ok=True)
        about = self.folder / _ABOUT
        if not about.exists():
            with atomic_path(about) as temporary:
                temporary.write_text(json.dumps({"model": name, **json.loads(text)}, indent=1))

    def find(self, layer: str, pooling: str) -> Entry | None:
        """What is there of a layer, None if nothing is.

        Raises:
            ValueError: The files are damaged; the message names them.
        """
        stem = _stem(layer, pooling)
        described, path = self.folder / f"{stem}.json", self.folder / f"{stem}.npy"
        if not described.exists():
            return None
        try:
            content = json.loads(described.read_text())
            content["per_row"] = tuple(content["per_row"])
            content["unreadable"] = {int(item): why for item, why in content["unreadable"].items()}
            entry = Entry(**content, path=path)
            entry.open()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{path}: damaged, remove {described.name} to have it made again: {error}"
            ) from error
        return entry

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only process that writes in this folder; wait, saying so, while another does."""
        with open(self.folder / ".lock", "ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting = f"waiting for another process that fills {self.folder.name}"
                with Stages({waiting: 1.0}) as stages:
                    stages.enter(waiting)
                    fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def run(self, layers: Sequence[str], pooling: str, images: int) -> "StoredRun":
        """Begin, or take up, the writing of some layers; only inside :meth:`writing`."""
        return StoredRun(self, layers, pooling, images)


class StoredRun:
    """Rows of several layers, appended batch by batch; a killed run is taken up where it last noted.

    Attributes:
        done: Images that need not be computed again, from the first.
        unreadable: Why images among them have no rows, by index.
        applied: What the pooling turned out to be, by layer; whoever appends fills it.
    """

    def __init__(self, store: ActivationStore, layers: Sequence[str], pooling: str, images: int) -> None:
        self.done, self.unreadable, self.applied = 0, dict[int, str](), dict[str, str]()
        self._store, self._layers, self._pooling, self._images = store, list(layers), pooling, images
        self._rows, self._per_row = 0, dict[str, tuple[int, ...]]()
        digest = hashlib.blake2b(json.dumps([*layers, pooling]).encode(), digest_size=8).hexdigest()
        self._folder = store.folder / f"{_PARTIAL}{digest}"
        self._folder.mkdir(exist_ok=True)
        self._take_up()
        self._files = {layer: self._file(layer) for layer in layers}
        self._noted = time.monotonic()

    def append(self, outputs: Mapping[str, NDArray[np.float32]], done: int) -> None:
        """Add the rows of the images up to ``done``; an empty mapping where none of them could be read."""
        for layer, rows in outputs.items():
            if layer not in self._per_row:
                self._per_row[layer] = rows.shape[1:]
                self._demand_space(rows, done)
            self._files[layer].write(np.ascontiguousarray(rows, "<f4").data)
        if outputs:
            self._rows += len(next(iter(outputs.values())))
        self.done = done
        if time.monotonic() - self._noted >= _NOTE_SECONDS:
            self.note()

    def note(self) -> None:
        """Write down how far the run has come, after its rows are on disk."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        state = {
            "layers": self._layers,
            "pooling": self._pooling,
            "done": self.done,
            "rows": self._rows,
            "unreadable": self.unreadable,
            "per_row": self._per_row,
            "applied": self.applied,
        }
        with atomic_path(self._folder / _STATE) as temporary:
            temporary.write_text(json.dumps(state))
        self._noted = time.monotonic()

    def leave(self) -> None:
        """Note the state and close the files, for the run to be taken up later."""
        try:
            self.note()
        finally:
            for file in self._files.values():
                file.close()

    def finish(self) -> None:
        """Give the files their final names, and remove what is left of runs that these layers complete."""
        self.note()
        for layer, file in self._files.items():
            lines = self._rows * int(np.prod(self._per_row[layer][:-1], dtype=np.int64))
            file.truncate(_HEADER_BYTES + 4 * lines * self._per_row[layer][-1])
            file.seek(0)
            file.write(_header(lines, self._per_row[layer][-1]))
            file.flush()
            os.fsync(file.fileno())
            file.close()
        for number, layer in enumerate(self._layers):
            stem = _stem(layer, self._pooling)
            entry = Entry(
                layer,
                self._pooling,
                self.applied[layer],
                self._per_row[layer],
                self._rows,
                self.unreadable,
                Path(f"{stem}.npy"),
            )
            described = {name: value for name, value in asdict(entry).items() if name != "path"}
            os.replace(self._folder / f"{number}.rows", self._store.folder / entry.path)
            with atomic_path(self._store.folder / f"{stem}.json") as temporary:
                temporary.write_text(json.dumps(described, indent=1))
        for partial in self._store.folder.glob(f"{_PARTIAL}*"):
            if partial == self._folder or self._superseded(partial):
                shutil.rmtree(partial)

    def _superseded(self, partial: Path) -> bool:
        """Whether the store has by now all layers of another run that was never finished."""
        try:
            state = json.loads((partial / _STATE).read_text())
            return all(self._store.find(layer, state["pooling"]) for layer in state["layers"])
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _take_up(self) -> None:
        try:
            state = json.loads((self._folder / _STATE).read_text())
            per_row = {layer: tuple(shape) for layer, shape in state["per_row"].items()}
            applied = dict(state["applied"])
            for number, layer in enumerate(self._layers if state["rows"] else ()):
                wanted = _HEADER_BYTES + 4 * state["rows"] * int(np.prod(per_row[layer], dtype=np.int64))
                if (self._folder / f"{number}.rows").stat().st_size < wanted:
                    return
        except (OSError, ValueError, KeyError, TypeError):
            # No state, or one that cannot be trusted: from the first image.
            return
        self.done, self._rows, self._per_row, self.applied = state["done"], state["rows"], per_row, applied
        self.unreadable = {int(item): why for item, why in state["unreadable"].items()}

    def _file(self, layer: str) -> BinaryIO:
        path = self._folder / f"{self._layers.index(layer)}.rows"
        path.touch()
        file = open(path, "r+b")  # noqa: SIM115  (closed by leave or finish)
        entries = int(np.prod(self._per_row.get(layer, (0,)), dtype=np.int64))
        end = _HEADER_BYTES + 4 * self._rows * entries
        file.truncate(end)
        file.seek(end)
        return file

    def _demand_space(self, rows: NDArray[Any], done: int) -> None:
        wanted = rows.nbytes // max(1, done) * (self._images - done)
        free = shutil.disk_usage(self._folder).free
        if wanted > free:
            raise OSError(
                f"store: {self._store.folder} would need {wanted / 2**30:.1f} GiB more for a layer, "
                f"found {free / 2**30:.1f} GiB free"
            )


def _header(lines: int, columns: int) -> bytes:
    """The header of a .npy file of (lines, columns) float32, format version 1.0."""
    content = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({lines}, {columns}), }}"
    before = b"\x93NUMPY\x01\x00" + (_HEADER_BYTES - 10).to_bytes(2, "little")
    return before + content.ljust(_HEADER_BYTES - 11).encode("latin1") + b"\n"


def _stem(layer: str, pooling: str) -> str:
    return f"{_file_name(layer)}.{pooling}"


def _file_name(name: str) -> str:
    """A name as files may have it; one that had to be changed gets a digest, so that it stays unique."""
    safe = re.sub(r"[^A-Za-z0-9_.-]", "-", name)
    if safe == name and not name.startswith("."):
        return name
    return f"{safe.lstrip('.')}-{hashlib.blake2b(storable(name).encode(), digest_size=3).hexdigest()}"
