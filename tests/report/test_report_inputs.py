"""Labels and images: every form that is read, every form that is refused."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diptych._files import natural_key
from diptych.report.folder import check_target
from diptych.report.images import load_images, placeholder
from diptych.report.labels import check_names, load_labels

RNG = np.random.default_rng(0)


def test_labels_come_from_sequences() -> None:
    assert load_labels([3, "cat", 2.5, np.int64(7)], 4).labels == ["3", "cat", "2.5", "7"]
    assert load_labels(np.array([1, 2]), 2).labels == ["1", "2"]


@pytest.mark.parametrize(
    ("text", "labels", "names"),
    [
        ("cat\ndog\n", ["cat", "dog"], None),
        ("label\ncat\ndog\n", ["cat", "dog"], None),
        ("\ufeffLabel\r\ncat\r\ndog\r\n", ["cat", "dog"], None),
        ("item,label\nfirst,cat\nsecond,dog\n", ["cat", "dog"], ["first", "second"]),
        ('label,name\n"a, b",x\n"c ""d""",y\n', ["a, b", 'c "d"'], ["x", "y"]),
        ("split,label\ntrain,cat\ntest,dog\n", ["cat", "dog"], None),
    ],
)
def test_labels_come_from_csv(tmp_path: Path, text: str, labels: list[str], names: list[str] | None) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text, "utf-8")
    read = load_labels(path, 2)
    assert (read.labels, read.names) == (labels, names)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "found an empty file"),
        (b"a,b\n1,2\n", "found columns a, b, wanted one 'label'"),
        (b"item,label\n1,2\n3\n", "found 1 cells in row 3, wanted 2"),
        (b"\xff\xfe\x00", "not a .csv file in UTF-8"),
        (b"cat\ndog\nbird\n", "found 3 labels, wanted 2"),
    ],
)
def test_bad_csv_is_refused(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(found)):
        load_labels(path, 2)


def test_bad_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found 1 labels, wanted 2"):
        load_labels(["x"], 2)
    with pytest.raises(TypeError, match="found NoneType, wanted strings or integers"):
        load_labels(["x", None], 2)
    with pytest.raises(TypeError, match="found set, wanted a sequence"):
        load_labels({"x", "y"}, 2)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        load_labels(tmp_path / "absent.csv", 2)


def test_names_are_checked() -> None:
    assert check_names(["a", 2], 2) == ["a", "2"]
    with pytest.raises(ValueError, match="item_names: found 1 names, wanted 2"):
        check_names(["a"], 2)
    with pytest.raises(TypeError, match="item_names: found list, wanted strings"):
        check_names(["a", ["b"]], 2)
    with pytest.raises(TypeError, match="item_names: found str, wanted a sequence"):
        check_names("ab", 2)


@pytest.mark.parametrize(
    ("shape", "picture"),
    [
        ((4, 5, 6), (5, 6)),
        ((4, 5, 6, 1), (5, 6)),
        ((4, 5, 6, 3), (5, 6, 3)),
        ((4, 5, 6, 4), (5, 6, 4)),
        ((4, 1, 5, 6), (5, 6)),
        ((4, 3, 5, 6), (5, 6, 3)),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float16, np.bool_])
def test_array_shapes_and_dtypes(shape: tuple[int, ...], picture: tuple[int, ...], dtype: Any) -> None:
    bits = RNG.integers(0, 2, shape)
    values = (bits * (255 if dtype == np.uint8 else 1)).astype(dtype)
    images = load_images(values, 4)
    channels_first = shape[1] in (1, 3)
    expected = bits.transpose(0, 2, 3, 1) if channels_first else bits
    for item in range(4):
        assert images[item].shape == picture
        assert images[item].dtype == np.uint8
        np.testing.assert_array_equal(images[item], expected[item].reshape(picture) * 255)


def test_npy_files_are_read(tmp_path: Path) -> None:
    array = RNG.integers(0, 256, (3, 4, 4), dtype=np.uint8)
    np.save(tmp_path / "x.npy", array)
    np.testing.assert_array_equal(load_images(tmp_path / "x.npy", 3)[2], array[2])


@pytest.mark.parametrize(
    ("source", "error", "found"),
    [
        (np.zeros((3, 4, 4), np.uint8), ValueError, "found 3 pictures, wanted 5"),
        (np.zeros((5, 16), np.uint8), ValueError, "found shape (5, 16)"),
        (np.zeros((5, 6, 6, 2), np.uint8), ValueError, "found shape (5, 6, 6, 2)"),
        (np.zeros((5, 4, 4), np.int64), TypeError, "found dtype int64"),
        ([np.zeros((2, 2)), np.zeros((3, 3))], ValueError, "differ in shape"),
        (["a.png", 3], TypeError, "paths and other things"),
        (["a.png"], ValueError, "found 1 image files, wanted 5"),
    ],
)
def test_bad_arrays_are_refused(source: Any, error: type[Exception], found: str) -> None:
    with pytest.raises(error, match=re.escape(found)):
        load_images(source, 5)


@pytest.mark.parametrize("value", [1.5, -0.1, np.nan, np.inf])
def test_floats_outside_their_range_are_refused_by_item(value: float) -> None:
    array = np.zeros((5, 4, 4))
    array[3, 0, 0] = value
    images = load_images(array, 5)
    assert images[2].max() == 0
    with pytest.raises(ValueError, match="item 3: found float values"):
        images[3]


