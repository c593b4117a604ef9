"""Symmetric affinities between items that one representation holds together and the other does not."""

from typing import Any

import torch

from diptych import _cpu
from diptych.ops import _checks
from diptych.ops._arrays import Array, empty, numpy_view, returner, to_output, to_tensor
from diptych.ops._dispatch import choose, cuda_module, stream_of
from diptych.ops.locally_biased_difference import paired, result_dtype
from diptych.ops.locally_biased_difference import reference as biased_reference

DIFFERENCES = ("locally_biased", "subtraction")

#: exp(+-80) is finite in float32 with room for a sum of 6,000 such affinities.
MAX_BETA = 80.0


def difference_affinity(
    a: Array,
    b: Array,
    gamma: float = 0.1,
    beta: float = 5.0,
    *,
    difference: str = "locally_biased",
    offset: float = 0.0,
    out: tuple[Array, Array] | None = None,
    overwrite: bool = False,
    backend: str | None = None,
    check: bool | None = None,
) -> tuple[Array, Array]:
    """Difference affinities of both directions, fused and symmetrised.

    F = exp(-beta G), symmetrised as (F + Fᵀ)/2, where G is the locally biased difference of the two rank
    (or distance) matrices; the other direction is F' = exp(+beta G). Equations 3 and 4 of RDX
    (Kondapaneni, Mac Aodha & Perona 2025). F is large for pairs that a holds together and b does not.

    Args:
        a: (n, n) neighbor ranks or distances of the first representation; int32, float32 or float64.
        b: The same of the second.
        gamma: Sensitivity of the difference, above 0; under ``"subtraction"`` its plain factor.
        beta: Sharpness of the affinity, above 0 and at most 80.
        difference: ``"locally_biased"``, or ``"subtraction"`` for G = gamma (a - b).
        offset: Added to the minimum in the locally biased difference (see there).
        out: Two (n, n) contiguous arrays to write into.
        overwrite: Write the results over a and b (int32 memory then holds float32) instead of allocating;
            they must be contiguous and of a supported dtype.
        backend: ``"cpu"``, ``"cuda"``, ``"triton"``, ``"torch"``, or None to choose by device.
        check: Refuse NaN, Inf and negative values. Default: on the CPU yes, on a GPU no.

    Returns:
        (F, F'), both (n, n), symmetric, in [exp(-beta), exp(beta)] for the locally biased difference;
        float64 for float64 input, else float32.

    Complexity:
        O(n²) time: every input is read once and every output written once. No memory beyond the results.

    Raises:
        ValueError: Not square or shapes differ, gamma or beta out of range, an unknown difference, NaN,
            Inf or negative values, integers beyond int32, both ``out`` and ``overwrite``, an ``out`` that
            does not fit, is read-only or overlaps an input.
        TypeError: Not an array of real numbers, or parameters that are not numbers.
    """
    given_a, given_b = to_tensor("a", a), to_tensor("b", b)
    _checks.square("a", given_a)
    tensor_a, tensor_b = paired("a", given_a, "b", given_b, check)
    check_parameters(gamma, beta, offset, difference)
    if overwrite and out is not None:
        raise ValueError("out and overwrite: expected at most one of the two")
    dtype = result_dtype(tensor_a)
    if overwrite:
        for name, array, used in (("a", a, tensor_a), ("b", b, tensor_b)):
            given = to_output(name, array)
            if given.data_ptr() != used.data_ptr() or given.dtype != used.dtype:
                raise ValueError(f"{name}: overwrite needs a contiguous int32, float32 or float64 matrix")
        if _checks.overlap(tensor_a, tensor_b):
            raise ValueError("a and b: overwrite needs two matrices that share no memory")
        results = tensor_a.view(dtype), tensor_b.view(dtype)
    elif out is not None:
        results = to_output("out[0]", out[0]), to_output("out[1]", out[1])
        for number, result in enumerate(results):
            inputs = (tensor_a, tensor_b, *results[:number])
            _checks.output(f"out[{number}]", result, tuple(tensor_a.shape), dtype, inputs)
    else:
        shape = tuple(tensor_a.shape)
        results = empty(shape, dtype, tensor_a.device), empty(shape, dtype, tensor_a.device)
    offered = _IMPLEMENTATIONS if dtype == torch.float32 else _DOUBLE_IMPLEMENTATIONS
    run = choose("difference_affinity", tensor_a.device, backend, offered)
    run(tensor_a, tensor_b, difference == "subtraction", gamma, beta, offset, *results)
    if out is not None:
        return out
    give_back = returner(a)
    return give_back(results[0]), give_back(results[1])


