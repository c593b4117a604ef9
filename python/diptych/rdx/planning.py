"""What a comparison will take, in memory and time, before it starts."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from diptych import _memory
from diptych.ops._meter import fastest
from diptych.ops._rank_rows import RankRows
from diptych.ops.packed_affinity import PackedDirection
from diptych.ops.sampled_affinity import NEIGHBORS, SAMPLES

PRECISIONS = ("auto", "float32", "int8", "sampled")

#: Pairs of each item that a sample keeps where nothing else is asked for.
KEPT = 2 * NEIGHBORS + SAMPLES

# Items up to which "auto" holds the affinities in float32: two matrices of 400 MB.
_FLOAT32_ITEMS = 10_000

# Share of the free memory that a job may take.
_SHARE = 0.9

# Bytes of each representation's block of rows where memory is not short, and the rows a block has at least.
_BLOCK_BYTES, _LEAST_ROWS = 1 << 27, 384

# Vectors of n that the eigensolver holds: its basis and what it makes of it.
_VECTORS = 640 + 6 * 16

# Bytes that the look at promising grids takes: rows of ranks, and a few thousand items among each other.
_PROMISING_BYTES = 3 << 27

# The pilot that tells this machine's speed: rows, and at most so many columns.
_PILOT_ROWS, _PILOT_COLUMNS = 512, 8192

# What follows the ranks takes, of each pair of items and direction: passes of the eigensolver, and
# nanoseconds of one thread for packing, folding and looking for neighbors; and what no size spares.
_PASSES, _NANOSECONDS, _FIXED_SECONDS = 12, 5.0, 1.0

# Nanoseconds of one thread for each of a row's pairs while some are chosen to be kept, for each kept pair and
# pass of the eigensolver, which reads it twice, and while neighbors are looked for among them.
_CHOOSING, _KEPT, _LOOKING = 6.0, 7.0, 50.0

_HELD = {"float32": "two float32 matrices", "int8": "one byte a pair", "sampled": "a sample of the pairs"}


@dataclass(frozen=True)
class Plan:
    """How a comparison will be made and what it takes.

    Attributes:
        n: Items.
        precision: ``"float32"`` (two n × n matrices), ``"int8"`` (a byte a pair, for both directions) or
            ``"sampled"`` (some pairs of each item).
        block_rows: Rows of distances that are made at a time.
        memory: Bytes needed beside the inputs.
        free: Bytes that are free.
        seconds: Estimated from a pilot on this machine, to within a factor of two; NaN without one.
        mapped: Whether the affinities are kept in a file of the workspace.
    """

    n: int
    precision: str
    block_rows: int
    memory: int
    free: int
    seconds: float
    mapped: bool = False

    def __str__(self) -> str:
        held = _HELD[self.precision]
        if self.mapped:
            held += " on disk"
        return (
            f"{self.n:,} items, {held}: {_size(self.memory)} of {_size(self.free)} free memory, "
            f"about {_duration(self.seconds)}"
        )


def plan(
    n: int,
    d_a: int,
    d_b: int,
    *,
    precision: str = "auto",
    device: str | torch.device = "cpu",
    workspace: str | os.PathLike[str] | None = None,
    processes: int = 1,
    kept: int = KEPT,
    pilot: bool = True,
) -> Plan:
    """Choose precision and block size by the memory that is free, and estimate the time.

    Args:
        n: Items.
        d_a: Columns of the first embeddings.
        d_b: Columns of the second.
        precision: ``"float32"``, ``"int8"``, ``"sampled"`` or ``"auto"``: float32 up to n = 10,000 where it
            fits, else int8.
        device: Where the comparison will run.
        workspace: A folder that may hold n² bytes of affinities where memory cannot.
        processes: That share the work, and this machine's memory.
        kept: Pairs of each item that are kept under ``"sampled"``.
        pilot: Measure this machine, for some tenths of a second; without it there is no estimate of time.

    Returns:
        :class:`Plan`.

    Raises:
        MemoryError: It cannot fit; the message tells how many items would, and what would make it fit.
        OSError: The disk has no room for the workspace.
    """
    target = torch.device(device)
    free = _memory.available(target) // (processes if target.type == "cpu" else 1)
    if precision == "auto":
        small = n <= _FLOAT32_ITEMS and _need(n, d_a, d_b, "float32", free) <= _SHARE * free
        precision = "float32" if small else "int8"
    need, mapped = _need(n, d_a, d_b, precision, free, processes, kept), False
    if need > _SHARE * free:
        mappable = workspace is not None and precision == "int8" and processes == 1
        if not mappable or need - n * n > _SHARE * free:
            raise MemoryError(_refusal(n, d_a, d_b, precision, free, processes, kept))
        mapped, need = True, need - n * n
    if workspace is not None:
        parts = 8 * n * kept if precision == "sampled" else n * n
        _check_disk(n, parts + n * n if mapped else parts, workspace)
    seconds = _seconds(n, d_a, d_b, target, kept if precision == "sampled" else 0) if pilot else float("nan")
    return Plan(n, precision, block_rows(n, free, processes), need, free, seconds / processes, mapped)


def block_rows(n: int, free: int, processes: int = 1) -> int:
    """Rows made at a time: 128 MiB of each representation, or a twentieth of the free memory.

    Of several processes each has at least a block, of few items one of fewer rows.
    """
    rows = min(_BLOCK_BYTES, free // 20) // (4 * n)
    share = -(-n // processes)
    if processes > 1:
        share = -(-share // 64) * 64
    return min(n, share, max(_LEAST_ROWS, rows // _LEAST_ROWS * _LEAST_ROWS))


def largest(d_a: int, d_b: int, precision: str, free: int, processes: int = 1, kept: int = KEPT) -> int:
    """The most items that fit in ``free`` bytes."""
    low, high = 1, 1 << 31
    while high - low > 1:
        middle = (low + high) // 2
        fits = _need(middle, d_a, d_b, precision, free, processes, kept) <= _SHARE * free
        low, high = (middle, high) if fits else (low, middle)
    return low


def _need(n: int, d_a: int, d_b: int, precision: str, free: int, processes: int = 1, kept: int = 0) -> int:
    """Bytes beside the inputs: centred copies, affinities, and the most that a stage holds beside these."""
    copies, vectors, scores = 4 * n * (d_a + d_b), 4 * n * _VECTORS, 8 * n * max(d_a, d_b)
    if precision == "float32":
        return copies + 8 * n * n + max(vectors, scores)
    blocks = 8 * n * block_rows(n, free, processes)
    # Of several processes each holds its rows of both directions.
    codes = n * n if processes == 1 else 2 * n * n // processes
    if precision == "sampled":
        # Of several processes each holds what its rows keep, and what others keep of its items.
        codes = 8 * n * kept if processes == 1 else 16 * n * kept // processes
    return copies + codes + max(blocks, vectors + _BLOCK_BYTES + _PROMISING_BYTES, scores)


def _refusal(n: int, d_a: int, d_b: int, precision: str, free: int, processes: int, kept: int) -> str:
    need = _need(n, d_a, d_b, precision, free, processes, kept)
    fits = largest(d_a, d_b, precision, free, processes, kept)
    message = (
        f"{n:,} items need {_size(need)} in {precision}, {_size(free)} are free: {fits:,} items would fit"
    )
    if precision == "float32" and largest(d_a, d_b, "int8", free) >= n:
        return f"{message}, all of them with precision='int8'"
    if precision == "sampled":
        return f"{message}; keep fewer neighbors or samples"
    message += "; with a workspace the affinities may be on disk"
    if largest(d_a, d_b, "sampled", free) >= n:
        message += ", with precision='sampled' it takes a few pairs of each item"
    return message


def _check_disk(n: int, wanted: int, workspace: str | os.PathLike[str]) -> None:
    folder = Path(workspace).absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    there = sum(path.stat().st_size for path in Path(workspace).glob("rows-*.safetensors"))
    if wanted - there > free:
        raise OSError(
            f"workspace: {n:,} items need {_size(wanted - there)} on disk, {_size(free)} are free "
            f"in {workspace}"
        )


def _seconds(n: int, d_a: int, d_b: int, device: torch.device, kept: int) -> float:
    columns = min(n, _PILOT_COLUMNS)
    ranking = sum(_ranking_time(columns, d, device) for d in (d_a, d_b))
    threads = torch.get_num_threads() if device.type == "cpu" else 1000
    if kept:
        later = 1e-9 * (_CHOOSING * n + 2 * kept * (_PASSES * _KEPT + _LOOKING)) / threads
        return _FIXED_SECONDS + n * (n * ranking + later)
    codes = torch.zeros(columns, columns, dtype=torch.int8, device=device)
    affinity, vectors = PackedDirection(codes, 5.0, True), torch.ones(columns, 16, device=device)
    product = fastest(lambda: affinity @ vectors, device) / columns**2
    per_pair = ranking + 2 * _PASSES * product + 2e-9 * _NANOSECONDS / threads
    return _FIXED_SECONDS + n * n * per_pair


def _ranking_time(columns: int, d: int, device: torch.device) -> float:
    """Seconds per pair of multiplying and ranking."""
    generator = torch.Generator().manual_seed(0)
    rows = RankRows(torch.randn(columns, d, generator=generator).to(device))
    count = min(columns, _PILOT_ROWS)
    out = torch.empty(count, columns, dtype=torch.int32, device=device)
    return fastest(lambda: rows(slice(0, count), out), device) / (count * columns)


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**29 else f"{count / 2**20:.0f} MiB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
