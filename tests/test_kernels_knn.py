"""The Triton kernels of knn: interpreted on the CPU, and compiled where there is a GPU."""

import functools
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from helpers import gaussian, integers, with_duplicates

if importlib.util.find_spec("triton") is None:
    pytest.skip("triton is not installed", allow_module_level=True)

from diptych import kernels, ops

# Around the group of 32 and the tile of 64 x 128.
SIZES = [2, 3, 9, 31, 33, 65, 129]


@functools.cache
def load(interpret: bool) -> ModuleType:
    """Load the kernels' module once more: whether it is interpreted is settled at its decoration."""
    path = Path(kernels.__path__[0]) / "knn.py"
    spec = importlib.util.spec_from_file_location("knn_under_test", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", str(int(interpret)))
        spec.loader.exec_module(module)
    return module


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    return load(interpret=True)


def keys_by_definition(x: torch.Tensor, y: torch.Tensor, first_row: int, exclude_self: bool) -> torch.Tensor:
    keys = (y.double() ** 2).sum(1) - 2 * x.double() @ y.double().T
    if exclude_self:
        rows = torch.arange(len(x))
        keys[rows, rows + first_row] = torch.inf
    return torch.stack([part.amin(1) for part in keys.split(32, dim=1)], 1)


@pytest.mark.parametrize(("m", "d"), [(2, 1), (3, 40), (31, 7), (33, 31), (65, 33), (129, 40)])
def test_least_keys(interpreted: ModuleType, m: int, d: int) -> None:
    y = integers(m, d, 9, m)  # products of integers are exact
    norms = y.square().sum(1)
    for first, stop, exclude_self in ((0, m, True), (m // 3, m, True), (0, m, False)):
        found = interpreted.least_keys(y[first:stop], y, norms, first, exclude_self)
        expected = keys_by_definition(y[first:stop], y, first, exclude_self)
        assert torch.equal(found.double(), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("m", [2, 33, 65])
def test_squares_of_groups(interpreted: ModuleType, m: int, dtype: torch.dtype) -> None:
    y = gaussian(m, 40, m, dtype)
    groups = -(-m // 32)
    chosen = torch.arange(groups).expand(m - m // 3, groups).contiguous()
    found = interpreted.squares_of_groups(y[m // 3 :], y, chosen, m // 3, True)
    expected = torch.stack([((row - y.double()) ** 2).sum(1) for row in y.double()[m // 3 :]])
    rows = torch.arange(len(expected))
    expected[rows, rows + m // 3] = torch.inf
    # Sums of 40 squares in float64, in another order: at most 40 roundings.
    torch.testing.assert_close(found[:, :m], expected, rtol=1e-14, atol=0)
    assert (found[:, m:] == torch.inf).all()


PROGRAM = """
import torch
from diptych import ops
from helpers import gaussian, integers, with_duplicates
for x, y in (
    (gaussian(12, 20, 1), gaussian(333, 20, 2)),
    (integers(35, 3, 3, 3), integers(333, 3, 3, 4)),
    (with_duplicates(gaussian(12, 7, 5, torch.float64)), gaussian(333, 7, 6, torch.float64)),
):
    for metric in ("euclidean", "sqeuclidean", "cosine"):
        if metric == "cosine" and ((x == 0).all(1).any() or (y == 0).all(1).any()):
            continue
        for searched, k in ((None, 2), (y, 1)):
            found = ops.knn(x, k, searched, metric=metric, backend="triton")
            assert ops.last_backend() == "triton"
            expected = ops.knn(x, k, searched, metric=metric, backend="cpu")
            assert torch.equal(found.indices, expected.indices), (metric, k)
            torch.testing.assert_close(found.distances, expected.distances, rtol=2e-7, atol=0)
"""


def test_the_op_runs_them_by_name() -> None:
    here = str(Path(__file__).parent)
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": here}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True, timeout=240)


# In a process of its own: triton's interpreter leaves traces in its language that the compiler trips over.
COMPILE = """
from triton import compile as compile_kernel
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from diptych.kernels import knn

def ptx_of(kernel, signature, constants, capability):
    source = ASTSource(kernel, signature | dict.fromkeys(constants, "constexpr"), constants)
    return compile_kernel(source, target=GPUTarget("cuda", capability, 32)).asm["ptx"]

for capability in (80, 90, 100):
    constants = {"EXCLUDE_SELF": True, "GROUP": 32, "DEPTH": 32}
    for pointer in ("*fp32", "*fp64"):
        signature = {"x_ptr": pointer, "y_ptr": pointer, "chosen_ptr": "*i64", "out_ptr": "*fp64"}
        signature |= dict.fromkeys(("m", "d", "chosen", "first_row"), "i32")
        assert "fma.rn.f64" in ptx_of(knn._squares_kernel, signature, constants, capability)
    signature = dict.fromkeys(("x_ptr", "y_ptr", "norms_ptr", "out_ptr"), "*fp32")
    signature |= dict.fromkeys(("n", "m", "d", "groups", "first_row"), "i32")
    constants |= {"ROWS": 64, "COLUMNS": 128}
    ptx = ptx_of(knn._least_keys_kernel, signature, constants, capability)
    assert "fma.rn.f32" in ptx
    assert "tf32" not in ptx  # ten bits would decide which groups are looked at
"""


def test_compile_without_a_gpu() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    subprocess.run([sys.executable, "-c", COMPILE], env=environment, check=True, timeout=240)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
@pytest.mark.parametrize("n", [*SIZES, 1023])
def test_compiled_kernels_find_what_the_cpu_finds(n: int) -> None:
    for x in (integers(n, 20, 9, n), with_duplicates(gaussian(n, 20, n)), gaussian(n, 20, n, torch.float64)):
        for k in {1, min(10, n - 1)}:
            found = ops.knn(x.cuda(), k)
            assert ops.last_backend() == "triton"
            expected = ops.knn(x, k)
            assert torch.equal(found.indices.cpu(), expected.indices)
            torch.testing.assert_close(found.distances.cpu(), expected.distances, rtol=2e-7, atol=0)
