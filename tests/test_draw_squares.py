"""diptych.ops.draw_squares: pixel by pixel against the definition, and what it leaves alone."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from squares import NONE, any_squares

from diptych import ops
from diptych.ops.draw_squares import reference

# Rows of 16 bytes and others, an image of one pixel, one of several thousand.
SIZES = (1, 2, 3, 4, 7, 8, 33, 244, 245)
DTYPES = (torch.float32, torch.uint8)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_pixels_are_those_of_the_definition(size: int, dtype: torch.dtype, device: torch.device) -> None:
    for k in (1, 3, 40):
        squares = torch.from_numpy(any_squares(5, k, size, k))
        out = torch.full((5, 1, size, size), 251, dtype=dtype, device=device)
        found = ops.draw_squares(squares.to(device), size=size, dtype=dtype, out=out)
        assert found is out
        wanted = ops.draw_squares(squares, size=size, dtype=dtype, backend="torch")
        assert ops.last_backend() == "torch"
        assert torch.equal(out.cpu(), wanted)
        fresh = ops.draw_squares(squares.to(device), size=size, dtype=dtype)
        assert torch.equal(fresh, out)


@pytest.mark.parametrize("backend", ["cpu", "torch"])
def test_a_small_scene_by_eye(backend: str) -> None:
    squares = np.array([[[0, 1, 2, 65535], [3, 3, 1, 257 * 25]], [NONE, NONE]], np.int32)
    drawn = ops.draw_squares(squares, size=4, dtype=torch.uint8, backend=backend)
    assert drawn.shape == (2, 1, 4, 4)
    assert drawn[0, 0].tolist() == [[0, 0, 0, 0], [255, 255, 0, 0], [255, 255, 0, 0], [0, 0, 0, 25]]
    assert (drawn[1] == 0).all()
    bright = ops.draw_squares(squares, size=4, backend=backend)
    assert bright.dtype == np.float32
    assert bright[0, 0, 1, 0] == 1
    assert bright[0, 0, 3, 3] == np.float32(25 / 255)


@pytest.mark.parametrize("backend", ["cpu", "torch"])
def test_every_contrast_is_correctly_rounded(backend: str) -> None:
    contrasts = np.arange(1, 65536, dtype=np.int32)
    squares = np.zeros((len(contrasts), 1, 4), np.int32)  # scenes of a single pixel
    squares[:, 0, 2], squares[:, 0, 3] = 1, contrasts
    found = ops.draw_squares(squares, size=1, backend=backend).reshape(-1)
    # 65535 times a float32 has 40 bits: in float64 this is exact.
    off = np.abs(65535 * found.astype(np.float64) - contrasts)
    assert (off <= 65535 * np.spacing(found).astype(np.float64) / 2).all()
    in_bytes = ops.draw_squares(squares, size=1, dtype=torch.uint8, backend=backend).reshape(-1)
    # 257 is odd: no quotient lies in the middle.
    np.testing.assert_array_equal(in_bytes, np.rint(contrasts / 257))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [9, 12])
def test_later_squares_cover_earlier_ones(size: int, dtype: torch.dtype, device: torch.device) -> None:
    squares = torch.tensor([[[0, 0, 6, 65535], [2, 2, 6, 30000], [3, 3, 2, 50000]]], dtype=torch.int32)
    drawn = ops.draw_squares(squares.to(device), size=size, dtype=dtype)[0, 0].cpu()
    shades = [ops.draw_squares(squares[:, [j]], size=size, dtype=dtype).max() for j in range(3)]
    assert drawn[1, 1] == shades[0]
    assert drawn[2, 2] == drawn[7, 7] == shades[1]
    assert drawn[3, 3] == drawn[4, 4] == shades[2]


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_lies_outside_is_not_drawn_unchecked(dtype: torch.dtype, device: torch.device) -> None:
    low, high = -(2**31), 2**31 - 1
    wrong = [
        (-1, 0, 3, 9), (0, -1, 3, 9), (6, 0, 3, 9), (0, 6, 3, 9), (0, 0, 9, 9), (0, 0, 3, 0), (0, 0, 3,
        65536), (high, 0, 3, 9), (0, low, high, 9), (1, 1, high, 9), (low, low, low, low), (0, 0, -2, 9), (3,
        3, 2, 65535),
    ]  # fmt: skip
    squares = torch.tensor([wrong], dtype=torch.int32)
    for backend in (None, "torch"):
        drawn = ops.draw_squares(squares.to(device), size=8, dtype=dtype, check=False, backend=backend)
        only = ops.draw_squares(squares[:, -1:], size=8, dtype=dtype)
        assert torch.equal(drawn.cpu(), only)


numbers = st.one_of(st.integers(-2, 9), st.sampled_from([-(2**63), -(2**31), 2**31, 2**63 - 1, 65535, 65536]))


@given(scene=st.lists(st.tuples(numbers, numbers, numbers, numbers), min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_any_integers_are_drawn_or_refused(scene: list[tuple[int, ...]]) -> None:
    squares = torch.tensor([scene], dtype=torch.int64)
    within = [
        square == NONE
        or (min(square[:2]) >= 0 and 0 < square[2] <= 8 - max(square[:2]) and 0 < square[3] <= 65535)
        for square in scene
    ]
    if all(within):
        assert torch.equal(ops.draw_squares(squares, size=8), reference(squares, 8, torch.float32))
        return
    with pytest.raises(ValueError, match=r"squares: expected x, y, .* in scene 0"):
        ops.draw_squares(squares, size=8)


@pytest.mark.usefixtures("keep_threads")
@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_and_neighbours_do_not_show(dtype: torch.dtype) -> None:
    squares = ops.place_squares(np.arange(31), sides=(10, 30))
    room = np.full(31 * 244 * 244 + 64, 77, str(dtype).removeprefix("torch."))
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        # Not where rows begin at a multiple of 16 bytes, either.
        for shift in (32, 33):
            room[:] = 77
            out = room[shift : shift + 31 * 244 * 244].reshape(31, 1, 244, 244)
            found.append(ops.draw_squares(squares, dtype=dtype, out=out).copy())
            assert (room[:shift] == 77).all()
            assert (room[shift + out.size :] == 77).all()
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_any_integers_and_layouts_will_do() -> None:
    squares = any_squares(4, 3, 20)
    expected = ops.draw_squares(squares, size=20)
    for variant in (squares.astype(np.int64), np.asfortranarray(squares), np.repeat(squares, 2, 0)[::2]):
        np.testing.assert_array_equal(ops.draw_squares(variant, size=20), expected)
    np.testing.assert_array_equal(ops.draw_squares(squares.tolist(), size=20), expected)
    assert torch.equal(ops.draw_squares(torch.from_numpy(squares), size=20), torch.from_numpy(expected))


one = np.array([[[0, 0, 3, 9]]], np.int32)


@pytest.mark.parametrize(
    ("squares", "options", "message"),
    [
        (one[0], {}, r"squares: expected shape \(n, k, 4\), n and k above 0, found \(1, 4\)"),
        (one[:, :, :3], {}, r"squares: expected shape \(n, k, 4\)"),
        (one[:0], {}, r"squares: expected shape \(n, k, 4\)"),
        (one[:, :0], {}, r"squares: expected shape \(n, k, 4\)"),
        (np.repeat(one, 1025, 1), {}, "squares: expected at most 1024 in a scene, found 1025"),
        (one, {"size": 0}, "size: expected 1 to 4096, found 0"),
        (one, {"size": 2}, r"within 2 pixels, .* found \[0, 0, 3, 9\] in scene 0"),
        (one * [1, 1, 1, 0], {}, r"the contrast 1 to 65535, .* found \[0, 0, 3, 0\] in scene 0"),
        (np.repeat(one, 2, 0) - [[[0, 0, 0, 0]], [[1, 1, 4, 9]]], {}, r"found \[-1, -1, -1, 0\] in scene 1"),
        (one.astype(np.int64) + 2**32, {}, "squares: expected x, y, side and contrast"),
        (one, {"backend": "triton"}, "draw_squares has no 'triton', it has cpu, cuda, torch"),
        (one, {"out": np.zeros((1, 1, 3, 3), np.float32)}, "out: expected shape"),
        (one, {"out": np.zeros((1, 1, 244, 244))}, "out: expected shape .* and torch.float32"),
        (one, {"out": np.zeros((1, 1, 244, 488), np.float32)[:, :, :, ::2]}, "out: expected a contiguous"),
        (one, {"out": np.broadcast_to(np.float32(0), (1, 1, 244, 244))}, "out: .* read-only"),
    ],
)
def test_refuses_by_name(squares: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.draw_squares(squares, **options)


def test_refuses_an_output_that_is_the_input() -> None:
    room = torch.zeros(4 * 244 * 244, dtype=torch.int32)
    squares = room[:4].view(1, 1, 4)
    squares.fill_(-1)
    out = room[: 244 * 244].view(torch.float32).view(1, 1, 244, 244)
    with pytest.raises(ValueError, match="out: shares memory with an input"):
        ops.draw_squares(squares, out=out)


@pytest.mark.parametrize(
    ("squares", "options", "message"),
    [
        (one.astype(float), {}, "squares: expected integers, found torch.float64"),
        (one > 0, {}, "squares: expected integers, found torch.bool"),
        (one, {"size": 2.0}, "size: expected an integer, found 2.0"),
        (one, {"dtype": torch.float64}, "dtype: expected torch.float32 or torch.uint8, found torch.float64"),
        (one, {"out": [0.0]}, "out: expected an array to write into, found list"),
    ],
)
def test_refuses_other_types_by_name(squares: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        ops.draw_squares(squares, **options)
