"""The Triton kernel of pairwise_distances: interpreted on the CPU, compiled where there is a GPU."""

import os
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from helpers import exact_squares, gaussian, integers, with_duplicates
from kernel_modules import compiled_for, load
from scipy.spatial.distance import cdist

# Around the tile of 64 rows.
SIZES = [1, 2, 3, 7, 31, 33, 64, 65, 129]
EPSILON = torch.finfo(torch.float32).eps


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    return load("pairwise_distances", interpret=True)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    return load("pairwise_distances", interpret=False)


def distances(module: ModuleType, x: torch.Tensor, y: torch.Tensor, metric: str) -> np.ndarray:
    out = torch.full((len(x), len(y)), torch.nan, device=x.device)
    module.pairwise_distances(x, y, metric=metric, out=out)
    return out.cpu().double().numpy()


def error_bound(x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    """As helpers.square_error_bound, for rows that nobody centred."""
    norms = [(rows.cpu().double() ** 2).sum(1).numpy() for rows in (x, y)]
    return 4 * (x.shape[1] + 4) * EPSILON * (norms[0][:, None] + norms[1])


def assert_defined(module: ModuleType, n: int, d: int, device: str = "cpu") -> None:
    x, y = gaussian(n, d, n).to(device), gaussian(max(1, n // 2), d, n + 1).to(device)
    for other in (x, y):
        squares = exact_squares(x, other)
        bound = error_bound(x, other)
        found = distances(module, x, other, "sqeuclidean")
        assert (np.abs(found - squares) <= bound).all()
        # The root is rounded once, which its square doubles.
        root = distances(module, x, other, "euclidean")
        assert (np.abs(root**2 - squares) <= bound + 4 * EPSILON * squares).all()
        cosine = distances(module, x, other, "cosine")
        expected = cdist(x.cpu().double(), other.cpu().double(), "cosine")
        np.testing.assert_allclose(cosine, expected, rtol=0, atol=2 * (d + 4) * EPSILON)
        if other is x:
            for values in (found, root, cosine):
                assert (np.diagonal(values) == 0).all()


def assert_exact(module: ModuleType, device: str = "cpu") -> None:
    # Up to 2^23.9, with more bits than tf32 has.
    x, y = integers(65, 40, 620, 1).to(device), integers(33, 40, 620, 2).to(device)
    squares = exact_squares(x, y)
    np.testing.assert_array_equal(distances(module, x, y, "sqeuclidean"), squares)
    np.testing.assert_array_equal(distances(module, x, y, "euclidean"), np.sqrt(squares.astype(np.float32)))


def assert_duplicates_at_zero(module: ModuleType, n: int, d: int, device: str = "cpu") -> None:
    x = with_duplicates(gaussian(n, d, n + d)).to(device)
    same = exact_squares(x) == 0
    assert same.sum() > n
    for metric in ("sqeuclidean", "euclidean", "cosine"):
        for other in (x, x.clone()):
            found = distances(module, x, other, metric)
            assert (found[same] == 0).all()
            # Third items are equally far from two duplicates.
            first, second = np.argwhere(np.triu(same, 1))[0]
            np.testing.assert_array_equal(found[:, first], found[:, second])


@pytest.mark.parametrize("d", [1, 16, 37])
@pytest.mark.parametrize("n", SIZES)
def test_interpreted_kernel_is_the_distance(interpreted: ModuleType, n: int, d: int) -> None:
    assert_defined(interpreted, n, d)


def test_interpreted_kernel_is_exact_for_integers(interpreted: ModuleType) -> None:
    assert_exact(interpreted)


@pytest.mark.parametrize(("n", "d"), [(9, 17), (130, 40)])
def test_interpreted_kernel_puts_duplicates_at_zero(interpreted: ModuleType, n: int, d: int) -> None:
    assert_duplicates_at_zero(interpreted, n, d)


def test_many_tiles_in_groups(interpreted: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreted, "_TILE", 16)
    x, y = integers(197, 4), integers(70, 4, seed=1)  # 13 x 5 tiles: a whole group of rows and a part
    np.testing.assert_array_equal(distances(interpreted, x, y, "sqeuclidean"), exact_squares(x, y))
    np.testing.assert_array_equal(distances(interpreted, y, x, "sqeuclidean"), exact_squares(y, x))


def test_no_rows_are_no_work(interpreted: ModuleType) -> None:
    assert distances(interpreted, torch.empty(0, 3), torch.ones(2, 3), "euclidean").shape == (0, 2)


def test_refuses_what_it_cannot_take(interpreted: ModuleType) -> None:
    x, run = torch.ones(3, 2), interpreted.pairwise_distances
    out = torch.ones(3, 3)
    with pytest.raises(ValueError, match=r"metric: expected one of sqeuclidean, .*, found 'l1'"):
        run(x, x, metric="l1", out=out)
    with pytest.raises(ValueError, match=r"x and y: expected .*, found \(3, 2\) and \(3, 3\)"):
        run(x, out, metric="euclidean", out=out)
    with pytest.raises(TypeError, match=r"y: expected float32, found torch\.float64"):
        run(x, x.double(), metric="euclidean", out=out)
    with pytest.raises(ValueError, match=r"out: expected .* of shape \(3, 3\), found a cont"):
        run(x, x, metric="euclidean", out=x)
    with pytest.raises(ValueError, match=r"x: expected a contiguous tensor .*, found a strided"):
        run(torch.ones(3, 4)[:, ::2], x, metric="euclidean", out=out)
    with pytest.raises(ValueError, match="out: expected it on cpu as x is, found it on meta"):
        run(x, x, metric="euclidean", out=out.to("meta"))


def test_the_op_runs_it_by_name() -> None:
    program = """
import torch
from diptych import ops
x, y = torch.randint(0, 9, (70, 5)).float() + 1e4, torch.randint(0, 9, (9, 5)).float() + 1e4
for other in (None, y):
    for metric in ("euclidean", "sqeuclidean"):
        found = ops.pairwise_distances(x, other, metric=metric, backend="triton")
        assert ops.last_backend() == "triton"
        assert torch.equal(found, ops.pairwise_distances(x, other, metric=metric, backend="cpu"))
    found = ops.pairwise_distances(x - 1e4, other, metric="cosine", backend="triton")
    expected = ops.pairwise_distances(x - 1e4, other, metric="cosine", backend="cpu")
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)
try:
    ops.pairwise_distances(x.double(), backend="triton")
except ValueError as error:
    assert "has no 'triton', it has cpu, torch" in str(error)
else:
    raise AssertionError
"""
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=120)


@pytest.mark.parametrize("capability", [80, 90, 100])
def test_compiles_to_full_precision_without_a_gpu(compiled: ModuleType, capability: int) -> None:
    signature = dict.fromkeys(("x_ptr", "y_ptr", "x_norms_ptr", "y_norms_ptr", "out_ptr"), "*fp32")
    signature |= {"n": "i32", "m": "i32", "d": "i32"}
    sizes = {"TILE": compiled._TILE, "DEPTH": compiled._DEPTH, "num_warps": compiled._WARPS}
    for metric in range(3):
        constants = {"METRIC": metric, "GROUP": compiled._GROUP, **sizes}
        assembly = compiled_for(compiled._distances_kernel, capability, signature, constants)
        assert "fma.rn.f32" in assembly["ptx"]
        assert "tf32" not in assembly["ptx"]
        assert "mma" not in assembly["ptx"]
        assert ("sqrt.rn" in assembly["ptx"]) == (metric > 0)
    signature = {"x_ptr": "*fp32", "norms_ptr": "*fp32", "n": "i32", "d": "i32"}
    assert "fma.rn.f32" in compiled_for(compiled._norms_kernel, capability, signature, dict(sizes))["ptx"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
@pytest.mark.parametrize("d", [1, 16, 37, 768])
@pytest.mark.parametrize("n", [*SIZES, 1023])
def test_compiled_kernel_is_the_distance(compiled: ModuleType, n: int, d: int) -> None:
    assert_defined(compiled, n, d, "cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
@pytest.mark.parametrize(("n", "d"), [(9, 17), (130, 40), (1000, 768)])
def test_compiled_kernel_is_exact_where_it_can_be(compiled: ModuleType, n: int, d: int) -> None:
    assert_exact(compiled, "cuda")
    assert_duplicates_at_zero(compiled, n, d, "cuda")
