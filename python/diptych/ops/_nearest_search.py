"""The search for nearest neighbors on the CPU: tiles of products rule items out, exact distances decide."""

import math
from typing import NamedTuple

import torch

from diptych import _cpu
from diptych.ops import _products
from diptych.ops._arrays import numpy_view

# Rows and columns of one tile of products: 4 MiB, which stay in the level-3 cache until they are scanned.
_TILE = 1024

# Coordinates summed by one matrix product; longer rows are summed in several, which bounds the rounding.
_DEPTH = 512

# Memory for the candidates where they are needed for a block of rows at a time.
_CANDIDATE_BYTES = 1 << 26


class _Bounds(NamedTuple):
    """What rules items out: float32 coordinates, and per item a lower norm and half a bound's width."""

    points: torch.Tensor
    low: torch.Tensor
    slack: torch.Tensor


def _bounds(x: torch.Tensor, y: torch.Tensor | None) -> tuple[_Bounds, _Bounds, float]:
    """Bounds of x and y (the same where there is no y), and the scale of their squared distances.

    With u the unit roundoff of float32, |c|² the squared norm of a centred row and s the terms of a sum,
    the product <a, b> is off by at most s u |a||b| <= s u (|a|² + |b|²) / 2; the norms, the rounding of the
    coordinates themselves and the few sums made of these add less than 16 u (|a|² + |b|²). Twice that bounds
    every distance from both sides. Where all are integers whose sums float32 holds, nothing is rounded.
    """
    searched = x if y is None else y
    centre = searched.mean(0)
    whole = _is_whole(x) and (y is None or _is_whole(y))
    if whole:
        centre = centre.round()
    points = [z - centre for z in ([x] if y is None else [x, y])]
    peak = max(max(-float(low), float(high)) for low, high in (z.aminmax() for z in points))
    exponent = -math.frexp(peak)[1] if math.isfinite(peak) else 0
    if not -20 < exponent < 20:
        points = [torch.ldexp(z, torch.tensor(exponent)) for z in points]
    else:
        exponent = 0
    points = [z.float() for z in points]
    norms = [z.square().sum(1, dtype=torch.float64) for z in points]
    d = x.shape[1]
    unit, least = torch.finfo(torch.float32).eps / 2, torch.finfo(torch.float32).tiny
    relative, absolute = 2 * (min(d, _DEPTH) + d // _DEPTH + 16) * unit, 4 * d * least
    if whole and exponent == 0 and 4 * max(float(n.max()) for n in norms) < 2**24:
        relative = absolute = 0.0
    sides = [
        _Bounds(z, (n * (1 - relative) - absolute).float(), (2 * (relative * n + absolute)).float())
        for z, n in zip(points, norms, strict=True)
    ]
    return sides[0], sides[-1], 2.0 ** (2 * exponent)


def _is_whole(x: torch.Tensor) -> bool:
    head = x[:64]
    return bool((head == head.round()).all()) and bool((x == x.round()).all())


class Search:
    """A search by tiles of products, each scanned in the cache before the next is made."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor | None, k: int, exclude_self: bool) -> None:
        searched = x if y is None else y
        self.n, self.m = len(x), len(searched)
        self.asked, self.searched, scale = _bounds(x, y)
        self.threads = torch.get_num_threads()
        capacity = min(2 * k + 32, max(self.m, k) + 1)
        self.symmetric = y is None and k <= self.n // 16
        self.rows = max(1, min(self.n, _TILE, _CANDIDATE_BYTES // (8 * capacity)))
        buffered = self.n if self.symmetric else self.rows
        self.tile = torch.empty(_TILE * _TILE)
        kind = _cpu.NearestSearch32 if x.dtype == torch.float32 else _cpu.NearestSearch64
        self.search = kind(
            numpy_view(x),
            numpy_view(self.asked.low),
            numpy_view(self.asked.slack),
            numpy_view(searched),
            numpy_view(self.searched.low),
            numpy_view(self.searched.slack),
            scale,
            k,
            exclude_self,
            numpy_view(torch.empty(buffered, capacity)),
            numpy_view(torch.empty(buffered, capacity, dtype=torch.int32)),
            numpy_view(torch.empty(buffered, dtype=torch.int32)),
            numpy_view(torch.empty(buffered)),
        )

    def run(self, kind: tuple[bool, float], distances: torch.Tensor, indices: torch.Tensor) -> None:
        """Write the neighbors; ``kind`` says whether to take roots, and what to multiply squares by."""
        if self.symmetric:
            self._run_symmetric(kind, distances, indices)
        else:
            self._run_by_rows(kind, distances, indices)

    def _run_symmetric(
        self, kind: tuple[bool, float], distances: torch.Tensor, indices: torch.Tensor
    ) -> None:
        """Each product serves both of its items: only tiles on and above the diagonal are made.

        In this order, row by row of tiles, every item meets the others by ascending index.
        """
        self.search.begin(0)
        for start in range(0, self.n, self.rows):
            stop = min(start + self.rows, self.n)
            self._scan(start, stop, start, stop, both=False)
            for column in range(stop, self.n, _TILE):
                self._scan(start, stop, column, min(column + _TILE, self.n), both=True)
            self._finish(start, stop, kind, distances, indices)

    def _run_by_rows(self, kind: tuple[bool, float], distances: torch.Tensor, indices: torch.Tensor) -> None:
        """A block of rows at a time, against all columns."""
        for start in range(0, self.n, self.rows):
            stop = min(start + self.rows, self.n)
            self.search.begin(start)
            for column in range(0, self.m, _TILE):
                self._scan(start, stop, column, min(column + _TILE, self.m), both=False)
            self._finish(start, stop, kind, distances, indices)

    def _scan(self, start: int, stop: int, column: int, end: int, *, both: bool) -> None:
        rows, columns = self.asked.points[start:stop], self.searched.points[column:end]
        tile = self.tile[: len(rows) * len(columns)].view(len(rows), len(columns))
        depth = rows.shape[1]
        _products.product(rows[:, :_DEPTH], columns[:, :_DEPTH].T, out=tile)
        for first in range(_DEPTH, depth, _DEPTH):
            part = slice(first, first + _DEPTH)
            tile += _products.product(rows[:, part], columns[:, part].T)
        self.search.scan(numpy_view(tile), start, column, both, self.threads)

    def _finish(
        self, start: int, stop: int, kind: tuple[bool, float], distances: torch.Tensor, indices: torch.Tensor
    ) -> None:
        views = numpy_view(distances[start:stop]), numpy_view(indices[start:stop])
        self.search.finish(start, *kind, *views, self.threads)
