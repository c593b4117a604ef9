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
from diptych.ops.packed_shard import PackedShard
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
from diptych.rdx.checkpoint import Checkpoint
from diptych.rdx.distances import DistanceRows
from diptych.rdx.results import Parameters
from diptych.rdx.team import Order, Team, TeamDirection, serve, spans

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


def packed_affinities(pair: Pair, raw: Pair, p: Parameters, stages: Stages, means: Means) -> Affinities:
    """Make, rank and difference a block of rows at a time, and keep a byte a pair for both directions."""
    stages.enter("distances")
    n = len(pair[0])
    near = NearRows(pair, p, means.meter)
    codes = None if means.mapped is None else np.memmap(means.mapped, np.int8, "w+", shape=(n, n))
    packed = _packed(pair, p, means, (0, n), codes)
    size, common = written(packed, near, p, means, stages, (0, n))
    mutual = mutual_of(raw, p, common)
    stages.enter("affinity")
    return affinities_of(packed.fold().directions, near, p, mutual, size)


def team_affinities(
    pair: Pair, raw: Pair, p: Parameters, stages: Stages, means: Means, team: Team
) -> Affinities:
    """The same, of which each process of a team holds the rows of its share of the items; for the leader."""
    team.tell(Order.MAKE)
    stages.enter("distances")
    near = NearRows(pair, p, means.meter)
    shard, counts, size, common = _shard(pair, near, p, stages, means, team)
    stages.enter("affinity")
    sides = TeamDirection(team, shard, counts, 0), TeamDirection(team, shard, counts, 1)
    return affinities_of(sides, near, p, mutual_of(raw, p, common), size)


def assist(pair: Pair, p: Parameters, stages: Stages, means: Means, team: Team) -> None:
    """Do this process's share of what the leader of the team asks for, until it has its result.

    Raises:
        RuntimeError: The leader failed, or a process died.
    """
    order, _, _ = team.told()
    if order == Order.MAKE:
        shard, counts, _, _ = _shard(pair, NearRows(pair, p, means.meter), p, stages, means, team)
        order = serve(team, shard, counts)
    if order == Order.FAIL:
        raise RuntimeError(f"rank {team.rank}: rank 0 failed; its own message says why")


def _shard(
    pair: Pair, near: NearRows, p: Parameters, stages: Stages, means: Means, team: Team
) -> tuple[PackedShard, list[int], float, float]:
    """This process's rows, how many each process has, and the sums over all rows."""
    n = len(pair[0])
    shares = spans(n, means.block_rows, team.size)
    packed = _packed(pair, p, means, shares[team.rank], None)
    sums = written(packed, near, p, means, stages, shares[team.rank])
    size, common = team.total(torch.tensor(sums, dtype=torch.float64, device=team.device)).tolist()
    counts = [stop - start for start, stop in shares]
    return PackedShard(packed, team.mirrored(packed.codes, counts)), counts, size, common


def _packed(
    pair: Pair, p: Parameters, means: Means, rows: tuple[int, int], codes: np.memmap | None
) -> ops.PackedAffinity:
    n = len(pair[0])
    return ops.PackedAffinity(
        n,
        gamma(p, n),
        p.beta,
        difference=p.difference,
        offset=offset(p),
        out=codes,
        device=pair[0].device,
        meter=means.meter,
        rows=rows,
    )


def written(
    affinity: Streamed, near: NearRows, p: Parameters, means: Means, stages: Stages, rows: tuple[int, int]
) -> tuple[float, float]:
    """Write the rows (first, stop), block by block; returns what :func:`made` does, summed."""
    size = common = 0.0
    first, end = rows
    for start in range(first, end, means.block_rows):
        stop = min(start + means.block_rows, end)
        counts = counted(p, affinity.n)
        if means.checkpoint is None or not isinstance(affinity, ops.PackedAffinity):
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
    packed: ops.PackedAffinity,
    near: NearRows,
    start: int,
    stop: int,
    counts: bool,
    checkpoint: Checkpoint,
) -> tuple[float, float]:
    """Read the rows start .. stop from the checkpoint, or pack them and keep them there; as :func:`made`."""
    part = f"rows-{start:010d}"
    stored = checkpoint.load(part)
    codes = packed.codes_of(start, stop)
    if stored is not None:
        codes.copy_(torch.from_numpy(stored["codes"]))
        return float(stored["sums"][0]), float(stored["sums"][1])
    sums = made(packed, near, start, stop, counts, stop - start)
    checkpoint.save(part, codes=codes.cpu().numpy(), sums=np.array(sums))
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
