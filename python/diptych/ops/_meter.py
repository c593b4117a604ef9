"""How long each part of a long computation takes, and how much it does in that time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@dataclass
class Work:
    """What one part of a computation did: seconds, floating-point operations, bytes read and written."""

    seconds: float = 0.0
    operations: float = 0.0
    bytes: float = 0.0


class Meter:
    """Adds up the work of named parts; one that is off does nothing, and never waits for a GPU."""

    def __init__(self, device: torch.device | None = None) -> None:
        self.parts: dict[str, Work] = {}
        self._device = device

    @contextmanager
    def measure(self, name: str, operations: float = 0.0, moved: float = 0.0) -> Iterator[None]:
        """Count a block's time to the part ``name``, with the operations and bytes it is made of."""
        if self._device is None:
            yield
            return
        start = _now(self._device)
        yield
        part = self.parts.setdefault(name, Work())
        part.seconds += _now(self._device) - start
        part.operations += operations
        part.bytes += moved


#: The meter of whoever wants none.
OFF = Meter()


@dataclass(frozen=True)
class Limits:
    """What a machine can do: matrix products in operations per second, a copy in bytes per second."""

    operations: float
    bytes: float


def machine_limits(device: torch.device) -> Limits:
    """Measure both, in some tenths of a second: a float32 product of 2048 × 2048, a copy of 256 MiB."""
    side, count = 2048, 1 << 26
    a, b = torch.ones(side, side, device=device), torch.ones(side, side, device=device)
    source, target = torch.ones(count, device=device), torch.ones(count, device=device)
    out = torch.empty_like(a)
    product = fastest(lambda: torch.mm(a, b, out=out), device)
    copy = fastest(lambda: target.copy_(source), device)
    return Limits(2 * side**3 / product, 8 * count / copy)


def fastest(run: Callable[[], object], device: torch.device) -> float:
    """Seconds of the fastest of three runs; the first also wakes threads and touches pages."""
    best = float("inf")
    for _ in range(3):
        start = _now(device)
        run()
        best = min(best, _now(device) - start)
    return best


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
