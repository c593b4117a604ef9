"""The locally biased difference, elementwise, against numpy and torch without a single allocation.

Counted per entry: 8 bytes read and 4 written in float32 and int32 (16 and 8 in float64), two divisions and
one exponential. The limit is the rate at which this machine copies.

Run: OMP_NUM_THREADS=2 pytest benchmarks/bench_locally_biased_difference.py
"""

import numpy as np
import pytest
import torch

from conftest import race
from diptych import ops
from diptych.ops.locally_biased_difference import reference
from matrix_rows import add_rows, rank_pair

GAMMA = 0.1


class Numpy:
    """The formula in numpy, in place; ranks as floats."""

    def __init__(self, a, b):
        self.a, self.b, self.out, self.nearest = a, b, np.zeros_like(a), np.zeros_like(a)

    def __call__(self):
        np.subtract(self.a, self.b, out=self.out)
        np.minimum(self.a, self.b, out=self.nearest)
        np.fill_diagonal(self.nearest, 1)
        np.divide(self.out, self.nearest, out=self.out)
        np.multiply(self.out, self.out.dtype.type(GAMMA), out=self.out)
        np.tanh(self.out, out=self.out)


class Torch:
    """The same in torch, on all threads."""

    def __init__(self, a, b):
        self.a, self.b, self.out, self.nearest = a, b, torch.zeros_like(a), torch.zeros_like(a)

    def __call__(self):
        torch.sub(self.a, self.b, out=self.out)
        torch.minimum(self.a, self.b, out=self.nearest)
        self.nearest.fill_diagonal_(1)
        self.out.div_(self.nearest).mul_(GAMMA).tanh_()


@pytest.mark.parametrize(
    ("n", "dtype", "check", "rounds"),
    [
        (5000, torch.int32, False, 11),
        (5000, torch.int32, True, 7),
        (5000, torch.float32, False, 7),
        (5000, torch.float64, False, 5),
        (500, torch.int32, False, 50),
        (16, torch.int32, False, 200),
    ],
)
def test_locally_biased_difference(benchmark, recorder, limits, n, dtype, check, rounds):
    a, b = (ranks.to(dtype) for ranks in rank_pair(n))
    kind = torch.float64 if dtype == torch.float64 else torch.float32
    out = torch.zeros(n, n, dtype=kind)
    numpy, in_torch = Numpy(a.to(kind).numpy(), b.to(kind).numpy()), Torch(a.to(kind), b.to(kind))

    def ours():
        return ops.locally_biased_difference(a, b, GAMMA, out=out, check=check)

    rows = slice(None, None, max(1, n // 100))
    exact = reference(a[rows].double(), b[rows].double(), GAMMA)
    for function in (ours, numpy, in_torch):
        function()
    # 8 ulps: that of tests/test_locally_biased_difference.py.
    bound = 8 * torch.finfo(kind).eps
    for found in (out, numpy.out, in_torch.out):
        torch.testing.assert_close(torch.as_tensor(found)[rows].double(), exact, rtol=bound, atol=0)
    error = float(torch.where(exact != 0, (out[rows].double() - exact) / exact, 0).abs().max())
    times, theirs = race(benchmark, ours, {"numpy": numpy, "torch": in_torch}, rounds)
    moved = 3 * n * n * kind.itemsize
    ratios = add_rows(
        recorder,
        times,
        theirs,
        op="locally_biased_difference, inputs checked" if check else "locally_biased_difference",
        shape=f"n={n}",
        dtype=str(dtype).removeprefix("torch."),
        bytes_moved=moved,
        limit_s=moved / limits["copy"],
        error=error,
    )
    if (n, dtype, check) == (5000, torch.int32, False):
        share = moved / np.percentile(times, 20) / limits["copy"]
        assert share >= 0.6, share
        assert ratios["numpy"] >= 4, ratios


def test_threads_are_two():
    assert torch.get_num_threads() == 2, "the figures are for two threads: set OMP_NUM_THREADS=2"
