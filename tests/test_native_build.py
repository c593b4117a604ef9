"""The compiled modules: what they were built with, every instruction set, threads, forks and symbols."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

import diptych
from diptych import _cpu, ops

LEVELS = ("portable", "avx2", "avx512")

# Prints the level in use and a digest of every op's bytes or, where rounding may differ, its values.
PROGRAM = """
import hashlib, json
import numpy as np
from diptych import _cpu, ops
x = np.random.default_rng(0).integers(0, 9, (129, 5)).astype(np.float32)
y = np.random.default_rng(1).integers(0, 9, (129, 5)).astype(np.float32)
a, b = ops.neighbor_ranks(x), ops.neighbor_ranks(y)
exact = [a, b, ops.pairwise_distances(x), *ops.knn(x, 9), *ops.knn(np.tile(x, (3, 1)), 9)]
ab, ba = ops.difference_affinity(a, b)
print(json.dumps({
    "level": _cpu.simd_level(),
    "exact": [hashlib.sha256(array.tobytes()).hexdigest() for array in exact],
    "rounded": [array.astype(float).sum(axis=1).tolist()
                for array in (ab, ba, ops.locally_biased_difference(a, b))],
}))
"""


def run_at(level: str, program: str = PROGRAM) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"DIPTYCH_SIMD": level}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def portable() -> dict:
    return json.loads(run_at("portable").stdout)


@pytest.mark.parametrize("level", LEVELS)
def test_every_instruction_set_gives_the_same_answers(level: str, portable: dict) -> None:
    done = run_at(level)
    if "this machine cannot run it" in done.stderr:
        pytest.skip(f"this machine has no {level}")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["level"] == level
    # Integer-valued data: products, distances and ranks are exact whatever the order of operations.
    assert found["exact"] == portable["exact"]
    # exp and tanh are good to 3 ulp, beta = 5 multiplies the error of G: below 20 ulp of float32 a term.
    for got, want in zip(found["rounded"][:2], portable["rounded"][:2], strict=True):
        np.testing.assert_allclose(got, want, rtol=20 * np.finfo(np.float32).eps)
    # Sums of 129 differences in [-1, 1], each off by at most 4 ulp of 1.
    np.testing.assert_allclose(
        found["rounded"][2], portable["rounded"][2], rtol=0, atol=129 * 4 * np.finfo(np.float32).eps
    )


def test_an_unknown_instruction_set_is_refused_by_name() -> None:
    done = run_at("sse9")
    assert done.returncode != 0
    assert "DIPTYCH_SIMD=sse9: unknown or not built; known are portable, avx2 and avx512" in done.stderr


def test_build_info_tells_what_was_built() -> None:
    info = diptych.build_info()
    assert info["diptych"] == diptych.__version__
    assert info["torch"] == torch.__version__
    assert info["simd"] in LEVELS
    assert info["compiler"].split()[0] in {"GNU", "Clang", "AppleClang"}
    assert (info["cuda_module"] is None) == (info["cuda_architectures"] is None)


def test_one_and_two_threads_give_the_same_bytes() -> None:
    x = np.random.default_rng(2).standard_normal((257, 6)).astype(np.float32)
    distances = ops.pairwise_distances(x)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            ranks = ops.neighbor_ranks(distances=distances)
            found.append((ranks, *ops.difference_affinity(ranks, ranks.T.copy())))
    finally:
        torch.set_num_threads(before)
    for one, two in zip(*found, strict=True):
        assert one.tobytes() == two.tobytes()


def _ranks_in_child(distances: np.ndarray, expected: np.ndarray) -> None:
    out = np.empty(distances.shape, np.int32)
    _cpu.ranks(distances, 0, out, 2)
    os._exit(0 if np.array_equal(out, expected) else 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_does_not_wait_for_its_parents_threads() -> None:
    distances = np.random.default_rng(3).random((200, 200), np.float32)
    expected = np.empty((200, 200), np.int32)
    _cpu.ranks(distances, 0, expected, 2)
    child = multiprocessing.get_context("fork").Process(target=_ranks_in_child, args=(distances, expected))
    child.start()
    child.join(timeout=60)
    hung = child.is_alive()
    if hung:
        child.kill()
        child.join()
    assert not hung
    assert child.exitcode == 0


@pytest.mark.skipif(shutil.which("nm") is None or sys.platform != "linux", reason="needs nm on Linux")
def test_the_module_exports_nothing_of_its_kernels() -> None:
    command = ["nm", "--dynamic", "--defined-only", "--demangle", _cpu.__file__]
    exported = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "PyInit__cpu" in exported
    assert "diptych::" not in exported


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_has_one_openmp_runtime() -> None:
    # Two would each keep threads of their own for the same processors.
    program = """
import re
from pathlib import Path
from diptych import ops
import numpy as np
ops.neighbor_ranks(np.random.rand(50, 3))
print(*set(re.findall(r"/\\S*/lib(?:gomp|iomp5|omp)\\b\\S*", Path("/proc/self/maps").read_text())))
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert len(done.stdout.split()) == 1, done.stdout
