"""From two representations to the affinities of both directions: two matrices, or packed while streaming."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from diptych import ops
from diptych._progress import Stages
from diptych.ops import _products
from diptych.ops.mutual_knn import common_neighbors
from diptych.rdx.distances import DistanceRows, distance_matrix
from diptych.rdx.results import Parameters

MUTUAL_NEIGHBORS = 10

#: Two representations of the same items, (n, d_a) and (n, d_b).
Pair = tuple[torch.Tensor, torch.Tensor]

#: Affinities whose entries can be looked up.
LookedUp = torch.Tensor | ops.PackedDirection | ops.SampledDirection

#: From items (k,) to the affinities (k, k) among them.
Exact = Callable[[torch.Tensor], torch.Tensor]

# Bytes of each representation's block of rows in work.
BLOCK_BYTES = 1 << 27


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


def packed_affinities(pair: Pair, raw: Pair, p: Parameters, stages: Stages) -> Affinities:
    """Make, rank and difference a block of rows at a time, and keep a byte a pair for both directions."""
    stages.enter("distances")
    n, device = len(pair[0]), pair[0].device
    near = NearRows(pair, p)
    packed = ops.PackedAffinity(
        n, gamma(p, n), p.beta, difference=p.difference, offset=offset(p), device=device
    )
    size = torch.zeros((), dtype=torch.float64, device=device)
    common: int | torch.Tensor = 0
    counts = from_ranks(p) and n > MUTUAL_NEIGHBORS + 1
    for start, stop in _products.row_blocks(n, n, 4, BLOCK_BYTES):
        near_a, near_b = near(slice(start, stop))
        size += packed.write(start, near_a, near_b, check=False).sum()
        if counts:
            common = common + common_neighbors(near_a, near_b, MUTUAL_NEIGHBORS)
        stages.advance((stop - start) / n)
    mutual = float(common) / (n * MUTUAL_NEIGHBORS) if counts else mutual_knn(raw)
    stages.enter("affinity")
    packed.fold()

    def exact(side: int, items: torch.Tensor) -> torch.Tensor:
        return difference_affinity(*near.among(items), packed.gamma, p)[side]

    mean = p.beta * float(size) / n
    sides = packed.directions
    return Affinities(
        sides, (lambda items: exact(0, items), lambda items: exact(1, items)), mutual, mean, mean == 0
    )


class NearRows:
    """Rows of both representations' distances, ready to be differenced."""

    def __init__(self, pair: Pair, p: Parameters) -> None:
        self._sides = [DistanceRows(x, p.distance, published=published(p)) for x in pair]
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


def _largest(rows: DistanceRows) -> torch.Tensor:
    blocks = _products.row_blocks(rows.n, rows.n, 4)
    return torch.stack([rows(slice(*block)).max() for block in blocks]).max()


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
