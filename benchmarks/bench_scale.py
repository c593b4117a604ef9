"""Comparisons of 5,000 to 50,000 items, in one byte a pair and sampled, on a machine of two cores and 24 GiB.

Counted for n = 50,000, d = 768, both directions, at 170 GFLOP/s of GEMM and 25 GB/s of memory:

- products: 2 × 2 n² d = 7.7 TFLOP, 46 s;
- ranks: a radix sort per row and representation, 5 x 10^9 entries at some 2.7 ns on two threads, 13 s;
- differences, symmetrising: 9 and 2 bytes a pair, 27 GB; with a pass through the tiles some 5 s;
- eigenvectors: 10 passes of 16 vectors for each direction, 2 × 10 × 32 n² = 1.6 TFLOP, 10 s;
- neighbors in clusters and the rest: 10 s.

Sampled (K = 128, S = 1024), the same products and ranks, then per item 1,280 pairs of 8 bytes: 0.5 GB, read
twice in each of the eigensolver's passes.

Each size is a process of its own, whose peak memory is read at the end. The answer is checked before anything
is timed: at n = 20,000 the labels must be those of float32 matrices (ARI >= 0.98).

Run: OMP_NUM_THREADS=2 pytest benchmarks/bench_scale.py
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from conftest import machine
from diptych import rdx
from planted import planted_pair

D, M = 768, 5

# A size's comparison: seconds, peak bytes above the inputs, the plan, the parts of the work.
PROGRAM = """
import json, sys, time
sys.path.insert(0, {folder!r})
import torch
from planted import planted_pair
from diptych import rdx
def resident(field):
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024
small = planted_pair(800, {d})
rdx.compare(*small, precision="int8", progress=False)  # loads every library
a, b = planted_pair({n}, {d})
planned = rdx.plan({n}, {d}, {d}, precision="{precision}")
before = resident("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # resets the high-water mark
start = time.perf_counter()
result = rdx.compare(a, b, precision="{precision}", progress=False, profile=True)
seconds = time.perf_counter() - start
print(json.dumps(dict(
    seconds=seconds,
    peak=resident("VmHWM") - before,
    total=resident("VmHWM"),
    planned_seconds=planned.seconds,
    planned_memory=planned.memory,
    bsr=[result.a.bsr, result.b.bsr],
    stages=result.seconds,
    parts=[vars(part) for part in result.profile],
)))
"""


def run(n, precision):
    script = PROGRAM.format(folder=str(Path(__file__).parent), n=n, d=D, precision=precision)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def per_pair():
    """Seconds per pair of items of each size that was run."""
    return {}


def test_labels_are_those_of_float32():
    a, b = planted_pair(20_000, 128)
    packed, exact = (rdx.compare(a, b, precision=held, progress=False) for held in ("int8", "float32"))
    for mine, theirs in ((packed.a, exact.a), (packed.b, exact.b)):
        assert adjusted_rand_score(mine.labels, theirs.labels) >= 0.98
        assert abs(mine.bsr - theirs.bsr) <= 0.02


def add_rows(recorder, limits, found, n, op, dtype, **told):
    """A row for the whole comparison and one for each part of it."""
    shape = f"n={n} d={D} m={M}"
    rate = 4 * n * n * D / found["seconds"]
    recorder.add(
        op=op,
        shape=shape,
        dtype=dtype,
        backend="cpu",
        median_s=found["seconds"],
        rate=rate / 1e9,
        unit="GFLOP/s of products alone",
        share_of_limit=rate / limits["gemm"],
        peak_memory_bytes=found["peak"],
        error=json.dumps({"bsr": found["bsr"]}),
        **told,
    )
    for part in found["parts"]:
        recorder.add(
            op=f"{op}: {part['name']}",
            shape=shape,
            dtype=dtype,
            backend="cpu",
            median_s=part["seconds"],
            rate=part["gflops"] or part["gigabytes"],
            unit="GFLOP/s" if part["gflops"] else "GB/s",
            share_of_limit=part["share"],
        )
    print(machine(), json.dumps(found, indent=1))


def check_plan(found):
    assert found["peak"] <= 1.1 * found["planned_memory"]
    assert found["seconds"] / 2 < found["planned_seconds"] < 2 * found["seconds"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("n", [5_000, 20_000, 50_000])
def test_exact(recorder, limits, per_pair, n):
    found = run(n, "int8")
    per_pair[n] = found["seconds"] / n**2
    told = {"baseline": "n=5000, time per pair", "ratio": per_pair[n] / per_pair[5_000]}
    add_rows(recorder, limits, found, n, "rdx.compare, a byte a pair", "int8", **told)
    assert min(found["bsr"]) >= 0.9
    assert per_pair[n] <= 1.5 * per_pair[5_000]
    check_plan(found)
    if n == 50_000:
        assert found["seconds"] <= 150
        assert found["total"] <= 8 * 2**30


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_sampled(recorder, limits):
    found = run(50_000, "sampled")
    add_rows(recorder, limits, found, 50_000, "rdx.compare, sampled", "float32")
    assert min(found["bsr"]) >= 0.9
    check_plan(found)
    assert found["seconds"] <= 100
    assert found["peak"] <= 1.5 * 2**30


def test_threads_are_two():
    assert torch.get_num_threads() == 2, "the figures are for two threads: set OMP_NUM_THREADS=2"
