"""Coordinate descent over non-negative factors, the half-step of non-negative factorisations."""

import torch

from diptych import _cpu
from diptych.ops._arrays import numpy_view


def nonnegative_descent(
    factor: torch.Tensor, products: torch.Tensor, gram: torch.Tensor, sweeps: int
) -> torch.Tensor:
    """Lower 1/2 <H, G H> − <P, H> over H >= 0 by sweeps over the rows of each H (k, m).

    Row j has the closed form max(0, H_j + (P_j − G_j H) / G_jj) (Cichocki & Phan 2009); where G_jj is 0 it
    stays.

    Args:
        factor: (b, k, m) H >= 0, k <= 256.
        products: (b, k, m) P.
        gram: (b, k, k) G.
        sweeps: How often every row is improved.

    Returns:
        (b, k, m), new. On the CPU the same bits for any number of threads.

    Complexity:
        O(b m k² sweeps) time.
    """
    if factor.device.type != "cpu":
        return reference(factor, products, gram, sweeps)
    found = factor.clone(memory_format=torch.contiguous_format)
    matrices = numpy_view(gram.contiguous()), numpy_view(products.contiguous())
    _cpu.nonnegative_descent(*matrices, numpy_view(found), sweeps, torch.get_num_threads())
    return found


def reference(factor: torch.Tensor, products: torch.Tensor, gram: torch.Tensor, sweeps: int) -> torch.Tensor:
    """The definition, row by row."""
    found = factor.clone(memory_format=torch.contiguous_format)
    diagonal = gram.diagonal(dim1=1, dim2=2)
    inverse = torch.where(diagonal > 0, 1 / diagonal, 0)
    for _ in range(sweeps):
        for j in range(found.shape[1]):
            rest = torch.baddbmm(products[:, j : j + 1], gram[:, j : j + 1], found, alpha=-1)
            found[:, j : j + 1].addcmul_(rest, inverse[:, j, None, None]).clamp_(min=0)
    return found
