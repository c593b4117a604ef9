"""Is an installed diptych whole? Run with the Python it is installed in: no checkout is needed.

Checks what the package holds and what it leaves out, runs an op on numpy and on torch, and counts the
OpenMP runtimes of a process that uses torch and diptych: two on the same processors cost four times the time.
"""

import importlib.metadata
import re
from pathlib import Path, PurePosixPath

import numpy as np

import diptych
from diptych import ops

WANTED = {
    "diptych/py.typed",
    "diptych/_cpu.pyi",
    "diptych/_cuda.pyi",
    "diptych/collect/static/collect.css",
    "diptych/collect/static/ranking.js",
    "diptych/collect/static/session.js",
    "diptych/collect/templates/learn.html.j2",
    "diptych/kernels/difference_affinity.py",
    "diptych/kernels/pairwise_distances.py",
    "diptych/report/templates/base.html.j2",
    "diptych/report/templates/rdx.html.j2",
    "diptych/report/templates/rdx.js",
    "diptych/report/templates/rsvc.css",
    "diptych/report/templates/rsvc.html.j2",
    "diptych/report/templates/rsvc.js",
    "diptych/report/templates/style.css",
}
UNWANTED_ENDINGS = {".cpp", ".cu", ".cuh", ".hpp", ".o", ".a", ".txt", ".cmake", ".csv"}


def contents() -> None:
    """The package's own files, no sources, no tests, and nothing beside it."""
    checkout = Path(diptych.__file__).parents[2]
    assert not (checkout / "csrc").exists(), f"diptych comes from the checkout {checkout}"
    files = [PurePosixPath(str(file)) for file in importlib.metadata.files("diptych") or []]
    inside = {str(file) for file in files if file.parts[0] == "diptych"}
    assert inside >= WANTED, f"missing: {sorted(WANTED - inside)}"
    assert any(re.fullmatch(r"diptych/_cpu\..*(so|pyd)", name) for name in inside), (
        "the compiled module is missing"
    )
    trash = [name for name in inside if PurePosixPath(name).suffix in UNWANTED_ENDINGS]
    assert not trash, f"does not belong into a package: {trash}"
    outside = {file.parts[0] for file in files if not re.match(r"diptych($|-|\.libs)", file.parts[0])} - {
        ".."
    }
    assert not outside, f"stands beside the package: {sorted(outside)}"


def answers() -> None:
    """Distances and ranks of integers are exact."""
    import torch

    x = np.random.default_rng(0).integers(0, 9, (65, 5)).astype(np.float32)
    exact = ((x[:, None] - x) ** 2).sum(2)
    assert (ops.pairwise_distances(x, metric="sqeuclidean") == exact).all()
    np.fill_diagonal(exact, -1)
    expected = exact.argsort(1, kind="stable").argsort(1, kind="stable")
    assert (ops.neighbor_ranks(x) == expected).all()
    assert (ops.neighbor_ranks(torch.from_numpy(x)).numpy() == expected).all()
    assert ops.last_backend() == "cpu"


def one_openmp() -> None:
    """One OpenMP runtime, and none of ours."""
    maps = Path("/proc/self/maps")
    if maps.exists():
        runtimes = set(re.findall(r"/\S*/lib(?:gomp|iomp5|omp)\b\S*", maps.read_text()))
        ours = [name for name in runtimes if "diptych" in name]
        assert not ours, f"a private OpenMP runtime: {ours}"
        assert len(runtimes) == 1, f"OpenMP runtimes: {sorted(runtimes)}"


# The count comes first, before other packages bring runtimes of their own.
one_openmp()
contents()
answers()
print(f"diptych {diptych.__version__} in {Path(diptych.__file__).parent} is whole: {diptych.build_info()}")
