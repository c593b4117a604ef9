"""Coordinate descent of non-negative factors: the kernel against the definition, threads and layouts."""

import pytest
import torch
from helpers import SIZES, gaussian

from diptych import _cpu
from diptych.ops._nonnegative_descent import nonnegative_descent, reference


def problem(b: int, k: int, m: int, dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    """A factor, products and the Gram matrices of k atoms of 300 entries."""
    atoms = gaussian(b * k, 300, 1, torch.float64).reshape(b, k, 300)
    gram = atoms @ atoms.mT / 300
    factor = gaussian(b * k, m, 2, torch.float64).abs().reshape(b, k, m)
    products = gaussian(b * k, m, 3, torch.float64).reshape(b, k, m)
    return factor.to(dtype), products.to(dtype), gram.to(dtype)


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
@pytest.mark.parametrize("m", SIZES)
def test_against_the_definition(m: int, dtype: torch.dtype, atol: float) -> None:
    for b, k in ((1, 1), (3, 2), (2, 10), (1, 65)):
        factor, products, gram = problem(b, k, m, dtype)
        before = factor.clone()
        found = nonnegative_descent(factor, products, gram, 2)
        wanted = reference(factor.double(), products.double(), gram.double(), 2)
        # Sums of k terms of order one, twice over k coordinates that feed on each other: some hundred eps.
        torch.testing.assert_close(found.double(), wanted, rtol=0, atol=atol)
        assert (found >= 0).all()
        torch.testing.assert_close(factor, before, rtol=0, atol=0)


def test_a_coordinate_without_a_diagonal_stays() -> None:
    factor, products, gram = problem(1, 3, 9, torch.float64)
    gram[:, 1] = gram[:, :, 1] = 0
    for run in (nonnegative_descent, reference):
        found = run(factor, products, gram, 3)
        torch.testing.assert_close(found[:, 1], factor[:, 1], rtol=0, atol=0)
        assert not torch.equal(found[:, 0], factor[:, 0])


def test_many_sweeps_end_at_the_minimum() -> None:
    factor, products, gram = problem(2, 4, 31, torch.float64)
    found = nonnegative_descent(factor, products, gram, 200)
    gradient = gram @ found - products
    # Rounding of sums of four terms of order one.
    assert gradient.min() > -1e-12
    assert (gradient * found).abs().max() < 1e-12


def test_threads_and_layouts_do_not_show(keep_threads: None) -> None:
    factor, products, gram = problem(2, 10, 3201, torch.float32)
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        results.append(nonnegative_descent(factor, products, gram, 2))
        columns = [each.mT.contiguous().mT for each in (factor, products, gram)]
        results.append(nonnegative_descent(*columns, 2))
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=0, atol=0)


def test_shapes_that_do_not_fit_are_refused() -> None:
    factor, products, gram = (each.numpy() for each in problem(1, 3, 9, torch.float32))
    for arguments, message in (
        ((gram[:, :2], products, factor), "gram: expected"),
        ((gram, products[:, :, :8], factor), "products: expected"),
        ((gram[0], products, factor), "expected stacks"),
    ):
        contiguous = [each.copy() for each in arguments]
        with pytest.raises(ValueError, match=message):
            _cpu.nonnegative_descent(*contiguous, 1, 1)
