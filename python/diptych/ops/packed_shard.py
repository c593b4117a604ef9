"""The rows of packed affinities that one process of several holds."""

import torch

from diptych import _cpu
from diptych.ops._arrays import empty, numpy_view
from diptych.ops._thin_product import in_blocks
from diptych.ops.knn_affinity import rows as knn_of_rows
from diptych.ops.packed_affinity import PackedAffinity, affinity_table, symmetric_codes

# Entries of the scratch in which rows are decoded.
_SCRATCH = 1 << 24


class PackedShard:
    """Rows of both directions of a :class:`diptych.ops.PackedAffinity`; other processes hold the rest.

    Folding a pair needs both its differences, G_ij and G_ji; a process that has the rows of G for some items
    therefore also needs the columns of G for them, from the processes that have these rows. Both directions
    are then whole rows, and products with them need no other process. A product is the same to the last bit
    as the rows of the whole affinity's product.

    Args:
        packed: The differences of the rows ``packed.first`` on; its memory becomes the first direction's.
        mirrored: (rows, n) int8, the same items' columns of G; becomes the other direction's.

    Complexity:
        2 rows n bytes.
    """

    def __init__(self, packed: PackedAffinity, mirrored: torch.Tensor) -> None:
        self.first, self.n, self.beta = packed.first, packed.n, packed.beta
        self.codes = packed.codes, mirrored
        if len(mirrored) and mirrored.device.type == "cpu":
            views = numpy_view(packed.codes), numpy_view(mirrored)
            _cpu.fold_shard(*views, self.first, self.beta, torch.get_num_threads())
        elif len(mirrored):
            self._fold()
        self._table = affinity_table(self.beta, mirrored.device)

    @property
    def rows(self) -> int:
        """How many items' rows these are."""
        return len(self.codes[0])

    def product(self, side: int, x: torch.Tensor) -> torch.Tensor:
        """The rows' product of direction ``side`` (0 or 1) with x (n, k) float32, (rows, k)."""
        if x.device.type != "cpu":
            blocks = [self.decoded(side, start, stop) @ x for start, stop in self._blocks()]
            return torch.cat([x.new_empty(0, x.shape[1]), *blocks])
        codes, threads = numpy_view(self.codes[side]), torch.get_num_threads()
        return in_blocks(
            lambda block, out: _cpu.shard_product(codes, self.beta, block, out, threads), x, self.rows
        )

    def decoded(self, side: int, start: int, stop: int) -> torch.Tensor:
        """The affinities of the shard's rows start .. stop, (stop - start, n) float32."""
        codes = self.codes[side][start:stop]
        if codes.device.type != "cpu":
            return self._table[codes.long() + 128]
        out = empty(tuple(codes.shape), torch.float32, codes.device)
        _cpu.decode_shard(numpy_view(codes), self.beta, numpy_view(out), torch.get_num_threads())
        return out

    def knn(self, side: int, labels: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores (rows,) and neighbors (rows, k) as :func:`diptych.ops.knn_affinity` has them; all labels."""
        scores = torch.empty(self.rows, device=labels.device)
        neighbors = labels.new_empty(self.rows, k)
        for start, stop in self._blocks():
            rows = self.decoded(side, start, stop)
            found = knn_of_rows(rows, labels, k, self.first + start)
            scores[start:stop], neighbors[start:stop] = found
        return scores, neighbors

    def entries(self, side: int, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        """The affinities of pairs of items, int64 of one shape; 0 where row i is another process's."""
        row = i - self.first
        mine = (row >= 0) & (row < self.rows)
        values = torch.zeros(i.shape, device=i.device)
        values[mine] = self._table[self.codes[side][row[mine], j[mine]].long() + 128]
        return values

    def _fold(self) -> None:
        ab, ba = self.codes
        for start, stop in self._blocks():
            own = torch.arange(self.first + start, self.first + stop, device=ab.device)[:, None]
            columns = torch.arange(self.n, device=ab.device)
            codes = symmetric_codes(ab[start:stop], ba[start:stop], own + columns, self.beta)
            for side, folded in zip(self.codes, codes, strict=True):
                side[start:stop] = folded.masked_fill(own == columns, 0)

    def _blocks(self) -> list[tuple[int, int]]:
        size = max(1, _SCRATCH // self.n)
        return [(start, min(start + size, self.rows)) for start in range(0, self.rows, size)]
