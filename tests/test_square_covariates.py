"""diptych.ops.square_covariates against the definition, scipy's hulls and the drawn pixels."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull
from squares import NONE, any_squares

from diptych import ops


def corners(scene: np.ndarray) -> np.ndarray:
    there = scene[scene[:, 2] > 0]
    return np.concatenate(
        [there[:, :2] + there[:, 2:3] * np.array(shift) for shift in ((0, 0), (0, 1), (1, 0), (1, 1))]
    )


@pytest.mark.parametrize("size", [1, 2, 7, 33, 244, 4096])
@pytest.mark.parametrize("k", [1, 2, 5, 40])
def test_against_the_definition(size: int, k: int, device: torch.device) -> None:
    squares = torch.from_numpy(any_squares(50, k, size, k))
    found = ops.square_covariates(squares.to(device), size=size)
    assert found.dtype == torch.float64
    wanted = ops.square_covariates(squares, size=size, backend="torch")
    assert ops.last_backend() == "torch"
    # Integers, divided once.
    assert torch.equal(found.cpu(), wanted)


@pytest.mark.parametrize("seed", range(3))
def test_hulls_are_scipys(seed: int) -> None:
    squares = any_squares(60, 6, 50, seed)
    squares = squares[(squares[:, :, 2] > 0).any(1)]
    found = ops.square_covariates(squares, size=50)[:, 2]
    theirs = [ConvexHull(corners(scene)).volume for scene in squares]
    # Qhull works in floats: some hundred roundings of areas up to 2500.
    np.testing.assert_allclose(found, theirs, rtol=1e-12)


@pytest.mark.parametrize("dataset", [{}, {"sides": (10, 30), "contrasts": (25 / 255, 1.0), "side_jitter": 3}])
def test_light_and_area_are_those_of_the_pixels(dataset: dict[str, Any]) -> None:
    squares = ops.place_squares(np.arange(31), **dataset)
    images = ops.draw_squares(squares).astype(np.float64)
    found = ops.square_covariates(squares)
    # float32 pixels are off by half an eps, whose mean is no larger.
    np.testing.assert_allclose(found[:, 0], images.mean((1, 2, 3)), rtol=2**-24)
    np.testing.assert_array_equal(found[:, 1], (images > 0).sum((1, 2, 3)))
    assert (found[:, 2] >= found[:, 1]).all()


def test_by_hand() -> None:
    squares = np.array(
        [
            [NONE, NONE, NONE],
            [(3, 4, 5, 65535), NONE, NONE],
            [(0, 0, 1, 6425), (9, 0, 1, 6425), NONE],
            [(0, 0, 2, 65535), NONE, (8, 8, 2, 65535)],
            [(0, 0, 1, 65535), (1, 1, 1, 65535), (2, 2, 1, 65535)],
        ]
    )
    found = ops.square_covariates(squares, size=10)
    np.testing.assert_array_equal(found[0], 0)
    np.testing.assert_array_equal(found[1], [0.25, 25, 25])
    np.testing.assert_array_equal(found[2], [2 * 6425 / (65535 * 100), 2, 10])
    np.testing.assert_array_equal(found[3], [0.08, 8, 36])
    np.testing.assert_array_equal(found[4], [0.03, 3, 5])


@pytest.mark.parametrize("backend", ["cpu", "torch"])
def test_equal_squares_and_other_orders_change_nothing(backend: str) -> None:
    squares = any_squares(20, 5, 30, 3)
    found = ops.square_covariates(squares, size=30, backend=backend)
    again = ops.square_covariates(squares[:, ::-1], size=30, backend=backend)
    np.testing.assert_array_equal(again, found)
    doubled = ops.square_covariates(np.repeat(squares, 2, 1), size=30, backend=backend)
    np.testing.assert_array_equal(doubled[:, 1:], found[:, 1:] * [2, 1])
    turned = squares[:, :, [1, 0, 2, 3]]
    np.testing.assert_array_equal(ops.square_covariates(turned, size=30, backend=backend), found)


@pytest.mark.usefixtures("keep_threads")
def test_threads_do_not_show() -> None:
    squares, found = any_squares(2000, 9, 244), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(ops.square_covariates(squares))
    np.testing.assert_array_equal(*found)


def test_a_square_outside_is_found_among_many() -> None:
    squares = any_squares(3000, 4, 100)
    squares[1234, 2] = (96, 0, 5, 1)
    squares[2000, 0] = (96, 0, 5, 1)
    with pytest.raises(ValueError, match=r"found \[96, 0, 5, 1\] in scene 1234"):
        ops.square_covariates(squares, size=100)
    assert ops.square_covariates(squares, size=101).shape == (3000, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 4097}, "size: expected 1 to 4096, found 4097"),
        ({"backend": "triton"}, "square_covariates has no 'triton', it has cpu, cuda, torch"),
        ({"backend": "cuda"}, "'cuda' cannot serve arrays on cpu here"),
    ],
)
def test_refuses_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.square_covariates(any_squares(2, 2, 9), **options)


def test_refuses_floats() -> None:
    with pytest.raises(TypeError, match=r"squares: expected integers, found torch\.float32"):
        ops.square_covariates(torch.zeros(1, 1, 4))
