"""Ranks, distances and codes that the tests of packed affinities share."""

import torch
from helpers import gaussian, rank_matrix

from diptych import ops
from diptych.ops.packed_affinity import STEPS

SIZES = (1, 2, 3, 7, 8, 9, 31, 33, 63, 64, 65, 127, 130, 1023)
EPS = torch.finfo(torch.float32).eps


def pair(n: int, kind: str = "ranks") -> tuple[torch.Tensor, torch.Tensor]:
    """Two representations' ranks or distances, (n, n)."""
    if kind == "ranks":
        return rank_matrix(n, 1), rank_matrix(n, 2)
    x, y = gaussian(n, 4, 1, torch.float64), gaussian(n, 4, 2, torch.float64)
    dtype = getattr(torch, kind)
    return (x[:, None] - x).norm(dim=2).to(dtype), (y[:, None] - y).norm(dim=2).to(dtype)


def unit_gamma(a: torch.Tensor, b: torch.Tensor) -> float:
    """The factor that brings a - b to [-1, 1]."""
    return 1 / max(1.0, float((a.double() - b.double()).abs().max()))


def packed(a: torch.Tensor, b: torch.Tensor, *arguments: float, **options) -> ops.PackedAffinity:
    result = ops.PackedAffinity(len(a), *arguments, **options)
    result.codes.fill_(-128)  # which is no code
    result.write(0, a, b)
    return result.fold()


def dense(direction: ops.PackedDirection) -> torch.Tensor:
    return direction.rows(0, len(direction))


def random_codes(n: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-STEPS, STEPS + 1, (n, n), generator=generator, dtype=torch.int8)


def folded(n: int, beta: float = 5.0, seed: int = 0) -> ops.PackedAffinity:
    """Affinities of random differences."""
    result = ops.PackedAffinity(n, beta=beta, out=random_codes(n, seed))
    return result.fold()
