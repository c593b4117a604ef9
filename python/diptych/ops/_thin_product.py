"""Large matrix times thin matrix at the speed of the memory."""

from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import NDArray

from diptych import _cpu
from diptych.ops._arrays import numpy_view
from diptych.ops._operator import AffinityOperator


def thin_product(matrix: torch.Tensor | AffinityOperator, x: torch.Tensor) -> torch.Tensor:
    """Multiply matrix (rows, n), or an operator, by x (n, k) of the same dtype, k a few.

    On the CPU columns go sixteen at a time through a kernel that reads the matrix once for all of them;
    general GEMMs are made for other shapes and stay far below the memory's speed on this one.

    Returns:
        (rows, k), new.
    """
    if not isinstance(matrix, torch.Tensor):
        return matrix @ x
    fits = matrix.is_contiguous() and matrix.dtype in (torch.float32, torch.float64)
    if matrix.device.type != "cpu" or not fits or x.shape[1] > 4 * _cpu.BLOCK_WIDTH:
        return matrix @ x
    view, threads = numpy_view(matrix), torch.get_num_threads()
    return in_blocks(lambda block, out: _cpu.block_product(view, block, out, threads), x, len(matrix))


def in_blocks(
    multiply: Callable[[NDArray[Any], NDArray[Any]], None], x: torch.Tensor, rows: int
) -> torch.Tensor:
    """Multiply x (n, k) by a kernel that takes ``_cpu.BLOCK_WIDTH`` columns at a time, padded with zeros.

    Args:
        multiply: Writes the product of its first argument (n, BLOCK_WIDTH) into its second
            (rows, BLOCK_WIDTH).
        x: On the CPU, in the kernel's dtype.
        rows: Of the product.

    Returns:
        (rows, k), new.
    """
    width = _cpu.BLOCK_WIDTH
    products = []
    for columns in x.split(width, dim=1):
        block = x.new_zeros(len(x), width)
        block[:, : columns.shape[1]] = columns
        product = x.new_empty(rows, width)
        multiply(numpy_view(block), numpy_view(product))
        products.append(product[:, : columns.shape[1]])
    return torch.cat(products, 1)
