"""Pictures as they are sent, and collages of them."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diptych.language import Picture, as_picture, collage
from diptych.language.pictures import LONGEST_SIDE

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def decoded(picture: Picture) -> np.ndarray:
    with Image.open(io.BytesIO(picture.data)) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        return np.asarray(image)


def test_a_picture_from_anything(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(path)
    made = [
        as_picture(image)
        for image in (
            PIXELS,
            torch.from_numpy(PIXELS.transpose(2, 0, 1).copy()),
            Image.fromarray(PIXELS),
            path,
            str(path),
        )
    ]
    for picture in made:
        np.testing.assert_array_equal(decoded(picture), PIXELS)
        np.testing.assert_array_equal(np.asarray(picture.open()), PIXELS)
        assert picture.digest == made[0].digest
        assert picture.media_type == "image/png"
    assert as_picture(made[0]) is made[0]


def test_grey_and_transparent_pictures_become_rgb() -> None:
    np.testing.assert_array_equal(decoded(as_picture(PIXELS[:, :, 0])), PIXELS[:, :, :1].repeat(3, 2))
    clear = np.zeros((5, 7, 4), np.uint8)
    assert (decoded(as_picture(clear)) == 255).all()


def test_what_a_camera_wrote_is_not_sent(tmp_path: Path) -> None:
    image = Image.fromarray(PIXELS)
    exif = Image.Exif()
    exif[0x010E] = "the owner's garden"
    image.save(tmp_path / "a.jpg", exif=exif, comment=b"the owner's garden")
    assert b"garden" in (tmp_path / "a.jpg").read_bytes()
    with Image.open(tmp_path / "a.jpg") as photo:
        photo.load()
        for given in (tmp_path / "a.jpg", photo):
            sent = as_picture(given).data
            assert b"garden" not in sent
            assert b"eXIf" not in sent


def test_a_picture_given_is_not_changed() -> None:
    image = Image.new("RGB", (LONGEST_SIDE * 2, 3))
    image.info["dpi"] = (9, 9)
    assert as_picture(image).open().size == (LONGEST_SIDE, 2)
    assert image.size == (LONGEST_SIDE * 2, 3)
    assert image.info == {"dpi": (9, 9)}


def test_no_pictures(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(FileNotFoundError, match="missing"):
        as_picture(tmp_path / "missing.png")
    with pytest.raises(ValueError, match=r"images: .*broken\.png: "):
        as_picture(broken)
    with pytest.raises(ValueError, match="images: "):
        as_picture(tmp_path)
    with pytest.raises(TypeError, match="images: expected Pillow images, uint8 arrays or paths, found int"):
        as_picture(7)
    with pytest.raises(TypeError, match="expected uint8 pixels, found float64"):
        as_picture(PIXELS / 255)
    with pytest.raises(ValueError, match="expected a picture"):
        as_picture(PIXELS[None])


def test_a_collage_row_by_row() -> None:
    levels = [10, 60, 110, 160, 210]
    images = [np.full((4, 4, 3), level, np.uint8) for level in levels]
    images[3] = np.full((2, 4, 3), 160, np.uint8)
    sheet = np.asarray(collage(images, cell=8, gap=2))
    assert sheet.shape == (18, 28, 3), "three columns of 8 with 2 between them, two rows"
    for place, level in enumerate(levels):
        row, column = divmod(place, 3)
        cell = sheet[row * 10 : row * 10 + 8, column * 10 : column * 10 + 8]
        if place == 3:  # twice as wide as high: white above and below
            assert (cell[2:6] == level).all()
            assert (np.delete(cell, range(2, 6), axis=0) == 255).all()
        else:
            assert (cell == level).all()
    assert (sheet[:, 8:10] == 255).all()
    assert (sheet[10:, 20:] == 255).all(), "no sixth picture"


def test_a_collage_of_pictures_of_every_kind() -> None:
    sheet = collage([as_picture(PIXELS), PIXELS, Image.fromarray(PIXELS)], columns=9, cell=7, gap=0)
    array = np.asarray(sheet)
    assert array.shape == (7, 21, 3), "no more columns than pictures"
    np.testing.assert_array_equal(array[:, :7], array[:, 7:14])
    np.testing.assert_array_equal(array[:, :7], array[:, 14:])
    np.testing.assert_array_equal(array[1:6, :7], PIXELS)


def test_bad_collages() -> None:
    with pytest.raises(ValueError, match="images: expected at least one picture"):
        collage([])
    with pytest.raises(ValueError, match="columns: expected at least 1, found 0"):
        collage([PIXELS], columns=0)
    with pytest.raises(ValueError, match="cell: expected at least 1, found 0"):
        collage([PIXELS], cell=0)
    with pytest.raises(ValueError, match="gap: expected at least 0, found -1"):
        collage([PIXELS], gap=-1)


def test_without_pillow_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ModuleNotFoundError, match=r"diptych\.language needs pillow: .*diptych\[language\]"):
        as_picture(PIXELS)
