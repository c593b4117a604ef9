"""What travels inside the page: thumbnails, sheets, and the numbers of the maps."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diptych.plots.projection import Projection, project
from diptych.report import thumbnails
from diptych.report.images import load_images
from diptych.report.maps import map_data, shown_items
from diptych.report.thumbnails import SHEET_BYTES, grid_thumbnails, make_sheets


def decoded(uri: str) -> np.ndarray[Any, Any]:
    kind, text = uri.split(";base64,")
    assert kind in ("data:image/png", "data:image/jpeg")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def nothing(share: float) -> None:
    return None


def test_sheets_hold_every_small_picture_exactly(digits: Any) -> None:
    images = load_images(digits.images, digits.result.n)
    items = np.random.default_rng(0).permutation(digits.result.n)
    sheets = make_sheets(images, items, nothing)
    assert sheets is not None
    np.testing.assert_array_equal(sheets.items, items)
    sheet = decoded(sheets.uris[0])
    width, height = sheets.size
    for slot, item in enumerate(sheets.items.tolist()):
        row, column = divmod(slot, sheets.columns)
        top, left = row * sheets.cell[1], column * sheets.cell[0]
        np.testing.assert_array_equal(sheet[top : top + height, left : left + width], digits.images[item])


def test_sheets_stay_within_their_budget_and_keep_what_matters_first() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 64, 64, 3), dtype=np.uint8)
    items = np.tile(np.arange(400), 10)
    shares: list[float] = []
    sheets = make_sheets(load_images(noise, 400), items, shares.append)
    assert sheets is not None
    assert 64 < len(sheets.items) < len(items)
    np.testing.assert_array_equal(sheets.items, items[: len(sheets.items)])
    # Base64 takes 4 bytes for 3; the size is foretold from 64 pictures, here all alike within 5 %.
    assert sum(map(len, sheets.uris)) <= SHEET_BYTES * 4 / 3 * 1.05
    assert sum(shares) == pytest.approx(1.0)
    assert len(sheets.uris) == -(-len(sheets.items) // sheets.per_sheet)


def test_sheets_of_nothing_are_none(digits: Any) -> None:
    images = load_images(digits.images, digits.result.n)
    assert make_sheets(images, np.empty(0, np.int64), nothing) is None


def test_files_of_any_shape_share_a_sheet(tmp_path: Path) -> None:
    sizes = [(200, 100), (30, 90), (64, 64)]
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path, size in zip(paths, sizes, strict=True):
        Image.new("RGB", size, (200, 30, 30)).save(path)
    sheets = make_sheets(load_images(paths, 3), np.arange(3), nothing)
    assert sheets is not None
    assert sheets.size == (64, 64)
    sheet = decoded(sheets.uris[0]).astype(int)
    for slot in range(3):
        center = sheet[32, slot * sheets.cell[0] + 32]
        # JPEG may move a flat colour by a few steps of 255.
        assert np.abs(center - [200, 30, 30]).max() <= 6


def test_grid_thumbnails_are_shrunk_never_enlarged() -> None:
    small = np.zeros((2, 8, 8), np.uint8)
    assert decoded(grid_thumbnails(load_images(small, 2), [1])[1]).shape == (8, 8)
    large = np.zeros((2, 300, 600, 3), np.uint8)
    assert decoded(grid_thumbnails(load_images(large, 2), [0, 0])[0]).shape == (80, 160, 3)


def test_many_grid_items_get_smaller_thumbnails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "_MANY_GRID_ITEMS", 2)
    large = np.zeros((3, 300, 600, 3), np.uint8)
    assert decoded(grid_thumbnails(load_images(large, 3), range(3))[0]).shape == (48, 96, 3)


def test_transparent_pictures_lie_on_white() -> None:
    clear = np.zeros((1, 8, 8, 4), np.uint8)
    assert decoded(grid_thumbnails(load_images(clear, 1), [0])[0]).min() == 255


def test_maps_show_everything_or_a_sample_with_the_grids(digits: Any) -> None:
    every = shown_items(digits.result)
    assert sorted(every.items.tolist()) == list(range(digits.result.n))
    some = shown_items(digits.result, limit=100)
    grids = {item for _, _, side in digits.result.directions for grid in side.grids for item in grid}
    assert len(some.items) == len(set(some.items.tolist())) == 100
    assert grids <= set(some.items.tolist())
    few = shown_items(digits.result, limit=1)
    assert set(few.items.tolist()) == grids


def test_map_numbers_survive_their_packing(digits: Any) -> None:
    shown = shown_items(digits.result)
    first = project(digits.result.embeddings[0])
    flat = Projection(np.zeros((digits.result.n, 2), np.float32), (0.0, 0.0))
    data = map_data(digits.result, (first, flat), shown)
    assert unpacked(data["items"], "<i4").tolist() == shown.items.tolist()
    for key, (_, _, side) in enumerate(digits.result.directions):
        np.testing.assert_array_equal(unpacked(data["clusters"][key], "<i2"), side.labels[shown.items])
    for axis, name in enumerate("xy"):
        packed = data["points"][0]
        values = packed["low"][axis] + unpacked(packed[name], "<u2") * packed["step"][axis]
        # Half a step of rounding, and the float32 of the projection itself.
        bound = 0.5 * packed["step"][axis] * 1.001
        assert np.abs(values - first.points[shown.items, axis]).max() <= bound
    assert set(unpacked(data["points"][1]["x"], "<u2").tolist()) == {0}
    assert map_data(digits.result, None, shown)["points"] is None


def unpacked(text: str, dtype: str) -> np.ndarray[Any, Any]:
    return np.frombuffer(base64.b64decode(text), dtype)
