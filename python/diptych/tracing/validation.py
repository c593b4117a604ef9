"""What is wrong with answers that were read from a file, with the row that shows it."""

from collections.abc import Callable, Iterator, Sequence
from os.path import isfile
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from diptych._text import some
from diptych.tracing.rows import PHASES, RANKED, Rows, class_numbers, classes_of, in_order

# Of the sum of a row's probabilities, which may have been written with as few as six digits, of up to a
# hundred classes.
_SUM_TOLERANCE = 1e-4


def faults(rows: Rows, classes: Sequence[str], folder: Path | None) -> list[str]:
    """Find what is wrong.

    Args:
        rows: The answers.
        classes: Names of the classes, as :func:`diptych.tracing.rows.classes_of` gives them.
        folder: Where the images' files should lie; None not to look.

    Returns:
        A sentence for each kind of fault: the first row that has it, what was found there and what was
        wanted, and how many rows more have it. None if nothing is wrong.

    Complexity:
        O(n log n), and a look at the disk for each image.
    """
    if not len(rows):
        return [f"{rows.source}: expected at least one row, found none"]
    checks = (_phases, _steps, _classes, _rankings, _labels, _order, _seconds, _truth)
    found = [fault for check in checks for fault in check(rows, classes)]
    return found if folder is None else [*found, *_files(rows, folder)]


def _fault(rows: Rows, bad: NDArray[np.bool_], told: Callable[[int], str]) -> Iterator[str]:
    """The first row of a mask and how many there are beyond, if any."""
    found = np.flatnonzero(bad)
    if len(found):
        more = f" (and {len(found) - 1:,} more)" if len(found) > 1 else ""
        yield f"{rows.where(int(found[0]))}: {told(int(found[0]))}{more}"


def _phases(rows: Rows, classes: Sequence[str]) -> Iterator[str]:
    names = rows.phase.names
    unknown = np.array([name not in PHASES for name in names])[rows.phase.codes]
    yield from _fault(
        rows,
        unknown,
        lambda row: f"phase: expected 'train' or 'test', found {names[rows.phase.codes[row]]!r}",
    )


def _steps(rows: Rows, classes: Sequence[str]) -> Iterator[str]:
    yield from _fault(
        rows,
        rows.step < 0,
        lambda row: f"step: expected a whole number of at least 0, found {rows.step[row]}",
    )
    lengths = np.bincount(rows.learner.codes, minlength=len(rows.learner.names))
    short = lengths[rows.learner.codes] < 2
    yield from _fault(
        rows,
        short,
        lambda row: (
            f"learner: expected at least 2 steps of each, found 1 of "
            f"{rows.learner.names[rows.learner.codes[row]]!r}"
        ),
    )


def _classes(rows: Rows, classes: Sequence[str]) -> Iterator[str]:
    if len(classes) < 2:
        yield f"{rows.source}: label: expected images of two classes or more, found {some(classes)} alone"
    number = class_numbers(rows, classes)
    known = some(map(repr, classes), 10)

    def told(name: str, column: NDArray[np.int64]) -> Callable[[int], str]:
        return lambda row: f"{name}: expected one of the classes {known}, found {rows.classes[column[row]]!r}"

    for name, column in (("label", rows.label), ("response", rows.response)):
        yield from _fault(rows, number[column] < 0, told(name, column))
    shown = np.zeros(len(classes) + 1, bool)
    shown[number[rows.label]] = True
    missing = [name for name, there in zip(classes, shown, strict=False) if not there]
    if missing:
        yield f"{rows.source}: label: expected every class, {some(map(repr, missing))} is never shown"


def _rankings(rows: Rows, classes: Sequence[str]) -> Iterator[str]:
    if rows.ranking is None:
        return
    ranking = rows.ranking

    def told(wanted: str) -> Callable[[int], str]:
        return lambda row: f"ranking: expected {wanted}, found {[rows.classes[c] for c in ranking[row]]}"

    depth = min(RANKED, len(classes))
    if ranking.shape[1] != depth:
        yield f"{rows.source}: ranking: expected {depth} of {len(classes)} classes, found {ranking.shape[1]}"
    unknown = np.any(class_numbers(rows, classes)[ranking] < 0, 1)
    yield from _fault(rows, unknown, told(f"some of the classes {some(map(repr, classes), 10)}"))
    ascending = np.sort(ranking, 1)
    twice = (ascending[:, 1:] == ascending[:, :-1]).any(1)
    yield from _fault(rows, twice, told("different classes"))
    other = ranking[:, 0] != rows.response
    yield from _fault(
        rows,
        other,
        lambda row: told(f"the response {rows.classes[rows.response[row]]!r} first")(row),
    )


