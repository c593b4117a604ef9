"""Backends, build information, import cost and instruction sets."""

import json
import os
import platform
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from helpers import gaussian, rank_matrix

import diptych
from diptych import ops
from diptych.ops import _dispatch


def run_python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_last_backend_tells_what_ran() -> None:
    x = gaussian(9, 3)
    ops.neighbor_ranks(x)
    assert ops.last_backend() == "cpu"
    ops.neighbor_ranks(x, backend="torch")
    assert ops.last_backend() == "torch"
    ops.pairwise_distances(x, backend="cpu")
    assert ops.last_backend() == "cpu"


def test_last_backend_of_an_op_made_of_others() -> None:
    affinity = torch.ones(9, 9)
    ops.knn_affinity(affinity, torch.zeros(9, dtype=torch.int64), 2)
    assert ops.last_backend() == "cpu"
    ops.spectral_clusters(affinity, 2, backend="torch")
    assert ops.last_backend() == "torch"
    ops.spectral_clusters(affinity, 2)
    assert ops.last_backend() == "cpu"


def test_a_refused_call_leaves_last_backend_alone() -> None:
    ops.pairwise_distances(gaussian(3, 3), backend="torch")
    with pytest.raises(ValueError, match="has no 'cuda'"):
        ops.linear_cka(gaussian(3, 3), gaussian(3, 3), backend="cuda")
    with pytest.raises(ValueError, match="cannot serve"):
        ops.neighbor_ranks(gaussian(3, 3), backend="cuda")
    assert ops.last_backend() == "torch"


def test_last_backend_is_the_threads_own() -> None:
    ops.pairwise_distances(gaussian(3, 3), backend="torch")
    seen: list[str | None] = []

    def work() -> None:
        seen.append(ops.last_backend())
        ops.pairwise_distances(gaussian(3, 3), backend="cpu")
        seen.append(ops.last_backend())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None, "cpu"]
    assert ops.last_backend() == "torch"


@pytest.mark.parametrize("backend", ["CPU", "numpy", "", 3])
def test_an_unknown_backend_is_refused(backend: object) -> None:
    with pytest.raises(ValueError, match="backend: expected one of cpu, cuda, triton, torch, found"):
        ops.neighbor_ranks(gaussian(3, 3), backend=backend)


@pytest.mark.parametrize("backend", ["cuda", "triton"])
def test_a_backend_that_cannot_serve_raises(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(ValueError, match=f"backend: '{backend}' cannot serve arrays on cpu here"):
        ops.difference_affinity(rank_matrix(3), rank_matrix(3), backend=backend)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
def test_a_gpu_is_served_by_its_own_backend() -> None:
    x = gaussian(9, 3).cuda()
    ops.neighbor_ranks(x)
    assert ops.last_backend() == ("cuda" if _dispatch.cuda_module() else "torch")
    with pytest.raises(ValueError, match="backend: 'cpu' cannot serve arrays on cuda:0 here"):
        ops.neighbor_ranks(x, backend="cpu")


def test_build_info() -> None:
    info = diptych.build_info()
    assert info["diptych"] == diptych.__version__
    assert info["python"] == platform.python_version()
    assert info["torch"] == torch.__version__
    assert info["simd"] in ("portable", "avx2", "avx512")
    assert info["threads"] == torch.get_num_threads()
    assert (info["cuda_module"] is None) == (_dispatch.cuda_module() is None)
    assert (info["gpu"] is None) == (not torch.cuda.is_available())
    json.dumps(info)


def test_the_package_is_cheap_to_import() -> None:
    program = """
import sys, time
start = time.perf_counter()
import diptych
seconds = time.perf_counter() - start
heavy = [name for name in ("torch", "numpy", "sklearn", "plotly", "typer", "pandas") if name in sys.modules]
print(seconds, *heavy)
"""
    # The best of three: the first may read from a cold disk.
    outputs = [run_python(program).stdout.split() for _ in range(3)]
    assert all(len(output) == 1 for output in outputs)
    assert min(float(output[0]) for output in outputs) < 1.5


def test_names_are_listed_and_others_refused() -> None:
    assert {"ops", "rdx", "build_info", "__version__"} <= set(dir(diptych))
    with pytest.raises(AttributeError, match="module 'diptych' has no attribute 'opps'"):
        _ = diptych.opps


LEVELS = ("portable", "avx2", "avx512")
RESULTS = """
import numpy as np
import torch
from diptych import _cpu, ops
print(_cpu.simd_level())
generator = np.random.default_rng(0)
x = generator.integers(0, 9, (130, 6)).astype(np.float32)
y = generator.standard_normal((130, 7))
a, b = ops.neighbor_ranks(x), ops.neighbor_ranks(y)
forward, backward = ops.difference_affinity(a, b)
biased = ops.locally_biased_difference(a, b)
wide = ops.difference_affinity(a.astype(np.float64), b.astype(np.float64))[0]
distances = ops.pairwise_distances(x)
near = ops.knn_affinity(forward.round(2), np.arange(130) % 3, 9)
clusters = ops.kmeans(y, 4)
np.savez(
    OUT, a=a, b=b, forward=forward, backward=backward, biased=biased,
    wide=wide, distances=distances, neighbors=near.neighbors, scores=near.scores, labels=clusters.labels,
)
"""


def test_instruction_sets_agree(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("simd")
    found = {}
    for level in LEVELS:
        path = folder / f"{level}.npz"
        done = run_python(RESULTS.replace("OUT", repr(str(path))), DIPTYCH_SIMD=level)
        if done.returncode == 0:
            assert done.stdout.split() == [level]
            found[level] = dict(np.load(path))
        else:
            assert level != "portable", done.stderr
            assert f"DIPTYCH_SIMD={level}: " in done.stderr
    for results in found.values():
        for name, values in results.items():
            expected = found["portable"][name]
            if np.issubdtype(values.dtype, np.integer):
                np.testing.assert_array_equal(values, expected)
            else:
                # Levels differ in fused multiply-adds only: as far apart as each may be from the truth.
                tolerance = 2 * (8 * 5 + 4) * np.finfo(values.dtype).eps
                np.testing.assert_allclose(values, expected, rtol=tolerance, atol=0)


@pytest.mark.parametrize("level", ["sse9", "", "AVX2"])
def test_an_unknown_instruction_set_is_a_clear_error(level: str) -> None:
    done = run_python("import diptych; diptych.build_info()", DIPTYCH_SIMD=level)
    assert done.returncode == 1
    assert f"DIPTYCH_SIMD={level}: unknown or not built; known are portable, avx2 and avx512" in done.stderr


def test_other_threads_run_while_a_kernel_does() -> None:
    distances = gaussian(1500, 1500).abs()
    done = threading.Event()

    def work() -> None:
        for _ in range(3):
            ops.neighbor_ranks(distances=distances)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    ticks = 0
    while not done.is_set():
        time.sleep(0.001)
        ticks += 1
    thread.join()
    # With the lock held, this thread would wake some three times, once between two calls.
    assert ticks > 10
