"""Files of learners' answers: one format, as lines of JSON or as parquet.

One row is one step of one learner:

=================  =====================  ====================================================================
column             type                   meaning
=================  =====================  ====================================================================
``learner``        text                   who answered
``step``           whole number           its place among the learner's steps, from 0; gaps do not matter
``phase``          "train" or "test"      whether the true class was told after the answer
``image``          text                   what was shown: its file, relative to the folder of images
``label``          text                   true class of the image
``response``       text                   class that was answered
``ranking``        list of three texts    the classes thought likeliest, the response first; both of two
``response_time``  number                 seconds; null where unknown
``truth``          list of numbers        probabilities of the responses, as simulated learners have them
=================  =====================  ====================================================================

The last three are optional, ranking and truth are in all rows or in none. Rows may stand in any order. Each
learner has at least two steps, training before tests. A .jsonl file has one JSON object in each line; its
first line may be a header, a .parquet file has the same as the entry ``diptych.tracing`` of its metadata:
``format`` (1), ``classes`` (names in their order), ``images`` (class of each by name, also of those that
nobody was shown) and ``about`` (where it comes from), all but the first as wanted. Known features of the
images lie beside ``answers.jsonl`` in ``answers.features.npz``, with arrays ``ids`` (m,) and ``features``
(m, d).
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych._files import atomic_path
from diptych._text import some
from diptych.embed.files import load_embedding
from diptych.embed.ids import check_count, find_ids
from diptych.ops import _checks
from diptych.ops._arrays import to_tensor
from diptych.tracing import jsonl, parquet
from diptych.tracing.rows import FORMAT, PHASES, Rows, Texts, checked_classes, classes_of, sequences_of
from diptych.tracing.sequences import Sequences
from diptych.tracing.validation import faults

#: The endings of files of answers.
SUFFIXES = (".jsonl", ".parquet")
#: Where the images of a file of answers are looked for beside it.
IMAGES = "images"


def load(
    path: str | os.PathLike[str],
    *,
    images: str | os.PathLike[str] | None = None,
    classes: Sequence[str] | None = None,
    features: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Sequences:
    """Read a file of answers, of the format that this module describes, and check all of it.

    Args:
        path: A .jsonl or .parquet file.
        images: Folder of the images' files. Default: ``images`` beside the file, if it is there; else the
            images are not looked for.
        classes: Names of the classes in the order wanted. Default: the header's, else the sorted labels.
        features: Features of the images, as :func:`diptych.embed.load_embedding` takes them, with ids
            (:func:`diptych.embed.ids.find_ids`) that are the images' names; those of further images do not
            matter. Default: ``answers.features.npz`` beside ``answers.jsonl``, if it is there.
        progress: Show a bar when it takes longer than two seconds.

    Returns:
        The sequences: learners in the order in which the file first has them, images in the header's order,
        else in natural order of their names.

    Complexity:
        O(n log n) of n rows and a look at the disk for each image. A million rows take some 6 s as JSON
        lines, 1 s as parquet.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ModuleNotFoundError: A parquet file, and pyarrow is not installed.
        TypeError: ``classes`` are no names.
        ValueError: Another ending, or a file that is not of the format: a damaged line, missing or unknown
            columns, values of another type; a phase that is neither "train" nor "test"; a label, response or
            ranking outside the classes; a class that is never shown; a label that changes for one image; a
            ranking that has a class twice or does not begin with the response; a learner with fewer than 2
            steps; a step that is there twice; training after a test; a negative step or response time;
            an image that is not in the folder; features that lack an image or are not finite. The message
            names the first row of each.
    """
    rows, order, folder = _opened(path, images, classes, progress)
    found = faults(rows, order, folder)
    if found:
        raise ValueError("\n".join(found))
    sequences = sequences_of(rows, order, folder)
    beside = _features_beside(Path(path))
    source = features if features is not None else beside if beside.is_file() else None
    if source is None:
        return sequences
    return replace(sequences, features=_features_of(Path(source), sequences.items))


def validate(
    path: str | os.PathLike[str],
    *,
    images: str | os.PathLike[str] | None = None,
    classes: Sequence[str] | None = None,
    progress: bool = True,
) -> list[str]:
    """Say what is wrong with a file of answers.

    Args:
        path: A .jsonl or .parquet file.
        images: As for :func:`load`.
        classes: As for :func:`load`.
        progress: Show a bar when it takes longer than two seconds.

    Returns:
        A sentence for each kind of fault, which names the first row that has it and counts the others; none
        if :func:`load` takes the file. A row that cannot be read hides what is wrong with those after it.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ModuleNotFoundError: As :func:`load`.
        TypeError: As :func:`load`.
        ValueError: Another ending, or ``classes`` that are not different names.
    """
    check_suffix(Path(path))
    if classes is not None:
        checked_classes(classes)
    try:
        rows, order, folder = _opened(path, images, classes, progress)
    except ValueError as error:
        return [str(error)]
    return faults(rows, order, folder)


def save(sequences: Sequences, path: str | os.PathLike[str], *, progress: bool = True) -> Path:
    """Write a file of answers that :func:`load` reads, whole or not at all.

    Steps are numbered from 0. Known features go into ``answers.features.npz`` beside ``answers.jsonl``; one
    that lies there is removed if there are none. Images are not written.

    Args:
        sequences: What to write.
        path: Its ending tells the format, .jsonl or .parquet.
        progress: Show a bar when it takes longer than two seconds.

    Returns:
        The path.

    Raises:
        ModuleNotFoundError: A parquet file, and pyarrow is not installed.
        ValueError: Another ending.
    """
    target = Path(path)
    check_suffix(target)
    header = {
        "format": FORMAT,
        "classes": list(sequences.classes),
        "images": {
            name: sequences.classes[label]
            for name, label in zip(sequences.items, sequences.labels.tolist(), strict=True)
        },
        "about": sequences.about,
    }
    columns = _columns(sequences)
    with atomic_path(target) as temporary:
        if target.suffix == ".parquet":
            parquet.write(temporary, columns, header)
        else:
            told = {name: _values(column) for name, column in columns.items()}
            jsonl.write(temporary, told, len(sequences.step), header, progress=progress)
        _save_features(sequences, _features_beside(target))
    return target


def _opened(
    path: str | os.PathLike[str],
    images: str | os.PathLike[str] | None,
    classes: Sequence[str] | None,
    progress: bool,
) -> tuple[Rows, tuple[str, ...], Path | None]:
    """The rows of a file, the classes, and where the images should be."""
    source = Path(path)
    check_suffix(source)
    if not source.is_file():
        raise FileNotFoundError(f"{source}: no such file")
    folder = source.parent / IMAGES if images is None else Path(images)
    if images is not None and not folder.is_dir():
        raise FileNotFoundError(f"images: {folder}: no such folder")
    rows = parquet.read(source) if source.suffix == ".parquet" else jsonl.read(source, progress=progress)
    return rows, classes_of(rows, classes), folder if folder.is_dir() else None


def check_suffix(path: Path) -> None:
    """Refuse a file whose ending tells of no format.

    Raises:
        ValueError: It is none of ``SUFFIXES``.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: expected a file ending in {' or '.join(SUFFIXES)}")


