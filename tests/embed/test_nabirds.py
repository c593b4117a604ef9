"""Reading NABirds, on a tiny folder made in its format."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diptych.embed import ImageSet, UnreadableImageError, read_nabirds

FILES = {
    "images.txt": "0a-1 0817/a 1.jpg\n0b-2 0817/b.jpg\n0c-3 0299/c.jpg\n",
    # 0 and 5 are above the others in the hierarchy, and have no images of their own.
    "classes.txt": "0 Birds\n5 Ducks\n299 Oak Titmouse (Adult)\n817 Oak Titmouse\n",
    "image_class_labels.txt": "0a-1 817\n0b-2 817\n0c-3 299\n",
    "train_test_split.txt": "0a-1 1\n0b-2 0\n0c-3 1\n",
}


def folder(path: Path, **changes: str | None) -> Path:
    """Write the folder; a change replaces the file whose name it is (without .txt), None drops it."""
    root = path / "nabirds"
    root.mkdir()
    for name, text in FILES.items():
        changed = changes.get(Path(name).stem, text)
        if changed is not None:
            (root / name).write_text(changed)
    for shade, line in enumerate(FILES["images.txt"].splitlines()):
        picture = root / "images" / line.split(maxsplit=1)[1]
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (100 * shade, 0, 0)).save(picture)
    return root


def labels_of(images: ImageSet) -> list[int]:
    assert images.labels is not None
    return images.labels.tolist()


def test_images_and_the_classes_that_have_some(tmp_path: Path) -> None:
    birds = read_nabirds(folder(tmp_path))
    assert birds.ids.tolist() == ["0817/a 1.jpg", "0817/b.jpg", "0299/c.jpg"]
    assert birds.classes == ("Oak Titmouse (Adult)", "Oak Titmouse")
    assert labels_of(birds) == [1, 1, 0]
    assert abs(int(np.asarray(birds.read(2))[0, 0, 0]) - 200) < 3  # JPEG


@pytest.mark.parametrize(("split", "items"), [("train", [0, 2]), ("test", [1])])
def test_splits_keep_the_numbers_of_classes(tmp_path: Path, split: str, items: list[int]) -> None:
    root = folder(tmp_path)
    whole, part = read_nabirds(root), read_nabirds(root, split=split)  # type: ignore[arg-type]
    assert part.ids.tolist() == whole.ids[items].tolist()
    assert labels_of(part) == [labels_of(whole)[item] for item in items]
    assert part.classes == whole.classes


def test_a_missing_image_is_told_when_it_is_read(tmp_path: Path) -> None:
    root = folder(tmp_path)
    (root / "images" / "0817" / "b.jpg").unlink()
    with pytest.raises(UnreadableImageError, match=r"0817/b\.jpg: .*No such file"):
        read_nabirds(root).read(1)


@pytest.mark.parametrize("name", list(FILES))
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError, match=rf"{name}: no such file; is this the folder of NABirds"):
        read_nabirds(folder(tmp_path, **{Path(name).stem: None}))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("images", "0a-1 a.jpg\n0b-2\n", r"images\.txt, line 2: expected an id and a value, found '0b-2'"),
        ("images", "0a-1 a.jpg\n\n0a-1 b.jpg\n", r"images\.txt, line 3: id 0a-1 is there for the second"),
        ("classes", "\n", r"classes\.txt: expected at least one line, found none"),
        ("classes", "x Birds\n", r"classes\.txt, line 1: expected an id"),
        ("classes", "817 Oak Titmouse\n", r"image_class_labels\.txt: image 0c-3 has class 299"),
        ("image_class_labels", "0a-1 817\n0b-2 817\n", r"labels\.txt: image 0c-3 of images\.txt is missing"),
        ("train_test_split", FILES["train_test_split.txt"] + "z 1\n", r"split\.txt: image z is not in"),
        ("train_test_split", "0a-1 1\n0b-2 yes\n0c-3 1\n", r"train_test_split\.txt, line 2: expected"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_nabirds(folder(tmp_path, **{name: text}))


def test_splits_that_are_not_there(tmp_path: Path) -> None:
    root = folder(tmp_path, train_test_split="0a-1 1\n0b-2 1\n0c-3 1\n")
    with pytest.raises(ValueError, match="split: expected one of 'all', 'train', 'test', found 'val'"):
        read_nabirds(root, split="val")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"train_test_split\.txt: expected images of the test split"):
        read_nabirds(root, split="test")
