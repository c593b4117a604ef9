"""Reading CUB-200-2011, birds with attribute labels, from its unpacked folder."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diptych._progress import track
from diptych.embed.listed import flag, known_classes, lines_of, same_ids, table

_NAME = "CUB-200-2011"
_CHUNK = 200_000


@dataclass(frozen=True)
class Cub:
    """Images, classes and attribute labels of CUB-200-2011 (Wah et al. 2011), ordered by image id.

    Attributes:
        ids: (n,) int64, the image ids of images.txt.
        paths: The n image files.
        labels: (n,) int64, the class of each image, an index into ``classes``.
        classes: Names of the classes, ordered by class id.
        is_train: (n,) bool, the suggested split.
        attributes: Names of the attributes, such as "has_bill_shape::dagger", ordered by id.
        present: (n, c) bool, whether an annotator called the attribute present.
        certainty: (n, c) int8, how sure the annotator was: 1 not visible, 2 guessing, 3 probably,
            4 definitely; 0 where the file has no label.
    """

    ids: NDArray[np.int64]
    paths: tuple[Path, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    is_train: NDArray[np.bool_]
    attributes: tuple[str, ...]
    present: NDArray[np.bool_]
    certainty: NDArray[np.int8]

    def class_rates(self) -> NDArray[np.float64]:
        """(classes, c) float64: share of a class's images that are labelled to have each attribute.

        Images whose label says "not visible", or that have none, do not count; NaN where none counts.
        """
        counted = self.certainty > 1
        totals = np.zeros((2, len(self.classes), len(self.attributes)))
        np.add.at(totals[0], self.labels, counted & self.present)
        np.add.at(totals[1], self.labels, counted)
        with np.errstate(invalid="ignore"):
            return totals[0] / totals[1]

    def majority_concepts(self, min_classes: int = 10) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Attribute labels made clean by a vote within each class.

        One annotator's labels are noisy, and birds of one species share nearly all attributes: each
        image gets the attributes that more than half of its class's images have, and attributes that
        fewer than ``min_classes`` classes have are left out (Koh et al. 2020, "Concept Bottleneck
        Models", who kept 112 attributes so).

        Args:
            min_classes: Classes an attribute must be in.

        Returns:
            The kept attributes (k,) int64, indices into ``attributes``, and the labels (n, k) bool.
        """
        has = np.nan_to_num(self.class_rates()) > 0.5
        kept = np.flatnonzero(has.sum(axis=0) >= min_classes)
        return kept, has[np.ix_(self.labels, kept)]


def read_cub(folder: str | os.PathLike[str], *, progress: bool = True) -> Cub:
    """Read the text files of CUB-200-2011; images are named, not opened.

    Takes the folder ``CUB_200_2011`` as it unpacks. ``attributes.txt`` may lie in ``attributes/`` or,
    as in the archive, beside the folder. Lines of ``image_attribute_labels.txt`` are image id,
    attribute id, 0 or 1, certainty and working time; lines of images 2275 and 9364 in the published
    file have more fields than these five, of which the first four are the same.

    The 3.7 million attribute labels of the whole set take seconds and, while they are read, about a gigabyte.

    Args:
        folder: The unpacked folder.
        progress: Show a progress bar once two seconds have passed.

    Raises:
        FileNotFoundError: A file is missing; the message names it.
        ValueError: A line cannot be read, an id comes twice or is not one that the other files
            have, or an image lacks its class or split. The message names file and line.
    """
    root = Path(folder)
    names = table(root / "images.txt", int, str, _NAME)
    classes = table(root / "classes.txt", int, str, _NAME)
    labels = table(root / "image_class_labels.txt", int, int, _NAME)
    split = table(root / "train_test_split.txt", int, flag, _NAME)
    attributes = table(_attribute_names(root), int, str, _NAME)
    same_ids(root / "image_class_labels.txt", labels, names)
    same_ids(root / "train_test_split.txt", split, names)
    known_classes(root / "image_class_labels.txt", labels, classes)
    position = {class_id: number for number, class_id in enumerate(sorted(classes))}
    ids = np.array(sorted(names), np.int64)
    attribute_ids = np.array(sorted(attributes), np.int64)
    present, certainty = _attribute_labels(
        root / "attributes" / "image_attribute_labels.txt", ids, attribute_ids, progress
    )
    return Cub(
        ids=ids,
        paths=tuple(root / "images" / names[image] for image in ids.tolist()),
        labels=np.array([position[labels[image]] for image in ids.tolist()], np.int64),
        classes=tuple(classes[class_id] for class_id in sorted(classes)),
        is_train=np.array([split[image] for image in ids.tolist()], bool),
        attributes=tuple(attributes[attribute] for attribute in attribute_ids.tolist()),
        present=present,
        certainty=certainty,
    )


