"""Affinities of both directions out of rows of distances that are made, packed and forgotten."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diptych import ops
from diptych._checkpoint import Checkpoint
from diptych._memory import is_shortage
from diptych._progress import Stages
from diptych.ops import _products
from diptych.ops._meter import OFF, Meter
from diptych.ops.mutual_knn import common_neighbors
from diptych.rdx.affinities import (
    MUTUAL_NEIGHBORS,
    Affinities,
    LookedUp,
    Pair,
    difference_affinity,
    from_ranks,
    gamma,
    mutual_knn,
    needs_scale,
    offset,
    published,
)
from diptych.rdx.distances import DistanceRows
from diptych.rdx.results import Parameters

#: Affinities that are written rows at a time.
Streamed = ops.PackedAffinity | ops.SampledAffinity


@dataclass(frozen=True)
class Means:
    """What a comparison that is streamed has at its disposal.

    Attributes:
        block_rows: Rows of distances made at a time.
        checkpoint: Where finished rows are kept, if anywhere.
        mapped: A file to hold the affinities instead of memory, if memory is short.
        meter: Counts time and work.
    """

    block_rows: int
    checkpoint: Checkpoint | None = None
    mapped: Path | None = None
    meter: Meter = OFF


class NearRows:
    """Rows of both representations' distances, ready to be differenced."""

    def __init__(self, pair: Pair, p: Parameters, meter: Meter = OFF) -> None:
        self._sides = [DistanceRows(x, p.distance, published=published(p), meter=meter) for x in pair]
        self._scales = [_largest(side) if needs_scale(p) else None for side in self._sides]

    def __call__(self, items: torch.Tensor | slice) -> Pair:
        """The rows of some items, (rows, n) each."""
        return self._scaled(side(items) for side in self._sides)

    def among(self, items: torch.Tensor) -> Pair:
        """Distances (k, k) among a few items (k,)."""
        return self._scaled(side.among(items) for side in self._sides)

    def _scaled(self, near: Iterable[torch.Tensor]) -> Pair:
        a, b = (x if scale is None else x.div_(scale) for x, scale in zip(near, self._scales, strict=True))
        return a, b


def streamed_affinities(pair: Pair, raw: Pair, p: Parameters, stages: Stages, means: Means) -> Affinities:
    """Make, rank and difference a block of rows at a time; keep a byte a pair, or some pairs of each row.

    Either serves both directions. n² bytes, or 8 n (2 ``p.neighbors`` + ``p.samples``), and two row blocks.
    """
    stages.enter("distances")
    n = len(pair[0])
    near = NearRows(pair, p, means.meter)
    codes = None if means.mapped is None else np.memmap(means.mapped, np.int8, "w+", shape=(n, n))
    affinity = begun(pair, p, means, (0, n), codes)
    size, common = written(affinity, near, p, means, stages, (0, n))
    mutual = mutual_of(raw, p, common)
    stages.enter("affinity")
    whole = affinity.fold() if isinstance(affinity, ops.PackedAffinity) else affinity
    return affinities_of(whole.directions, near, p, mutual, size)


def begun(
    pair: Pair, p: Parameters, means: Means, rows: tuple[int, int], codes: np.memmap | None = None
) -> Streamed:
    """The affinities of the rows (first, stop), to be written."""
    n = len(pair[0])
    how: dict[str, Any] = {
        "difference": p.difference,
        "offset": offset(p),
        "device": pair[0].device,
        "rows": rows,
        "meter": means.meter,
    }
    if p.precision != "sampled":
        return ops.PackedAffinity(n, gamma(p, n), p.beta, out=codes, **how)
    assert p.neighbors is not None
    assert p.samples is not None
    return ops.SampledAffinity(n, p.neighbors, p.samples, gamma(p, n), p.beta, seed=p.seed, **how)


def written(
    affinity: Streamed, near: NearRows, p: Parameters, means: Means, stages: Stages, rows: tuple[int, int]
) -> tuple[float, float]:
    """Write the rows (first, stop), block by block; returns what :func:`made` does, summed."""
    size = common = 0.0
    first, end = rows
    for start in range(first, end, means.block_rows):
        stop = min(start + means.block_rows, end)
        counts = counted(p, affinity.n)
        if means.checkpoint is None:
            sums = made(affinity, near, start, stop, counts, stop - start)
        else:
            sums = _kept(affinity, near, start, stop, counts, means.checkpoint)
        size, common = size + sums[0], common + sums[1]
        stages.advance((stop - start) / (end - first))
    return size, common


def affinities_of(
    sides: tuple[LookedUp, LookedUp], near: NearRows, p: Parameters, mutual: float, size: float
) -> Affinities:
    """Sides that are rounded or sampled, and how to have a few of their entries exactly."""
    n = len(sides[0])

    def exact(side: int, items: torch.Tensor) -> torch.Tensor:
        return difference_affinity(*near.among(items), gamma(p, n), p)[side]

    mean = p.beta * size / n
    return Affinities(sides, (partial(exact, 0), partial(exact, 1)), mutual, mean, mean == 0)


def counted(p: Parameters, n: int) -> bool:
    """Whether common neighbors are counted in the ranks that are made anyway."""
    return from_ranks(p) and n > MUTUAL_NEIGHBORS + 1


def mutual_of(raw: Pair, p: Parameters, common: float) -> float:
    """Mean share of common neighbors, from those counted where that was done."""
    n = len(raw[0])
    return common / (n * MUTUAL_NEIGHBORS) if counted(p, n) else mutual_knn(raw)


def _kept(
    affinity: Streamed, near: NearRows, start: int, stop: int, counts: bool, checkpoint: Checkpoint
) -> tuple[float, float]:
    """Read the rows start .. stop from the checkpoint, or write them and keep them there; as :func:`made`."""
    part = f"rows-{start:010d}"
    stored = checkpoint.load(part)
    if stored is not None:
        size, common = stored.pop("sums").tolist()
        affinity.restore(start, {name: torch.from_numpy(array) for name, array in stored.items()})
        return size, common
    sums = made(affinity, near, start, stop, counts, stop - start)
    rows = {name: part.cpu().numpy() for name, part in affinity.parts(start, stop).items()}
    checkpoint.save(part, sums=np.array(sums), **rows)
    return sums


def made(
    affinity: Streamed,
    near: NearRows,
    start: int,
    stop: int,
    counts: bool,
    rows: int,
) -> tuple[float, float]:
    """Make the rows start .. stop, ``rows`` at a time; once more with fewer where memory runs out.

    Returns the sum over rows of the mean |G|, and the number of common neighbors where that is asked for.
    """
    size = common = 0.0
    try:
        for first in range(start, stop, rows):
            near_a, near_b = near(slice(first, min(first + rows, stop)))
            size += float(affinity.write(first, near_a, near_b, check=False).sum())
            if counts:
                common += float(common_neighbors(near_a, near_b, MUTUAL_NEIGHBORS))
    except (MemoryError, RuntimeError) as error:
        if not is_shortage(error):
            raise
        if rows < stop - start:
            raise MemoryError(
                f"memory ran out twice while {rows} rows of {affinity.n:,} distances were made; free some, "
                "or give a workspace, where the affinities are kept on disk"
            ) from error
        return made(affinity, near, start, stop, counts, max(1, rows // 4))
    return size, common


def _largest(rows: DistanceRows) -> torch.Tensor:
    blocks = _products.row_blocks(rows.n, rows.n, 4)
    return torch.stack([rows(slice(*block)).max() for block in blocks]).max()
