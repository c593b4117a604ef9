"""Color MNIST: where the squares are, which images have them, and what a patch holds of them."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from diptych.embed import PatchGrid
from diptych.rsvc.color_mnist import PINK, SIDE, ColorDigits, color_digits, joined, split, square_shares


def written(n: int, seed: int = 0) -> dict[str, Any]:
    """n digits as MNIST's are: 28 by 28, ink on paper, each digit as often."""
    rng = np.random.default_rng(seed)
    return {
        "digits": rng.integers(0, 256, (n, 28, 28)).astype(np.uint8),
        "labels": np.arange(n) % 10,
        "sources": np.arange(n) + 7,
    }


@pytest.fixture(scope="module")
def some() -> ColorDigits:
    return color_digits(**written(400), probability=0.5, digit=None, seed=3)


def test_images_are_coloured_and_bear_their_square(some: ColorDigits) -> None:
    assert some.images.shape == (400, SIDE, SIDE, 3)
    assert some.images.dtype == np.uint8
    assert (some.sources == np.arange(400) + 7).all()
    pink = (some.images == PINK).all(3)
    for image, (left, top, right, bottom) in zip(pink, some.boxes, strict=True):
        inside = np.zeros((SIDE, SIDE), bool)
        inside[top:bottom, left:right] = True
        assert (image == inside).all()


def test_squares_lie_inside_the_image_and_anywhere_in_it(some: ColorDigits) -> None:
    boxes = some.boxes[some.with_square]
    assert (boxes[:, 2:] - boxes[:, :2] == 12).all()
    assert boxes.min() >= 0
    assert boxes.max() <= SIDE
    # Of about 200 draws from 53 places each quarter has some 50.
    quarters = np.histogram(boxes[:, 0], 4, (0, SIDE - 12 + 1))[0]
    assert binom.cdf(quarters, len(boxes), 0.25).min() > 1e-4
    assert (some.boxes[~some.with_square] == 0).all()


@pytest.mark.parametrize("probability", [0.0, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("digit", [None, 4])
def test_as_many_squares_as_their_probability_says(probability: float, digit: int | None) -> None:
    made = color_digits(**written(1000), probability=probability, digit=digit, seed=11)
    may = np.full(1000, True) if digit is None else made.labels == digit
    assert not made.with_square[~may].any()
    # Two-sided, at one in a million.
    low, high = binom.interval(1 - 1e-6, int(may.sum()), probability)
    assert low <= made.with_square[may].sum() <= high


def test_with_one_seed_images_differ_by_their_squares_alone() -> None:
    plain, all_ = (color_digits(**written(50), probability=each, digit=None, seed=5) for each in (0.0, 1.0))
    outside = ~(all_.images == PINK).all(3)
    assert (plain.images[outside] == all_.images[outside]).all()
    again = color_digits(**written(50), probability=1.0, digit=None, seed=5)
    assert (again.images == all_.images).all()
    other = color_digits(**written(50), probability=1.0, digit=None, seed=6)
    assert (other.boxes != all_.boxes).any()


def test_backgrounds_are_dark_and_ink_is_grey() -> None:
    given = written(30)
    given["digits"] = np.zeros((30, 28, 28), np.uint8)
    assert color_digits(**given, probability=0, digit=None).images.max() < 112
    given["digits"] += 255
    ink = color_digits(**given, probability=0, digit=None).images
    assert ink.min() >= 160
    assert (ink == ink[..., :1]).all()


def test_the_parts_of_a_split_are_disjoint_and_whole() -> None:
    labels = np.repeat(np.arange(10), 20)
    training, test = split(labels, 6, seed=1)
    assert sorted([*training, *test]) == list(range(200))
    assert (np.bincount(labels[test]) == 6).all()
    assert (split(labels, 6, seed=1)[1] == test).all()
    assert (split(labels, 6, seed=2)[1] != test).any()


def test_shares_are_counted_pixels(some: ColorDigits) -> None:
    grid = PatchGrid(32, SIDE)
    found = square_shares(some.boxes, grid)
    assert found.shape == (400, 16)
    pink = (some.images == PINK).all(3)
    for number, (left, top, right, bottom) in enumerate(grid.boxes(SIDE, SIDE)):
        counted = pink[:, top:bottom, left:right].sum((1, 2)) / 144
        assert (found[:, number] == counted).all()


def test_sets_are_joined_and_taken_apart(some: ColorDigits) -> None:
    both = joined(some, some.relabelled(10))
    assert len(both) == 800
    assert (both.labels[400:] == some.labels + 10).all()
    second = both.take(np.arange(400, 800))
    assert (second.images == some.images).all()
    assert (second.boxes == some.boxes).all()
    assert (second.sources == some.sources).all()


@pytest.mark.parametrize(
    ("changed", "error", "found"),
    [
        ({"probability": 1.1}, ValueError, "probability: expected a number from 0 to 1, found 1.1"),
        ({"probability": float("nan")}, ValueError, "probability: .* found nan"),
        ({"digit": 10}, ValueError, "digit: expected 0 to 9, found 10"),
        ({"digit": 2.5}, TypeError, "digit: expected an integer, found 2.5"),
        ({"square": 0}, ValueError, "square: expected 1 to 64, found 0"),
        ({"square": 65}, ValueError, "square: expected 1 to 64, found 65"),
        ({"seed": -1}, ValueError, "seed: .* found -1"),
        ({"digits": np.zeros((5, 28, 28))}, TypeError, "digits: expected uint8, found float64"),
        ({"digits": np.zeros((5, 28, 27), np.uint8)}, ValueError, r"digits: .* found \(5, 28, 27\)"),
        ({"digits": np.zeros((0, 28, 28), np.uint8)}, ValueError, r"digits: .* found \(0, 28, 28\)"),
        ({"labels": np.zeros(4, np.int64)}, ValueError, r"labels: expected shape \(5,\), found \(4,\)"),
        ({"sources": np.zeros(6, np.int64)}, ValueError, r"sources: expected shape \(5,\), found \(6,\)"),
        ({"labels": np.arange(5) + 6}, ValueError, "labels: expected digits 0 to 9, found 6 to 10"),
    ],
)
def test_bad_digits_are_refused(changed: dict[str, Any], error: type[Exception], found: str) -> None:
    with pytest.raises(error, match=found):
        color_digits(**({**written(5), "probability": 0.5, "digit": None} | changed))


@pytest.mark.parametrize(
    ("held_out", "error", "found"),
    [
        (0, ValueError, "held_out: .* found 0"),
        (1.5, TypeError, "held_out: expected an integer, found 1.5"),
        (3, ValueError, "held_out: expected fewer than the 3 images of digit 0, found 3"),
    ],
)
def test_a_split_needs_images_on_both_sides(held_out: Any, error: type[Exception], found: str) -> None:
    with pytest.raises(error, match=found):
        split(np.repeat(np.arange(2), 3), held_out)
