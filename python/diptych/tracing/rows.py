"""Answers as a file has them, one row a step, and how they become sequences."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diptych._files import natural_key
from diptych.tracing.sequences import Sequences

#: What every row has, and what rows may have beside it.
NEEDED = ("learner", "step", "phase", "image", "label", "response")
OPTIONAL = ("ranking", "response_time", "truth")
PHASES = ("train", "test")
#: How many classes a ranking has, if there are so many.
RANKED = 3
#: The newest format of files that is read, and the one that is written.
FORMAT = 1


class Texts(NamedTuple):
    """A column of text: row i says names[codes[i]]."""

    codes: NDArray[np.int64]
    names: Sequence[str]


class Coder:
    """Numbers texts in the order in which they first come."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._codes = {name: code for code, name in enumerate(names)}

    @property
    def names(self) -> list[str]:
        """The texts so far, by number."""
        return list(self._codes)

    def __call__(self, texts: Iterable[str]) -> list[int]:
        """The numbers of some texts; new texts get new ones."""
        codes = self._codes
        return [codes.setdefault(text, len(codes)) for text in texts]


@dataclass(frozen=True)
class Header:
    """What a file says beside its rows.

    Attributes:
        classes: Names of the classes in their order; None where it does not say.
        images: Class of each image by name, also of images that no row shows; None where it does not say.
        about: Where all of it comes from.
    """

    classes: tuple[str, ...] | None = None
    images: dict[str, str] | None = None
    about: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Rows:
    """n answers, read but not believed yet.

    Attributes:
        source: What errors call all of them: their file.
        where: What errors call row i: its file and line.
        learner: Who answered.
        step: (n,) int64.
        phase: One of ``PHASES``, if the file is right.
        image: What was shown.
        classes: The names that ``label``, ``response`` and ``ranking`` point to.
        label: (n,) int64 true class of what was shown.
        response: (n,) int64.
        ranking: (n, k) int64, k 2 or 3; None where no row has one.
        seconds: (n,) float64, NaN where unknown; None where no row has one.
        truth: (n, C) float64; None where no row has one.
        header: What the file says beside.
    """

    source: str
    where: Callable[[int], str]
    learner: Texts
    step: NDArray[np.int64]
    phase: Texts
    image: Texts
    classes: Sequence[str]
    label: NDArray[np.int64]
    response: NDArray[np.int64]
    ranking: NDArray[np.int64] | None = None
    seconds: NDArray[np.float64] | None = None
    truth: NDArray[np.float64] | None = None
    header: Header = field(default_factory=Header)

    def __len__(self) -> int:
        return len(self.step)

    def said(self, row: int) -> str:
        """A row's learner and step, in words."""
        return f"step {self.step[row]} of learner {self.learner.names[self.learner.codes[row]]!r}"


def header_of(said: Any, where: str) -> Header:
    """Read a header from what JSON said.

    Raises:
        ValueError: Unknown keys, another format, or other types; the message names ``where``.
    """
    if not isinstance(said, dict):
        raise ValueError(f"{where}: expected a header of names and values, found {said!r:.80}")
    unknown = [key for key in said if key not in ("format", "classes", "images", "about")]
    if unknown:
        raise ValueError(
            f"{where}: expected a header of format, classes, images and about, found {unknown[0]!r}"
        )
    if type(said.get("format")) is not int or not 1 <= said["format"] <= FORMAT:
        raise ValueError(f"{where}: format: this version reads {FORMAT}, found {said.get('format')!r}")
    classes, images, about = said.get("classes"), said.get("images"), said.get("about", {})
    if classes is not None and not (isinstance(classes, list) and all(type(x) is str for x in classes)):
        raise ValueError(f"{where}: classes: expected a list of names, found {classes!r}")
    if images is not None and not (
        isinstance(images, dict) and all(type(label) is str for label in images.values())
    ):
        raise ValueError(f"{where}: images: expected the class of each by name, found {images!r:.80}")
    if not isinstance(about, dict):
        raise ValueError(f"{where}: about: expected names and values, found {about!r:.80}")
    return Header(None if classes is None else checked_classes(classes, f"{where}: classes"), images, about)


def checked_classes(classes: Sequence[str], where: str = "classes") -> tuple[str, ...]:
    """Demand names of at least two classes, all different."""
    if isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
        raise TypeError(f"{where}: expected a list of names, found {classes!r}")
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise ValueError(f"{where}: expected two different classes or more, found {list(classes)!r:.80}")
    return tuple(classes)


def classes_of(rows: Rows, classes: Sequence[str] | None) -> tuple[str, ...]:
    """The classes in their order: those asked for, else the header's, else the sorted labels."""
    if classes is not None:
        return checked_classes(classes)
    if rows.header.classes is not None:
        return rows.header.classes
    return tuple(sorted(rows.classes[code] for code in np.unique(rows.label)))


def class_numbers(rows: Rows, classes: Sequence[str]) -> NDArray[np.int64]:
    """The number of each of the rows' class names, -1 of those that are none of the classes."""
    number = {name: place for place, name in enumerate(classes)}
    return np.array([number.get(name, -1) for name in rows.classes], np.int64)


def in_order(rows: Rows) -> NDArray[np.int64]:
    """(n,) the rows by learner, in the order in which learners first come, and step."""
    return np.lexsort((rows.step, rows.learner.codes))


def sequences_of(rows: Rows, classes: Sequence[str], folder: Path | None) -> Sequences:
    """Make sequences of rows in which :func:`diptych.tracing.validation.faults` finds none.

    Learners keep the order in which they first come. Images are in the order of the header, those that it
    does not have after them in natural order of their names.
    """
    number, order = class_numbers(rows, classes), in_order(rows)
    listed = rows.header.images or {}
    shown = sorted((name for name in rows.image.names if name not in listed), key=natural_key)
    items = [*listed, *shown]
    place = {name: item for item, name in enumerate(items)}
    item = np.array([place[name] for name in rows.image.names], np.int64)[rows.image.codes]
    labels = np.empty(len(items), np.int64)
    labels[: len(listed)] = [classes.index(label) for label in listed.values()]
    labels[item] = number[rows.label]
    return Sequences(
        classes=tuple(classes),
        items=tuple(items),
        labels=labels,
        learners=tuple(rows.learner.names),
        learner=rows.learner.codes[order],
        item=item[order],
        response=number[rows.response][order],
        test=np.array([name == "test" for name in rows.phase.names])[rows.phase.codes][order],
        rankings=None if rows.ranking is None else number[rows.ranking][order],
        seconds=None if rows.seconds is None else rows.seconds[order].astype(np.float32),
        truth=None if rows.truth is None else _probabilities(rows, classes)[order],
        folder=folder,
        about=dict(rows.header.about),
    )


def _probabilities(rows: Rows, classes: Sequence[str]) -> NDArray[np.float64]:
    """(n, C) in the order of the classes: a file has them in the order of its own."""
    own = classes_of(rows, None)
    assert rows.truth is not None
    return rows.truth.take([own.index(name) for name in classes], 1)
