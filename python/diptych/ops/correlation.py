"""Correlations between the columns of two matrices, of their numbers or of their ranks."""

import math

import torch

from diptych import _cpu
from diptych.ops import _checks, _products
from diptych.ops._arrays import Array, floating, numpy_view, returner, to_output, to_tensor
from diptych.ops._dispatch import choose
from diptych.ops._hsic import center_columns
from diptych.ops._precision import full_precision

# Up to here a problem's sums fit in the caches and one fused pass is quickest; beyond, a GEMM is.
_MAX_FUSED_COLUMNS = 64
_MAX_FUSED_NUMBERS = 1 << 18


def correlation(
    u: Array,
    v: Array | None = None,
    *,
    kind: str = "pearson",
    constant: str = "raise",
    out: Array | None = None,
    backend: str | None = None,
    check: bool | None = None,
) -> Array:
    """Correlate every column of u with every column of v, for one pair of matrices or many at once.

    Pearson: r_ij = <u_i - mean, v_j - mean> / (|u_i - mean| |v_j - mean|). Spearman: the same of the columns'
    ranks, equal numbers sharing the mean of their ranks (Spearman 1904; Kendall & Gibbons 1990, ch. 3). A
    stack of 833 layer pairs (833, 800, 10) is one call.

    Pearson correlations are differentiable (plain autograd through the ``"torch"`` backend, which serves
    inputs that need gradients unless another is named) and usable under ``torch.compile``.

    Args:
        u: (..., n, k1) columns over n items; halves are computed in float32.
        v: (..., n, k2) with the same leading dimensions, or None for u itself.
        kind: ``"pearson"`` or ``"spearman"``.
        constant: A column without variance has no correlation: ``"raise"`` refuses it by name (as far as
            values are checked; otherwise NaN), ``"nan"`` gives NaN as numpy and scipy do, ``"zero"`` gives 0,
            which suits concepts that no item uses.
        out: (..., k1, k2) to write into.
        backend: ``"cpu"``, ``"torch"``, or None to choose by device.
        check: Refuse NaN and Inf, and constant columns if ``constant="raise"``. Default: on the CPU yes, on a
            GPU (where it synchronises) and under ``torch.compile`` no: NaN and Inf then give NaN.

    Returns:
        (..., k1, k2) in [-1, 1].

    Complexity:
        O(n k1 k2) time per pair, plus for ranks one radix sort per column. On the CPU up to 64 columns a side
        are one pass over the inputs and O(n (k1 + k2)) memory per thread; beyond, and on a GPU, standardised
        copies of the inputs are multiplied by a GEMM that never rounds float32 to tf32 or bfloat16. Columns
        are shifted near zero first, and on the CPU sums are kept in float64 from 64 rows to the next, so that
        columns with a large mean and a small variance keep their digits.

    Raises:
        ValueError: Other shapes, fewer than two items, NaN or Inf, a constant column, an unknown option,
            ranks asked of inputs that need gradients, different devices, ``out`` of another shape or
            overlapping an input.
        TypeError: Not an array of real numbers.
    """
    tensor_u = floating(to_tensor("u", u))
    tensor_v = tensor_u if v is None else floating(to_tensor("v", v))
    _checks.one_of("kind", kind, ("pearson", "spearman"))
    _checks.one_of("constant", constant, ("raise", "nan", "zero"))
    _check_shapes(tensor_u, tensor_v)
    if tensor_u.dtype != tensor_v.dtype:
        dtype = torch.promote_types(tensor_u.dtype, tensor_v.dtype)
        tensor_u, tensor_v = tensor_u.to(dtype), tensor_v.to(dtype)
    ranked = kind == "spearman"
    compiling = torch.compiler.is_compiling()
    needs_gradient = torch.is_grad_enabled() and (tensor_u.requires_grad or tensor_v.requires_grad)
    if needs_gradient:
        _check_differentiable(ranked, backend, out)
    if check is None:
        check = tensor_u.device.type == "cpu" and not compiling
    if backend is None and (needs_gradient or compiling):
        backend = "torch"
    run = choose("correlation", tensor_u.device, backend, _IMPLEMENTATIONS)
    target = None if out is None else _output(out, tensor_u, tensor_v)
    result = run(tensor_u, tensor_v, ranked, 0.0 if constant == "zero" else math.nan, target)
    # Correlations lie in [-1, 1]: their sum is NaN only if one of them is.
    if check and math.isnan(float(result.detach().sum())):
        _explain(tensor_u, tensor_v, constant)
    return returner(u)(result) if out is None else out


