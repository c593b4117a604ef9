"""Reading an export of iNaturalist's observations, on a tiny one made in its format."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diptych.embed import (
    ImageSet,
    Observation,
    UnreadableImageError,
    inaturalist_observations,
    read_images,
    read_inaturalist,
)

COLUMNS = ["id", "url", "image_url", "license", "user_login", "description", "scientific_name", "common_name"]
PHOTO = "https://example.org/photos/{}/medium.jpg"
ROWS = [
    ["11", "", PHOTO.format(901), "CC-BY", "ann", "By the lake,\nin the evening", "Acer rubrum", "Red Maple"],
    ["12", "", PHOTO.format(902), "CC0", "bob", "", "Acer saccharum nigrum", "Black Maple"],
    ["13", "", PHOTO.format(903), "", "cat", 'the "big" one', "Acer rubrum", "Red Maple"],
    ["14", "page", PHOTO.format(904), "CC-BY-NC", "", "", "Acer × freemanii", ""],
    ["15", "", "", "CC-BY", "ann", "", "Acer rubrum", "Red Maple"],
    ["16", "", "", "CC-BY", "ann", "", "", ""],
]


def write_table(path: Path, rows: list[list[str]], columns: list[str] = COLUMNS) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An export of six observations, of which 15 has no picture, 16 no species and 13 no licence."""
    root = tmp_path / "export"
    (root / "pictures").mkdir(parents=True)
    write_table(root / "observations-1.csv", ROWS)
    for shade, name in enumerate(("11.jpg", "12.PNG", "13.jpg", "pictures/14.jpeg")):
        Image.new("RGB", (40, 20), (60 * shade, 0, 0)).save(root / name)
    return root


def labels_of(images: ImageSet) -> list[int]:
    assert images.labels is not None
    return images.labels.tolist()


def test_species_credits_and_what_is_left_out(export: Path) -> None:
    images = read_inaturalist(export)
    assert images.ids.tolist() == ["11.jpg", "12.PNG", "pictures/14.jpeg"]
    assert images.classes == ("Acer rubrum", "Acer saccharum", "Acer × freemanii")
    assert labels_of(images) == [0, 1, 2]
    assert images.names is not None
    assert images.names.tolist() == [
        "Acer rubrum — CC BY, ann",
        "Acer saccharum — CC0, bob",
        "Acer × freemanii — CC BY-NC",
    ]
    assert images.files == [export / name for name in images.ids]
    assert images.notes == (
        "1 of 6 observations have no species: 16.",
        "1 of 5 observations were left out for their licence: all rights reserved (1).",
        "1 of 4 pictures are not there: 15.",
    )
    seen = inaturalist_observations(export)
    assert list(seen) == images.ids.tolist()
    assert seen["11.jpg"] == Observation("11", "Acer rubrum", "CC BY", "ann", "Red Maple", "")
    assert (seen["12.PNG"].credit, seen["pictures/14.jpeg"].url) == ("CC0, bob", "page")
    part = images.take([2, 0])
    assert part.names is not None
    assert part.names.tolist() == [images.names[2], images.names[0]]
    assert part.notes == images.notes


@pytest.mark.parametrize(
    ("licenses", "ids"),
    [
        (["cc-by"], ["11.jpg"]),
        (["CC0", "CC BY-NC"], ["12.PNG", "pictures/14.jpeg"]),
        (["all rights reserved", "CC0"], ["12.PNG", "13.jpg"]),
    ],
)
def test_licences_that_are_wanted(export: Path, licenses: list[str], ids: list[str]) -> None:
    assert read_inaturalist(export, licenses=licenses).ids.tolist() == ids


