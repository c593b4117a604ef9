"""Difference affinities of both directions, against numpy and torch without a single allocation.

Counted per entry: 8 bytes read and 8 written in float32 and int32 (16 and 16 in float64), two divisions and
two exponentials, one of them for both directions. The limit is the rate at which this machine copies.

The baselines write into buffers that are there already and take ranks as floats. "numpy" computes one
direction after the other, as the formula reads; "numpy, shared" and "torch, shared" take the difference once
and the second direction's affinity as the reciprocal of the first's.

Run: OMP_NUM_THREADS=2 pytest benchmarks/bench_difference_affinity.py
"""

import numpy as np
import pytest
import torch

from conftest import race
from diptych import ops
from diptych.ops.locally_biased_difference import reference as locally_biased
from matrix_rows import add_rows, rank_pair

GAMMA, BETA = 0.1, 5.0


class Numpy:
    """The formula in numpy, in place, one direction after the other or with the difference shared."""

    def __init__(self, a, b, shared=False):
        self.a, self.b, self.shared = a, b, shared
        self.gap, self.nearest, self.ab, self.ba = (np.zeros_like(a) for _ in range(4))

    def one_way(self, a, b):
        gap, nearest = self.gap, self.nearest
        np.subtract(a, b, out=gap)
        np.minimum(a, b, out=nearest)
        np.fill_diagonal(nearest, 1)
        np.divide(gap, nearest, out=gap)
        np.multiply(gap, gap.dtype.type(GAMMA), out=gap)
        np.tanh(gap, out=gap)
        np.multiply(gap, gap.dtype.type(-BETA), out=gap)
        np.exp(gap, out=gap)

    def symmetrise(self, affinity, out):
        np.add(affinity, affinity.T, out=out)
        np.multiply(out, out.dtype.type(0.5), out=out)

    def __call__(self):
        self.one_way(self.a, self.b)
        self.symmetrise(self.gap, self.ab)
        if self.shared:
            np.reciprocal(self.gap, out=self.gap)
        else:
            self.one_way(self.b, self.a)
        self.symmetrise(self.gap, self.ba)


class Torch:
    """The formula in torch, on all threads, with the difference shared."""

    def __init__(self, a, b):
        self.a, self.b = a, b
        self.gap, self.nearest, self.ab, self.ba = (torch.zeros_like(a) for _ in range(4))

    def __call__(self):
        gap, nearest = self.gap, self.nearest
        torch.sub(self.a, self.b, out=gap)
        torch.minimum(self.a, self.b, out=nearest)
        nearest.fill_diagonal_(1)
        gap.div_(nearest).mul_(GAMMA).tanh_().mul_(-BETA).exp_()
        torch.reciprocal(gap, out=nearest)
        for one_way, out in ((gap, self.ab), (nearest, self.ba)):
            torch.add(one_way, one_way.T, out=out).mul_(0.5)


@pytest.mark.parametrize(
    ("n", "dtype", "check", "rounds"),
    [
        (5000, torch.int32, False, 15),
        (5000, torch.int32, True, 7),
        (5000, torch.float32, False, 7),
        (5000, torch.float64, False, 5),
        (8000, torch.int32, False, 5),
        (500, torch.int32, False, 50),
        (16, torch.int32, False, 200),
    ],
)
def test_difference_affinity(benchmark, recorder, limits, n, dtype, check, rounds):
    a, b = (ranks.to(dtype) for ranks in rank_pair(n))
    kind = torch.float64 if dtype == torch.float64 else torch.float32
    ranks = a.numpy().copy(), b.numpy().copy()  # in numpy's own memory, as the baselines' buffers are
    out = tuple(np.ones((n, n), str(kind).removeprefix("torch.")) for _ in range(2))
    floats = a.to(kind), b.to(kind)
    arrays = [x.numpy().copy() for x in floats]
    rivals = {"numpy": Numpy(*arrays), "numpy, shared": Numpy(*arrays, True), "torch, shared": Torch(*floats)}

    def ours():
        return ops.difference_affinity(*ranks, GAMMA, BETA, out=out, check=check)

    ours()
    errors = {"ours": worst_error(out, a, b)}
    for name, rival in rivals.items():
        rival()
        errors[name] = worst_error((rival.ab, rival.ba), a, b)
    assert max(errors.values()) < (8 * BETA + 4) * torch.finfo(kind).eps, errors  # as in the op's tests
    times, theirs = race(benchmark, ours, rivals, rounds)
    moved = 4 * n * n * kind.itemsize
    ratios = add_rows(
        recorder,
        times,
        theirs,
        op="difference_affinity, inputs checked" if check else "difference_affinity",
        shape=f"n={n}",
        dtype=str(dtype).removeprefix("torch."),
        bytes_moved=moved,
        limit_s=moved / limits["copy"],
        error=errors["ours"],
    )
    if (n, dtype, check) == (5000, torch.int32, False):
        share = moved / np.percentile(times, 20) / limits["copy"]
        assert share >= 0.35, share
        assert ratios["numpy"] >= 12, ratios


def worst_error(found, a, b):
    """The largest relative error of a hundred rows of both affinities against the definition in float64."""
    rows = slice(None, None, max(1, len(a) // 100))
    worst = 0.0
    for got, (first, second) in zip(found, ((a, b), (b, a)), strict=True):
        upper, lower = (one_way(x.double(), y.double()) for x, y in pieces(first, second, rows))
        worst = max(worst, float((torch.as_tensor(got)[rows].double() * 2 / (upper + lower) - 1).abs().max()))
    return worst


def pieces(a, b, rows):
    """The rows of both matrices, and their columns of the same numbers as rows."""
    return (a[rows], b[rows]), (a[:, rows].T, b[:, rows].T)


def one_way(a, b):
    return torch.exp(-BETA * locally_biased(a, b, GAMMA))


def test_threads_are_two():
    assert torch.get_num_threads() == 2, "the figures are for two threads: set OMP_NUM_THREADS=2"
