"""Concept-proposal patches: where they lie and what they hold."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from diptych.embed import PatchGrid, concept_patches


def starts(grid: PatchGrid, side: int) -> list[int]:
    boxes = grid.boxes(side, side)
    assert len(boxes) == len(grid)
    return [left for left, *_ in boxes[: grid.grid]]


def test_sixteen_patches_cover_an_image_of_224() -> None:
    grid = PatchGrid()
    assert len(grid) == 16
    assert starts(grid, 224) == [0, 53, 107, 160]
    boxes = grid.boxes(224, 224)
    assert boxes[0] == (0, 0, 64, 64)
    assert boxes[1] == (53, 0, 117, 64)  # row by row
    assert boxes[-1] == (160, 160, 224, 224)
    seen = np.zeros((224, 224), bool)
    for left, top, right, bottom in boxes:
        seen[top:bottom, left:right] = True
    assert seen.all()


def test_the_published_code_steps_by_51_and_leaves_seven_pixels() -> None:
    grid = PatchGrid(conventions="published-code")
    assert starts(grid, 224) == [0, 51, 102, 153]
    assert max(bottom for *_, bottom in grid.boxes(224, 224)) == 217


@pytest.mark.parametrize("side", [7, 31, 64, 96, 224, 225, 336, 518])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 7])
def test_any_size_is_covered_to_its_edges(side: int, number: int) -> None:
    grid = PatchGrid(grid=number)
    found = starts(grid, side)
    patch = max(1, round(64 * side / 224))
    assert found == [round(float(x)) for x in np.linspace(0, side - patch, number)]
    assert {right - left for left, _, right, _ in grid.boxes(side, side)} == {patch}


def test_an_image_that_is_no_square() -> None:
    boxes = PatchGrid(grid=2).boxes(112, 300)
    assert boxes == [(0, 0, 32, 32), (268, 0, 300, 32), (0, 80, 32, 112), (268, 80, 300, 112)]


@pytest.mark.parametrize("conventions", ["whole-image", "published-code"])
def test_patches_are_the_boxes_resized(conventions: Any) -> None:
    images = torch.rand(3, 3, 56, 56)
    grid = PatchGrid(conventions=conventions)
    patches = concept_patches(images, grid)
    assert patches.shape == (48, 3, 56, 56)
    for image in range(3):
        for number, (left, top, right, bottom) in enumerate(grid.boxes(56, 56)):
            patch = images[image : image + 1, :, top:bottom, left:right]
            expected = interpolate(patch, (56, 56), mode="bilinear", align_corners=False)
            # Enlarging, antialiasing changes nothing but the order of roundings.
            torch.testing.assert_close(patches[16 * image + number], expected[0], rtol=0, atol=1e-6)
    assert concept_patches(images, size=(20, 30)).shape == (48, 3, 20, 30)
    assert concept_patches(images.double(), size=8).dtype == torch.float64


def test_patches_at_their_own_size_are_copied_exactly() -> None:
    images = torch.arange(2 * 56 * 56, dtype=torch.float32).reshape(2, 1, 56, 56)
    patches = concept_patches(images, size=16)
    for number, (left, top, right, bottom) in enumerate(PatchGrid().boxes(56, 56)):
        assert torch.equal(patches[16 + number], images[1, :, top:bottom, left:right])


@pytest.mark.gpu
def test_a_gpu_cuts_the_same_patches() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU")
    images = torch.rand(2, 3, 224, 224)
    patches = concept_patches(images.cuda())
    assert patches.is_cuda
    torch.testing.assert_close(patches.cpu(), concept_patches(images), rtol=0, atol=1e-5)


def test_bad_grids_are_refused() -> None:
    bad: Any = 2.0
    with pytest.raises(TypeError, match=r"grid: expected a whole number, found 2\.0"):
        PatchGrid(grid=bad)
    with pytest.raises(ValueError, match="size: expected at least 1, found 0"):
        PatchGrid(size=0)
    with pytest.raises(ValueError, match="size: expected at most image_size=32, found 64"):
        PatchGrid(image_size=32)
    bad = "paper"
    with pytest.raises(
        ValueError, match="conventions: expected one of 'whole-image', 'published-code', found"
    ):
        PatchGrid(conventions=bad)
    with pytest.raises(
        ValueError, match="grid: expected at most 4 patches of 64 pixels in steps of 51 in 224"
    ):
        PatchGrid(grid=5, conventions="published-code").boxes(224, 224)
    with pytest.raises(ValueError, match="image: expected at least one pixel, found 0x4"):
        PatchGrid().boxes(0, 4)


def test_bad_images_are_refused() -> None:
    with pytest.raises(TypeError, match=r"images: expected a floating-point tensor, found torch\.uint8"):
        concept_patches(torch.ones((1, 3, 8, 8), dtype=torch.uint8))
    array: Any = np.ones((1, 3, 8, 8))
    with pytest.raises(TypeError, match="images: expected a floating-point tensor, found ndarray"):
        concept_patches(array)
    with pytest.raises(ValueError, match=r"images: expected shape \(n, c, h, w\), found \(3, 8, 8\)"):
        concept_patches(torch.ones(3, 8, 8))
    with pytest.raises(ValueError, match="size: expected a height and a width of at least 1, found 0"):
        concept_patches(torch.ones(1, 3, 8, 8), size=0)
