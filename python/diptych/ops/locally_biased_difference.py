"""How differently two representations see each pair of items, near pairs weighing most."""

import math

import torch

from diptych import _cpu
from diptych.ops import _checks
from diptych.ops._arrays import Array, empty, numpy_view, returner, to_output, to_tensor
from diptych.ops._dispatch import choose, cuda_module, stream_of

_UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)


def locally_biased_difference(
    a: Array,
    b: Array,
    gamma: float = 0.1,
    *,
    offset: float = 0.0,
    out: Array | None = None,
    backend: str | None = None,
    check: bool | None = None,
) -> Array:
    """Compute G = tanh(gamma (a - b) / (min(a, b) + offset)), elementwise.

    Equation 3 of RDX (Kondapaneni, Mac Aodha & Perona 2025). Negative where the first representation
    calls a pair near and the second does not. Where both distances are 0, G is 0; where one is, ±1.

    Args:
        a: Neighbor ranks or distances of the first representation, any shape; int32, float32 or float64
            (other integers are taken as int32, other floats as float32).
        b: The same of the second.
        gamma: Sensitivity, above 0.
        offset: Added to the minimum; the authors' published code has 1, the definition 0.
        out: Contiguous array of the result's shape and dtype to write into.
        backend: ``"cpu"``, ``"cuda"``, ``"triton"`` (not for float64), ``"torch"``, or None to choose by
            device.
        check: Refuse NaN, Inf and negative values. Default: on the CPU yes, on a GPU no.

    Returns:
        G in [-1, 1], float64 for float64 input, else float32.

    Complexity:
        O(size) time, no memory beyond the result.

    Raises:
        ValueError: Shapes or devices differ, gamma <= 0, offset < 0, NaN, Inf or negative values,
            integers beyond int32, an ``out`` that does not fit, is read-only or overlaps an input.
        TypeError: Not an array of real numbers.
    """
    tensor_a, tensor_b = paired("a", to_tensor("a", a), "b", to_tensor("b", b), check)
    _checks.positive("gamma", gamma)
    _checks.within("offset", offset, 0, float("inf"))
    dtype = result_dtype(tensor_a)
    if out is None:
        result = empty(tuple(tensor_a.shape), dtype, tensor_a.device)
    else:
        result = to_output("out", out)
        _checks.output("out", result, tuple(tensor_a.shape), dtype, (tensor_a, tensor_b))
    offered = _IMPLEMENTATIONS if dtype == torch.float32 else _DOUBLE_IMPLEMENTATIONS
    run = choose("locally_biased_difference", tensor_a.device, backend, offered)
    run(tensor_a, tensor_b, gamma, offset, result)
    return returner(a)(result) if out is None else out


def reference(a: torch.Tensor, b: torch.Tensor, gamma: float, offset: float = 0.0) -> torch.Tensor:
    """The definition, in the inputs' own precision (integers in float64)."""
    if not a.is_floating_point():
        a, b = a.double(), b.double()
    gap, nearest = a - b, torch.minimum(a, b) + offset
    return torch.where(nearest > 0, torch.tanh(gamma * gap / nearest), torch.sign(gap))


def paired(
    name_a: str, a: torch.Tensor, name_b: str, b: torch.Tensor, check: bool | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Bring two arrays of ranks or distances to one supported dtype, contiguous, and check them."""
    a, b = a.detach(), b.detach()
    _checks.same_shape(name_a, a, name_b, b)
    _checks.same_device(**{name_a: a, name_b: b})
    # torch does not promote its unsigned types.
    a, b = (tensor.long() if tensor.dtype in _UNSIGNED else tensor for tensor in (a, b))
    if a.device.type == "cpu" if check is None else check:
        for name, tensor in ((name_a, a), (name_b, b)):
            _ranks_or_distances(name, tensor)
    if a.dtype != b.dtype or a.dtype not in (torch.int32, torch.float32, torch.float64):
        kind = torch.promote_types(a.dtype, b.dtype)
        if not kind.is_floating_point:
            kind = torch.int32
        elif kind != torch.float64:
            kind = torch.float32
        a, b = a.to(kind), b.to(kind)
    return a.contiguous(), b.contiguous()


def _ranks_or_distances(name: str, tensor: torch.Tensor) -> None:
    if tensor.numel() == 0:
        return
    smallest, largest = tensor.aminmax()
    low, high = smallest.item(), largest.item()
    if not math.isfinite(high - low):
        _checks.finite(name, tensor)
    if low < 0:
        raise ValueError(f"{name}: expected ranks or distances >= 0, found {low}")
    if high > _checks.INT32_MAX and not tensor.is_floating_point():
        raise ValueError(f"{name}: expected ranks up to {_checks.INT32_MAX} (int32), found {high}")


def result_dtype(a: torch.Tensor) -> torch.dtype:
    """The floating-point type that differences of ``a`` are computed in."""
    return torch.float64 if a.dtype == torch.float64 else torch.float32


def _run_cpu(a: torch.Tensor, b: torch.Tensor, gamma: float, offset: float, out: torch.Tensor) -> None:
    _cpu.locally_biased_difference(
        numpy_view(a), numpy_view(b), gamma, offset, numpy_view(out), torch.get_num_threads()
    )


def _run_cuda(a: torch.Tensor, b: torch.Tensor, gamma: float, offset: float, out: torch.Tensor) -> None:
    run = getattr(cuda_module(), f"locally_biased_difference_{str(a.dtype).removeprefix('torch.')}")
    with torch.cuda.device(a.device):
        run(a.data_ptr(), b.data_ptr(), a.numel(), gamma, offset, out.data_ptr(), stream_of(a))


def _run_triton(a: torch.Tensor, b: torch.Tensor, gamma: float, offset: float, out: torch.Tensor) -> None:
    from diptych.kernels import locally_biased_difference as kernel

    kernel.locally_biased_difference(a, b, gamma=gamma, offset=offset, out=out)


def _run_torch(a: torch.Tensor, b: torch.Tensor, gamma: float, offset: float, out: torch.Tensor) -> None:
    out.copy_(reference(a, b, gamma, offset))


_IMPLEMENTATIONS = {"cpu": _run_cpu, "cuda": _run_cuda, "triton": _run_triton, "torch": _run_torch}
_DOUBLE_IMPLEMENTATIONS = {name: run for name, run in _IMPLEMENTATIONS.items() if name != "triton"}
