"""Random crops of pictures whose pixels tell where they are."""

import numpy as np
import pytest
from PIL import Image

from diptych.embed.augmentation import RandomCrop

SIDE = 64


def ramp(width: int = SIDE, height: int = SIDE) -> Image.Image:
    """Red tells the place from left to right, green that from top to bottom; 0 to 255."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, np.zeros_like(x)], 2).astype(np.uint8))


def parts(crop: RandomCrop, n: int = 200) -> np.ndarray:
    """Left, right, top and bottom of crops, as shares of the picture, (n, 4)."""
    found = []
    for seed in range(n):
        pixels = np.asarray(crop(ramp(), np.random.default_rng(seed)), float) / 255
        middle = pixels[SIDE // 2, :, 0], pixels[:, SIDE // 2, 1]
        found.append([middle[0][0], middle[0][-1], middle[1][0], middle[1][-1]])
    return np.array(found)


def test_crops_have_the_areas_and_sides_that_are_said() -> None:
    left, right, top, bottom = parts(RandomCrop(0.25, flip=False)).T
    width, height = right - left, bottom - top
    # A pixel is 1/64 of a side.
    assert (width * height).min() > 0.25 - 0.03
    assert (width * height).min() < 0.32
    assert (width * height).max() > 0.8
    assert (width / height).max() == pytest.approx(4 / 3, rel=0.1)
    assert (width / height).min() == pytest.approx(3 / 4, rel=0.1)
    assert left.min() < 0.02
    assert right.max() > 0.98


def test_half_of_the_images_are_mirrored() -> None:
    left, right, top, bottom = parts(RandomCrop(0.25)).T
    assert 0.4 < (left > right).mean() < 0.6
    assert (bottom > top).all()


def test_a_crop_is_as_large_as_the_image() -> None:
    found = RandomCrop()(ramp(7, 31), np.random.default_rng(0))
    assert (found.size, found.mode) == ((7, 31), "RGB")
    assert RandomCrop()(ramp(1, 1), np.random.default_rng(0)).size == (1, 1)


def test_whole_images_stay_as_they_are() -> None:
    picture = ramp(20, 10)
    found = RandomCrop(1.0, flip=False)(picture, np.random.default_rng(0))
    np.testing.assert_array_equal(np.asarray(found), np.asarray(picture))


@pytest.mark.parametrize("area", [0.0, -0.1, 1.5, float("nan")])
def test_bad_areas(area: float) -> None:
    with pytest.raises(ValueError, match="crop_area: expected a share above 0 and at most 1, found"):
        RandomCrop(area)


def test_an_area_that_is_no_number() -> None:
    with pytest.raises(TypeError, match="crop_area: expected a number, found 'half'"):
        RandomCrop("half")  # type: ignore[arg-type]
