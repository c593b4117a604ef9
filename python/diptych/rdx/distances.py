"""The three distances between items that RDX can be run with and scored by."""

import math

import torch

from diptych import ops
from diptych.ops import _products
from diptych.ops._meter import OFF, Meter
from diptych.ops._rank_rows import RankRows

DISTANCES = ("neighborhood", "max", "local")

#: The neighbor whose distance sets the local scale (Zelnik-Manor & Perona 2004).
LOCAL_NEIGHBOR = 7

# Peaks between 1 / _SAFE_PEAK and _SAFE_PEAK leave room for the fourth powers that CKA takes in float32.
_SAFE_PEAK = 2.0**10


def safely_scaled(x: torch.Tensor) -> torch.Tensor:
    """Bring embeddings into the range where squares of float32 neither over- nor underflow.

    RDX does not depend on the scale of an embedding; division by a power of two keeps it exact. Returns
    ``x`` itself where its largest entry is harmless, else a new (n, d) of the same dtype.
    """
    low, high = x.aminmax()
    peak = max(-float(low), float(high))
    if peak == 0 or 1 / _SAFE_PEAK <= peak <= _SAFE_PEAK:
        return x
    # In two steps: a power of two that lifts the smallest numbers is itself too large for the dtype.
    exponent = math.frexp(peak)[1]
    half = exponent // 2
    return x * 2.0**-half * 2.0 ** (half - exponent)


def distance_matrix(x: torch.Tensor, distance: str, *, published: bool = False) -> torch.Tensor:
    """Distances of all items to all items.

    ``"neighborhood"``: neighbor ranks, int32. ``"max"``: Euclidean, divided by the largest of all.
    ``"local"``: row i divided by the distance of item i's 7th neighbor; with ``published`` the authors'
    form d²/(s_i s_j), symmetric, which is Zelnik-Manor & Perona's own.

    Args:
        x: (n, d) embeddings.
        distance: One of ``DISTANCES``.
        published: Use the local scaling of the authors' public code.

    Returns:
        (n, n): int32 for ranks, else float32.

    Complexity:
        O(n² d) time; the matrix itself is the only n × n array.
    """
    if distance == "neighborhood":
        return ops.neighbor_ranks(x, check=False)
    if x.dtype == torch.float64:
        x = _products.centered(x)  # before float32 loses what a large offset leaves
    distances = ops.pairwise_distances(x.float(), check=False)
    if distance == "max":
        return distances.div_(distances.max().clamp(min=torch.finfo(distances.dtype).tiny))
    scales = local_scales(distances)
    if published:
        return distances.square_().div_(scales[:, None]).div_(scales)
    return distances.div_(scales[:, None])


class DistanceRows:
    """Any rows of :func:`distance_matrix`, without the matrix.

    ``"max"`` and the published local scaling need a number from every row first: a pass of their own, of
    O(n² d) time, when the object is made.
    """

    def __init__(
        self, x: torch.Tensor, distance: str, *, published: bool = False, meter: Meter = OFF
    ) -> None:
        self.n, self._distance, self._published = len(x), distance, published
        if distance != "neighborhood":
            x = _products.centered(x).float()  # before float32 loses what a large offset leaves
        self._ranks = RankRows(x, meter)
        self._largest = torch.tensor(0.0)
        self._scales: torch.Tensor | None = None
        blocks = _products.row_blocks(self.n, self.n, 4)
        if distance == "max":
            largest = [self._euclidean(slice(*block)).max() for block in blocks]
            self._largest = torch.stack(largest).max().clamp(min=torch.finfo(torch.float32).tiny)
        elif distance == "local" and published:
            self._scales = torch.cat([local_scales(self._euclidean(slice(*block))) for block in blocks])

    def __call__(self, items: torch.Tensor | slice) -> torch.Tensor:
        """The rows of ``items`` (int64, or a slice of them all), (rows, n): int32 for ranks, else float32."""
        if self._distance == "neighborhood":
            return self._ranks(items)
        rows = self._euclidean(items)
        if self._distance == "max":
            return rows.div_(self._largest)
        if self._scales is None:
            return rows.div_(local_scales(rows)[:, None])
        return rows.square_().div_(self._scales[items, None]).div_(self._scales)

    def among(self, items: torch.Tensor) -> torch.Tensor:
        """Distances (k, k) among a few items (k,), in row blocks."""
        blocks = items.split(_products.row_blocks(self.n, self.n, 4)[0][1])
        return torch.cat([self(block)[:, items] for block in blocks])

    def _euclidean(self, items: torch.Tensor | slice) -> torch.Tensor:
        ranks = self._ranks
        own = torch.arange(self.n, device=ranks.x.device)[items]
        rows = _products.squared_distances(ranks.x, ranks.norms, ranks.groups, own).sqrt_()
        rows[torch.arange(len(own)), own] = 0
        return rows


def distances_among(
    items: torch.Tensor, x: torch.Tensor, distance: str, *, published: bool = False
) -> torch.Tensor:
    """Distances (k, k) among a few items, as they stand in the whole n × n matrix.

    Computed in float64 from coordinate differences, apart from the matrix the explanations were found
    with: a score should not share its rounding.

    Args:
        items: (k,) int64 indices.
        x: (n, d) embeddings.
        distance: One of ``DISTANCES``.
        published: Use the local scaling of the authors' public code.

    Complexity:
        O(k n d) time and O(k n) memory; ``"max"`` also needs one O(n² d) pass in row blocks.
    """
    x = x.double()
    rows = _products.direct_distances(x[items], x)
    among = rows[:, items]
    if distance == "max":
        return among / max(_largest_distance(x), torch.finfo(x.dtype).tiny)
    if distance == "local":
        rows[torch.arange(len(items)), items] = 0
        scales = local_scales(rows)
        return among.square() / (scales[:, None] * scales) if published else among / scales[:, None]
    return _ranks_among(items, rows)


def local_scales(distances: torch.Tensor) -> torch.Tensor:
    """Distance of each row's 7th neighbor, (rows,); the item itself is the zeroth.

    Where seven duplicates make it zero, the row's least positive distance stands in, or 1 if there is none.
    """
    place = min(LOCAL_NEIGHBOR, distances.shape[1] - 1)
    scales = distances.topk(place + 1, dim=1, largest=False).values[:, place]
    for row in (scales == 0).nonzero()[:, 0]:
        positive = distances[row][distances[row] > 0]
        scales[row] = positive.min() if len(positive) else 1
    return scales


def _ranks_among(items: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Ranks (k, k) of the items among all n, from their rows of distances; ties by index, self 0."""
    return ops.neighbor_ranks(distances=rows, items=items, check=False)[:, items].double()


def _largest_distance(x: torch.Tensor) -> float:
    blocks = x.split(512)
    return max(float(ops.pairwise_distances(block, x, check=False).max()) for block in blocks)
