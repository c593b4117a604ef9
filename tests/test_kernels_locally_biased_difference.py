"""The Triton kernel of locally_biased_difference: interpreted on the CPU, compiled where there is a GPU."""

import os
import subprocess
import sys
from types import ModuleType

import pytest
import torch
from helpers import rank_matrix
from kernel_modules import compiled_for, load

from diptych.ops.locally_biased_difference import reference

# Around the block of 1,024 entries.
SIZES = [1, 2, 3, 7, 8, 9, 31, 32, 33, 65]
# Three ulps of tanh and four of its argument; on a GPU division and exp are good to 2 ulps each.
ULPS = 8


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    return load("locally_biased_difference", interpret=True)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    return load("locally_biased_difference", interpret=False)


def assert_defined(
    module: ModuleType, a: torch.Tensor, b: torch.Tensor, gamma: float, offset: float = 0.0
) -> None:
    out = torch.full(a.shape, torch.nan, device=a.device)
    module.locally_biased_difference(a, b, gamma=gamma, offset=offset, out=out)
    expected = reference(a.double(), b.double(), gamma, offset)
    bound = ULPS * torch.finfo(torch.float32).eps * (2 if out.is_cuda else 1)
    torch.testing.assert_close(out.double(), expected, rtol=bound, atol=0)


@pytest.mark.parametrize(("gamma", "offset"), [(0.1, 0.0), (2.5, 1.0)])
@pytest.mark.parametrize("n", SIZES)
def test_interpreted_kernel_is_the_definition(
    interpreted: ModuleType, n: int, gamma: float, offset: float
) -> None:
    a, b = rank_matrix(n, 1), rank_matrix(n, 2)
    assert_defined(interpreted, a, b, gamma, offset)
    assert_defined(interpreted, a.float(), b.float(), gamma, offset)


def test_limits_at_zero(interpreted: ModuleType) -> None:
    a, b = torch.tensor([0.0, 0, 3, 0, 7, -0.0]), torch.tensor([0.0, 3, 0, -0.0, 7, 0.0])
    out = torch.full_like(a, torch.nan)
    interpreted.locally_biased_difference(a, b, gamma=0.1, offset=0.0, out=out)
    assert out.tolist() == [0, -1, 1, 0, 0, 0]


def test_any_shape_and_none_at_all(interpreted: ModuleType) -> None:
    assert_defined(interpreted, torch.rand(3, 5, 7), torch.rand(3, 5, 7), 0.5)
    empty = torch.empty(0, 4)
    interpreted.locally_biased_difference(empty, empty, gamma=0.1, offset=0.0, out=empty.clone())


def test_refuses_what_it_cannot_read_or_write(interpreted: ModuleType) -> None:
    a, options = torch.ones(3, 3), {"gamma": 1.0, "offset": 0.0}
    run = interpreted.locally_biased_difference
    with pytest.raises(TypeError, match=r"a and b: expected both int32 or .*, found torch\.float64"):
        run(a.double(), a.double(), **options, out=a)
    with pytest.raises(TypeError, match=r"out: expected float32, found torch\.int32"):
        run(a, a, **options, out=a.int())
    with pytest.raises(ValueError, match=r"b: expected a contiguous tensor of shape \(3, 3\), found a cont"):
        run(a, torch.ones(3, 4), **options, out=a)
    with pytest.raises(ValueError, match=r"a: expected a contiguous tensor .*, found a strided"):
        run(torch.ones(3, 6)[:, ::2], a, **options, out=a)
    with pytest.raises(ValueError, match="out: expected it on cpu as a is, found it on meta"):
        run(a, a, **options, out=a.to("meta"))


def test_the_op_runs_it_by_name() -> None:
    program = """
import torch
from diptych import ops
a, b = torch.rand(9, 9).argsort(1).int(), torch.rand(9, 9).argsort(1).int()
found = ops.locally_biased_difference(a, b, backend="triton")
assert ops.last_backend() == "triton"
torch.testing.assert_close(found, ops.locally_biased_difference(a, b, backend="cpu"), rtol=2e-6, atol=0)
try:
    ops.locally_biased_difference(a.double(), b.double(), backend="triton")
except ValueError as error:
    assert "has no 'triton', it has cpu, cuda, torch" in str(error)
else:
    raise AssertionError
"""
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=120)


@pytest.mark.parametrize("pointer", ["*i32", "*fp32"])
@pytest.mark.parametrize("capability", [80, 90, 100])
def test_compiles_without_a_gpu(compiled: ModuleType, capability: int, pointer: str) -> None:
    signature = {"a_ptr": pointer, "b_ptr": pointer, "out_ptr": "*fp32", "count": "i64"}
    signature |= {"gamma": "fp32", "offset": "fp32"}
    assembly = compiled_for(compiled._difference_kernel, capability, signature, {"BLOCK": 1024})
    assert assembly["cubin"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
@pytest.mark.parametrize("n", [*SIZES, 1023])
def test_compiled_kernel_is_the_definition(compiled: ModuleType, n: int) -> None:
    a, b = rank_matrix(n, 1).cuda(), rank_matrix(n, 2).cuda()
    assert_defined(compiled, a, b, 0.1)
    assert_defined(compiled, a.float(), b.float(), 2.5, 1.0)