def test_bad_npy_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npy").write_text("not an array")
    np.save(tmp_path / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "many.npz", x=np.zeros(3))
    for name, found in (
        ("text.npy", "not a readable .npy"),
        ("pickled.npy", "not a readable .npy"),
        ("many.npz", "found an archive"),
    ):
        with pytest.raises(ValueError, match=re.escape(found)):
            load_images(tmp_path / name, 3)
    with pytest.raises(FileNotFoundError):
        load_images(tmp_path / "absent.npy", 3)


def test_folders_are_taken_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        Image.new("L", (4, 4), number).save(tmp_path / f"img{number}.PNG")
    (tmp_path / "notes.txt").touch()
    (tmp_path / "._img3.png").touch()
    images = load_images(tmp_path, 3)
    assert images.names == ["img1.PNG", "img2.PNG", "img10.PNG"]
    assert [int(images[item][0, 0]) for item in range(3)] == [1, 2, 10]
    with pytest.raises(ValueError, match="found 3 image files, wanted 4"):
        load_images(tmp_path, 4)


def test_natural_order_mixes_words_and_numbers() -> None:
    names = ["b1", "a10", "a2", "7", "a", "A2b", "12", "a02"]
    assert sorted(names, key=natural_key) == ["7", "12", "a", "a02", "a2", "A2b", "a10", "b1"]


def test_file_modes_become_grey_colour_or_transparent(tmp_path: Path) -> None:
    modes = {"1": 2, "L": 2, "RGB": 3, "RGBA": 3, "P": 3, "CMYK": 3, "I;16": 2}
    paths = []
    for number, mode in enumerate(modes):
        ending = "jpg" if mode == "CMYK" else "png"
        paths.append(tmp_path / f"{number}.{ending}")
        Image.new(mode, (6, 5)).save(paths[-1])
    images = load_images(paths, len(paths))
    assert [images[item].ndim for item in range(len(paths))] == list(modes.values())
    assert images[3].shape == (5, 6, 4)
    assert images.unreadable == {}


def test_unreadable_files_give_a_placeholder(tmp_path: Path) -> None:
    whole = tmp_path / "whole.png"
    Image.fromarray(RNG.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(whole)
    cut = tmp_path / "cut.png"
    cut.write_bytes(whole.read_bytes()[:300])
    text = tmp_path / "text.png"
    text.write_text("hello")
    images = load_images([whole, cut, text, tmp_path / "absent.png"], 4)
    for item in (1, 2, 3):
        np.testing.assert_array_equal(images[item], placeholder())
    assert images[0].shape == (64, 64, 3)
    assert sorted(images.unreadable) == [1, 2, 3]


def test_rotated_photographs_are_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held at a right angle
    Image.new("RGB", (8, 4)).save(tmp_path / "x.jpg", exif=exif)
    assert load_images([tmp_path / "x.jpg"], 1)[0].shape == (8, 4, 3)


def test_an_archive_is_no_array_of_images(tmp_path: Path) -> None:
    with open(tmp_path / "images.npy", "wb") as file:
        np.savez(file, images=np.zeros((3, 4, 4), np.uint8))
    with pytest.raises(ValueError, match="found an archive of arrays, wanted one array"):
        load_images(tmp_path / "images.npy", 3)


def test_a_file_in_the_place_of_the_report_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("mine")
    with pytest.raises(FileExistsError, match="is not a folder, and is not overwritten"):
        check_target(tmp_path / "report", overwrite=True)
    assert (tmp_path / "report").read_text() == "mine"


def sparse_images(path: Path, shape: tuple[int, ...]) -> None:
    """A .npy file of black pictures that takes no room on the disk."""
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + int(np.prod(shape)))


def test_npy_files_are_read_a_picture_at_a_time(tmp_path: Path) -> None:
    n = 1 << 24
    sparse_images(tmp_path / "x.npy", (n, 64, 64))  # 64 GiB, more than there is memory
    for images in (
        load_images(tmp_path / "x.npy", n),
        load_images(np.load(tmp_path / "x.npy", mmap_mode="r"), n),
    ):
        assert images[n - 1].shape == (64, 64)
        assert images[n - 1].max() == 0


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.uint8, np.bool_, np.float16, np.float32])
def test_mapped_pictures_are_those_of_the_array(tmp_path: Path, order: Any, dtype: Any) -> None:
    array = np.asarray(RNG.integers(0, 2, (5, 3, 6, 7)).astype(dtype), order=order)
    np.save(tmp_path / "x.npy", array)
    found, expected = load_images(tmp_path / "x.npy", 5), load_images(array, 5)
    for item in range(5):
        np.testing.assert_array_equal(found[item], expected[item])


def test_pictures_cut_short_meanwhile_are_an_error_and_no_signal(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((100, 64, 64), np.uint8))
    images = load_images(tmp_path / "x.npy", 100)
    os.truncate(tmp_path / "x.npy", 5000)
    words = r"^images: .*x\.npy.* was cut short: expected 409728 bytes, found 5000$"
    with pytest.raises(ValueError, match=words):
        images[99]


def test_opening_a_folder_opens_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (tmp_path / f"{number}.png").touch()
    monkeypatch.setattr(Image, "open", None)
    assert load_images(tmp_path, 20).names is not None
    assert len(load_images(sorted(tmp_path.iterdir()), 20)) == 20
