"""What every benchmark shares: the machine's limits, interleaved timing, rows in a CSV."""

import csv
import os
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

RESULTS = Path(os.environ.get("DIPTYCH_RESULTS", Path(__file__).parent / "results"))
COLUMNS = (
    "op",
    "shape",
    "dtype",
    "backend",
    "median_s",
    "p20_s",
    "p80_s",
    "rate",
    "unit",
    "share_of_limit",
    "peak_memory_bytes",
    "baseline",
    "baseline_p20_s",
    "ratio",
    "error",
    "machine",
    "versions",
    "command",
)


class Recorder:
    """Collects rows and writes them to ``results/<name>.csv``, replacing that file as a whole."""

    def __init__(self, name: str) -> None:
        self.path = RESULTS / f"{name}.csv"
        self.rows: list[dict[str, Any]] = []

    def add(self, **row: Any) -> None:
        unknown = set(row) - set(COLUMNS)
        assert not unknown, unknown
        told = {"machine": machine(), "versions": versions(), "command": command()}
        self.rows.append(told | row)

    def write(self) -> None:
        if not self.rows:
            return
        RESULTS.mkdir(exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        with open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows({key: _short(value) for key, value in row.items()} for row in self.rows)
        temporary.replace(self.path)


@pytest.fixture(scope="module")
def recorder(request: pytest.FixtureRequest):
    recorder = Recorder(Path(request.module.__file__).stem.removeprefix("bench_"))
    yield recorder
    recorder.write()


@pytest.fixture(scope="session")
def limits() -> dict[str, float]:
    """Copy bandwidth in bytes/s (read and written) and float32 GEMM rate in flop/s, measured now."""
    source, target = np.ones(1 << 26, np.float32), np.zeros(1 << 26, np.float32)
    a, b = torch.from_numpy(source), torch.from_numpy(target)
    copy = min(timed(lambda: b.copy_(a)) for _ in range(7))
    x = torch.randn(3000, 3000)
    out = torch.empty(3000, 3000)
    gemm = min(timed(lambda: torch.mm(x, x, out=out)) for _ in range(7))
    return {"copy": 2 * source.nbytes / copy, "gemm": 2 * 3000**3 / gemm}


def timed(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def race(
    benchmark: Any, ours: Callable[[], Any], baselines: Mapping[str, Callable[[], Any]], rounds: int
) -> tuple[list[float], dict[str, list[float]]]:
    """Time ours (by pytest-benchmark) and the baselines in turns, after one untimed round of each.

    Interleaving makes the ratio hold when the machine's speed drifts. After each baseline there is a pause:
    the threads of numpy's BLAS go on spinning for some 25 ms after a product, and would slow what comes next.
    """
    times: dict[str, list[float]] = {name: [] for name in baselines}
    for function in (ours, *baselines.values()):
        function()

    def baseline_round() -> None:
        for name, function in baselines.items():
            times[name].append(timed(function))
            time.sleep(0.05)

    benchmark.pedantic(ours, setup=baseline_round, rounds=rounds, iterations=1, warmup_rounds=0)
    return list(benchmark.stats.stats.data), times


def spread(times: list[float]) -> dict[str, float]:
    """Median, 20th and 80th percentile, for a row."""
    low, high = np.percentile(times, [20, 80])
    return {"median_s": statistics.median(times), "p20_s": float(low), "p80_s": float(high)}


def machine() -> str:
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    return f"{model}, {torch.get_num_threads()} threads"


def versions() -> str:
    import scipy
    import sklearn

    import diptych

    info = diptych.build_info()
    return (
        f"diptych {info['diptych']} {info['simd']}, torch {torch.__version__}, numpy {np.__version__}, "
        f"scipy {scipy.__version__}, scikit-learn {sklearn.__version__}, python {info['python']}"
    )


def command() -> str:
    """The command line that is running."""
    threads = os.environ.get("OMP_NUM_THREADS")
    prefix = f"OMP_NUM_THREADS={threads} " if threads else ""
    return prefix + shlex.join(["pytest", *sys.argv[1:]])


def _short(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value
