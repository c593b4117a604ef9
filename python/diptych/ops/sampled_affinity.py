"""Difference affinities of both directions from a few pairs of each item: for n beyond an n × n array."""

import math
from collections.abc import Mapping

import torch

from diptych import _cpu
from diptych.ops import _checks
from diptych.ops._arrays import Array, empty, numpy_view, to_tensor
from diptych.ops._meter import OFF, Meter
from diptych.ops._sampled_direction import Pairs, SampledDirection
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
        rows: Keep pairs of these rows (first, stop) alone: a :class:`diptych.ops.SampledShard` in the making.
        meter: Counts the time and work of what is done here and with the directions.

    Complexity:
        8 rows (2 K + S) bytes. Writing takes O(n²) time, a product with k vectors O(n (K + S) k).

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
        rows: tuple[int, int] | None = None,
        meter: Meter = OFF,
    ) -> None:
        self.meter = meter
        _checks.integer("n", n, 2, _checks.INT32_MAX)
        check_sample(n, neighbors, samples)
        check_parameters(gamma, beta, offset, difference)
        _checks.seed(seed)
        self.n, self.neighbors, self.samples, self.seed = n, neighbors, samples, seed
        self.gamma, self.beta, self.offset, self.difference = gamma, beta, offset, difference
        self.first, stop = (0, n) if rows is None else rows
        count, width, where = stop - self.first, 2 * neighbors + samples, torch.device(device)
        self.pairs = Pairs(
            empty((count, width), torch.int32, where),
            empty((count, width), torch.float32, where),
            torch.zeros(count, 2, dtype=torch.int32, device=where),
            torch.ones(count, device=where),
            width * torch.arange(count, device=where),
        )
        self._written = torch.zeros(count, dtype=torch.bool)

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
        last = self.first + len(self._written) - len(rows_a)
        _checks.integer("first", first, self.first, last)
        if rows_a.shape[1] != self.n:
            raise ValueError(f"a: expected rows of {self.n} entries, found {rows_a.shape[1]}")
        _checks.same_device(a=rows_a, pairs=self.pairs.columns)
        if rows_a.dtype == torch.float64:
            rows_a, rows_b = rows_a.float(), rows_b.float()
        own = self.parts(first, first + len(rows_a))
        choose = self._sample if rows_a.device.type == "cpu" else self._choose
        with self.meter.measure("choice of pairs", 0, 8 * rows_a.numel()):
            sizes = choose(first, rows_a, rows_b, own)
        self._mark(first, len(rows_a))
        return sizes

    def parts(self, start: int, stop: int) -> dict[str, torch.Tensor]:
        """What is kept of the items start .. stop, views by name."""
        own = slice(start - self.first, stop - self.first)
        return {name: part[own] for name, part in self.pairs._asdict().items() if name != "starts"}

    def restore(self, start: int, parts: Mapping[str, torch.Tensor]) -> None:
        """Take back what :meth:`parts` gave of the items from ``start`` on."""
        count = len(parts["scales"])
        for name, part in self.parts(start, start + count).items():
            part.copy_(parts[name])
        self._mark(start, count)

    def _mark(self, first: int, count: int) -> None:
        self._written[first - self.first : first - self.first + count] = True

    def _sample(
        self, first: int, a: torch.Tensor, b: torch.Tensor, own: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
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
            numpy_view(own["columns"]),
            numpy_view(own["values"]),
            numpy_view(own["counts"]),
            numpy_view(own["scales"]),
            numpy_view(sizes),
            torch.get_num_threads(),
        )
        return sizes / self.beta

    def _choose(
        self, first: int, a: torch.Tensor, b: torch.Tensor, own: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        chosen, sizes = reference(
            a,
            b,
            first,
            self.neighbors,
            self.samples,
            self.gamma,
            self.beta,
            difference=self.difference,
            offset=self.offset,
            seed=self.seed,
        )
        for name, part in own.items():
            part.copy_(getattr(chosen, name))
        return sizes

    @property
    def directions(self) -> tuple["SampledDirection", "SampledDirection"]:
        """The affinities F of a against b and F' of b against a.

        Raises:
            ValueError: Some rows are not written yet, or are not kept here.
        """
        if len(self._written) < self.n:
            raise ValueError(
                f"the sampled affinity keeps {len(self._written)} of {self.n} rows: "
                "it is part of a SampledShard"
            )
        return self.with_back(self.pairs)

    def with_back(self, back: Pairs) -> tuple["SampledDirection", "SampledDirection"]:
        """Both directions of the rows, with all rows' pairs whose columns are among them."""
        if not bool(self._written.all()):
            row = self.first + int((~self._written).nonzero()[0])
            raise ValueError(f"the sampled affinity is not written yet: row {row} is missing")
        most = math.exp(self.beta)
        ab, ba = (SampledDirection(self.pairs, sign, most, self.first, back, self.meter) for sign in (1, -1))
        return ab, ba


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
    starts = width * torch.arange(len(a), device=device)
    kept = Pairs(columns.int(), values.float(), counts.int(), threshold[:, 0].float(), starts)
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
