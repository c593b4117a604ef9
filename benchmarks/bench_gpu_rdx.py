"""The whole of rdx.compare on a GPU: wall time from two embeddings on the device to the result on the host.

Counted, per comparison of n items with d features: 4 n² d operations for the distances of both, and about
12 passes of 4 n² bytes per direction for ranks, affinities and eigenvectors. At n = 50,000 each of the two
n × n matrices takes 10 GB.

Run: benchmarks/gpu.sh OUTDIR, or pytest benchmarks/bench_gpu_rdx.py
"""

import json
import subprocess
import sys

import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from diptych import rdx
from gpu_timing import GpuRecorder, measured_limits, require_gpu, wall_time

require_gpu()

D = 768
# Seconds after which a run of the large size is given up.
PATIENCE = 80


@pytest.fixture(scope="module")
def gpu(recorder):
    return GpuRecorder(recorder, measured_limits())


def embeddings(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two views of 20 groups; each view holds five groups together, in pairs, that the other tells apart."""
    generator = torch.Generator("cuda").manual_seed(0)
    centers = torch.randn(20, D, generator=generator, device="cuda")
    groups = torch.arange(n, device="cuda") % 20
    views = []
    for first in (0, 10):
        own = centers.clone()
        own[first : first + 10 : 2] = own[first + 1 : first + 10 : 2]
        views.append(own[groups] + 0.7 * torch.randn(n, D, generator=generator, device="cuda"))
    return views[0], views[1]


def test_answers_as_the_cpu_does():
    a, b = embeddings(3000)
    here, there = rdx.compare(a, b, progress=False), rdx.compare(a.cpu(), b.cpu(), progress=False)
    for name in ("a", "b"):
        one, other = getattr(here, name), getattr(there, name)
        assert adjusted_rand_score(one.labels, other.labels) >= 0.98
        assert abs(one.bsr - other.bsr) <= 0.03


def test_compare(gpu):
    a, b = embeddings(5000)
    result = rdx.compare(a, b, progress=False)
    assert min(result.a.bsr, result.b.bsr) > 0.8
    found = gpu.measure(
        "rdx.compare, both directions",
        f"n=5000 d={D} m=5",
        lambda: rdx.compare(a, b, progress=False),
        {},
        error=json.dumps({stage: round(seconds, 4) for stage, seconds in result.seconds.items()}),
        rounds=10,
        timer=wall_time,
    )
    assert found["seconds"] <= 0.050


LARGE = """
import json, sys
sys.path.insert(0, {folder!r})
import torch
from bench_gpu_rdx import embeddings
from diptych import rdx
from gpu_timing import peak_memory, wall_time
rdx.compare(*embeddings(2000), progress=False)
a, b = embeddings({n})
results = []
peak = peak_memory(lambda: results.append(rdx.compare(a, b, progress=False)))
times = [wall_time(lambda: rdx.compare(a, b, progress=False)) for _ in range(3)]
stages = results[0].seconds
bsr = min(results[0].a.bsr, results[0].b.bsr)
print(json.dumps(dict(times=times, peak=peak, stages=stages, bsr=bsr)))
"""


def test_compare_large(gpu, recorder):
    from conftest import spread

    n = 50_000
    script = LARGE.format(folder=str(recorder_folder()), n=n)
    run = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found = json.loads(run.stdout.splitlines()[-1])
    assert found["bsr"] > 0.8
    recorder.add(
        op="rdx.compare, both directions",
        shape=f"n={n} d={D} m=5",
        dtype="float32",
        **spread(found["times"]),
        peak_memory_bytes=found["peak"],
        error=json.dumps({stage: round(seconds, 3) for stage, seconds in found["stages"].items()}),
        machine=torch.cuda.get_device_name(),
    )
    assert min(found["times"]) <= 2


def recorder_folder():
    from pathlib import Path

    return Path(__file__).parent