@pytest.mark.parametrize(
    ("licenses", "error", "message"),
    [
        (
            ["CC BY-SA"],
            ValueError,
            r"under CC BY-SA, found CC BY \(2\), CC BY-NC \(1\), CC0 \(1\), all rights",
        ),
        ([], ValueError, r"licenses: expected names such as 'CC BY', found \[\]"),
        (["CC BY", " "], ValueError, "licenses: expected names"),
        ("CC BY", TypeError, "licenses: expected a list of names such as 'CC BY', found 'CC BY'"),
    ],
)
def test_licences_that_are_none(export: Path, licenses: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_inaturalist(export, licenses=licenses)


def test_without_a_column_of_licences_all_rights_are_reserved(export: Path) -> None:
    table = export / "observations-1.csv"
    write_table(table, [["11", "Acer rubrum"]], ["id", "taxon"])
    with pytest.raises(ValueError, match="expected a column license or license_code, found id, taxon"):
        read_inaturalist(export)
    images = read_inaturalist(export, licenses=["all rights reserved"])
    assert images.names is not None
    assert images.names.tolist() == ["Acer rubrum — all rights reserved"]


def test_pictures_named_by_photo(tmp_path: Path) -> None:
    # Photo 13 is of observation 11, and there is an observation 13 as well.
    rows = [
        ["11", "", PHOTO.format(13), "CC0", "", "", "A b", ""],
        ["13", "", PHOTO.format(902), "CC0", "", "", "C d", ""],
        ["14", "", PHOTO.format(903), "CC0", "", "", "E f", ""],
        ["15", "", PHOTO.format(904), "CC0", "", "", "E f", ""],
    ]
    write_table(tmp_path / "o.csv", rows)
    for name in ("13.jpg", "902.jpg", "14.jpg", "904.jpg"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    seen = inaturalist_observations(tmp_path)
    assert [each.id for each in seen.values()] == ["11", "13", "14", "15"]
    assert list(seen) == ["13.jpg", "902.jpg", "14.jpg", "904.jpg"]


def test_large_pictures_are_shrunk_on_reading(tmp_path: Path) -> None:
    stripes = np.zeros((30, 900, 3), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "1.png")
    Image.new("RGB", (7, 499)).save(tmp_path / "2.png")
    write_table(tmp_path / "o.csv", [["1", "A b", "CC0"], ["2", "A b", "CC0"]], ["id", "taxon", "license"])
    images = read_inaturalist(tmp_path)
    assert [images.read(item).size for item in (0, 1)] == [(500, 17), (7, 499)]
    # The mean of black and white stripes, where picking pixels would leave black, white or a pattern of them.
    small = read_inaturalist(tmp_path, longest_side=90)
    assert abs(np.asarray(small.read(0), float) - 127.5).max() < 6
    whole = read_inaturalist(tmp_path, longest_side=None)
    assert whole.read(0).size == (900, 30)
    prints = {each.fingerprint() for each in (images, small, whole)}
    assert len(prints) == 3
    assert images.fingerprint() == read_images(tmp_path, layout="inaturalist").fingerprint()
    for side, error in ((0, ValueError), (2.5, TypeError), (True, TypeError)):
        with pytest.raises(error, match="longest_side: expected"):
            read_inaturalist(tmp_path, longest_side=side)  # type: ignore[arg-type]


def test_a_damaged_picture_is_told_when_it_is_read(export: Path) -> None:
    (export / "12.PNG").write_bytes(b"no picture")
    images = read_inaturalist(export)
    with pytest.raises(UnreadableImageError, match=r"12\.PNG: cannot identify"):
        images.read(1)
    assert images.read(0).size == (40, 20)


HEAD = "id,scientific_name,license\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"o\.csv: expected a column id, found none"),
        (HEAD, r"o\.csv: expected at least one observation, found none"),
        (
            "id,name,license\n1,A b,CC0\n",
            "expected a column taxon_species_name or scientific_name or .* found",
        ),
        (
            "scientific_name,license\nA b,CC0\n",
            r"o\.csv: expected a column id, found scientific_name, license",
        ),
        (HEAD + "1,A b,CC0\n\n2,A b\n", r"o\.csv, line 4: expected 3 cells, found 2"),
        (HEAD + "1,A b,CC0,x\n", r"line 2: expected 3 cells, found 4"),
        (HEAD + "1,A b,CC0\n ,A b,CC0\n", r"o\.csv, line 3: expected an id, found none"),
        (HEAD + '1,"A\nb",CC0\n1,A b,CC0\n', r"o\.csv, line 4: observation 1 is there for the second time"),
        (HEAD + '1,"A b,CC0\n', r"o\.csv, line 2: not a \.csv file in UTF-8: unexpected end of data"),
        (HEAD + "1,\udcff,CC0\n", r"o\.csv, line .: not a \.csv file in UTF-8"),
    ],
)
def test_a_bad_table_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "o.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    Image.new("RGB", (4, 4)).save(tmp_path / "1.png")
    with pytest.raises(ValueError, match=message):
        read_inaturalist(tmp_path)


def test_several_tables_and_one_elsewhere(export: Path, tmp_path: Path) -> None:
    write_table(export / "observations-2.csv", [["11", "A b", "CC0"]], ["id", "taxon", "license"])
    with pytest.raises(ValueError, match=r"observations-2\.csv, line 2: observation 11 is there for the sec"):
        read_inaturalist(export)
    write_table(tmp_path / "mine.csv", [["11", "A b", "CC0"]], ["id", "taxon", "license"])
    images = read_inaturalist(export, table=tmp_path / "mine.csv")
    assert (images.ids.tolist(), images.classes) == (["11.jpg"], ("A b",))


def test_what_is_not_there(export: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        read_inaturalist(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"mine\.csv: no such file; expected iNaturalist's export"):
        read_inaturalist(export, table=tmp_path / "mine.csv")
    (export / "x").mkdir()
    Image.new("RGB", (4, 4)).save(export / "x" / "11.png")
    with pytest.raises(ValueError, match=r"expected one picture named 11, found 11\.jpg and x/11\.png"):
        read_inaturalist(export)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FileNotFoundError, match=r"empty: no \.csv file; expected iNaturalist's export"):
        read_inaturalist(empty)
    write_table(empty / "o.csv", ROWS)
    with pytest.raises(
        FileNotFoundError, match=r"none of the 4 pictures is there, expected such as 11\.jpg or 901"
    ):
        read_inaturalist(empty)
