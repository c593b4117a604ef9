"""The Triton kernel of difference_affinity: interpreted on the CPU, and compiled where there is a GPU."""

import os
import subprocess
import sys
from types import ModuleType

import pytest
import torch
from kernel_modules import compiled_for, load

from diptych.ops.difference_affinity import reference

# Around the tile of 32, and sizes that fill no tile.
SIZES = [1, 2, 3, 7, 8, 9, 31, 32, 33, 65, 127]
EPSILON = torch.finfo(torch.float32).eps


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    return load("difference_affinity", interpret=True)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    return load("difference_affinity", interpret=False)


def ranks(n: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, n, generator=generator).argsort(dim=1).to(torch.int32)


def run(
    module: ModuleType,
    a: torch.Tensor,
    b: torch.Tensor,
    *,
    gamma: float = 0.25,
    beta: float = 5.0,
    offset: float = 0.0,
    subtraction: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    ab = torch.full(a.shape, torch.nan, dtype=torch.float32, device=a.device)
    ba = torch.full_like(ab, torch.nan)
    module.difference_affinity(
        a,
        b,
        gamma=gamma,
        beta=beta,
        offset=offset,
        subtraction=subtraction,
        out_ab=ab,
        out_ba=ba,
    )
    return ab, ba


def assert_defined(
    found: tuple[torch.Tensor, torch.Tensor],
    a: torch.Tensor,
    b: torch.Tensor,
    *,
    gamma: float = 0.25,
    beta: float = 5.0,
    offset: float = 0.0,
    subtraction: bool = False,
) -> None:
    kind = "subtraction" if subtraction else "locally_biased"
    expected = reference(a.cpu().double(), b.cpu().double(), gamma, beta, kind, offset)
    # beta G carries the error of G (3 ulps of tanh, 4 of its argument, one of the products) times at most
    # beta; exp makes it a relative error and adds three of its own with the reciprocal. On a GPU
    # division and exp are good to 2 ulps each, which doubles the first and the last.
    bound = (8 * beta + 3) * EPSILON * (2 if found[0].is_cuda else 1)
    for got, want in zip(found, expected, strict=True):
        torch.testing.assert_close(got.cpu().double(), want, rtol=bound, atol=0)
        assert torch.equal(got, got.T)


@pytest.mark.parametrize("n", SIZES)
def test_interpreted_kernel_is_the_definition(interpreted: ModuleType, n: int) -> None:
    a, b = ranks(n, 1), ranks(n, 2)
    assert_defined(run(interpreted, a, b), a, b)
    assert_defined(run(interpreted, a.float(), b.float()), a, b)


@pytest.mark.parametrize(
    ("gamma", "beta", "offset", "subtraction"),
    [(0.1, 5.0, 1.0, False), (3.0, 80.0, 0.0, False), (0.02, 5.0, 7.0, True)],
)
def test_interpreted_kernel_in_every_mode(
    interpreted: ModuleType, gamma: float, beta: float, offset: float, subtraction: bool
) -> None:
    a, b = ranks(33, 3), ranks(33, 4)
    options = {"gamma": gamma, "beta": beta, "offset": offset}
    found = run(interpreted, a, b, **options, subtraction=subtraction)
    assert_defined(found, a, b, **options, subtraction=subtraction)


def test_limits_at_zero_distance(interpreted: ModuleType) -> None:
    a = torch.tensor([[0.0, 0.0], [0.0, -0.0]])
    b = torch.tensor([[0.0, 2.0], [2.0, 0.0]])
    ab, ba = run(interpreted, a, b, beta=1.0)
    e = torch.e
    torch.testing.assert_close(ab, torch.tensor([[1.0, e], [e, 1.0]]), rtol=2 * EPSILON, atol=0)
    torch.testing.assert_close(ba, torch.tensor([[1.0, 1 / e], [1 / e, 1.0]]), rtol=2 * EPSILON, atol=0)


def test_a_huge_gap_is_clamped(interpreted: ModuleType) -> None:
    a, b = torch.full((3, 3), 1e6), torch.zeros(3, 3)
    ab, ba = run(interpreted, a, b, gamma=1.0, beta=1.0, subtraction=True)
    # As in core/elementary.hpp: exp(+-87), whose argument is a float32 exactly.
    torch.testing.assert_close(ab.double(), torch.full((3, 3), -87.0).double().exp(), rtol=1e-6, atol=0)
    torch.testing.assert_close(ba.double(), torch.full((3, 3), 87.0).double().exp(), rtol=1e-6, atol=0)


def test_swapping_the_inputs_swaps_the_outputs(interpreted: ModuleType) -> None:
    a, b = ranks(65, 5), ranks(65, 6)
    ab, ba = run(interpreted, a, b)
    swapped_ab, swapped_ba = run(interpreted, b, a)
    # An affinity and its reciprocal are rounded apart: half an ulp each, twice.
    torch.testing.assert_close(ab, swapped_ba, rtol=3 * EPSILON, atol=0)
    torch.testing.assert_close(ba, swapped_ab, rtol=3 * EPSILON, atol=0)


def overwritten(module: ModuleType, a: torch.Tensor, b: torch.Tensor) -> None:
    expected = run(module, a, b)
    over_a, over_b = a.clone(), b.clone()
    out_ab, out_ba = over_a.view(torch.float32), over_b.view(torch.float32)
    module.difference_affinity(
        over_a,
        over_b,
        gamma=0.25,
        beta=5.0,
        offset=0.0,
        subtraction=False,
        out_ab=out_ab,
        out_ba=out_ba,
    )
    assert torch.equal(out_ab, expected[0])
    assert torch.equal(out_ba, expected[1])


@pytest.mark.parametrize("dtype", [torch.int32, torch.float32])
@pytest.mark.parametrize("n", [1, 31, 65])
def test_the_outputs_may_be_the_inputs_memory(interpreted: ModuleType, n: int, dtype: torch.dtype) -> None:
    overwritten(interpreted, ranks(n, 7).to(dtype), ranks(n, 8).to(dtype))


def test_no_items_is_no_work(interpreted: ModuleType) -> None:
    empty = torch.empty(0, 0)
    ab, ba = run(interpreted, empty, empty)
    assert ab.shape == ba.shape == (0, 0)


def test_refuses_what_it_cannot_read(interpreted: ModuleType) -> None:
    a = torch.ones(3, 3)
    with pytest.raises(TypeError, match=r"a and b: expected both int32 or .*, found torch\.float64"):
        run(interpreted, a.double(), a.double())
    with pytest.raises(TypeError, match="a and b: expected both"):
        run(interpreted, a, a.int())
    with pytest.raises(ValueError, match=r"b: expected a contiguous \(3, 3\) matrix, found a contiguous"):
        run(interpreted, a, torch.ones(3, 4))
    with pytest.raises(ValueError, match=r"a: expected a contiguous \(3, 3\) matrix, found a strided"):
        run(interpreted, torch.ones(3, 6)[:, ::2], a)


def test_refuses_what_it_cannot_write(interpreted: ModuleType) -> None:
    a, options = torch.ones(3, 3), {"gamma": 1.0, "beta": 1.0, "offset": 0.0, "subtraction": False}
    with pytest.raises(TypeError, match=r"out_ab: expected float32, found torch\.int32"):
        interpreted.difference_affinity(a, a, **options, out_ab=a.int(), out_ba=a)
    with pytest.raises(ValueError, match="out_ba: expected it on cpu as a is, found it on meta"):
        interpreted.difference_affinity(a, a, **options, out_ab=a, out_ba=a.to("meta"))


def test_the_op_runs_it_by_name() -> None:
    program = """
import torch
from diptych import ops
a, b = torch.rand(9, 9).argsort(1).int(), torch.rand(9, 9).argsort(1).int()
found = ops.difference_affinity(a, b, backend="triton")
assert ops.last_backend() == "triton"
for got, want in zip(found, ops.difference_affinity(a, b, backend="cpu")):
    torch.testing.assert_close(got, want, rtol=1e-5, atol=0)
"""
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=120)


