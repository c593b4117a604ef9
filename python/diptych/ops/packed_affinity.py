"""Difference affinities of both directions in one byte a pair of items: for n beyond two n × n floats."""

import math
from collections.abc import Mapping

import torch

from diptych import _cpu
from diptych.ops import _checks
from diptych.ops._arrays import Array, empty, numpy_view, to_output, to_tensor
from diptych.ops._meter import OFF, Meter
from diptych.ops._thin_product import in_blocks
from diptych.ops.difference_affinity import check_parameters, differences
from diptych.ops.knn_affinity import checked_labels
from diptych.ops.knn_affinity import rows as knn_of_rows
from diptych.ops.locally_biased_difference import paired

#: Steps of a packed difference between 0 and 1.
STEPS = 127

# Side of the tiles that are folded at once where there is no kernel for it.
_TILE = 2048

# Entries of the scratch in which rows are decoded.
_SCRATCH = 1 << 24


class PackedAffinity:
    """The difference affinities of :func:`diptych.ops.difference_affinity`, eight bits each.

    Rows of both representations' ranks (or distances) are written one block after another, in any order, as
    the difference G in steps of 1/127; nothing else of size n × n exists. ``fold`` then makes
    log F / beta of one direction's symmetric affinities F out of each pair (G_ij, G_ji), which is kept above
    the diagonal, and of the other direction's, kept below it. An affinity is off by at most a factor
    exp(beta / 101) (a step and a quarter of rounding), 1.05 for beta = 5; the mean of many logarithms, by
    less than a tenth of a step.

    Args:
        n: Items.
        gamma: Sensitivity of the difference, above 0; under ``"subtraction"`` its plain factor, which must
            bring the difference to [-1, 1] (what lies outside counts as -1 or 1).
        beta: Sharpness of the affinity, above 0 and at most 80.
        difference: ``"locally_biased"`` or ``"subtraction"``.
        offset: Added to the minimum in the locally biased difference.
        out: (n, n) contiguous int8 array (a memory map will do) to hold the codes; default: a new one.
        device: Of the new one.
        meter: Counts the time and work of what is done here and with the directions.
        rows: Keep only these rows (first, stop) of the differences: a :class:`diptych.ops.PackedShard` in the
            making, which cannot be folded alone. ``out`` is then (stop - first, n).

    Complexity:
        n² bytes. Writing and folding take O(n²) time, a product with k vectors O(n² k).

    Raises:
        ValueError: n, gamma, beta or offset out of range, an unknown difference, an ``out`` that does not
            fit.
        TypeError: Parameters that are not numbers.
    """

    def __init__(
        self,
        n: int,
        gamma: float = 0.1,
        beta: float = 5.0,
        *,
        difference: str = "locally_biased",
        offset: float = 0.0,
        out: Array | None = None,
        device: str | torch.device = "cpu",
        meter: Meter = OFF,
        rows: tuple[int, int] | None = None,
    ) -> None:
        self.meter = meter
        _checks.integer("n", n, 1, _checks.INT32_MAX)
        check_parameters(gamma, beta, offset, difference)
        self.n, self.gamma, self.beta, self.offset, self.difference = n, gamma, beta, offset, difference
        self.first, stop = (0, n) if rows is None else rows
        shape = (stop - self.first, n)
        if out is None:
            self.codes = empty(shape, torch.int8, torch.device(device))
        else:
            self.codes = to_output("out", out)
            _checks.output("out", self.codes, shape, torch.int8, ())
        self.folded = False

    def write(self, first: int, a: Array, b: Array, *, check: bool | None = None) -> torch.Tensor:
        """Write the differences of the items from ``first`` on.

        Args:
            first: The item of the first row.
            a: (rows, n) int32 ranks or float distances of the first representation; float64 is taken as
                float32.
            b: The same of the second.
            check: Refuse NaN, Inf, negative values and, under ``"subtraction"``, differences outside
                [-1, 1]. Default: on the CPU yes, on a GPU no.

        Returns:
            (rows,) float64, the mean of |G| in each row.

        Raises:
            ValueError: Folded already; shapes that differ or do not fit, ``first`` out of range, different
                devices, or what ``check`` refuses.
            TypeError: Not arrays of real numbers, or ``first`` no integer.
        """
        if self.folded:
            raise ValueError("the packed affinity is folded, its differences are gone")
        rows_a, rows_b = paired("a", _single(to_tensor("a", a)), "b", _single(to_tensor("b", b)), check)
        _checks.matrix("a", rows_a)
        if rows_a.shape[1] != self.n or len(rows_a) > len(self.codes):
            raise ValueError(
                f"a: expected up to {len(self.codes)} rows of {self.n} entries, "
                f"found shape {tuple(rows_a.shape)}"
            )
        _checks.integer("first", first, self.first, self.first + len(self.codes) - len(rows_a))
        _checks.same_device(a=rows_a, codes=self.codes)
        checked = rows_a.device.type == "cpu" if check is None else check
        if checked and self.difference == "subtraction":
            self._check_size(rows_a, rows_b)
        out = self.codes_of(first, first + len(rows_a))
        sizes = torch.empty(len(rows_a), dtype=torch.float64, device=out.device)
        with self.meter.measure("differences", 0, 9 * out.numel()):
            self._pack(rows_a, rows_b, out, sizes)
        return sizes

    def codes_of(self, start: int, stop: int) -> torch.Tensor:
        """The codes of the items start .. stop, a view."""
        return self.codes[start - self.first : stop - self.first]

    def parts(self, start: int, stop: int) -> dict[str, torch.Tensor]:
        """What is kept of the items start .. stop, views by name."""
        return {"codes": self.codes_of(start, stop)}

    def restore(self, start: int, parts: Mapping[str, torch.Tensor]) -> None:
        """Take back what :meth:`parts` gave of the items from ``start`` on."""
        codes = parts["codes"]
        self.codes_of(start, start + len(codes)).copy_(codes)

    def _pack(self, a: torch.Tensor, b: torch.Tensor, out: torch.Tensor, sizes: torch.Tensor) -> None:
        if out.device.type != "cpu":
            g = differences(a, b, self.gamma, self.difference, self.offset).clamp(-1, 1)
            out.copy_((g * STEPS).round())
            sizes.copy_(g.abs().double().mean(1))
            return
        _cpu.pack_difference(
            numpy_view(a),
            numpy_view(b),
            self.difference == "subtraction",
            self.gamma,
            self.offset,
            numpy_view(out),
            numpy_view(sizes),
            torch.get_num_threads(),
        )

    def _check_size(self, a: torch.Tensor, b: torch.Tensor) -> None:
        largest = self.gamma * float((a - b).abs().max())
        if largest > 1 + 0.5 / STEPS:
            raise ValueError(
                f"gamma: expected a factor that brings a - b to [-1, 1], found {self.gamma:.3g}, "
                f"which leaves {largest:.3g}"
            )

    def fold(self) -> "PackedAffinity":
        """Turn the differences, once all are written, into symmetric affinities; in place.

        Returns:
            The object itself.

        Complexity:
            O(n²) time, no memory.

        Raises:
            ValueError: Folded already.
        """
        if self.folded:
            raise ValueError("the packed affinity is folded already")
        if len(self.codes) < self.n:
            raise ValueError(f"only {len(self.codes)} of {self.n} rows are here; folding needs all")
        with self.meter.measure("symmetrising", 0, 2 * self.codes.numel()):
            if self.codes.device.type == "cpu":
                _cpu.fold_packed(numpy_view(self.codes), self.beta, torch.get_num_threads())
            else:
                fold_by_definition(self.codes, self.beta)
        self.folded = True
        return self

    @property
    def directions(self) -> tuple["PackedDirection", "PackedDirection"]:
        """The affinities F of a against b and F' of b against a; they share the codes.

        Raises:
            ValueError: Not folded yet.
        """
        if not self.folded:
            raise ValueError("the packed affinity is not folded yet: call fold() once all rows are written")
        above, below = (PackedDirection(self.codes, self.beta, side, self.meter) for side in (True, False))
        return above, below


