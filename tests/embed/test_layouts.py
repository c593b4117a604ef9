"""Folders of images by the name of their layout."""

from pathlib import Path

import pytest
from PIL import Image

from diptych.embed import read_images

FILES = {
    "images.txt": "a x/a.png\nb y/b.png\n",
    "classes.txt": "3 Wren\n7 Gull\n",
    "image_class_labels.txt": "a 7\nb 3\n",
    "train_test_split.txt": "a 1\nb 0\n",
}


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    for name in ("x/a.png", "y/b.png"):
        (tmp_path / "images" / name).parent.mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "images" / name)
    return tmp_path


def test_a_layout_is_read_by_its_name(birds: Path) -> None:
    images = read_images(birds, layout="nabirds", split="test")
    assert (images.ids.tolist(), images.classes) == (["y/b.png"], ("Wren", "Gull"))
    plain = read_images(birds / "images")
    assert (plain.ids.tolist(), plain.classes) == (["x/a.png", "y/b.png"], ("x", "y"))
    (birds / "train.csv").write_text("image,class\nimages/x/a.png,Wren\n")
    cars = read_images(birds, layout="stanford-cars")
    assert (cars.ids.tolist(), cars.classes) == (["images/x/a.png"], ("Wren",))
    assert cars.read(0).size == (4, 4)


def test_layouts_and_splits_that_are_not_there(birds: Path) -> None:
    with pytest.raises(
        ValueError, match="layout: expected one of 'folder', 'inaturalist', 'nabirds', 'stanford-cars', found"
    ):
        read_images(birds, layout="cub")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="split: expected one of 'all', 'train', 'test', found 'val'"):
        read_images(birds, split="val")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="split: expected 'all', found 'train'; a folder of images has none"):
        read_images(birds / "images", split="train")
    with pytest.raises(ValueError, match="split: expected 'all', found 'test'; an export of iNaturalist has"):
        read_images(birds, layout="inaturalist", split="test")
