"""From two representations to the affinities of both directions: two matrices."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from diptych import ops
from diptych._progress import Stages
from diptych.rdx.distances import distance_matrix
from diptych.rdx.results import Parameters
from diptych.rdx.team import TeamDirection

MUTUAL_NEIGHBORS = 10

#: Two representations of the same items, (n, d_a) and (n, d_b).
Pair = tuple[torch.Tensor, torch.Tensor]

#: Affinities whose entries can be looked up.
LookedUp = torch.Tensor | ops.PackedDirection | ops.SampledDirection | TeamDirection

#: From items (k,) to the affinities (k, k) among them.
Exact = Callable[[torch.Tensor], torch.Tensor]


@dataclass
class Affinities:
    """Difference affinities of both directions, and what was learned on the way to them.

    Attributes:
        sides: (n, n) each, as a matrix or as an operator.
        exact: Where the sides are rounded, how to have the exact affinities among a few items; else None.
        mutual_knn: Mean share of neighbors common to the raw representations.
        size: Mean size of F - 1.
        flat: Whether all pairs have affinity 1 to within rounding: no difference anywhere.
    """

    sides: tuple[LookedUp, LookedUp]
    exact: tuple[Exact, Exact] | None
    mutual_knn: float
    size: float
    flat: bool


def dense_affinities(pair: Pair, raw: Pair, p: Parameters, stages: Stages) -> Affinities:
    """Hold two n × n float matrices; the affinities are written over the distances."""
    stages.enter("distances")
    near_a, near_b = (distance_matrix(x, p.distance, published=published(p)) for x in pair)
    n = len(near_a)
    if from_ranks(p) and n > MUTUAL_NEIGHBORS + 1:
        mutual = ops.mutual_knn(k=MUTUAL_NEIGHBORS, ranks=(near_a, near_b))
    else:
        mutual = mutual_knn(raw)
    stages.enter("affinity")
    if needs_scale(p):
        near_a, near_b = near_a.div_(near_a.max()), near_b.div_(near_b.max())
    sides = difference_affinity(near_a, near_b, gamma(p, n), p)
    return Affinities(sides, None, mutual, _mean_size(sides[0]), _is_flat(sides[0]))


def difference_affinity(near_a: torch.Tensor, near_b: torch.Tensor, gamma: float, p: Parameters) -> Pair:
    """Affinities of both directions, written over the distances."""
    return ops.difference_affinity(
        near_a,
        near_b,
        gamma,
        p.beta,
        difference=p.difference,
        offset=offset(p),
        overwrite=True,
        check=False,
    )


def published(p: Parameters) -> bool:
    """Whether the forms of the authors' public code are asked for."""
    return p.conventions == "published-code"


def offset(p: Parameters) -> float:
    """What is added to the minimum in the locally biased difference."""
    return 1.0 if published(p) else 0.0


def gamma(p: Parameters, n: int) -> float:
    """The factor of the difference; under subtraction the one that brings ranks to [0, 1]."""
    if p.difference != "subtraction":
        return p.gamma
    return 1 / (n - 1) if p.distance == "neighborhood" else 1.0


def needs_scale(p: Parameters) -> bool:
    """Whether distances, to be subtracted, must first be divided by their largest."""
    return p.difference == "subtraction" and p.distance != "neighborhood"


def from_ranks(p: Parameters) -> bool:
    """Whether the ranks in hand are those of the raw representations."""
    return p.distance == "neighborhood" and p.align is None


def mutual_knn(raw: Pair) -> float:
    """Mean share of common neighbors, from the embeddings."""
    if len(raw[0]) <= MUTUAL_NEIGHBORS + 1:
        return float("nan")  # every item is a neighbor of every other
    return ops.mutual_knn(*raw, MUTUAL_NEIGHBORS, check=False)


def _is_flat(affinity: torch.Tensor) -> bool:
    """Whether all affinities are 1 to within rounding; a few rows settle it in nearly every case."""
    for rows in (affinity[:8], affinity):
        low, high = rows.aminmax()
        if float(high) - 1 > 1e-6 or 1 - float(low) > 1e-6:
            return False
    return True


def _mean_size(affinity: torch.Tensor) -> float:
    """Mean size of F - 1, over at most 64 rows spread evenly."""
    rows = affinity[:: -(-len(affinity) // 64)]
    return float((rows - 1).abs().mean())
