"""Affinities of both directions of which each process of a team holds the rows of its share of the items."""

import torch

from diptych import ops
from diptych._progress import Stages
from diptych.rdx.affinities import Affinities, Pair
from diptych.rdx.results import Parameters
from diptych.rdx.streamed import Means, NearRows, affinities_of, begun, mutual_of, written
from diptych.rdx.team import Order, Shard, Team, TeamDirection, serve, spans


def team_affinities(
    pair: Pair, raw: Pair, p: Parameters, stages: Stages, means: Means, team: Team
) -> Affinities:
    """As :func:`diptych.rdx.streamed.streamed_affinities`, for the leader of a team."""
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
) -> tuple[Shard, list[int], float, float]:
    """This process's rows, how many each process has, and the sums over all rows."""
    shares = spans(len(pair[0]), means.block_rows, team.size)
    affinity = begun(pair, p, means, shares[team.rank])
    sums = written(affinity, near, p, means, stages, shares[team.rank])
    size, common = team.total(torch.tensor(sums, dtype=torch.float64, device=team.device)).tolist()
    counts = [stop - start for start, stop in shares]
    if isinstance(affinity, ops.PackedAffinity):
        return ops.PackedShard(affinity, team.mirrored(affinity.codes, counts)), counts, size, common
    return ops.SampledShard(affinity, team.returned(affinity.pairs, counts)), counts, size, common