def reference(
    a: torch.Tensor,
    b: torch.Tensor,
    gamma: float,
    beta: float,
    difference: str = "locally_biased",
    offset: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The definition, in the inputs' own precision (integers in float64)."""
    scaled = differences(a, b, gamma, difference, offset)
    ab, ba = torch.exp(-beta * scaled), torch.exp(beta * scaled)
    return (ab + ab.T) / 2, (ba + ba.T) / 2


def differences(
    a: torch.Tensor, b: torch.Tensor, gamma: float, difference: str, offset: float
) -> torch.Tensor:
    """G by its definition, in the inputs' own precision (integers in float64)."""
    if difference == "subtraction":
        return gamma * (a - b) if a.is_floating_point() else gamma * (a.double() - b.double())
    return biased_reference(a, b, gamma, offset)


def check_parameters(gamma: float, beta: float, offset: float, difference: str) -> None:
    """Refuse what a difference affinity cannot be made with."""
    _checks.one_of("difference", difference, DIFFERENCES)
    _checks.positive("gamma", gamma)
    _checks.positive("beta", beta)
    _checks.within("beta", beta, 0, MAX_BETA)
    _checks.within("offset", offset, 0, float("inf"))


def _run_cpu(
    a: torch.Tensor,
    b: torch.Tensor,
    subtraction: bool,
    gamma: float,
    beta: float,
    offset: float,
    out_ab: torch.Tensor,
    out_ba: torch.Tensor,
) -> None:
    _cpu.difference_affinity(
        numpy_view(a),
        numpy_view(b),
        subtraction,
        gamma,
        beta,
        offset,
        numpy_view(out_ab),
        numpy_view(out_ba),
        torch.get_num_threads(),
    )


def _run_cuda(a: torch.Tensor, b: torch.Tensor, *arguments: Any) -> None:
    subtraction, gamma, beta, offset, out_ab, out_ba = arguments
    run = getattr(cuda_module(), f"difference_affinity_{str(a.dtype).removeprefix('torch.')}")
    with torch.cuda.device(a.device):
        run(
            a.data_ptr(),
            b.data_ptr(),
            a.shape[0],
            subtraction,
            gamma,
            beta,
            offset,
            out_ab.data_ptr(),
            out_ba.data_ptr(),
            stream_of(a),
        )


def _run_triton(a: torch.Tensor, b: torch.Tensor, *arguments: Any) -> None:
    from diptych.kernels import difference_affinity as kernel

    subtraction, gamma, beta, offset, out_ab, out_ba = arguments
    kernel.difference_affinity(
        a,
        b,
        gamma=gamma,
        beta=beta,
        offset=offset,
        subtraction=subtraction,
        out_ab=out_ab,
        out_ba=out_ba,
    )


def _run_torch(a: torch.Tensor, b: torch.Tensor, *arguments: Any) -> None:
    subtraction, gamma, beta, offset, out_ab, out_ba = arguments
    kind = "subtraction" if subtraction else "locally_biased"
    ab, ba = reference(a, b, gamma, beta, kind, offset)
    out_ab.copy_(ab)
    out_ba.copy_(ba)


_IMPLEMENTATIONS = {"cpu": _run_cpu, "cuda": _run_cuda, "triton": _run_triton, "torch": _run_torch}
_DOUBLE_IMPLEMENTATIONS = {name: run for name, run in _IMPLEMENTATIONS.items() if name != "triton"}
