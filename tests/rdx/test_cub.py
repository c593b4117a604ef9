"""Reading CUB-200-2011, on a tiny folder made in its format."""

from pathlib import Path

import numpy as np
import pytest

from diptych.rdx.cub import read_cub

ATTRIBUTES = "1 has_bill_shape::dagger\n2 has_wing_color::blue\n7 has_size::small (5 - 9 in)\n"
FILES = {
    "images.txt": "1 001.Albatross/A 1.jpg\n2 001.Albatross/a2.jpg\n4 002.Crow/c.jpg\n",
    "classes.txt": "1 001.Albatross\n2 002.Crow\n",
    "image_class_labels.txt": "1 1\n2 1\n4 2\n",
    "train_test_split.txt": "1 0\n2 1\n4 1\n",
    "attributes/attributes.txt": ATTRIBUTES,
    # The fourth line has a field too many and two blanks, as some of the published file have.
    "attributes/image_attribute_labels.txt": (
        "1 1 0 3 27.708\n1 2 1 4 27.708\n1 7 1 1 0\n2 1 1 2 0  1.509\n2 2 1 3 9\n2 7 0 4 0 3 1\n"
        "\n4 1 0 4 1.0\n4 7 1 4 1.0\n"
    ),
}


def folder(path: Path, **changes: str | None) -> Path:
    """Write the folder; a change replaces the file whose name it is (without .txt), None drops it."""
    root = path / "CUB_200_2011"
    for name, text in FILES.items():
        changed = changes.get(Path(name).stem, text)
        if changed is not None:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(changed)
    return root


def test_everything_is_read(tmp_path: Path) -> None:
    root = folder(tmp_path)
    birds = read_cub(root)
    np.testing.assert_array_equal(birds.ids, [1, 2, 4])
    assert birds.paths[0] == root / "images" / "001.Albatross" / "A 1.jpg"
    np.testing.assert_array_equal(birds.labels, [0, 0, 1])
    assert birds.classes == ("001.Albatross", "002.Crow")
    np.testing.assert_array_equal(birds.is_train, [False, True, True])
    assert birds.attributes == (
        "has_bill_shape::dagger",
        "has_wing_color::blue",
        "has_size::small (5 - 9 in)",
    )
    np.testing.assert_array_equal(birds.present, [[0, 1, 1], [1, 1, 0], [0, 0, 1]])
    np.testing.assert_array_equal(birds.certainty, [[3, 4, 1], [2, 3, 4], [4, 0, 4]])


def test_the_order_of_lines_does_not_matter(tmp_path: Path) -> None:
    backwards = {Path(name).stem: "\n".join(reversed(text.splitlines())) for name, text in FILES.items()}
    turned, straight = read_cub(folder(tmp_path / "a", **backwards)), read_cub(folder(tmp_path / "b"))
    for name in ("ids", "labels", "is_train", "present", "certainty"):
        np.testing.assert_array_equal(getattr(turned, name), getattr(straight, name))
    assert turned.classes == straight.classes
    assert turned.attributes == straight.attributes


def test_attribute_names_may_lie_beside_the_folder(tmp_path: Path) -> None:
    root = folder(tmp_path, attributes=None)
    (tmp_path / "attributes.txt").write_text(ATTRIBUTES)
    assert read_cub(root).attributes == read_cub(folder(tmp_path / "other")).attributes


def test_class_rates_count_visible_labels_only(tmp_path: Path) -> None:
    rates = read_cub(folder(tmp_path)).class_rates()
    np.testing.assert_array_equal(rates, [[0.5, 1.0, 0.0], [0.0, np.nan, 1.0]])


def test_majority_concepts_are_those_of_the_class(tmp_path: Path) -> None:
    birds = read_cub(folder(tmp_path))
    kept, labels = birds.majority_concepts(min_classes=1)
    # Half of a class is no majority; an attribute that no label tells of is absent.
    np.testing.assert_array_equal(kept, [1, 2])
    np.testing.assert_array_equal(labels, [[1, 0], [1, 0], [0, 1]])
    kept, labels = birds.majority_concepts(min_classes=2)
    assert (len(kept), labels.shape) == (0, (3, 0))


@pytest.mark.parametrize("name", list(FILES))
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError, match=Path(name).name):
        read_cub(folder(tmp_path, **{Path(name).stem: None}))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("images", "1 a.jpg\n2\n", r"images\.txt, line 2: expected an id and a value, found '2'"),
        ("images", "1 a.jpg\nx b.jpg\n", r"images\.txt, line 2: expected an id"),
        ("images", "1 a.jpg\n\n1 b.jpg\n", r"images\.txt, line 3: id 1 is there for the second"),
        ("classes", "\n", r"classes\.txt: expected at least one line, found none"),
        ("classes", "1 001.Albatross\n", r"image_class_labels\.txt: image 4 has class 2"),
        ("image_class_labels", "1 1\n2 1\n", r"image_class_labels\.txt: image 4 of images\.txt is"),
        ("train_test_split", "1 0\n2 1\n4 1\n5 1\n", r"train_test_split\.txt: image 5 is not in"),
        ("train_test_split", "1 0\n2 yes\n4 1\n", r"train_test_split\.txt, line 2: expected"),
        ("image_attribute_labels", "1 1 0 3 2\n1 2 1\n", r"line 2: expected image id, attribute id"),
        ("image_attribute_labels", "1 1 0 3 2\n\n1 x 1 2 3\n", r"line 3: expected image id"),
        ("image_attribute_labels", "1 1 0 3 2\n\n3 1 0 3 2\n", r"line 3: image 3 is not in images"),
        ("image_attribute_labels", "5 1 0 3 2\n", r"line 1: image 5 is not in images"),
        ("image_attribute_labels", "1 9 0 3 2\n", r"line 1: attribute 9 is not in attributes"),
        ("image_attribute_labels", "1 1 2 3 2\n", r"line 1: presence is 2, expected 0 or 1"),
        ("image_attribute_labels", "1 1 1 5 2\n", r"line 1: certainty is 5, expected 1 to 4"),
        (
            "image_attribute_labels",
            "1 1 1 3 2\n1 2 1 3 2\n1 1 0 3 2\n",
            r"line 3: image 1 and attribute 1 are there for the second time",
        ),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_cub(folder(tmp_path, **{name: text}))


def test_a_number_too_large_for_an_id_names_the_file(tmp_path: Path) -> None:
    text = "1 99999999999999999999999 0 3 2\n"
    with pytest.raises(ValueError, match=r"image_attribute_labels\.txt"):
        read_cub(folder(tmp_path, image_attribute_labels=text))