class PackedDirection:
    """The symmetric affinities (n, n) of one direction, multiplied and looked up but never unpacked.

    An operator: :func:`diptych.ops.spectral_embedding`, :func:`diptych.ops.spectral_clusters` and
    :func:`diptych.ops.normalized_cut` take it in place of a matrix.

    Attributes:
        shape: (n, n).
        dtype: float32, of the affinities.
        device: Of the codes.
        codes: (n, n) int8, the folded codes of both directions.
        beta: Sharpness of the affinity.
        above: Whether this direction's codes stand above the diagonal.
    """

    dtype = torch.float32

    def __init__(self, codes: torch.Tensor, beta: float, above: bool, meter: Meter = OFF) -> None:
        self.meter = meter
        self.codes, self.beta, self.above = codes, beta, above
        self.shape, self.device = codes.shape, codes.device
        self._table = affinity_table(beta, codes.device)

    def __len__(self) -> int:
        return len(self.codes)

    def diagonal(self) -> torch.Tensor:
        """(n,): an item's affinity to itself is 1."""
        return torch.ones(len(self), dtype=self.dtype, device=self.device)

    def __matmul__(self, x: torch.Tensor) -> torch.Tensor:
        """Product with (n, k) float32 vectors. O(n² k) time, O(n k) memory.

        Raises:
            ValueError: Another shape or device.
            TypeError: Another dtype.
        """
        n = len(self)
        if x.ndim != 2 or len(x) != n:
            raise ValueError(f"x: expected shape ({n}, k), found {tuple(x.shape)}")
        if x.dtype != self.dtype:
            raise TypeError(f"x: expected {self.dtype}, found {x.dtype}")
        _checks.same_device(affinity=self, x=x)
        with self.meter.measure("affinity times vectors", 2.0 * n * n * x.shape[1], n * n):
            if self.device.type == "cpu":
                codes, threads = numpy_view(self.codes), torch.get_num_threads()
                return in_blocks(
                    lambda block, out: _cpu.packed_product(codes, self.above, self.beta, block, out, threads),
                    x,
                    n,
                )
            return torch.cat([self.rows(start, stop) @ x for start, stop in self._blocks()])

    def rows(self, start: int, stop: int, out: torch.Tensor | None = None) -> torch.Tensor:
        """The rows from start up to stop, (stop - start, n) float32, written into ``out`` where given.

        Raises:
            ValueError: start or stop out of range, no row, or an ``out`` that does not fit.
            TypeError: start or stop no integer.
        """
        _checks.integer("start", start, 0, len(self) - 1)
        _checks.integer("stop", stop, start + 1, len(self))
        if out is None:
            out = torch.empty(stop - start, len(self), device=self.device)
        else:
            _checks.output("out", out, (stop - start, len(self)), self.dtype, (self.codes,))
        if self.device.type == "cpu":
            _cpu.packed_rows(
                numpy_view(self.codes), self.above, self.beta, start, numpy_view(out), torch.get_num_threads()
            )
        else:
            own = torch.arange(start, stop, device=self.device)
            out.copy_(self.entries(own[:, None], torch.arange(len(self), device=self.device)))
        return out

    def entries(self, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        """The affinities of pairs of items, int64 indices from 0 to n - 1 of shapes that broadcast."""
        low, high = torch.minimum(i, j), torch.maximum(i, j)
        row, column = (low, high) if self.above else (high, low)
        values = self._table[self.codes[row, column].long() + STEPS + 1]
        return torch.where(i == j, torch.ones_like(values), values)

    def knn(self, labels: Array, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Each item's k largest affinities inside its cluster, as :func:`diptych.ops.knn_affinity`.

        O(n²) time, and memory for a block of rows, 64 MiB (or 64 rows).
        """
        labels = checked_labels(labels, len(self))
        _checks.same_device(affinity=self, labels=labels)
        _checks.integer("k", k, 1, _cpu.MAX_NEIGHBORS)
        blocks = []
        scratch = torch.empty(self._blocks()[0][1], len(self), device=self.device)
        with self.meter.measure("neighbors in clusters", 0, 9 * len(self) ** 2):
            for start, stop in self._blocks():
                rows = self.rows(start, stop, scratch[: stop - start])
                blocks.append(knn_of_rows(rows, labels, k, start))
        scores, neighbors = zip(*blocks, strict=True)
        return torch.cat(scores), torch.cat(neighbors)

    def _blocks(self) -> list[tuple[int, int]]:
        n = len(self)
        rows = max(64, _SCRATCH // n // 64 * 64)
        return [(start, min(start + rows, n)) for start in range(0, n, rows)]


def _single(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.dtype == torch.float64 else tensor


def fold_by_definition(codes: torch.Tensor, beta: float) -> None:
    """Fold in torch, tile by tile: codes of G to codes of log F / beta above and below the diagonal."""
    items = torch.arange(len(codes), device=codes.device)
    tiles = items.split(_TILE)
    for number, rows in enumerate(tiles):
        for columns in tiles[number:]:
            here, there = (slice(int(few[0]), int(few[-1]) + 1) for few in (rows, columns))
            upper, lower = codes[here, there], codes[there, here]
            ab, ba = symmetric_codes(upper, lower.T, rows[:, None] + columns, beta)
            if rows is columns:
                above = rows[:, None] < columns
                upper.copy_(torch.where(above, ab, torch.where(above.T, ba.T, upper)))
            else:
                upper.copy_(ab)
                lower.copy_(ba.T)


def symmetric_codes(
    g: torch.Tensor, h: torch.Tensor, places: torch.Tensor, beta: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes of both directions' log-affinities from those of G_ij and G_ji, with i + j in ``places``.

    (exp(-x) + exp(-y))/2 = exp(-(x + y)/2) cosh((x - y)/2); a quarter step up or down in turns keeps the
    halves among the means from all being rounded the same way.
    """
    mean, gap = (g.double() + h.double()) / 2, g.double() - h.double()
    excess = torch.log1p(2 * torch.sinh(gap * (beta / (4 * STEPS))).square()) / beta * STEPS
    excess = excess + torch.where(places % 2 == 1, 0.25, -0.25)
    ab, ba = ((excess + sign * mean).clamp(max=STEPS).round().to(torch.int8) for sign in (-1, 1))
    return ab, ba


def affinity_table(beta: float, device: torch.device) -> torch.Tensor:
    """The affinity of each code from -128 to 127, (256,) float32.

    A product of two, of the code's high four bits and its low four: to the last bit what the kernels make.
    """
    high = torch.tensor([math.exp(beta * (16 * k - 128) / STEPS) for k in range(16)], dtype=torch.float32)
    low = torch.tensor([math.exp(beta * k / STEPS) for k in range(16)], dtype=torch.float32)
    return (high[:, None] * low).reshape(-1).to(device)