def reference(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The definition of Pearson's correlation for two matrices."""
    u, v = u - u.mean(0), v - v.mean(0)
    return (u.T @ v) / (u.norm(dim=0)[:, None] * v.norm(dim=0))


def average_ranks(x: torch.Tensor) -> torch.Tensor:
    """Ranks 1..n along the last dimension but one, equal numbers sharing the mean of theirs.

    Never waits for a GPU. Columns with NaN or Inf come out as NaN.
    """
    n = x.shape[-2]
    values, order = x.sort(-2)
    places = torch.arange(n, device=x.device)[:, None].expand(x.shape)
    edge = torch.ones_like(values[..., :1, :], dtype=torch.bool)
    changes = values[..., 1:, :] != values[..., :-1, :]
    first = torch.where(torch.cat([edge, changes], -2), places, 0).cummax(-2).values
    last = torch.where(torch.cat([changes, edge], -2), places, n - 1).flip(-2).cummin(-2).values.flip(-2)
    means = (first + last).to(x.dtype) / 2 + 1
    return torch.empty_like(means).scatter_(-2, order, means) + (x * 0).sum(-2, keepdim=True)


def _check_shapes(u: torch.Tensor, v: torch.Tensor) -> None:
    for name, tensor in (("u", u), ("v", v)):
        if tensor.ndim < 2 or tensor.numel() == 0:
            raise ValueError(
                f"{name}: expected columns (..., n, k), none of them 0, found shape {tuple(tensor.shape)}"
            )
    if u.shape[:-1] != v.shape[:-1]:
        raise ValueError(
            "u and v: expected shapes (..., n, k1) and (..., n, k2) that differ in their columns alone, "
            f"found {tuple(u.shape)} and {tuple(v.shape)}"
        )
    if u.shape[-2] < 2:
        raise ValueError(f"u: expected at least 2 items, found {u.shape[-2]}")
    _checks.item_count("u", u.shape[-2])
    if u is not v:
        _checks.same_device(u=u, v=v)


def _check_differentiable(ranked: bool, backend: str | None, out: Array | None) -> None:
    if ranked:
        raise ValueError("kind: ranks have no gradient, found 'spearman' for inputs that need one")
    if backend == "cpu":
        raise ValueError("backend: 'cpu' gives no gradient, which the inputs need; use 'torch'")
    if out is not None:
        raise ValueError("out: expected none for inputs that need gradients; detach them")


def _output(out: Array, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    target = to_output("out", out)
    _checks.output("out", target, (*u.shape[:-2], u.shape[-1], v.shape[-1]), u.dtype, (u, v))
    return target


def _explain(u: torch.Tensor, v: torch.Tensor, constant: str) -> None:
    """Say why a correlation is NaN, unless that is what was asked for."""
    for name, x in (("u", u), ("v", v)):
        _checks.finite(name, x.flatten(0, -2))
        still = (x == x[..., :1, :]).all(-2)
        if constant == "raise" and bool(still.any()):
            *problem, column = still.nonzero()[0].tolist()
            where = f" of problem {tuple(problem)}" if problem else ""
            raise ValueError(
                f"{name}: column {column}{where} is constant and has no correlation; "
                "constant='nan' or 'zero' lets it pass"
            )
        if bool(torch.isinf(x - x[..., :1, :]).any()):
            raise ValueError(f"{name}: expected numbers whose differences {x.dtype} can hold")


def _run_cpu(
    u: torch.Tensor, v: torch.Tensor, ranked: bool, constant: float, out: torch.Tensor | None
) -> torch.Tensor:
    *leading, n, k_u = u.shape
    k_v = v.shape[-1]
    threads = torch.get_num_threads()
    result = u.new_empty(*leading, k_u, k_v) if out is None else out
    if max(k_u, k_v) > _MAX_FUSED_COLUMNS or n * (k_u + k_v) > _MAX_FUSED_NUMBERS:
        if ranked:
            same = v is u
            u = _cpu_ranks(u, threads)
            v = u if same else _cpu_ranks(v, threads)
        stacks = u.reshape(-1, n, k_u), v.reshape(-1, n, k_v), result.view(-1, k_u, k_v)
        for x, y, r in zip(*stacks, strict=True):
            _multiply(x, x if v is u else y, constant, r)
        return result
    same = v is u
    u = u.contiguous()
    v = u if same else v.contiguous()
    _cpu.correlation(
        numpy_view(u.view(-1, n, k_u)),
        numpy_view(v.view(-1, n, k_v)),
        ranked,
        constant,
        numpy_view(result.view(-1, k_u, k_v)),
        threads,
    )
    return result


def _multiply(u: torch.Tensor, v: torch.Tensor, constant: float, out: torch.Tensor) -> None:
    """Correlate the columns of one pair of matrices on the CPU by a GEMM of their centred copies."""
    x, squares, _ = center_columns(u, True)
    (y, squares_v, _) = (x, squares, 0.0) if v is u else center_columns(v, True)
    _products.product(x.T, y, out=out)
    out.mul_(squares.rsqrt().to(out.dtype)[:, None]).mul_(squares_v.rsqrt().to(out.dtype))
    out.clamp_(-1, 1)
    if v is u:
        out.diagonal().masked_fill_(squares > 0, 1)
    dead, dead_v = squares == 0, squares_v == 0
    if bool(dead.any()) or bool(dead_v.any()):
        out.masked_fill_(dead[:, None] | dead_v, constant)


def _cpu_ranks(x: torch.Tensor, threads: int) -> torch.Tensor:
    x = x.contiguous()
    ranks = torch.empty_like(x)
    shape = (-1, *x.shape[-2:])
    _cpu.average_ranks(numpy_view(x.view(shape)), numpy_view(ranks.view(shape)), threads)
    return ranks + (x * 0).sum(-2, keepdim=True)  # NaN where a column has NaN or Inf


def _run_torch(
    u: torch.Tensor, v: torch.Tensor, ranked: bool, constant: float, out: torch.Tensor | None
) -> torch.Tensor:
    same = v is u
    if ranked:
        u = average_ranks(u)
        v = u if same else average_ranks(v)
    u = _standardized(u, constant)
    v = u if same else _standardized(v, constant)
    with full_precision(u.device):
        result = (u.mT @ v).clamp(-1, 1)
    return result if out is None else out.copy_(result)


def _standardized(x: torch.Tensor, constant: float) -> torch.Tensor:
    """Columns of mean zero and norm one; constant ones, and their gradients, become ``constant`` and zero.

    The first row goes before the mean does: a column far from zero keeps its digits.
    """
    x = x - x[..., :1, :]
    # Sums and squares of the largest float32 numbers overflow, those of the smallest vanish.
    peak = x.detach().abs().amax(-2, keepdim=True)
    still = peak == 0
    x = x / peak.masked_fill(still, 1)
    x = x - x.mean(-2, keepdim=True)
    x = x / x.square().sum(-2, keepdim=True).masked_fill(still, 1).sqrt()
    return x.masked_fill(still, constant)


_IMPLEMENTATIONS = {"cpu": _run_cpu, "torch": _run_torch}
