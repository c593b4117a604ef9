"""Reading the annotations of the iNaturalist 2021 competition, on a tiny file in their format."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from diptych.embed import read_inaturalist_2021

CONTENT: dict[str, Any] = {
    "licenses": [
        {"id": 1, "name": "Attribution License", "url": "http://creativecommons.org/licenses/by/4.0/"},
        {
            "id": 2,
            "name": "Attribution-NonCommercial",
            "url": "http://creativecommons.org/licenses/by-nc/4.0/",
        },
        {"id": 3, "name": "All Rights Reserved", "url": ""},
    ],
    "categories": [
        {"id": 7, "name": "Corvus corax"},
        {"id": 3, "name": "Acer rubrum"},
        {"id": 5, "name": "A b"},
    ],
    "images": [
        {"id": 20, "file_name": "val/7/a.jpg", "license": 1, "rights_holder": "ann"},
        {"id": 10, "file_name": "val/3/b.jpg", "license": 2, "rights_holder": None},
        {"id": 11, "file_name": "val/3/c.jpg", "license": 3, "rights_holder": "bob"},
    ],
    "annotations": [
        {"image_id": 10, "category_id": 3},
        {"image_id": 11, "category_id": 3},
        {"image_id": 20, "category_id": 7},
    ],
}


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "val.json"
    path.write_text(json.dumps(CONTENT | changes))
    return path


def test_images_classes_and_licences(tmp_path: Path) -> None:
    images = read_inaturalist_2021(write(tmp_path))
    assert images.ids.tolist() == ["val/7/a.jpg", "val/3/b.jpg"]
    assert images.classes == ("Acer rubrum", "A b", "Corvus corax")
    assert images.labels is not None
    assert images.labels.tolist() == [2, 0]
    assert images.names is not None
    assert images.names.tolist() == ["Corvus corax — CC BY, ann", "Acer rubrum — CC BY-NC"]
    assert images.notes == ("1 of 3 images were left out for their licence: all rights reserved (1).",)
    elsewhere = tmp_path / "pictures"
    (elsewhere / "val" / "3").mkdir(parents=True)
    Image.new("RGB", (5, 4)).save(elsewhere / "val" / "3" / "c.jpg")
    reserved = read_inaturalist_2021(
        tmp_path / "val.json", folder=elsewhere, licenses=["all rights reserved"]
    )
    assert reserved.read(0).size == (5, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"licenses": []}, r"val\.json: not annotations as iNaturalist 2021 has them: no 1"),
        ({"annotations": CONTENT["annotations"][:2]}, "has them: no 20"),
        ({"images": [{"id": 10}]}, "has them: no 'file_name'"),
        ({"categories": 3}, "has them: 'int' object is not iterable"),
        (
            {"images": CONTENT["images"][2:]},
            r"expected images under CC BY, .*, found all rights reserved \(1\)",
        ),
    ],
)
def test_what_a_file_lacks_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_inaturalist_2021(write(tmp_path, **changes))


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"val\.json: no such file; expected annotations of iNat"):
        read_inaturalist_2021(tmp_path / "val.json")
    (tmp_path / "val.json").write_bytes(b"{\xff")
    with pytest.raises(ValueError, match=r"val\.json: not annotations as iNaturalist 2021 has them: "):
        read_inaturalist_2021(tmp_path / "val.json")
    with pytest.raises(TypeError, match="licenses: expected a list of names"):
        read_inaturalist_2021(write(tmp_path), licenses="CC0")
