"""Large matrix times thin matrix at the speed of the memory."""

import torch

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
    width = _cpu.BLOCK_WIDTH
    fits = matrix.is_contiguous() and matrix.dtype in (torch.float32, torch.float64)
    if matrix.device.type != "cpu" or not fits or x.shape[1] > 4 * width:
        return matrix @ x
    products = []
    for columns in x.split(width, dim=1):
        block = x.new_zeros(len(x), width)
        block[:, : columns.shape[1]] = columns
        product = x.new_empty(len(matrix), width)
        _cpu.block_product(
            numpy_view(matrix), numpy_view(block), numpy_view(product), torch.get_num_threads()
        )
        products.append(product[:, : columns.shape[1]])
    return torch.cat(products, 1)
