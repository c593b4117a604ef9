"""Scenes of photographs pasted on backgrounds."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from diptych import numerosity, ops
from diptych.embed import UnreadableImageError
from diptych.numerosity import COVARIATES, Photographs, SceneLaw

SIZE = 64
LAW = SceneLaw(sides=(8, 12), clearance=2)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Objects: a red square, a wide green one, a blue one with a hole. Backgrounds: dark ramps of grey."""
    objects, backgrounds = (tmp_path_factory.mktemp(name) for name in ("objects", "backgrounds"))
    Image.new("RGB", (30, 30), (255, 0, 0)).save(objects / "red.png")
    Image.new("RGB", (40, 20), (0, 255, 0)).save(objects / "wide.png")
    ring = np.zeros((30, 30, 4), np.uint8)
    ring[:, :, 2:] = 255
    ring[10:20, 10:20, 3] = 0
    Image.fromarray(ring).save(objects / "ring.png")
    for name, (height, width) in (("tall", (90, 70)), ("wide", (50, 80))):
        ramp = np.add.outer(np.arange(height), np.arange(width)) / 4
        Image.fromarray(ramp.astype(np.uint8)).convert("RGB").save(backgrounds / f"{name}.png")
    return objects, backgrounds


def test_objects_lie_in_their_squares_and_the_background_elsewhere(folders: tuple[Path, Path]) -> None:
    drawn = Photographs(*folders, LAW)
    counts = np.arange(12)
    images, covariates = numerosity.scenes(counts, drawn, SIZE, 3, dtype=torch.uint8)
    assert images.shape == (12, 3, SIZE, SIZE)
    squares = LAW.squares(counts, SIZE, 3, 0, "cpu")
    inside = ops.draw_squares(squares, size=SIZE, dtype=torch.uint8)[:, 0] > 0
    colours = (images.amax(1) - images.amin(1)) > 100
    assert not (colours & ~inside).any()
    assert images.permute(0, 2, 3, 1)[~inside].max() < 60
    for scene, count in enumerate(counts):
        for x, y, side, _ in squares[scene, :count].tolist():
            # Every object covers the middle of its square's edges on two sides at least.
            assert colours[scene, y : y + side, x : x + side].float().mean() > 0.4
    seen = {tuple(image[:, colours[scene]].T[0].tolist()) for scene, image in enumerate(images) if scene > 0}
    assert {colour.index(max(colour)) for colour in seen} == {0, 1, 2}
    assert list(covariates) == list(COVARIATES)
    measured = ops.square_covariates(squares, size=SIZE)
    np.testing.assert_array_equal(covariates[["summed_area", "hull_area"]], measured[:, 1:])
    # Means of the same bytes, added up in another order.
    np.testing.assert_allclose(
        covariates["mean_intensity"], images.double().mean((1, 2, 3)) / 255, rtol=1e-12
    )


def alone(folder: Path, law: SceneLaw, backgrounds: Path | None = None) -> tuple[np.ndarray, list[int]]:
    """A single object's scene, (h, w, 3), and its square."""
    drawn = Photographs([folder], None if backgrounds is None else [backgrounds], law)
    images = numerosity.scenes([1], drawn, SIZE, 1, dtype=torch.uint8).images
    square = law.squares(np.array([1]), SIZE, 1, 0, "cpu")[0, 0].tolist()
    return images[0].permute(1, 2, 0).numpy(), square[:3]


