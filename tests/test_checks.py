"""The checks all ops share."""

import pytest
import torch

from diptych.ops import _checks


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("shape", [(1000, 7), (7000,), (1000, 7, 1)])
def test_the_first_row_that_is_not_finite_is_told(
    value: float, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_checks, "_BLOCK_ENTRIES", 100)
    for row in (0, 13, 14, 999):
        x = torch.zeros(shape)
        x[row] = value
        x[row + 1 :] = value
        with pytest.raises(ValueError, match=rf"^x: expected finite numbers, found NaN or Inf in row {row}$"):
            _checks.finite("x", x)


def test_a_sum_that_overflows_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_checks, "_BLOCK_ENTRIES", 100)
    x = torch.full((1000, 7), torch.finfo(torch.float32).max)
    assert torch.isinf(x.sum())
    _checks.finite("x", x)
