"""The thin product behind spectral embeddings: right for every width, shape and instruction set."""

import pytest
import torch
from helpers import gaussian

from diptych.ops._thin_product import thin_product


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 31, 33, 1023])
@pytest.mark.parametrize("k", [1, 5, 16, 17, 40, 65])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_the_product(n: int, k: int, dtype: torch.dtype) -> None:
    matrix, x = gaussian(n, n).to(dtype), gaussian(n, k, 1).to(dtype)
    found = thin_product(matrix, x)
    exact = matrix.double() @ x.double()
    # A sum of n products, each rounded twice: n eps times the sum of their sizes bounds any order.
    bound = (n + 1) * torch.finfo(dtype).eps * (matrix.abs().double() @ x.abs().double())
    assert found.dtype == dtype
    assert found.shape == (n, k)
    assert bool(((found - exact).abs() <= bound).all())


def test_layouts_the_kernel_does_not_know_go_to_torch() -> None:
    matrix, x = gaussian(40, 40), gaussian(40, 3, 1)
    torch.testing.assert_close(thin_product(matrix.T, x), matrix.T @ x)
    torch.testing.assert_close(thin_product(matrix.half(), x.half()), matrix.half() @ x.half())


def test_threads_do_not_change_a_bit(keep_threads: None) -> None:
    matrix, x = gaussian(515, 515), gaussian(515, 6, 1)
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        results.append(thin_product(matrix, x))
    assert torch.equal(*results)
