"""Affinities of both directions, estimated from a few pairs of each item while rows stream by."""

from functools import partial

import torch

from diptych import ops
from diptych._progress import Stages
from diptych.ops import _products
from diptych.ops.mutual_knn import common_neighbors
from diptych.rdx.affinities import (
    BLOCK_BYTES,
    MUTUAL_NEIGHBORS,
    Affinities,
    NearRows,
    Pair,
    difference_affinity,
    from_ranks,
    gamma,
    mutual_knn,
    offset,
)
from diptych.rdx.results import Parameters

#: Pairs of each item that are kept where nothing else is asked for: benchmarks/results/sampled.csv.
NEIGHBORS, SAMPLES = 128, 1024


def sampled_affinities(pair: Pair, raw: Pair, p: Parameters, stages: Stages) -> Affinities:
    """Make and rank a block of rows at a time; keep the nearest pairs of each item and some of the others.

    8 n (2 ``p.neighbors`` + ``p.samples``) bytes and 256 MiB of row blocks.
    """
    assert p.neighbors is not None
    assert p.samples is not None
    stages.enter("distances")
    n, device = len(pair[0]), pair[0].device
    near = NearRows(pair, p)
    affinity = ops.SampledAffinity(
        n,
        p.neighbors,
        p.samples,
        gamma(p, n),
        p.beta,
        difference=p.difference,
        offset=offset(p),
        seed=p.seed,
        device=device,
    )
    size = torch.zeros((), dtype=torch.float64, device=device)
    common: int | torch.Tensor = 0
    counts = from_ranks(p) and n > MUTUAL_NEIGHBORS + 1
    for start, stop in _products.row_blocks(n, n, 4, BLOCK_BYTES):
        near_a, near_b = near(slice(start, stop))
        size += affinity.write(start, near_a, near_b, check=False).sum()
        if counts:
            common = common + common_neighbors(near_a, near_b, MUTUAL_NEIGHBORS)
        stages.advance((stop - start) / n)
    mutual = float(common) / (n * MUTUAL_NEIGHBORS) if counts else mutual_knn(raw)
    stages.enter("affinity")

    def exact(side: int, items: torch.Tensor) -> torch.Tensor:
        return difference_affinity(*near.among(items), affinity.gamma, p)[side]

    mean = p.beta * float(size) / n
    return Affinities(affinity.directions, (partial(exact, 0), partial(exact, 1)), mutual, mean, mean == 0)
