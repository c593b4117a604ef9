"""Affinities of both directions out of rows of distances that are made, packed and forgotten."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from diptych import ops
from diptych._memory import is_shortage
from diptych._progress import Stages
from diptych.ops import _products
from diptych.ops._meter import OFF, Meter
from diptych.ops.mutual_knn import common_neighbors
from diptych.rdx.affinities import (
    MUTUAL_NEIGHBORS,
    Affinities,
    Pair,
    difference_affinity,
    from_ranks,
    gamma,
    mutual_knn,
    needs_scale,
    offset,
    published,
)
from diptych.rdx.checkpoint import Checkpoint
from diptych.rdx.distances import DistanceRows
from diptych.rdx.results import Parameters


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


def packed_affinities(pair: Pair, raw: Pair, p: Parameters, stages: Stages, means: Means) -> Affinities:
    """Make, rank and difference a block of rows at a time, and keep a byte a pair for both directions."""
    stages.enter("distances")
    n = len(pair[0])
    near = _NearRows(pair, p, means.meter)
    packed = ops.PackedAffinity(
        n,
        gamma(p, n),
        p.beta,
        difference=p.difference,
        offset=offset(p),
        out=None if means.mapped is None else np.memmap(means.mapped, np.int8, "w+", shape=(n, n)),
        device=pair[0].device,
        meter=means.meter,
    )
    counts = from_ranks(p) and n > MUTUAL_NEIGHBORS + 1
    size = common = 0.0
    for start in range(0, n, means.block_rows):
        stop = min(start + means.block_rows, n)
        block_size, block_common = _block(packed, near, start, stop, counts, means.checkpoint)
        size, common = size + block_size, common + block_common
        stages.advance((stop - start) / n)
    mutual = common / (n * MUTUAL_NEIGHBORS) if counts else mutual_knn(raw)
    stages.enter("affinity")
    packed.fold()

    def exact(side: int, items: torch.Tensor) -> torch.Tensor:
        return difference_affinity(*near.among(items), packed.gamma, p)[side]

    mean = p.beta * size / n
    return Affinities(packed.directions, (partial(exact, 0), partial(exact, 1)), mutual, mean, mean == 0)


class _NearRows:
    """Rows of both representations' distances, ready to be differenced."""

    def __init__(self, pair: Pair, p: Parameters, meter: Meter) -> None:
        self._sides = [DistanceRows(x, p.distance, published=published(p), meter=meter) for x in pair]
        self._scales = [_largest(side) if needs_scale(p) else None for side in self._sides]

    def __call__(self, items: torch.Tensor | slice) -> Pair:
        return self._scaled(side(items) for side in self._sides)

    def among(self, items: torch.Tensor) -> Pair:
        return self._scaled(side.among(items) for side in self._sides)

    def _scaled(self, near: Iterable[torch.Tensor]) -> Pair:
        a, b = (x if scale is None else x.div_(scale) for x, scale in zip(near, self._scales, strict=True))
        return a, b


def _block(
    packed: ops.PackedAffinity,
    near: _NearRows,
    start: int,
    stop: int,
    counts: bool,
    checkpoint: Checkpoint | None,
) -> tuple[float, float]:
    """Pack the rows start .. stop, or read them from the checkpoint.

    Returns the sum over rows of the mean |G|, and the number of common neighbors where that is asked for.
    """
    part = f"rows-{start:010d}"
    stored = checkpoint.load(part) if checkpoint is not None else None
    codes = packed.codes[start:stop]
    if stored is not None:
        codes.copy_(torch.from_numpy(stored["codes"]))
        return float(stored["sums"][0]), float(stored["sums"][1])
    sums = _made(packed, near, start, stop, counts, stop - start)
    if checkpoint is not None:
        checkpoint.save(part, codes=codes.cpu().numpy(), sums=np.array(sums))
    return sums


def _made(
    packed: ops.PackedAffinity, near: _NearRows, start: int, stop: int, counts: bool, rows: int
) -> tuple[float, float]:
    """Make the rows start .. stop, ``rows`` at a time; once more with fewer where memory runs out."""
    size = common = 0.0
    try:
        for first in range(start, stop, rows):
            near_a, near_b = near(slice(first, min(first + rows, stop)))
            size += float(packed.write(first, near_a, near_b, check=False).sum())
            if counts:
                common += float(common_neighbors(near_a, near_b, MUTUAL_NEIGHBORS))
    except (MemoryError, RuntimeError) as error:
        if not is_shortage(error):
            raise
        if rows < stop - start:
            raise MemoryError(
                f"memory ran out twice while {rows} rows of {packed.n:,} distances were made; free some, or "
                "give a workspace, where the affinities are kept on disk"
            ) from error
        return _made(packed, near, start, stop, counts, max(1, rows // 4))
    return size, common


def _largest(rows: DistanceRows) -> torch.Tensor:
    blocks = _products.row_blocks(rows.n, rows.n, 4)
    return torch.stack([rows(slice(*block)).max() for block in blocks]).max()