def _labels(rows: Rows, classes: Sequence[str]) -> Iterator[str]:
    names, image = rows.image.names, rows.image.codes
    seen, first = np.unique(image, return_index=True)
    first_of = np.zeros(len(names), np.int64)
    first_of[seen] = first
    before = first_of[image]
    yield from _fault(
        rows,
        rows.label != rows.label[before],
        lambda row: (
            f"label: image {names[image[row]]!r} is {rows.classes[rows.label[row]]!r} here and "
            f"{rows.classes[rows.label[before[row]]]!r} in {rows.where(int(before[row]))}"
        ),
    )
    listed = rows.header.images
    if listed is None:
        return
    said = {name: code for code, name in enumerate(rows.classes)}
    wanted = np.array([said.get(listed[name], -1) if name in listed else -2 for name in names])
    yield from _fault(
        rows,
        (wanted[image] != -2) & (wanted[image] != rows.label),
        lambda row: (
            f"label: image {names[image[row]]!r} is {rows.classes[rows.label[row]]!r} here and "
            f"{listed[names[image[row]]]!r} in the header"
        ),
    )
    strange = [f"{name!r} ({label!r})" for name, label in listed.items() if label not in classes]
    if strange:
        known = some(map(repr, classes), 10)
        yield f"{rows.source}: header: expected images of the classes {known}, found {some(strange)}"


def _order(rows: Rows, classes: Sequence[str]) -> Iterator[str]:
    order = in_order(rows)
    learner, step = rows.learner.codes[order], rows.step[order]
    same = np.zeros(len(order), bool)
    same[1:] = learner[1:] == learner[:-1]
    before = np.empty(len(order), np.int64)
    before[order[1:]] = order[:-1]
    before[order[0]] = order[0]

    def at(bad: NDArray[np.bool_]) -> NDArray[np.bool_]:
        placed = np.zeros(len(order), bool)
        placed[order[bad]] = True
        return placed

    again = same.copy()
    again[1:] &= step[1:] == step[:-1]
    yield from _fault(
        rows,
        at(again),
        lambda row: (
            f"step: {rows.said(row)} is there for the second time, first {rows.where(int(before[row]))}"
        ),
    )
    testing = np.array([name == "test" for name in rows.phase.names])[rows.phase.codes][order]
    late = same.copy()
    late[1:] &= testing[:-1] & ~testing[1:] & ~again[1:]
    yield from _fault(
        rows,
        at(late),
        lambda row: (
            f"phase: {rows.said(row)} is training, after a test step in {rows.where(int(before[row]))}; "
            "expected training before tests"
        ),
    )


def _seconds(rows: Rows, classes: Sequence[str]) -> Iterator[str]:
    if rows.seconds is None:
        return
    seconds = rows.seconds
    with np.errstate(over="ignore"):
        infinite = np.isinf(seconds.astype(np.float32))
    yield from _fault(
        rows,
        (seconds < 0) | infinite,
        lambda row: f"response_time: expected seconds, 0 or more, found {seconds[row]:g}",
    )


def _truth(rows: Rows, classes: Sequence[str]) -> Iterator[str]:
    if rows.truth is None:
        return
    truth = rows.truth
    if truth.shape[1] != len(classes):
        wanted = f"{len(classes)} numbers, one per class"
        yield f"{rows.source}: truth: expected {wanted}, found {truth.shape[1]}"
        return
    own = classes_of(rows, None)
    if set(own) != set(classes):
        yield f"{rows.source}: truth: expected it of the classes {some(classes)}, found it of {some(own)}"
    # NaN fails both comparisons.
    fair = (truth >= 0).all(1) & (np.abs(truth.sum(1) - 1) <= _SUM_TOLERANCE)
    yield from _fault(
        rows, ~fair, lambda row: f"truth: expected probabilities that sum to 1, found {truth[row].tolist()}"
    )


def _files(rows: Rows, folder: Path) -> Iterator[str]:
    shown, seen = set(rows.image.names), rows.image.codes
    unshown = [name for name in rows.header.images or {} if name not in shown]
    names = [*rows.image.names, *unshown]
    first = np.full(len(names), -1)
    codes, places = np.unique(seen, return_index=True)
    first[codes] = places

    def fault(bad: list[int], told: Callable[[str], str]) -> Iterator[str]:
        """The first of some images, where it is shown or listed, and how many there are beyond."""
        if bad:
            image = min(bad, key=lambda each: (first[each] < 0, first[each]))
            where = rows.where(int(first[image])) if first[image] >= 0 else f"{rows.source}: header"
            more = f" (and {len(bad) - 1:,} more)" if len(bad) > 1 else ""
            yield f"{where}: image: {told(names[image])}{more}"

    outside = [image for image, name in enumerate(names) if _leaves(name)]
    yield from fault(outside, lambda name: f"expected a path inside {folder}, found {name!r}")
    inside = sorted(set(range(len(names))) - set(outside))
    absent = [image for image in inside if not isfile(folder / names[image])]
    yield from fault(absent, lambda name: f"{folder / name}: no such file")


def _leaves(name: str) -> bool:
    path = PurePosixPath(name)
    return not name or "\0" in name or path.is_absolute() or ".." in path.parts
