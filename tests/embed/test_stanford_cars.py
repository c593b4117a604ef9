"""Reading Stanford Cars, on tiny folders made in the layouts it is handed on in."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from diptych.embed import ImageSet, read_stanford_cars

CLASSES = ["AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Acura TL Sedan 2012"]
IDS = ["cars_train/00001.jpg", "cars_train/00002.jpg", "cars_test/00001.jpg"]
LABELS = [2, 0, 1]


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path)


def annotations(path: Path, rows: list[dict[str, Any]]) -> None:
    """A struct array of annotations, as MATLAB saves it."""
    entries = np.empty((1, len(rows)), [(name, object) for name in rows[0]])
    for column, row in enumerate(rows):
        for name, value in row.items():
            entries[name][0, column] = value
    savemat(path, {"annotations": entries, "class_names": np.array([CLASSES], object)})


def boxed(**row: Any) -> dict[str, Any]:
    return {"bbox_x1": 3, "bbox_x2": 7, "bbox_y1": 1, "bbox_y2": 5, **row}


def with_devkit(root: Path, devkit: str = "devkit") -> Path:
    place = root / devkit
    place.mkdir(parents=True)
    savemat(place / "cars_meta.mat", {"class_names": np.array([CLASSES], object)})
    train = [boxed(**{"class": 3, "fname": "00001.jpg"}), boxed(**{"class": 1, "fname": "00002.jpg"})]
    annotations(place / "cars_train_annos.mat", train)
    annotations(place / "cars_test_annos_withlabels.mat", [boxed(**{"class": 2, "fname": "00001.jpg"})])
    for name in IDS:
        picture(root / name)
    return root


def in_one_file(root: Path) -> Path:
    root.mkdir()
    rows = [
        boxed(**{"relative_im_path": f"car_ims/{item}.jpg", "class": label + 1, "test": item == 2})
        for item, label in enumerate(LABELS)
    ]
    annotations(root / "cars_annos.mat", rows)
    for item in range(3):
        picture(root / "car_ims" / f"{item}.jpg")
    return root


def exported(root: Path, **files: str) -> Path:
    root.mkdir()
    for name, text in files.items():
        (root / f"{name}.csv").write_text(text)
    return root


def found(images: ImageSet) -> list[tuple[str, str]]:
    """Id and name of the class of each image."""
    assert images.labels is not None
    assert images.classes is not None
    return [(str(name), images.classes[label]) for name, label in zip(images.ids, images.labels, strict=True)]


@pytest.mark.parametrize("devkit", ["devkit", ""])
def test_the_devkit(tmp_path: Path, devkit: str) -> None:
    cars = read_stanford_cars(with_devkit(tmp_path / "cars", devkit))
    assert cars.classes == tuple(CLASSES)
    assert found(cars) == [(name, CLASSES[label]) for name, label in zip(IDS, LABELS, strict=True)]
    assert cars.read(2).size == (8, 8)
    train, test = (read_stanford_cars(tmp_path / "cars", split=split) for split in ("train", "test"))  # type: ignore[arg-type]
    assert found(train) + found(test) == found(cars)


def test_one_file_of_annotations(tmp_path: Path) -> None:
    cars = read_stanford_cars(in_one_file(tmp_path / "cars"))
    assert found(cars) == [(f"car_ims/{item}.jpg", CLASSES[label]) for item, label in enumerate(LABELS)]
    assert cars.read(0).size == (8, 8)
    test = read_stanford_cars(tmp_path / "cars", split="test")
    assert found(test) == found(cars)[2:]


def test_tables_by_name(tmp_path: Path) -> None:
    root = exported(
        tmp_path / "cars",
        train="Image,Class\na.jpg,Volvo 240\nb.jpg,Acura RL\n",
        test="Image,Class\nc.jpg,Zenvo\n",
    )
    assert found(read_stanford_cars(root)) == [
        ("c.jpg", "Zenvo"),
        ("a.jpg", "Volvo 240"),
        ("b.jpg", "Acura RL"),
    ]
    train = read_stanford_cars(root, split="train")
    assert train.classes == ("Acura RL", "Volvo 240", "Zenvo")
    assert found(train) == [("a.jpg", "Volvo 240"), ("b.jpg", "Acura RL")]


@pytest.mark.parametrize("column", ["test,1,0", "split,test,train", "is_test,True,False"])
def test_tables_by_number(tmp_path: Path, column: str) -> None:
    name, yes, no = column.split(",")
    root = exported(tmp_path / "cars", annos=f"fname,bbox_x1,class,{name}\na.jpg,3,2,{no}\nb.jpg,4,1,{yes}\n")
    assert found(read_stanford_cars(root)) == [("a.jpg", "2"), ("b.jpg", "1")]
    assert read_stanford_cars(root, split="test").ids.tolist() == ["b.jpg"]


@pytest.mark.parametrize("name", ["cars_train_annos.mat", "cars_test_annos_withlabels.mat"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    root = with_devkit(tmp_path / "cars")
    (root / "devkit" / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"{name}: no such file, nor in devkit"):
        read_stanford_cars(root)


def test_what_is_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        read_stanford_cars(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"neither cars_meta\.mat .* nor cars_annos\.mat nor a \.csv"):
        read_stanford_cars(tmp_path)


def test_test_images_without_classes_are_refused(tmp_path: Path) -> None:
    root = with_devkit(tmp_path / "cars")
    test = root / "devkit" / "cars_test_annos_withlabels.mat"
    test.rename(test.with_name("cars_test_annos.mat"))
    with pytest.raises(ValueError, match=r"cars_test_annos\.mat: has no classes; expected cars_test_annos_w"):
        read_stanford_cars(root)
    assert len(read_stanford_cars(root, split="train")) == 2


def test_damaged_files_are_named(tmp_path: Path) -> None:
    root = with_devkit(tmp_path / "cars")
    place = root / "devkit" / "cars_train_annos.mat"
    savemat(place, {"other": 3})
    with pytest.raises(ValueError, match=r"cars_train_annos\.mat: expected annotations, found other"):
        read_stanford_cars(root)
    annotations(place, [{"class": 1, "name": "x.jpg"}])
    with pytest.raises(
        ValueError, match=r"cars_train_annos\.mat: an annotation without fname, class or test"
    ):
        read_stanford_cars(root)
    annotations(place, [{"class": 9, "fname": "x.jpg"}])
    with pytest.raises(ValueError, match="cars: expected classes 1 to 3, found 9"):
        read_stanford_cars(root)
    place.write_bytes(b"no such thing")
    with pytest.raises(ValueError, match=r"cars_train_annos\.mat: not a readable \.mat file"):
        read_stanford_cars(root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"t\.csv: expected a column image, .*, found none"),
        ("a,b\n1,2\n", r"t\.csv: expected a column image, .* and one class, .*, found a, b"),
        ("image,class\na.jpg,2\nb.jpg\n", r"t\.csv, line 3: expected an image and its class"),
        ("image,class\na.jpg,2\nb.jpg,Volvo\n", "expected classes by name or by number, found both"),
        ("image,class\na.jpg,0\n", "expected classes 1 to 1, found 0"),
        ("image,class\n", "expected images of the all split, found none"),
    ],
)
def test_bad_tables_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_stanford_cars(exported(tmp_path / "cars", t=text))
