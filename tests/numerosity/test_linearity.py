"""The error of a line."""

import numpy as np
import pytest
import torch
from planted_line import planted, rotation

from diptych.numerosity import linear_error


@pytest.mark.parametrize("shape", [(7, 1), (9, 2), (40, 5), (5, 40), (33, 33)])
@pytest.mark.parametrize("centered", [True, False])
def test_it_is_what_the_first_singular_value_leaves(shape, centered) -> None:
    z = np.random.default_rng(0).standard_normal(shape) + 0.7
    values = np.linalg.svd(z - z.mean(0) if centered else z, compute_uv=False)
    wanted = np.sqrt((values[1:] ** 2).sum() / (values**2).sum())
    assert linear_error(z, centered=centered) == pytest.approx(wanted, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("d", [1, 2, 16, 500])
def test_a_line_has_none(d) -> None:
    z, _ = planted(lambda n: n**0.8, d=d, each=3, noise=0.1)
    # Rounding of the coordinates, of size 30, and of the mean that is taken off.
    assert linear_error(z) <= 1e-13
    if d > 1:
        assert linear_error(z, centered=False) > 1e-3


def test_small_errors_are_not_lost_in_rounding() -> None:
    generator = np.random.default_rng(1)
    line, side = generator.standard_normal((2, 1000))
    z = np.column_stack([line - line.mean(), 1e-11 * (side - side.mean())])
    assert linear_error(z) == pytest.approx(1e-11 * side.std() / line.std(), rel=0.01)


def test_directions_alike_leave_all_but_one() -> None:
    assert linear_error(np.concatenate([np.eye(4), -np.eye(4)])) == pytest.approx(np.sqrt(3 / 4))


def test_rotation_place_and_scale_change_nothing() -> None:
    z = np.random.default_rng(2).standard_normal((50, 6)) * [5, 1, 1, 1, 0.5, 0.1]
    moved = 1e150 * (z @ rotation(6) + 3)
    assert linear_error(torch.from_numpy(moved)) == pytest.approx(linear_error(z), rel=1e-10)
    assert linear_error(z @ rotation(6), centered=False) == pytest.approx(linear_error(z, centered=False))


@pytest.mark.parametrize(
    ("z", "centered", "message"),
    [
        (np.ones((5, 2)), True, "all items have the same embedding"),
        (np.zeros((5, 2)), False, "embeddings: all are zero"),
        (np.full((5, 2), np.nan), True, "embeddings: expected finite numbers"),
        (np.ones(5), True, r"embeddings: expected a matrix \(n, d\)"),
    ],
)
def test_bad_values(z, centered, message) -> None:
    with pytest.raises(ValueError, match=message):
        linear_error(z, centered=centered)


def test_bad_types() -> None:
    with pytest.raises(TypeError, match="embeddings: expected an array of real numbers"):
        linear_error(np.array([["a"]]))
