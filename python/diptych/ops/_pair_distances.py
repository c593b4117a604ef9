"""Squared distances between items by tiles of the upper triangle, and their exact median."""

from collections.abc import Iterator

import torch

from diptych.ops._hsic import row_tile
from diptych.ops._precision import full_precision

#: Pairs that are sorted as one array; more are counted tile by tile.
_MAX_SORTED = 1 << 20


def tile_bounds(n: int, device: torch.device) -> list[tuple[int, int]]:
    """The rows of each tile."""
    step = row_tile(device) // 2
    return [(start, min(start + step, n)) for start in range(0, n, step)]


def squared_norms(x: torch.Tensor) -> torch.Tensor:
    """Squared norms (n,) of the items."""
    return x.square().sum(1)


def squared_distances(x: torch.Tensor, norms: torch.Tensor, start: int, stop: int) -> torch.Tensor:
    """Squared distances (stop - start, n - start) of centred items; exactly zero on the diagonal.

    The square at the diagonal comes first. Float32 products are never rounded: distances are differences,
    which would magnify it.
    """
    norms = norms[start:]
    with full_precision(x.device):
        values = torch.mm(x[start:stop], x[start:].T)
    values.mul_(-2).add_(norms[: stop - start, None]).add_(norms).clamp_(min=0)
    values.diagonal().zero_()
    return values


def median_squared_distance(x: torch.Tensor) -> torch.Tensor:
    """The lower median of the squared distances between distinct items: the ceil(N/2)-th smallest of N pairs.

    Exact, without keeping the distances: their bits are counted 16 at a time, most significant first, so that
    each pass over the products narrows the median down to one of 65,536 parts of what was left. Never waits
    for a GPU.
    """
    n = len(x)
    pairs = n * (n - 1) // 2
    if pairs <= _MAX_SORTED:
        return torch.cat(list(_upper(x))).kthvalue((pairs + 1) // 2).values
    kind = torch.int32 if x.dtype == torch.float32 else torch.int64
    # Numbers of one sign sort as their bits do.
    prefix = torch.zeros((), dtype=kind, device=x.device)
    left = torch.full((), (pairs + 1) // 2, device=x.device)
    for shift in range(8 * x.element_size() - 16, -1, -16):
        counts = torch.zeros((1 << 16) + 1, dtype=torch.int64, device=x.device)
        for values in _upper(x):
            bits = values.view(kind) >> shift
            step = bits - (prefix << 16)
            # What does not share the digits found so far goes into a place of its own behind the others.
            inside = (step >= 0) & (step < 1 << 16)
            places = torch.where(inside, step, 1 << 16).long()
            counts.scatter_add_(0, places, torch.ones_like(places))
        below = counts[:-1].cumsum(0)
        digit = (below < left).sum()
        left = left - torch.where(digit > 0, below[digit.clamp(min=1) - 1], 0)
        prefix = (prefix << 16) + digit.to(kind)
    return prefix.view(x.dtype)


def _upper(x: torch.Tensor) -> Iterator[torch.Tensor]:
    """The squared distances of each tile's pairs, each pair once."""
    norms = squared_norms(x)
    for start, stop in tile_bounds(len(x), x.device):
        values = squared_distances(x, norms, start, stop)
        rows = stop - start
        above = torch.triu_indices(rows, rows, 1, device=x.device)
        yield values[above[0], above[1]]
        yield values[:, rows:].flatten()
