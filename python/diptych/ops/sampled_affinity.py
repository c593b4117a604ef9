"""Difference affinities of both directions from a few pairs of each item: for n beyond an n × n array."""

import math

import torch

from diptych import _cpu
from diptych.ops import _checks
from diptych.ops._arrays import Array, empty, numpy_view, to_tensor
from diptych.ops._sampled_direction import Pairs, SampledDirection, views
from diptych.ops.difference_affinity import check_parameters, differences
from diptych.ops.locally_biased_difference import paired

#: Pairs of each item that are kept where nothing else is asked for: benchmarks/results/sampled.csv.
NEIGHBORS, SAMPLES = 128, 1024


class SampledAffinity:
    """The difference affinities of :func:`diptych.ops.difference_affinity`, estimated from a few pairs.

    Rows of both representations' ranks (or distances) are written one block after another, in any order.
    Of row i all pairs are kept that are among the K nearest in either representation; of the others as many
    as fill 2 K + S places, drawn with probability

        p_ij = min(1, c_i (exp|log F_ij| - 1)),    F_ij = exp(-beta G_ij) before symmetrising,

    c_i such that the places are filled. Then F, that is 1 + (W + Wᵀ)/2 with W_ij = F_ij - 1 for kept pairs
    that were sure and (F_ij - 1)/p_ij for drawn ones, has the true affinities for its mean (Hansen &
    Hurwitz 1943). What is estimated is the difference to 1, the affinity of a pair both representations
    see alike; its size in the direction where it is larger is what a pair is drawn by, so that no drawn pair
    weighs more than 1/c_i. (A uniform draw leaves an error many times as large: a few of the pairs
    carry most of the affinity.) One point is drawn at random in each of the equal parts into which the
    probabilities' sum is cut along the row, so that a probability may be met twice, by two neighboring parts.

    The points come from a counter-based generator (the finaliser of splitmix64, Steele, Lea & Flood 2014) of
    (seed, row, place): neither blocks nor threads nor processes matter to them.

    Args:
        n: Items.
        neighbors: K, nearest pairs kept of each row in either representation; 1 to n - 1.
        samples: S, at least 1. 2 K + S must be below n - 1: what is no sample needs no estimate.
        gamma: Sensitivity of the difference, above 0; under ``"subtraction"`` its plain factor, which must
            bring the difference to [-1, 1].
        beta: Sharpness of the affinity, above 0 and at most 80.
        difference: ``"locally_biased"`` or ``"subtraction"``.
        offset: Added to the minimum in the locally biased difference.
        seed: Of the draws.
        device: Where to hold the pairs.

    Complexity:
        8 n (2 K + S) bytes. Writing takes O(n²) time, a product with k vectors O(n (K + S) k).

    Raises:
        ValueError: n, neighbors, samples, gamma, beta, offset or seed out of range, an unknown difference.
        TypeError: Parameters that are not numbers.
    """

    def __init__(
        self,
        n: int,
        neighbors: int = NEIGHBORS,
        samples: int = SAMPLES,
        gamma: float = 0.1,
        beta: float = 5.0,
        *,
        difference: str = "locally_biased",
        offset: float = 0.0,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        _checks.integer("n", n, 2, _checks.INT32_MAX)
        check_sample(n, neighbors, samples)
        check_parameters(gamma, beta, offset, difference)
        _checks.seed(seed)
        self.n, self.neighbors, self.samples, self.seed = n, neighbors, samples, seed
        self.gamma, self.beta, self.offset, self.difference = gamma, beta, offset, difference
        width, where = 2 * neighbors + samples, torch.device(device)
        self.pairs = Pairs(
            empty((n, width), torch.int32, where),
            empty((n, width), torch.float32, where),
            torch.zeros(n, 2, dtype=torch.int32, device=where),
            torch.ones(n, device=where),
        )
        self._written = torch.zeros(n, dtype=torch.bool)

    def write(self, first: int, a: Array, b: Array, *, check: bool | None = None) -> torch.Tensor:
        """Keep some pairs of the items from ``first`` on.

        Args:
            first: The item of the first row.
            a: (rows, n) int32 ranks, each row's a permutation, or float distances, of the first
                representation.
            b: The same of the second.
            check: Refuse NaN, Inf and negative values. Default: on the CPU yes, on a GPU no.

        Returns:
            (rows,) float64, the mean of |G| in each row.
        """
        rows_a, rows_b = paired("a", to_tensor("a", a), "b", to_tensor("b", b), check)
        _checks.matrix("a", rows_a)
        _checks.integer("first", first, 0, self.n - len(rows_a))
        if rows_a.shape[1] != self.n:
            raise ValueError(f"a: expected rows of {self.n} entries, found {rows_a.shape[1]}")
        _checks.same_device(a=rows_a, pairs=self.pairs.columns)
        if rows_a.dtype == torch.float64:
            rows_a, rows_b = rows_a.float(), rows_b.float()
        own = Pairs(*(part[first : first + len(rows_a)] for part in self.pairs))
        if rows_a.device.type == "cpu":
            sizes = self._sample(first, rows_a, rows_b, own)
        else:
            chosen, sizes = reference(
                rows_a,
                rows_b,
                first,
                self.neighbors,
                self.samples,
                self.gamma,
                self.beta,
                difference=self.difference,
                offset=self.offset,
                seed=self.seed,
            )
            for part, values in zip(own, chosen, strict=True):
                part.copy_(values)
        self._written[first : first + len(rows_a)] = True
        return sizes

    def _sample(self, first: int, a: torch.Tensor, b: torch.Tensor, own: Pairs) -> torch.Tensor:
        sizes = torch.empty(len(a), dtype=torch.float64)
        _cpu.sample_pairs(
            numpy_view(a),
            numpy_view(b),
            first,
            self.difference == "subtraction",
            self.gamma,
            self.beta,
            self.offset,
            self.neighbors,
            self.seed,
            *views(own),
            numpy_view(sizes),
            torch.get_num_threads(),
        )
        return sizes / self.beta

    @property
    def directions(self) -> tuple["SampledDirection", "SampledDirection"]:
        """The affinities F of a against b and F' of b against a."""
        if not bool(self._written.all()):
            row = int((~self._written).nonzero()[0])
            raise ValueError(f"the sampled affinity is not written yet: row {row} is missing")
        most = math.exp(self.beta)
        return SampledDirection(self.pairs, 1, most), SampledDirection(self.pairs, -1, most)


def check_sample(n: int, neighbors: int, samples: int) -> None:
    """Refuse more pairs of an item than there are."""
    _checks.integer("neighbors", neighbors, 1)
    _checks.integer("samples", samples, 1)
    if neighbors >= n:
        raise ValueError(f"neighbors: expected fewer than the {n} items, found {neighbors}")
    if 2 * neighbors + samples >= n - 1:
        raise ValueError(
            f"neighbors and samples: 2 * {neighbors} + {samples} pairs of each item are no fewer than the "
            f"{n - 1} there are; lower one of them or hold all affinities"
        )


def reference(
    a: torch.Tensor,
    b: torch.Tensor,
    first: int,
    neighbors: int,
    samples: int,
    gamma: float,
    beta: float,
    *,
    difference: str = "locally_biased",
    offset: float = 0.0,
    seed: int = 0,
) -> tuple[Pairs, torch.Tensor]:
    """The definition in torch, in float64: the pairs kept of rows (rows, n), and each row's mean |G|."""
    g = differences(a, b, gamma, difference, offset).double()
    width, device = 2 * neighbors + samples, a.device
    own = torch.arange(first, first + len(a), device=device)[:, None]
    near = _nearest(a, own, neighbors) | _nearest(b, own, neighbors)
    weight = torch.expm1((beta * g).abs()).masked_fill(near, 0).scatter_(1, own, 0)
    threshold, drawn = _thresholds(weight, width - near.sum(1, keepdim=True))
    sure = near | (weight >= threshold) & (weight > 0)
    columns = own.repeat(1, width)
    row, column = sure.nonzero().T
    place = sure.cumsum(1) - 1
    columns[row, place[row, column]] = column
    held = sure.sum(1, keepdim=True)
    reached = (weight.masked_fill(sure, 0) / threshold).cumsum(1)
    places = torch.arange(width, device=device).expand(len(a), width)
    points = places + uniforms(seed, own, places)
    last = (reached < reached[:, -1:]).sum(1, keepdim=True)
    hits = torch.searchsorted(reached, points, right=True).minimum(last)
    row, part = (places < drawn).nonzero().T
    columns[row, held[row, 0] + part] = hits[row, part]
    counts = torch.cat([held, held + drawn], 1)
    values = (-beta * g).gather(1, columns).masked_fill(places >= counts[:, 1:], 0)
    kept = Pairs(columns.int(), values.float(), counts.int(), threshold[:, 0].float())
    return kept, g.abs().mean(1)


def uniforms(seed: int, rows: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """The counter-based generator: numbers in [0, 1), float64, of int64 counters that broadcast."""
    step = -7046029254386353131  # 2^64 over the golden ratio, as a signed number
    start = _scrambled(torch.tensor(seed, device=rows.device) + step)
    stream = _scrambled(start + (rows + 1) * step)
    bits = _shifted(_scrambled(stream + (draws + 1) * step), 11)
    return bits.double() * 2.0**-53


def _scrambled(x: torch.Tensor) -> torch.Tensor:
    x = (x ^ _shifted(x, 30)) * -4658895280553007687
    x = (x ^ _shifted(x, 27)) * -7723592293110705685
    return x ^ _shifted(x, 31)


def _shifted(x: torch.Tensor, bits: int) -> torch.Tensor:
    """A shift to the right of what is a signed number to torch, but none here."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _nearest(x: torch.Tensor, own: torch.Tensor, k: int) -> torch.Tensor:
    """Which entries are the k smallest of each row without its own item, ties by index."""
    if not x.is_floating_point():
        return (x > 0) & (x <= k)  # ranks
    order = x.double().scatter(1, own, -1.0).argsort(dim=1, stable=True)[:, 1 : k + 1]
    return torch.zeros_like(x, dtype=torch.bool).scatter_(1, order, True)


def _thresholds(weight: torch.Tensor, budget: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The weight (rows, 1) from which on pairs are sure, and how many are drawn of those below."""
    above = torch.zeros_like(budget)
    threshold = torch.full_like(budget, math.inf, dtype=weight.dtype)
    while True:
        below = weight.masked_fill(weight >= threshold, 0).sum(1, keepdim=True)
        left = (budget - above) * (below > 0)
        threshold = torch.where(left > 0, below / left.clamp(min=1), threshold)
        reached = (weight >= threshold).sum(1, keepdim=True)
        if bool((reached <= above).logical_or(left <= 0).all()):
            return threshold, left.clamp(min=0)
        above = torch.maximum(above, reached)
