"""Non-negative least squares of many rows against one dictionary."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, overload

import torch

from diptych import _cpu
from diptych.ops import _checks, _products
from diptych.ops._arrays import Array, floating, numpy_view, returner, to_output, to_tensor
from diptych.ops._dispatch import choose, cuda_module, stream_of

# What a row may take before the next method goes on with it: exchanges of block pivoting (about five are
# usual), exchanges of active sets (about as many as there are atoms), sweeps of coordinate descent.
_LIMITS = (40, 1000, 10_000)


class NnlsFit(NamedTuple):
    """Coefficients (n, k) and residuals (n,) of :func:`nnls`."""

    coefficients: Array
    residuals: Array


@overload
def nnls(
    a: Array,
    w: Array,
    *,
    return_residual: Literal[False] = False,
    out: Array | None = None,
    backend: str | None = None,
    check: bool | None = None,
) -> Array: ...


@overload
def nnls(
    a: Array,
    w: Array,
    *,
    return_residual: Literal[True],
    out: Array | None = None,
    backend: str | None = None,
    check: bool | None = None,
) -> NnlsFit: ...


def nnls(
    a: Array,
    w: Array,
    *,
    return_residual: bool = False,
    out: Array | None = None,
    backend: str | None = None,
    check: bool | None = None,
) -> Array | NnlsFit:
    """Find, for every row of ``a``, the non-negative combination of the dictionary's atoms nearest to it.

    Minimises |a_i - u_i W|² over u_i >= 0. One product with the dictionary makes each row a problem of k
    unknowns on the shared Gram matrix WWᵀ, which is solved exactly, in float64, by block principal pivoting
    (Kim & Park 2011, "Fast nonnegative matrix factorization: an active-set-like method and comparisons",
    algorithm 2), until the optimality conditions hold to 1e-12 relative: no coefficient is negative, the
    gradient is zero where a coefficient is positive and nowhere negative. A row that this does not settle
    goes on by Lawson and Hanson's active sets (1974, ch. 23), and at last by coordinate descent to 1e-9.

    Products are multiplied and summed in float64 whatever the input, so that near-collinear atoms cost no
    accuracy but that of the input and of the result's dtype. Where atoms depend on each other (duplicates)
    the minimiser returned is one of many, always the same. An atom of zeros gets 0. The result is constant
    for differentiation.

    Args:
        a: (n, d) rows to explain.
        w: (k, d) dictionary of k <= 256 atoms.
        return_residual: Return the residual norms, too.
        out: (n, k) contiguous array of the result's dtype to write into.
        backend: ``"cpu"``, ``"cuda"``, ``"torch"``, or None to choose by device.
        check: Refuse NaN and Inf. Default: on the CPU yes, on a GPU (where it synchronises) no; a row that
            holds them, or that no method solved, is then NaN.

    Returns:
        (n, k) coefficients in the wider dtype of ``a`` and ``w``; with ``return_residual`` an
        :class:`NnlsFit` of these and of |a_i - u_i W|, (n,).

    Complexity:
        O(n d k) for the products, O(k² d + k³) for the Gram matrix and its inverse, and per row about four
        solves of O(k³) operations. Memory beyond the result: 8 k d bytes, O(k²) and 256 rows of products per
        thread; on a GPU 8 n k bytes of products and, above 16 atoms, at most 256 MiB of problems; for
        residuals a row block of 4 MiB. Inputs that are not contiguous are copied.

    Raises:
        ValueError: Not matrices, d differs, k above 256, NaN or Inf, coefficients too large for the dtype, an
            ``out`` that does not fit or overlaps an input.
        TypeError: Not an array of real numbers.
        RuntimeError: No method solved a row; none is known.
    """
    rows, atoms = floating(to_tensor("a", a)).detach(), floating(to_tensor("w", w)).detach()
    _checks.matrix("a", rows)
    _checks.matrix("w", atoms)
    _checks.same_columns("a", rows, "w", atoms)
    if rows.device != atoms.device:
        _checks.same_device(a=rows, w=atoms)
    if atoms.shape[0] > _cpu.MAX_ATOMS:
        raise ValueError(f"w: expected at most {_cpu.MAX_ATOMS} atoms, found {atoms.shape[0]}")
    if rows.dtype != atoms.dtype:
        rows, atoms = rows.double(), atoms.double()
    if check is None:
        check = rows.device.type == "cpu"
    shape = (rows.shape[0], atoms.shape[0])
    if out is None:
        result = rows.new_empty(shape)
    else:
        result = to_output("out", out)
        _checks.output("out", result, shape, rows.dtype, (rows, atoms))
    run = choose("nnls", rows.device, backend, _IMPLEMENTATIONS)
    report = run(rows, atoms, result)
    if check:
        _refuse(rows, atoms, report)
    give_back = returner(a)
    coefficients = give_back(result) if out is None else out
    if not return_residual:
        return coefficients
    return NnlsFit(coefficients, give_back(_residuals(rows, atoms, result)))


def reference(a: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """The definition: Lawson and Hanson's method row by row, by pseudo-inverses of the atoms in use."""
    norms = torch.linalg.vector_norm(w, dim=1)
    w = w / torch.where(norms > 0, norms, 1)[:, None]
    solved = [_active_sets(row, w) for row in a]
    return torch.stack(solved) / torch.where(norms > 0, norms, 1)


