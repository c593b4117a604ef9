"""One direction of sampled affinities: multiplied and looked up, never made."""

import warnings
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray

from diptych import _cpu
from diptych.ops._arrays import numpy_view
from diptych.ops._thin_product import in_blocks

# Candidates looked up at once on a device without a kernel of its own.
_SCRATCH = 1 << 22


class Pairs(NamedTuple):
    """The pairs kept of some rows; in each row the sure ones first, then the drawn, both by column."""

    columns: torch.Tensor  #: (rows, width) int32, items; the row's own where it keeps fewer pairs
    values: torch.Tensor  #: (rows, width) float32, log F_ij before symmetrising
    counts: torch.Tensor  #: (rows, 2) int32, how many are sure and how many there are
    scales: torch.Tensor  #: (rows,) float32, a drawn pair has probability (exp|log F_ij| - 1) / scale


class SampledDirection:
    """The estimated symmetric affinities (n, n) of one direction, multiplied and looked up.

    An operator: :func:`diptych.ops.spectral_embedding` and :func:`diptych.ops.spectral_clusters` take it in
    place of a matrix. Its product is unbiased; its entries are those of the pairs that are kept, with an
    affinity of 1 in place of what neither row of a pair holds.
    """

    dtype = torch.float32

    def __init__(self, pairs: Pairs, sign: int, most: float) -> None:
        self.pairs, self.sign, self.most = pairs, sign, most
        self.shape = torch.Size([len(pairs.columns), len(pairs.columns)])
        self.device = pairs.columns.device
        self._sparse: tuple[torch.Tensor, torch.Tensor] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def diagonal(self) -> torch.Tensor:
        """(n,): an item's affinity to itself is 1."""
        return torch.ones(len(self), dtype=self.dtype, device=self.device)

    def __matmul__(self, x: torch.Tensor) -> torch.Tensor:
        """Product with (n, k) float32 vectors. O(n (K + S) k) time, O(n k) memory."""
        if self.device.type != "cpu":
            return self.by_definition(x)
        pairs, threads = views(self.pairs), torch.get_num_threads()
        return in_blocks(
            lambda block, out: _cpu.sampled_product(*pairs, self.sign, block, out, threads), x, len(x)
        )

    def by_definition(self, x: torch.Tensor) -> torch.Tensor:
        """The product in torch, by a sparse matrix and its transpose, which are kept."""
        if self._sparse is None:
            self._sparse = _sparse(self.pairs, weights(self.pairs, self.sign))
        rows, columns = self._sparse
        return x.double().sum(0).to(x) + (rows @ x + columns @ x) / 2

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """The entries of the rows start .. stop, (stop - start, n) float32."""
        own = torch.arange(start, stop, device=self.device)
        return self.entries(own[:, None], torch.arange(len(self), device=self.device))

    def entries(self, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        """The affinities of pairs of items, int64 indices of shapes that broadcast. O(log(K + S)) each."""
        i, j = torch.broadcast_tensors(i, j)
        if self.device.type != "cpu":
            there, back = torch.exp(self._looked_up(i, j)), torch.exp(self._looked_up(j, i))
            return torch.where(i == j, torch.ones_like(there), (there + back) / 2)
        out = torch.empty(i.shape)
        _cpu.sampled_entries(
            *views(self.pairs),
            self.sign,
            numpy_view(i.contiguous()),
            numpy_view(j.contiguous()),
            numpy_view(out),
            torch.get_num_threads(),
        )
        return out

    def knn(self, labels: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Each item's k largest entries inside its cluster, as :func:`diptych.ops.knn_affinity`.

        Only pairs that the item's own row holds are candidates.
        """
        if self.device.type != "cpu":
            return self._knn_by_definition(labels, k)
        scores = torch.empty(len(self))
        neighbors = torch.empty(len(self), k, dtype=torch.int64)
        _cpu.sampled_knn(
            *views(self.pairs),
            self.sign,
            self.most,
            numpy_view(labels),
            numpy_view(scores),
            numpy_view(neighbors),
            torch.get_num_threads(),
        )
        return scores, neighbors

    def _looked_up(self, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        """log F_ij as row i holds it, 0 where it does not."""
        shape, i, j = i.shape, i.reshape(-1), j.reshape(-1)
        found = []
        for rows, others in zip(i.split(_chunk(self)), j.split(_chunk(self)), strict=True):
            same = self.pairs.columns[rows] == others[:, None]
            values = self.pairs.values[rows].masked_fill(~same, 0)
            place = values.abs().argmax(1, keepdim=True)
            found.append(self.sign * values.gather(1, place)[:, 0])
        return torch.cat(found).view(shape)

    def _knn_by_definition(self, labels: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        scores, neighbors = [], []
        items = torch.arange(len(self), device=self.device)
        for own in items.split(max(1, _chunk(self) // self.pairs.columns.shape[1])):
            columns = self.pairs.columns[own].long().sort(dim=1).values
            mates = (labels[columns] == labels[own, None]) & (labels[own, None] >= 0)
            mates &= columns != own[:, None]
            mates[:, 1:] &= columns[:, 1:] != columns[:, :-1]
            values = self.entries(own[:, None], columns).masked_fill(~mates, -torch.inf)
            best, order = values.sort(dim=1, descending=True, stable=True)
            best, order = best[:, :k], order[:, :k]
            missing = torch.isinf(best)
            near = columns.gather(1, order).masked_fill(missing, -1)
            short = k - near.shape[1]
            neighbors.append(torch.nn.functional.pad(near, (0, max(0, short)), value=-1))
            scores.append(best.masked_fill(missing, 0).sum(1))
        return torch.cat(scores), torch.cat(neighbors)


def weights(pairs: Pairs, sign: int) -> torch.Tensor:
    """W, (n, width) in the pairs' precision: (F - 1) / probability of one direction, 0 past a row's pairs."""
    values = sign * pairs.values
    place = torch.arange(values.shape[1], device=values.device)
    drawn = (
        torch.where(values > 0, torch.ones_like(values), -torch.exp(-values.abs())) * pairs.scales[:, None]
    )
    weight = torch.where(place < pairs.counts[:, :1], torch.expm1(values), drawn)
    return weight.masked_fill(place >= pairs.counts[:, 1:], 0)


def _sparse(pairs: Pairs, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """W and its transpose as compressed rows."""
    n, width = weight.shape
    columns, device = pairs.columns.reshape(-1).long(), weight.device
    starts = torch.arange(0, n * width + 1, width, device=device)
    order = columns.argsort(stable=True)
    ends = torch.searchsorted(columns[order], torch.arange(n + 1, device=device))
    values = weight.reshape(-1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return (
            torch.sparse_csr_tensor(starts, columns, values, (n, n), check_invariants=False),
            torch.sparse_csr_tensor(ends, order // width, values[order], (n, n), check_invariants=False),
        )


def views(pairs: Pairs) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """As the kernels take them."""
    columns, values, counts, scales = map(numpy_view, pairs)
    return columns, values, counts, scales


def _chunk(direction: SampledDirection) -> int:
    return max(1, _SCRATCH // direction.pairs.columns.shape[1])