def _attribute_names(root: Path) -> Path:
    inside, beside = root / "attributes" / "attributes.txt", root.parent / "attributes.txt"
    for path in (inside, beside):
        if path.is_file():
            return path
    raise FileNotFoundError(f"attributes.txt is neither {inside} nor {beside}")


def _attribute_labels(
    path: Path, ids: NDArray[np.int64], attribute_ids: NDArray[np.int64], progress: bool
) -> tuple[NDArray[np.bool_], NDArray[np.int8]]:
    """The (n, c) presence and certainty tables."""
    rows, numbers = _attribute_rows(path, progress)
    image, attribute = np.searchsorted(ids, rows[:, 0]), np.searchsorted(attribute_ids, rows[:, 1])
    image, attribute = np.minimum(image, len(ids) - 1), np.minimum(attribute, len(attribute_ids) - 1)
    place = image * len(attribute_ids) + attribute
    first = np.zeros(len(place), bool)
    first[np.unique(place, return_index=True)[1]] = True
    for wrong, said in (
        (ids[image] != rows[:, 0], "image {0} is not in images.txt"),
        (attribute_ids[attribute] != rows[:, 1], "attribute {1} is not in attributes.txt"),
        ((rows[:, 2] < 0) | (rows[:, 2] > 1), "presence is {2}, expected 0 or 1"),
        ((rows[:, 3] < 1) | (rows[:, 3] > 4), "certainty is {3}, expected 1 to 4"),
        (~first, "image {0} and attribute {1} are there for the second time"),
    ):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise ValueError(f"{path}, line {numbers[row]}: {said.format(*rows[row])}")
    present = np.zeros((len(ids), len(attribute_ids)), bool)
    certainty = np.zeros((len(ids), len(attribute_ids)), np.int8)
    present[image, attribute], certainty[image, attribute] = rows[:, 2] == 1, rows[:, 3]
    return present, certainty


def _attribute_rows(path: Path, progress: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first four fields of each line, and the numbers of the lines, from 1."""
    lines = lines_of(path, _NAME)
    numbers = np.flatnonzero([bool(line.strip()) for line in lines])
    rows = np.empty((len(numbers), 4), np.int64)
    for start in track(range(0, len(numbers), _CHUNK), f"reading {path.name}", shown=progress):
        chunk = numbers[start : start + _CHUNK]
        try:
            # Fields past the fourth, whose number varies, are not looked at.
            rows[start : start + len(chunk)] = np.loadtxt(
                [lines[line] for line in chunk], np.int64, usecols=(0, 1, 2, 3), ndmin=2
            )
        except ValueError as error:
            raise _bad_line(path, lines, chunk, error) from None
    return rows, numbers + 1


def _bad_line(path: Path, lines: list[str], chunk: NDArray[np.int64], error: ValueError) -> ValueError:
    for line in chunk.tolist():
        fields = lines[line].split()[:4]
        if len(fields) < 4 or not all(field.isdecimal() for field in fields):
            return ValueError(
                f"{path}, line {line + 1}: expected image id, attribute id, presence and "
                f"certainty, found {lines[line]!r}"
            )
    return ValueError(f"{path}: {error}")
