"""Timing on a GPU: the limits of this card, ours and the baselines in turns, one row per race."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

Run = Callable[[], Any]

# Cycles for which the GPU waits before a timed region, about a millisecond: the host queues the launches
# meanwhile, so that events measure the device's time and not the host's.
_HEAD_START = 2_000_000


def require_gpu() -> None:
    """Skip, saying so, where there is no GPU to measure."""
    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU: nothing is measured", allow_module_level=True)


def device_time(run: Run) -> float:
    """Seconds that the device takes for what ``run`` queues; it must not wait for the device."""
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    torch.cuda._sleep(_HEAD_START)
    start.record()
    run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3


def wall_time(run: Run) -> float:
    """Seconds from the call until the device has finished."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def measured_limits() -> dict[str, float]:
    """Copy bandwidth in bytes/s (read and written) and float32 GEMM rate in flop/s, measured now."""
    source = torch.rand(1 << 30, device="cuda")
    target = torch.empty_like(source)
    x = torch.randn(8192, 8192, device="cuda")
    out = torch.empty_like(x)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        copy = min(device_time(lambda: target.copy_(source)) for _ in range(10))
        gemm = min(device_time(lambda: torch.mm(x, x, out=out)) for _ in range(5))
    finally:
        torch.set_float32_matmul_precision(before)
    return {"copy": 2 * 4 * source.numel() / copy, "gemm": 2 * 8192**3 / gemm}


def race(
    ours: Run, baselines: Mapping[str, Run], rounds: int, timer: Callable[[Run], float] = device_time
) -> tuple[list[float], dict[str, list[float]]]:
    """Time ours and the baselines in turns, after two untimed rounds of each."""
    for run in (ours, *baselines.values()):
        for _ in range(2):
            run()
    times: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in baselines}
    for _ in range(rounds):
        times.append(timer(ours))
        for name, run in baselines.items():
            theirs[name].append(timer(run))
    return times, theirs


def peak_memory(run: Run) -> int:
    """Most bytes that torch held for ``run`` beyond what it held before."""
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


class GpuRecorder:
    """Runs races and writes their rows."""

    def __init__(self, recorder: Any, limits: Mapping[str, float]) -> None:
        self.recorder = recorder
        self.limits = limits

    def measure(
        self,
        op: str,
        shape: str,
        ours: Run,
        baselines: Mapping[str, Run],
        *,
        error: object,
        bytes_moved: float = 0.0,
        operations: float = 0.0,
        dtype: str = "float32",
        rounds: int = 20,
        timer: Callable[[Run], float] = device_time,
    ) -> dict[str, float]:
        """Race, write a row per baseline, and return the share of the limit and the least ratio.

        Give the bytes that must move or the operations that must be done, whichever limits the op. The
        answer is checked before: ``error`` says how far it was off.
        """
        from conftest import spread
        from diptych import ops

        times, theirs = race(ours, baselines, rounds, timer)
        ours()
        backend = ops.last_backend()
        own = spread(times)
        rate = max(bytes_moved, operations) / own["p20_s"]
        limit = self.limits["copy" if bytes_moved else "gemm"]
        row = {"op": op, "shape": shape, "dtype": dtype, "backend": backend, **own, "error": error}
        row |= {"machine": torch.cuda.get_device_name(), "peak_memory_bytes": peak_memory(ours)}
        if rate:
            row |= {"rate": rate / 1e9, "unit": "GB/s" if bytes_moved else "GFLOP/s"}
            row["share_of_limit"] = rate / limit
        ratios = []
        for name, seconds in theirs.items():
            low = float(np.percentile(seconds, 20))
            ratios.append(low / own["p20_s"])
            self.recorder.add(**row, baseline=name, baseline_p20_s=low, ratio=ratios[-1])
        if not theirs:
            self.recorder.add(**row)
        return {"share": rate / limit, "ratio": min(ratios, default=float("nan")), "seconds": own["p20_s"]}
