"""The checks at the door: in C++ where a kernel can read the array, in torch elsewhere, with one answer."""

import math

import pytest
import torch
from helpers import SIZES, gaussian

from diptych.ops import _checks


def layouts(x: torch.Tensor) -> list[torch.Tensor]:
    """The same numbers for the kernel, by columns and with gaps."""
    return [x.contiguous(), x.T.contiguous().T, x.repeat_interleave(2, 1)[:, ::2]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", SIZES)
def test_peak(n: int, dtype: torch.dtype) -> None:
    x = gaussian(n, 5, n, dtype)
    for variant in layouts(x):
        assert _checks.peak(variant) == float(x.abs().max())
    for bad in (math.nan, math.inf, -math.inf):
        x[n // 2, 1] = bad
        assert not any(math.isfinite(_checks.peak(variant)) for variant in layouts(x))


def test_peak_of_a_tensor_with_a_gradient() -> None:
    assert _checks.peak(torch.tensor([[-3.0, 2.0]], requires_grad=True)) == 3


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_first_row_that_is_not_finite_is_named(bad: float) -> None:
    x = gaussian(40, 3, 1)
    x[7, 2] = x[9, 0] = bad
    for variant in layouts(x):
        with pytest.raises(ValueError, match="x: expected finite numbers, found NaN or Inf in row 7"):
            _checks.finite("x", variant)
    _checks.finite("x", x[:7])
    _checks.finite("x", torch.empty(0, 3))
    _checks.finite("x", torch.full((2, 2), 3e38))  # whose sum would be infinite


def test_the_first_zero_row_is_named() -> None:
    x = gaussian(40, 3, 2)
    x[5], x[8] = 0.0, -0.0
    for variant in layouts(x):
        with pytest.raises(ValueError, match="x: row 5 is all zero, its cosine distance is not defined"):
            _checks.rows_with_a_direction("x", variant)
    for variant in layouts(x[:5]):
        _checks.rows_with_a_direction("x", variant)
    x[2, 1] = math.nan
    with pytest.raises(ValueError, match="found NaN or Inf in row 2"):
        _checks.rows_with_a_direction("x", x)
