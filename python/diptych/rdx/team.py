"""The processes of a torch.distributed job that make one comparison together."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import IntEnum
from typing import Protocol

import torch
import torch.distributed as dist

from diptych.ops.sampled_shard import Pairs, pairs_with


class Order(IntEnum):
    """What the leading process asks of the others."""

    STOP = 0
    FAIL = 1
    MAKE = 2
    PRODUCT = 3
    NEIGHBORS = 4
    ENTRIES = 5


class Shard(Protocol):
    """Rows of both directions' affinities: a ``PackedShard`` or a ``SampledShard``."""

    @property
    def n(self) -> int:
        """All items."""

    def product(self, side: int, x: torch.Tensor) -> torch.Tensor:
        """The rows' product of direction ``side`` with x (n, k)."""

    def knn(self, side: int, labels: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The rows' scores and k neighbors inside their clusters."""

    def entries(self, side: int, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        """The affinities of pairs, 0 where row i is another process's."""


class Team:
    """All processes of the default process group; the one of rank 0 leads, the others do what it asks.

    Raises:
        RuntimeError: There is no process group; or, in any exchange, a process has died.
    """

    def __init__(self, device: torch.device) -> None:
        if not (dist.is_available() and dist.is_initialized()):
            raise RuntimeError(
                "distributed: no process group; start with torchrun and call "
                "torch.distributed.init_process_group"
            )
        self.rank, self.size, self.device = dist.get_rank(), dist.get_world_size(), device

    @property
    def leads(self) -> bool:
        """Whether this process is the one that asks."""
        return self.rank == 0

    def agree(self, digest: str) -> None:
        """Demand that all processes bring the same embeddings and options.

        Raises:
            ValueError: Some differ; the message names them.
        """
        mine = torch.tensor(list(bytes.fromhex(digest)), dtype=torch.uint8, device=self.device)
        all_of_them = [torch.empty_like(mine) for _ in range(self.size)]
        with self._together("the inputs were compared"):
            dist.all_gather(all_of_them, mine)
        others = [rank for rank, theirs in enumerate(all_of_them) if not torch.equal(theirs, all_of_them[0])]
        if others:
            listed = ", ".join(map(str, others))
            raise ValueError(f"a, b: ranks {listed} have other embeddings or options than rank 0")

    def shared(self, number: int) -> int:
        """The leader's number, on all processes."""
        held = torch.tensor([number], device=self.device)
        with self._together("settings were shared"):
            dist.broadcast(held, 0)
        return int(held)

    def tell(self, order: Order, *numbers: int) -> None:
        """Leader: ask something of all others."""
        with self._together("work was handed out"):
            dist.broadcast(torch.tensor([order, *numbers, *[0] * (2 - len(numbers))], device=self.device), 0)

    def told(self) -> tuple[Order, int, int]:
        """Others: wait to be asked."""
        message = torch.zeros(3, dtype=torch.int64, device=self.device)
        with self._together("work was awaited"):
            dist.broadcast(message, 0)
        order, first, second = message.tolist()
        return Order(order), first, second

    def spread(self, tensor: torch.Tensor) -> torch.Tensor:
        """The leader's tensor, on all processes; the others give one of its shape to write into."""
        with self._together("vectors were shared"):
            dist.broadcast(tensor, 0)
        return tensor

    def spread_bytes(self, data: bytes) -> bytes:
        """The leader's bytes, on all processes."""
        held = torch.empty(self.shared(len(data)), dtype=torch.uint8, device=self.device)
        if self.leads:
            held.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
        return self.spread(held).cpu().numpy().tobytes()

    def total(self, tensor: torch.Tensor) -> torch.Tensor:
        """Sum over all processes, in place."""
        with self._together("sums were taken"):
            dist.all_reduce(tensor)
        return tensor

    def joined(self, rows: torch.Tensor, counts: list[int]) -> torch.Tensor:
        """All processes' rows one after another, on the leader; ``counts`` tells how many each has."""
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in counts] if self.leads else None
        with self._together("rows were gathered"):
            dist.gather(padded, parts)
        if parts is None:
            return rows
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    def mirrored(self, codes: torch.Tensor, counts: list[int]) -> torch.Tensor:
        """From each process's rows (rows, n) of a matrix to the same items' columns, as rows (rows, n)."""
        places = _places(counts)
        own = places[self.rank]
        result = torch.empty_like(codes)
        result[:, own] = codes[:, own].T
        for to, source in self._turns():
            outgoing = codes[:, places[to]].contiguous()
            incoming = codes.new_empty(counts[source], counts[self.rank])
            self._exchange(outgoing, to, incoming, source)
            result[:, places[source]] = incoming.T
        return result

    def returned(self, pairs: Pairs, counts: list[int]) -> Pairs:
        """From each process's rows of sampled pairs to all rows' pairs that the process's items are in."""
        items = _places(counts)

        def among(rank: int) -> Pairs:
            return pairs_with(pairs, items[rank].start, items[rank].stop)

        found = {self.rank: among(self.rank)}
        for to, source in self._turns():
            outgoing = among(to)
            numbers = outgoing.counts.new_empty(counts[source], 2)
            scales = outgoing.scales.new_empty(counts[source])
            self._exchange(outgoing.counts, to, numbers, source)
            self._exchange(outgoing.scales, to, scales, source)
            total = int(numbers[:, 1].sum())
            columns, values = outgoing.columns.new_empty(total), outgoing.values.new_empty(total)
            self._exchange(outgoing.columns, to, columns, source)
            self._exchange(outgoing.values, to, values, source)
            found[source] = Pairs(columns, values, numbers, scales, numbers[:, 1].long())
        columns, values, numbers, scales, _ = (
            torch.cat(parts) for parts in zip(*(found[rank] for rank in range(self.size)), strict=True)
        )
        ends = numbers[:, 1].long().cumsum(0)
        return Pairs(columns, values, numbers, scales, ends - numbers[:, 1])

    def _turns(self) -> list[tuple[int, int]]:
        """Whom to send to and whom to receive from, until each process has met all others."""
        steps = range(1, self.size)
        return [((self.rank + step) % self.size, (self.rank - step) % self.size) for step in steps]

    def _exchange(self, outgoing: torch.Tensor, to: int, incoming: torch.Tensor, source: int) -> None:
        exchange = []
        if outgoing.numel():
            exchange.append(dist.P2POp(dist.isend, outgoing, to))
        if incoming.numel():
            exchange.append(dist.P2POp(dist.irecv, incoming, source))
        with self._together("differences were exchanged"):
            for work in dist.batch_isend_irecv(exchange) if exchange else []:
                work.wait()

    @contextmanager
    def _together(self, what: str) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise RuntimeError(
                f"rank {self.rank} of {self.size}: a process of the job died, or was lost, while {what}; "
                f"with a workspace, run the job again with resume to go on: {error}"
            ) from error


class TeamDirection:
    """The affinities of one direction, spread over a team, as the leader sees them."""

    dtype = torch.float32

    def __init__(self, team: Team, shard: Shard, counts: list[int], side: int) -> None:
        self._team, self._shard, self._counts, self._side = team, shard, counts, side
        self.shape, self.device = (shard.n, shard.n), team.device

    def __len__(self) -> int:
        return self.shape[0]

    def diagonal(self) -> torch.Tensor:
        """(n,): an item's affinity to itself is 1."""
        return torch.ones(len(self), device=self.device)

    def __matmul__(self, x: torch.Tensor) -> torch.Tensor:
        self._team.tell(Order.PRODUCT, self._side, x.shape[1])
        product = self._shard.product(self._side, self._team.spread(x.contiguous()))
        return self._team.joined(product, self._counts)

    def knn(self, labels: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """As :meth:`diptych.ops.PackedDirection.knn`."""
        self._team.tell(Order.NEIGHBORS, self._side, k)
        scores, neighbors = self._shard.knn(self._side, self._team.spread(labels.contiguous()), k)
        return self._team.joined(scores, self._counts), self._team.joined(neighbors, self._counts)

    def entries(self, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        """As :meth:`diptych.ops.PackedDirection.entries`."""
        i, j = torch.broadcast_tensors(i, j)
        self._team.tell(Order.ENTRIES, self._side, i.numel())
        pairs = self._team.spread(torch.stack([i.reshape(-1), j.reshape(-1)]))
        return self._team.total(self._shard.entries(self._side, *pairs)).reshape(i.shape)

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """As :meth:`diptych.ops.PackedDirection.rows`, for a few rows."""
        own = torch.arange(start, stop, device=self.device)
        return self.entries(own[:, None], torch.arange(len(self), device=self.device))


def serve(team: Team, shard: Shard, counts: list[int]) -> Order:
    """Others: do what the leader's directions ask until it says stop, or that it failed; returns which."""
    while True:
        order, side, size = team.told()
        if order == Order.PRODUCT:
            x = team.spread(torch.empty(shard.n, size, device=team.device))
            team.joined(shard.product(side, x), counts)
        elif order == Order.NEIGHBORS:
            labels = team.spread(torch.empty(shard.n, dtype=torch.int64, device=team.device))
            for found in shard.knn(side, labels, size):
                team.joined(found, counts)
        elif order == Order.ENTRIES:
            pairs = team.spread(torch.empty(2, size, dtype=torch.int64, device=team.device))
            team.total(shard.entries(side, *pairs))
        else:
            return order


def spans(n: int, block_rows: int, size: int) -> list[tuple[int, int]]:
    """Whole blocks of rows for each of ``size`` processes, in order and as evenly as blocks allow."""
    blocks = -(-n // block_rows)
    ends = [min(n, (blocks * (rank + 1) // size) * block_rows) for rank in range(size)]
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _places(counts: list[int]) -> list[slice]:
    """Each process's items."""
    ends = torch.tensor(counts).cumsum(0).tolist()
    return [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]


def join(backend: str, timeout: timedelta) -> None:
    """Join the process group of a job that torchrun has started, or started again.

    Its store keeps the addresses of processes that have died; a process that is quicker than the others of
    the new attempt would find these, unless each attempt has names of its own.
    """
    store, rank, size = next(dist.rendezvous("env://", timeout=timeout))
    store = dist.PrefixStore(f"attempt-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=timeout)


def restarted() -> bool:
    """Whether torchrun has started this process again after one of the job had died."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def launched() -> bool:
    """Whether torchrun started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ
