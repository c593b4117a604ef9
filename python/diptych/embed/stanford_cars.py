"""Reading Stanford Cars from its unpacked folder, in any of the forms that it is handed on in."""

import csv
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.io import loadmat

from diptych.embed.image_sources import image_files
from diptych.embed.images import ImageSet
from diptych.embed.splits import Split, check_split

_META, _TRAIN = "cars_meta.mat", "cars_train_annos.mat"
_TEST, _TEST_BLIND = "cars_test_annos_withlabels.mat", "cars_test_annos.mat"
_WHOLE = "cars_annos.mat"
_CSV_FILE = ("image", "fname", "filename", "file", "path", "relative_im_path")
_CSV_CLASS = ("class", "class_name", "label", "name")
_CSV_TEST = ("test", "is_test", "split")


class _Car(NamedTuple):
    path: str
    label: str | int  #: the class by name, or its number from 1
    is_test: bool


def read_stanford_cars(folder: str | os.PathLike[str], *, split: Split = "all") -> ImageSet:
    """Read the annotations of Stanford Cars (Krause et al. 2013); images are named, not opened.

    Three layouts are known:

    - the devkit: cars_meta.mat, cars_train_annos.mat and cars_test_annos_withlabels.mat, in ``devkit/`` or
      beside it, with images in ``cars_train/`` and ``cars_test/``;
    - cars_annos.mat of the archive that was published later, which tells each image's path (``car_ims/``);
    - .csv exports, one or several (train.csv, test.csv): a column with the path of the image (image, fname,
      filename, file, path) and one with its class (class, class_name, label, name), by name or by number
      from 1; a column test, is_test or split, or "test" in the file's name, tells the split.

    Args:
        folder: The unpacked folder.
        split: The images that are wanted: "all", "train" or "test".

    Returns:
        The images in the order of the annotations; their ids are their paths in the folder. Classes are
        numbered from 0 in the order of the devkit, those of a .csv by name in the order of their names.

    Raises:
        FileNotFoundError: A file is missing; the message names it, or those that were looked for.
        ValueError: A file is damaged or lacks a field or a class; test images without labels. The message
            names the file.
    """
    check_split(split)
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder")
    if _find(root, _META) is not None:
        names, cars = _of_devkit(root, split)
    elif (whole := _find(root, _WHOLE)) is not None:
        names, cars = _of_one_file(whole)
    elif tables := sorted(root.glob("*.csv")):
        names, cars = None, [car for path in tables for car in _of_csv(path)]
    else:
        raise FileNotFoundError(
            f"{root}: neither {_META} (here or in devkit) nor {_WHOLE} nor a .csv file; is this the folder "
            "of Stanford Cars?"
        )
    chosen = [car for car in cars if split == "all" or car.is_test == (split == "test")]
    if not chosen:
        raise ValueError(f"{root}: expected images of the {split} split, found none")
    # Classes of all the splits, so that a class has the same number in each.
    classes, number = _numbered(root, names, cars)
    return image_files(root, [car.path for car in chosen], [number[car.label] for car in chosen], classes)


def _numbered(
    root: Path, names: list[str] | None, cars: list[_Car]
) -> tuple[list[str], Mapping[str | int, int]]:
    """Names of the classes, and the number from 0 of each label."""
    labels = {car.label for car in cars}
    if names is None and all(isinstance(label, str) for label in labels):
        names = sorted(map(str, labels))
        return names, {name: number for number, name in enumerate(names)}
    numbers = [label for label in labels if isinstance(label, int)]
    if len(numbers) < len(labels):
        raise ValueError(f"{root}: expected classes by name or by number, found both")
    if names is None:
        names = [str(number) for number in range(1, max(1, *numbers) + 1)]
    wrong = [number for number in numbers if not 1 <= number <= len(names)]
    if wrong:
        raise ValueError(f"{root}: expected classes 1 to {len(names)}, found {min(wrong)}")
    return names, {number: number - 1 for number in numbers}


def _of_devkit(root: Path, split: Split) -> tuple[list[str], list[_Car]]:
    meta = _demand(root, _META)
    names = [str(name) for name in _field(meta, _read_mat(meta), "class_names").ravel().tolist()]
    cars = []
    if split in ("all", "train"):
        cars += _annotated(_demand(root, _TRAIN), "fname", "cars_train/", False)
    if split in ("all", "test"):
        if _find(root, _TEST) is None and (blind := _find(root, _TEST_BLIND)) is not None:
            raise ValueError(f"{blind}: has no classes; expected {_TEST} beside it, or split='train'")
        cars += _annotated(_demand(root, _TEST), "fname", "cars_test/", True)
    return names, cars


def _of_one_file(path: Path) -> tuple[list[str], list[_Car]]:
    names = [str(name) for name in _field(path, _read_mat(path), "class_names").ravel().tolist()]
    return names, _annotated(path, "relative_im_path", "", None)


def _annotated(path: Path, field: str, prefix: str, is_test: bool | None) -> list[_Car]:
    """The entries of a file of annotations."""
    cars = []
    for entry in _field(path, _read_mat(path), "annotations").ravel():
        try:
            number, name = int(entry["class"]), str(entry[field])
            tested = bool(entry["test"]) if is_test is None else is_test
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise ValueError(f"{path}: an annotation without {field}, class or test: {error}") from error
        cars.append(_Car(prefix + name, number, tested))
    return cars


def _of_csv(path: Path) -> Iterator[_Car]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        columns = {str(name).strip().casefold(): name for name in reader.fieldnames or ()}
        image, label, test = (
            next((columns[name] for name in known if name in columns), None)
            for known in (_CSV_FILE, _CSV_CLASS, _CSV_TEST)
        )
        if image is None or label is None:
            raise ValueError(
                f"{path}: expected a column {', '.join(_CSV_FILE)} and one {', '.join(_CSV_CLASS)}, "
                f"found {', '.join(columns) or 'none'}"
            )
        for row in reader:
            named, called = (row[image] or "").strip(), (row[label] or "").strip()
            if not named or not called:
                raise ValueError(f"{path}, line {reader.line_num}: expected an image and its class")
            told = path.stem if test is None else (row[test] or "").strip()
            yield _Car(
                named,
                int(called) if called.isdecimal() else called,
                told.casefold() in ("1", "true", "test") or (test is None and "test" in told.casefold()),
            )


def _read_mat(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = loadmat(path, squeeze_me=True)
    except Exception as error:
        # scipy has many kinds of error for a damaged file; the user needs its name.
        raise ValueError(f"{path}: not a readable .mat file: {str(error) or type(error).__name__}") from error
    return content


def _field(path: Path, content: Mapping[str, Any], name: str) -> Any:
    if name not in content:
        found = ", ".join(key for key in content if not key.startswith("__"))
        raise ValueError(f"{path}: expected {name}, found {found or 'nothing'}")
    return np.asarray(content[name])


def _find(root: Path, name: str) -> Path | None:
    return next((path for path in (root / "devkit" / name, root / name) if path.is_file()), None)


def _demand(root: Path, name: str) -> Path:
    path = _find(root, name)
    if path is None:
        raise FileNotFoundError(f"{root / name}: no such file, nor in devkit; is this Stanford Cars?")
    return path