def test_ops_leave_triton_alone_until_it_is_chosen() -> None:
    program = """
import sys
import torch
from diptych import ops
ops.difference_affinity(torch.ones(3, 3), torch.ones(3, 3))
assert not any(name.startswith("diptych.kernels.") for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


@pytest.mark.parametrize("subtraction", [False, True])
@pytest.mark.parametrize("pointer", ["*i32", "*fp32"])
@pytest.mark.parametrize("capability", [80, 90, 100])
def test_compiles_without_a_gpu_and_loads_before_it_stores(
    compiled: ModuleType, capability: int, pointer: str, subtraction: bool
) -> None:
    signature = {"a_ptr": pointer, "b_ptr": pointer, "ab_ptr": "*fp32", "ba_ptr": "*fp32", "n": "i32"}
    signature |= dict.fromkeys(("gamma", "beta", "offset"), "fp32")
    constants = {"SUBTRACTION": subtraction, "LIMIT": 87.0, "TILE": 32}
    ptx = compiled_for(compiled._affinity_kernel, capability, signature, constants)["ptx"]
    last_load, first_store = ptx.rindex("ld.global"), ptx.index("st.global")
    assert last_load < first_store
    assert "bar.sync" in ptx[last_load:first_store]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
@pytest.mark.parametrize("n", [*SIZES, 1023])
def test_compiled_kernel_is_the_definition(compiled: ModuleType, n: int) -> None:
    a, b = ranks(n, 1).cuda(), ranks(n, 2).cuda()
    assert_defined(run(compiled, a, b), a, b)
    assert_defined(run(compiled, a.float(), b.float(), offset=1.0), a, b, offset=1.0)
    overwritten(compiled, a, b)
