"""The rows of sampled affinities that one process of several holds."""

import torch

from diptych.ops._sampled_direction import Pairs
from diptych.ops.sampled_affinity import SampledAffinity


class SampledShard:
    """Rows of both directions of a :class:`diptych.ops.SampledAffinity`; other processes hold the rest.

    A row of the symmetric affinities needs the pairs it keeps and those in which other rows keep its item;
    a process that has the rows of some items therefore also needs these, from the processes whose rows they
    are. Products, neighbors and entries of the rows then need no other process, and are the same to the last
    bit as those of the whole.

    Args:
        sampled: The pairs kept of the rows ``sampled.first`` on.
        back: All n rows' pairs whose columns are among these items: what :func:`pairs_with` finds in each
            process's rows, one after another.

    Complexity:
        16 rows (2 K + S) bytes, as much as the rows keep once more on average.

    Raises:
        ValueError: Some rows are not written yet.
    """

    def __init__(self, sampled: SampledAffinity, back: Pairs) -> None:
        self.n, self.first = sampled.n, sampled.first
        self._directions = sampled.with_back(back)

    @property
    def rows(self) -> int:
        """How many items' rows these are."""
        return len(self._directions[0])

    def product(self, side: int, x: torch.Tensor) -> torch.Tensor:
        """The rows' product of direction ``side`` (0 or 1) with x (n, k) float32, (rows, k)."""
        return self._directions[side] @ x

    def knn(self, side: int, labels: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores (rows,) and neighbors (rows, k) as :meth:`SampledDirection.knn` has them; all n labels."""
        return self._directions[side].knn(labels, k)

    def entries(self, side: int, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        """The affinities of pairs of items, int64 of one shape; 0 where row i is another process's."""
        mine = (i >= self.first) & (i < self.first + self.rows)
        values = torch.zeros(i.shape, device=i.device)
        values[mine] = self._directions[side].entries(i[mine], j[mine])
        return values


def pairs_with(pairs: Pairs, start: int, stop: int) -> Pairs:
    """Of rows' pairs (rows, width) those whose columns are among the items start .. stop, in a line."""
    place = torch.arange(pairs.columns.shape[1], device=pairs.columns.device)
    chosen = (place < pairs.counts[:, 1:]) & (pairs.columns >= start) & (pairs.columns < stop)
    counts = torch.stack([(chosen & (place < pairs.counts[:, :1])).sum(1), chosen.sum(1)], 1)
    starts = counts[:, 1].cumsum(0) - counts[:, 1]
    return Pairs(pairs.columns[chosen], pairs.values[chosen], counts.int(), pairs.scales, starts)