def _active_sets(row: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    x = w.new_zeros(len(w))
    passive, refused = (torch.zeros(len(w), dtype=torch.bool, device=w.device) for _ in range(2))
    size = torch.linalg.vector_norm(row)
    while True:
        gradient = torch.where(passive | refused, 0, w @ (x @ w - row))
        if bool(gradient.min() >= -1e-12 * (size + x.sum())):
            return x
        entering = gradient.argmin()
        passive[entering] = True
        while True:
            z = torch.zeros_like(x)
            z[passive] = row @ torch.linalg.pinv(w[passive])
            outside = passive & (z <= 0)
            if not bool(outside.any()):
                x = z
                refused[:] = False
                break
            if bool(outside[entering] & (x[entering] == 0)):  # rounding has made up its gradient
                passive[entering], refused[entering] = False, True
                break
            share = (x[outside] / (x[outside] - z[outside])).min()
            x = torch.where(outside & (x / (x - z) <= share), 0, x + share * (z - x))
            passive &= x > 0


def _refuse(a: torch.Tensor, w: torch.Tensor, report: Sequence[int] | torch.Tensor) -> None:
    """Raise for the rows that were not solved, if any."""
    nonfinite, unsolved = report.tolist() if isinstance(report, torch.Tensor) else report
    if nonfinite < len(a):
        _checks.finite("w", w)
        _checks.finite("a", a)
        raise ValueError(
            f"a: the products with w or the coefficients of row {nonfinite} leave the range of {a.dtype}; "
            "scale the data or convert it to float64"
        )
    if unsolved < len(a):
        raise RuntimeError(f"a: row {unsolved} was not solved within {_LIMITS} steps of the three methods")


def _residuals(a: torch.Tensor, w: torch.Tensor, coefficients: torch.Tensor) -> torch.Tensor:
    norms = a.new_empty(len(a))
    for start, stop in _products.row_blocks(len(a), a.shape[1], a.element_size(), 1 << 22):
        block = _products.product(coefficients[start:stop], w).sub_(a[start:stop])
        torch.linalg.vector_norm(block, dim=1, out=norms[start:stop])
    return norms


def _run_cpu(a: torch.Tensor, w: torch.Tensor, out: torch.Tensor) -> tuple[int, int]:
    return _cpu.nnls(
        numpy_view(a.contiguous()),
        numpy_view(w.contiguous()),
        numpy_view(out),
        _LIMITS,
        torch.get_num_threads(),
    )


def _first_nonfinite(out: torch.Tensor) -> int:
    bad = (~torch.isfinite(out)).any(1).nonzero()
    return int(bad[0]) if len(bad) else len(out)


def _run_torch(a: torch.Tensor, w: torch.Tensor, out: torch.Tensor) -> tuple[int, int]:
    finite = torch.isfinite(a).all(1, keepdim=True) & torch.isfinite(w).all()
    out.copy_(torch.where(finite, reference(torch.where(finite, a, 0).double(), w.double()), torch.nan))
    return _first_nonfinite(out), len(out)


def _run_cuda(a: torch.Tensor, w: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    cuda = cuda_module()
    assert cuda is not None
    a, w = a.contiguous(), w.contiguous()
    (n, d), k = a.shape, len(w)
    report = torch.empty(2, dtype=torch.int64, device=a.device)
    workspace = torch.empty(cuda.nnls_workspace(n, d, k), dtype=torch.uint8, device=a.device)
    run = cuda.nnls_float32 if a.dtype == torch.float32 else cuda.nnls_float64
    addresses = (tensor.data_ptr() for tensor in (out, report, workspace))
    with torch.cuda.device(a.device):
        run(a.data_ptr(), w.data_ptr(), n, d, k, _LIMITS, *addresses, stream_of(a))
    return report


_IMPLEMENTATIONS = {"cpu": _run_cpu, "cuda": _run_cuda, "torch": _run_torch}