def test_proportions_and_transparency_are_kept(folders: tuple[Path, Path]) -> None:
    law = SceneLaw(sides=(12, 12))
    image, (x, y, side) = alone(folders[0] / "wide.png", law)
    wanted = np.zeros_like(image)
    wanted[y + 3 : y + 9, x : x + side] = (0, 255, 0)
    np.testing.assert_array_equal(image, wanted)
    image, (x, y, side) = alone(folders[0] / "ring.png", law, folders[1] / "tall.png")
    assert image[y, x].tolist() == [0, 0, 255]
    middle = image[y + side // 2, x + side // 2]
    assert middle.max() - middle.min() <= 1
    image, (x, y, side) = alone(folders[0] / "red.png", SceneLaw(sides=(12, 12), contrasts=(0.5, 0.5)))
    assert np.unique(image[y : y + side, x : x + side], axis=0).tolist()[0][0] == [128, 0, 0]


@pytest.mark.parametrize("seed", range(3))
def test_a_scene_depends_on_its_own_number_alone(folders: tuple[Path, Path], seed: int) -> None:
    counts = [3, 1, 4, 1, 5]
    whole = numerosity.scenes(counts, Photographs(*folders, LAW), SIZE, seed, first=9)
    drawn = Photographs(*folders, LAW)
    parts = [numerosity.scenes([count], drawn, SIZE, seed, first=9 + i) for i, count in enumerate(counts)]
    assert torch.equal(torch.cat([part.images for part in parts[::-1]]).flip(0), whole.images)
    pd.testing.assert_frame_equal(
        pd.concat([part.covariates for part in parts], ignore_index=True), whole.covariates
    )
    assert not torch.equal(whole.images, numerosity.scenes(counts, drawn, SIZE, seed + 7, first=9).images)


def test_sequences_of_photographs(folders: tuple[Path, Path]) -> None:
    law = SceneLaw(sides=(8, 12), amounts=(2, 3))
    drawn = numerosity.sequences(40, 5, Photographs(*folders, law), size=SIZE)
    assert drawn.images.shape == (41, 3, SIZE, SIZE)
    assert drawn.images.dtype == torch.float32
    assert set(drawn.counts.diff().abs().tolist()) == {0, 2, 3}
    assert len(drawn.covariates) == 41


def test_many_backgrounds_and_sizes(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Photographs(*folders, LAW)
    few = [numerosity.scenes([2] * 9, drawn, size, 1).images for size in (30, SIZE)]
    monkeypatch.setattr("diptych.numerosity.photographs._KEPT", 0)
    fresh = Photographs(*folders, LAW)
    for size, kept in zip((30, SIZE), few, strict=True):
        assert torch.equal(numerosity.scenes([2] * 9, fresh, size, 1).images, kept)
    assert repr(drawn).startswith("Photographs(3 objects, 2 backgrounds, ")
    corners = {image[0, 0, 0].item() for image in few[1]}
    assert len(corners) > 2  # two pictures, cropped anywhere


def test_damaged_pictures_are_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(UnreadableImageError, match=r"bad\.png: cannot identify"):
        numerosity.scenes([1], Photographs(tmp_path, folders[1], LAW), SIZE)
    with pytest.raises(UnreadableImageError, match=r"bad\.png: "):
        numerosity.scenes([1], Photographs(folders[0], tmp_path, LAW), SIZE)
    gone = Photographs([tmp_path / "gone.png"], None, LAW)
    with pytest.raises(UnreadableImageError, match=r"gone\.png: "):
        numerosity.scenes([1], gone, SIZE)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("nowhere",), FileNotFoundError, "nowhere: no such folder of images"),
        (([],), ValueError, "images: expected at least one, found none"),
        (
            (np.zeros((2, 4, 4), np.uint8),),
            TypeError,
            "objects: expected a folder or a list of paths, found nd",
        ),
        (([1],), TypeError, "objects: expected a folder or a list of paths, found list"),
        ((["a.png"], 3), TypeError, "backgrounds: expected a folder or a list of paths, found int"),
        ((["a.png"], None, "B"), TypeError, "law: expected a SceneLaw, found 'B'"),
    ],
)
def test_refuses_by_name(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Photographs(*arguments)


def test_objects_that_do_not_fit_are_refused(folders: tuple[Path, Path]) -> None:
    with pytest.raises(ValueError, match="sides: expected squares that fit on 30 pixels, found 40"):
        numerosity.scenes([1], Photographs(*folders), 30)
    assert not hasattr(numerosity, "Photos")


def test_other_pictures_or_another_law_are_another_data_set(folders: tuple[Path, Path]) -> None:
    """What a training that is resumed knows its data set by."""
    objects, backgrounds = folders
    files = sorted(objects.iterdir())
    told = {
        repr(Photographs(*given))
        for given in (
            (objects, backgrounds, LAW),
            (objects, backgrounds),
            (objects, None, LAW),
            (files[:2], backgrounds, LAW),
            (files[1:], backgrounds, LAW),
        )
    }
    assert len(told) == 5
    assert repr(Photographs(objects, backgrounds, LAW)) == repr(Photographs(objects, backgrounds, LAW))