def _columns(sequences: Sequences) -> dict[str, Any]:
    """Texts and arrays, one for each column that the sequences have."""
    columns = {
        "learner": Texts(sequences.learner, sequences.learners),
        "step": sequences.step,
        "phase": Texts(sequences.test.astype(np.int64), PHASES),
        "image": Texts(sequences.item, sequences.items),
        "label": Texts(sequences.label, sequences.classes),
        "response": Texts(sequences.response, sequences.classes),
    }
    if sequences.rankings is not None:
        columns["ranking"] = Texts(sequences.rankings, sequences.classes)
    if sequences.seconds is not None:
        columns["response_time"] = sequences.seconds
    if sequences.truth is not None:
        columns["truth"] = sequences.truth
    return columns


def _values(column: Texts | NDArray[Any]) -> Callable[[int, int], list[Any]]:
    """What gives some rows of a column as JSON can hold them."""
    if isinstance(column, Texts):
        names = np.array(column.names, object)
        return lambda start, stop: names[column.codes[start:stop]].tolist()
    if column.dtype == np.float32:
        # The shortest decimals that read back as the same float32; NaN is an empty entry.
        return lambda start, stop: [None if time != time else float(str(time)) for time in column[start:stop]]
    return lambda start, stop: column[start:stop].tolist()


def _features_beside(path: Path) -> Path:
    return path.with_name(f"{path.stem}.features.npz")


def _save_features(sequences: Sequences, path: Path) -> None:
    if sequences.features is None:
        path.unlink(missing_ok=True)
        return
    with atomic_path(path) as temporary:
        np.savez(temporary, ids=np.array(sequences.items, str), features=sequences.features)


def _features_of(path: Path, items: Sequence[str]) -> NDArray[np.float32]:
    """(m, d) features of the images, from a file that may have more."""
    matrix = to_tensor(str(path), load_embedding(path)).detach().float()
    _checks.matrix(str(path), matrix)
    ids = find_ids(path)
    if ids is None:
        raise ValueError(f"{path}: expected ids of its rows, which are the names of the images, found none")
    check_count(ids, len(matrix), str(path))
    place = {str(name): row for row, name in enumerate(ids.tolist())}
    if len(place) < len(ids):
        raise ValueError(f"{path}: expected different ids, found {len(ids) - len(place)} that come again")
    missing = [name for name in items if name not in place]
    if missing:
        raise ValueError(
            f"{path}: expected features of all {len(items)} images, found none of {some(missing)}"
        )
    chosen = matrix[[place[name] for name in items]]
    _checks.finite(str(path), chosen)
    return np.ascontiguousarray(chosen.numpy())
