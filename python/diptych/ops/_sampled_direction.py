"""One direction of sampled affinities: multiplied and looked up, never made."""

import warnings
from functools import cached_property
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray

from diptych import _cpu
from diptych.ops._arrays import numpy_view
from diptych.ops._meter import OFF, Meter
from diptych.ops._thin_product import in_blocks

# Candidates looked up at once on a device without a kernel of its own.
_SCRATCH = 1 << 22


class Pairs(NamedTuple):
    """The pairs kept of some rows; in each row the sure ones first, then the drawn, both by column."""

    columns: (
        torch.Tensor
    )  #: int32, items: (rows, width), the row's own where it keeps fewer, or all in a line
    values: torch.Tensor  #: float32, log F_ij before symmetrising, of the same shape
    counts: torch.Tensor  #: (rows, 2) int32, how many are sure and how many there are
    scales: torch.Tensor  #: (rows,) float32, a drawn pair has probability (exp|log F_ij| - 1) / scale
    starts: torch.Tensor  #: (rows,) int64, the place of a row's first pair among all places

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """As the kernels take them."""
        return tuple(map(numpy_view, self))


class SampledDirection:
    """The estimated symmetric affinities (rows, n) of one direction, multiplied and looked up.

    An operator where all n rows are there: :func:`diptych.ops.spectral_embedding` and
    :func:`diptych.ops.spectral_clusters` take it in place of a matrix. Its product is unbiased; its entries
    are those of the pairs that are kept, with an affinity of 1 in place of what neither row of a pair holds.

    Args:
        own: The pairs that the rows keep, (rows, width).
        sign: 1 for the affinities of the first representation against the second, -1 for the others.
        most: The largest affinity there can be.
        first: The item of the first row.
        back: All n rows' pairs whose columns are among the rows; ``own`` where these are all rows.
        meter: Counts time and work.
    """

    dtype = torch.float32

    def __init__(
        self, own: Pairs, sign: int, most: float, first: int, back: Pairs, meter: Meter = OFF
    ) -> None:
        self.pairs, self.sign, self.most, self.first, self.meter = own, sign, most, first, meter
        self._back = back
        self.shape = torch.Size([len(own.counts), len(self._back.counts)])
        self.device = own.columns.device

    def __len__(self) -> int:
        return self.shape[0]

    def diagonal(self) -> torch.Tensor:
        """(rows,): an item's affinity to itself is 1."""
        return torch.ones(len(self), dtype=self.dtype, device=self.device)

    def __matmul__(self, x: torch.Tensor) -> torch.Tensor:
        """Product with (n, k) float32 vectors. O(rows (K + S) k) time, O(n k) memory."""
        held = self.pairs.columns.numel() + self._back.columns.numel()
        with self.meter.measure("affinity times vectors", 2.0 * held * x.shape[1], 8 * held):
            return self._product(x) if self.device.type == "cpu" else self.by_definition(x)

    def _product(self, x: torch.Tensor) -> torch.Tensor:
        own, back, threads = self.pairs.arrays, self._back.arrays, torch.get_num_threads()
        return in_blocks(
            lambda block, out: _cpu.sampled_product(own, back, self.first, self.sign, block, out, threads),
            x,
            len(self),
        )

    def by_definition(self, x: torch.Tensor) -> torch.Tensor:
        """The product in torch, by two sparse matrices, which are kept."""
        there, back = self._sparse
        return x.double().sum(0).to(x) + (there @ x + back @ x) / 2

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """The entries of the items start .. stop, (stop - start, n) float32."""
        own = torch.arange(start, stop, device=self.device)
        return self.entries(own[:, None], torch.arange(self.shape[1], device=self.device))

    def entries(self, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        """The affinities of items i among the rows with items j, int64 of shapes that broadcast.

        O(log(K + S)) each.
        """
        i, j = torch.broadcast_tensors(i, j)
        if self.device.type != "cpu":
            return self._entries_by_definition(i, j)
        out = torch.empty(i.shape)
        _cpu.sampled_entries(
            self.pairs.arrays,
            self._back.arrays,
            self.first,
            self.sign,
            numpy_view(i.contiguous()),
            numpy_view(j.contiguous()),
            numpy_view(out),
            torch.get_num_threads(),
        )
        return out

    def knn(self, labels: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Each row's k largest entries inside its cluster, as :func:`diptych.ops.knn_affinity`; all n labels.

        Only pairs that the item's own row holds are candidates.
        """
        if self.device.type != "cpu":
            return self._knn_by_definition(labels, k)
        scores = torch.empty(len(self))
        neighbors = torch.empty(len(self), k, dtype=torch.int64)
        _cpu.sampled_knn(
            self.pairs.arrays,
            self._back.arrays,
            self.first,
            self.sign,
            self.most,
            numpy_view(labels),
            numpy_view(scores),
            numpy_view(neighbors),
            torch.get_num_threads(),
        )
        return scores, neighbors

    def _entries_by_definition(self, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        there = torch.exp(self.sign * self._own_table.looked_up(i - self.first, j))
        back = torch.exp(self.sign * self._back_table.looked_up(j, i))
        return torch.where(i == j, torch.ones_like(there), (there + back) / 2)

    def _knn_by_definition(self, labels: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        scores, neighbors = [], []
        items = torch.arange(self.first, self.first + len(self), device=self.device)
        for own in items.split(max(1, _SCRATCH // self.pairs.columns.shape[1])):
            columns = self.pairs.columns[own - self.first].long().sort(dim=1).values
            mates = (labels[columns] == labels[own, None]) & (labels[own, None] >= 0)
            mates &= columns != own[:, None]
            mates[:, 1:] &= columns[:, 1:] != columns[:, :-1]
            values = self._entries_by_definition(own[:, None].expand_as(columns), columns)
            best, order = values.masked_fill(~mates, -torch.inf).sort(dim=1, descending=True, stable=True)
            best, order = best[:, :k], order[:, :k]
            missing = torch.isinf(best)
            near = columns.gather(1, order).masked_fill(missing, -1)
            short = k - near.shape[1]
            neighbors.append(torch.nn.functional.pad(near, (0, max(0, short)), value=-1))
            scores.append(best.masked_fill(missing, 0).sum(1))
        return torch.cat(scores), torch.cat(neighbors)

    @cached_property
    def _sparse(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The rows of W and of its transpose, (rows, n) each."""
        rows, columns, values = weights(self.pairs, self.sign)
        back_rows, back_columns, back_values = weights(self._back, self.sign)
        order = back_columns.argsort(stable=True)
        there = rows, columns, values
        back = back_columns[order] - self.first, back_rows[order], back_values[order]
        return _compressed(*there, self.shape), _compressed(*back, self.shape)

    @cached_property
    def _own_table(self) -> "_Table":
        return _Table(self.pairs, self.shape[1])

    @cached_property
    def _back_table(self) -> "_Table":
        return self._own_table if self._back is self.pairs else _Table(self._back, self.shape[1])


def listed(pairs: Pairs) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """All pairs row by row: their rows and places, int64, and which of them are sure."""
    counts = pairs.counts.long()
    rows = torch.arange(len(counts), device=counts.device).repeat_interleave(counts[:, 1])
    before = counts[:, 1].cumsum(0) - counts[:, 1]
    inside = torch.arange(len(rows), device=counts.device) - before[rows]
    return rows, pairs.starts[rows] + inside, inside < counts[rows, 0]


def weights(pairs: Pairs, sign: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rows, columns and entries of W = (F - 1) / probability in one direction, in the pairs' precision."""
    rows, places, sure = listed(pairs)
    values = sign * pairs.values.reshape(-1)[places]
    drawn = torch.where(values > 0, torch.ones_like(values), -torch.exp(-values.abs())) * pairs.scales[rows]
    return rows, pairs.columns.reshape(-1)[places].long(), torch.where(sure, torch.expm1(values), drawn)


class _Table:
    """Pairs in the order of their rows and columns, to be looked up where there is no kernel for it."""

    def __init__(self, pairs: Pairs, n: int) -> None:
        rows, places, _ = listed(pairs)
        self._n = n
        self._keys, order = (rows * n + pairs.columns.reshape(-1)[places]).sort()
        self._values = pairs.values.reshape(-1)[places[order]]

    def looked_up(self, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """The logarithms of the affinities, 0 where they are not held."""
        if len(self._keys) == 0:
            return torch.zeros(rows.shape, device=rows.device)
        wanted = rows * self._n + columns
        place = torch.searchsorted(self._keys, wanted).clamp(max=len(self._keys) - 1)
        return self._values[place].masked_fill(self._keys[place] != wanted, 0)


def _compressed(
    rows: torch.Tensor, columns: torch.Tensor, values: torch.Tensor, shape: torch.Size
) -> torch.Tensor:
    """A sparse matrix of entries that lie row by row."""
    starts = torch.searchsorted(rows, torch.arange(shape[0] + 1, device=rows.device))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(starts, columns, values, shape, check_invariants=False)
