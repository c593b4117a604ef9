import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from collect_images import CLASSES, EACH, write_images
from PIL import Image

from diptych.collect import Pictures
from diptych.embed import UnreadableImageError


def opened(pictures: Pictures, number: int) -> Image.Image:
    return Image.open(io.BytesIO(pictures.encoded(number)[0]))


def test_names_are_relative_and_pixels_are_those_of_the_files(pictures: Pictures, folder: Path) -> None:
    assert pictures.classes == CLASSES
    assert len(pictures.names) == len(pictures.labels) == 3 * EACH
    for number, name in enumerate(pictures.names):
        assert name.startswith(CLASSES[pictures.labels[number]] + "/")
        assert pictures.encoded(number)[1] == "image/png"
        np.testing.assert_array_equal(np.asarray(opened(pictures, number)), Image.open(folder / name))


def test_some_of_the_classes(folder: Path) -> None:
    some = Pictures(folder, ["Cooka", "Agara"])
    assert some.classes == ("Agara", "Cooka")
    assert some.labels == (0,) * EACH + (1,) * EACH
    assert all(name.startswith(("Agara", "Cooka")) for name in some.names)
    with pytest.raises(ValueError, match=r"classes: Dodo has no images in .*, which has Agara, Bari, Cooka"):
        Pictures(folder, ["Agara", "Dodo"])
    with pytest.raises(ValueError, match="expected at least two classes, found 1: Bari"):
        Pictures(folder, ["Bari"])


def test_what_a_camera_wrote_beside_the_pixels_stays_here(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "photographs", CLASSES[:2], 2)
    large = Image.fromarray(np.random.default_rng(0).integers(0, 255, (1200, 2400, 3), np.uint8))
    exif = Image.Exif()
    exif[0x010E] = "A secret place"
    exif[0x0112] = 6  # to be turned by 90 degrees
    large.save(folder / "Agara" / "photograph.jpg", exif=exif, comment=b"A secret place", quality=50)
    pictures = Pictures(folder)
    content, media_type = pictures.encoded(pictures.names.index("Agara/photograph.jpg"))
    assert media_type == "image/jpeg"
    assert b"secret" not in content
    sent = Image.open(io.BytesIO(content))
    # Turned, and its longest side brought to 1,600.
    assert sent.size == (800, 1600)
    assert not sent.getexif()


def test_folders_that_are_none_of_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        Pictures(tmp_path / "missing")
    with pytest.raises(FileNotFoundError, match="no image in this folder"):
        Pictures(tmp_path)
    folder = write_images(tmp_path / "one", ("Agara",))
    with pytest.raises(ValueError, match="expected at least two classes, found 1: Agara"):
        Pictures(folder)
    with pytest.raises(ValueError, match="expected a folder for each class, found images alone"):
        Pictures(folder / "Agara")
    # A folder without images is no class.
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="found 1: Agara"):
        Pictures(folder)


def test_images_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "damaged")
    (folder / "Bari" / "bari_1.png").write_bytes(b"no picture")
    with pytest.raises(
        ValueError, match=r"images that cannot be read; mend or remove them: Bari/bari_1\.png \("
    ):
        Pictures(folder)


@pytest.mark.parametrize("of", ["file", "class"])
def test_links_out_of_the_folder_are_refused(tmp_path: Path, folder: Path, of: str) -> None:
    inside = write_images(tmp_path / "linked")
    if of == "file":
        (inside / "Bari" / "other.png").symlink_to(folder / "Agara" / "agara_0.png")
    else:
        (inside / "Dodo").symlink_to(folder / "Agara")
    with pytest.raises(ValueError, match=r"(Bari|Dodo)/\w+\.png is a link that leads out of the folder"):
        Pictures(inside)


def test_links_inside_the_folder_and_to_the_folder_are_fine(tmp_path: Path) -> None:
    inside = write_images(tmp_path / "linked", CLASSES[:2], 2)
    (inside / "Agara" / "again.png").symlink_to(inside / "Agara" / "agara_0.png")
    (tmp_path / "link").symlink_to(inside)
    assert len(Pictures(tmp_path / "link").names) == 5


def test_what_becomes_a_link_or_goes_while_it_is_served_is_not_sent(tmp_path: Path, folder: Path) -> None:
    inside = write_images(tmp_path / "served")
    pictures = Pictures(inside)
    path = inside / pictures.names[0]
    path.unlink()
    with pytest.raises(UnreadableImageError, match="agara_0"):
        pictures.encoded(0)
    path.symlink_to(folder / "Agara" / "agara_0.png")
    with pytest.raises(UnreadableImageError, match="leads out of the folder"):
        pictures.encoded(0)
    path.unlink()
    shutil.copy(folder / "Agara" / "agara_0.png", path)
    assert opened(pictures, 0).size == (8, 12)
