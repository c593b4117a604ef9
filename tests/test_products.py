"""What distances are made from: centred items, their norms, and which of them are equal."""

import numpy as np
import pytest
import torch
from helpers import gaussian, with_duplicates

from diptych.ops import _products


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "d"), [(1, 1), (2, 3), (7, 16), (33, 17), (1023, 33)])
def test_centre_is_one_point_near_the_mean(n: int, d: int, dtype: torch.dtype) -> None:
    x = gaussian(n, d, n + d, dtype) * torch.logspace(-3, 3, d, dtype=dtype) + 100
    found = _products.centered(x)
    shifts = x.double() - found.double()
    # One subtraction, rounded to an ulp of its operands.
    slack = x.abs().amax(0).double() * torch.finfo(dtype).eps
    assert ((shifts - shifts[0]).abs() <= slack).all()
    # The centre is rounded to a power of two of at most the spread: off the mean by half of that.
    spread = x.double().std(0, correction=0)
    assert (found.double().mean(0).abs() <= spread / 2 + slack).all()


def test_a_cpu_and_a_torch_centre_agree() -> None:
    x = gaussian(501, 20, 3, torch.float64) * 7 + 1000
    x[:, 0] = 4.25
    x[:, 1] = x[:, 1].round()
    here = _products.centered(x)
    there = _products.centered(_Elsewhere(x))
    assert torch.equal(here, there)


def _Elsewhere(x: torch.Tensor) -> torch.Tensor:  # noqa: N802
    class Elsewhere(torch.Tensor):
        @property
        def device(self) -> torch.device:
            return torch.device("meta")

    return x.as_subclass(Elsewhere)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "d"), [(2, 1), (9, 3), (500, 5), (2000, 40)])
def test_duplicates_are_numbered_by_the_first_of_each(n: int, d: int, dtype: torch.dtype) -> None:
    x = with_duplicates(gaussian(n, d, n, dtype))
    x[-1] = x[0]
    groups = _products.duplicates(x)
    assert groups is not None
    _, first, inverse, count = np.unique(
        x.numpy(), axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    expected = np.where(count > 1, first, -1)[inverse]
    np.testing.assert_array_equal(groups, expected)


def test_no_duplicates() -> None:
    assert _products.duplicates(gaussian(300, 4, 0)) is None


def test_strided_rows_are_read_as_they_are() -> None:
    x = gaussian(12, 40, 5).T[:, ::2]
    torch.testing.assert_close(_products.centered(x), _products.centered(x.contiguous()), rtol=0, atol=0)
    assert _products.duplicates(x) is None


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1.0, 1e30, 1e300])
@pytest.mark.parametrize("d", [1, 2, 7, 33, 257])
def test_unit_rows(d: int, scale: float) -> None:
    x = (gaussian(20, d, d, torch.float64) + 3) * scale
    exact = torch.nn.functional.normalize(x / scale)
    # d squares summed in double on either side, a root, a quotient, and scale's own rounding.
    slack = 2 * (d + 6) * torch.finfo(torch.float64).eps
    assert ((_products.unit_rows(x) - exact).abs() <= slack).all()
    assert torch.equal(_products.unit_rows(x.T.contiguous().T), _products.unit_rows(x))
    if 1e-30 <= scale <= 1e30:
        single = _products.unit_rows(x.float())
        assert single.dtype == torch.float32
        # Entries and quotient are rounded once each.
        assert ((single - exact).abs() <= 1.5 * torch.finfo(torch.float32).eps).all()
        wide = _products.unit_rows(x.float(), torch.float64)
        assert torch.equal(wide.float(), single)


def test_direct_distances_in_every_unit() -> None:
    x, y = gaussian(40, 6, 1), gaussian(33, 6, 2)
    squares = ((x.double()[:, None] - y.double()) ** 2).sum(2)
    for found, wanted in (
        (_products.direct_distances(x, y), squares.sqrt()),
        (_products.direct_distances(x, y, root=False), squares),
        (_products.direct_distances(x, y, root=False, factor=0.5), squares / 2),
    ):
        # Summed in double, rounded once.
        torch.testing.assert_close(found.double(), wanted, rtol=6e-8, atol=0)
