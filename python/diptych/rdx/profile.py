"""Where the time of a comparison went, beside what the machine can do."""

from dataclasses import dataclass

import torch

from diptych.ops._meter import Meter, machine_limits


@dataclass(frozen=True)
class Part:
    """One part of the work.

    Attributes:
        name: What was done.
        seconds: Wall time.
        gflops: Floating-point operations per second, in 10^9.
        gigabytes: Bytes read and written per second, in 10^9.
        share: Of the machine's limit, the nearer of the two: a matrix product's rate, a copy's bandwidth.
    """

    name: str
    seconds: float
    gflops: float
    gigabytes: float
    share: float


def measured_parts(meter: Meter, device: torch.device) -> list[Part]:
    """What was measured, longest first, beside limits that are measured now."""
    limits = machine_limits(device)
    parts = []
    for name, work in meter.parts.items():
        operations, moved = work.operations / work.seconds, work.bytes / work.seconds
        share = max(operations / limits.operations, moved / limits.bytes)
        parts.append(Part(name, work.seconds, operations / 1e9, moved / 1e9, share))
    return sorted(parts, key=lambda part: -part.seconds)
