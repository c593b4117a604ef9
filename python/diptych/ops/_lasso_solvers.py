"""The subproblems of a lasso, solved side by side on each backend."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from diptych import _cpu
from diptych.ops._arrays import numpy_view
from diptych.ops._dispatch import cuda_module, stream_of
from diptych.ops._lasso_sets import Subproblem, gaps, running_sum


class _Flat(NamedTuple):
    """Subproblems laid end to end: problem i has the vectors from starts[i] to starts[i + 1]."""

    models: torch.Tensor  #: (problems, 2) which Gram matrix: that of which subproblem and model
    starts: torch.Tensor  #: (problems + 1,)
    alpha: torch.Tensor
    tolerance: torch.Tensor
    residual: torch.Tensor
    gradient: torch.Tensor
    coefficients: torch.Tensor
    passes: torch.Tensor


def _flatten(subproblems: list[Subproblem]) -> _Flat:
    def flat(name: str) -> torch.Tensor:
        return torch.cat([getattr(sub, name).reshape(-1) for sub in subproblems])

    sizes, which = [], []
    for number, sub in enumerate(subproblems):
        models, targets, size = sub.gradient.shape
        sizes += [size] * (models * targets)
        which += [(number, model) for model in range(models) for _ in range(targets)]
    return _Flat(
        torch.tensor(which),
        torch.tensor(running_sum(sizes)),
        torch.cat([sub.alpha.expand_as(sub.tolerance).reshape(-1) for sub in subproblems]),
        flat("tolerance"),
        flat("residual"),
        flat("gradient"),
        flat("coefficients"),
        flat("passes"),
    )


def _unflatten(flat: _Flat, subproblems: list[Subproblem]) -> None:
    for name in ("coefficients", "passes"):
        parts = [getattr(sub, name) for sub in subproblems]
        solved = getattr(flat, name).split([part.numel() for part in parts])
        for part, values in zip(parts, solved, strict=True):
            part.copy_(values.view_as(part))


def solve_cpu(subproblems: list[Subproblem], max_iter: int) -> None:
    flat = _flatten(subproblems)
    grams = [numpy_view(sub.gram) for sub in subproblems]
    solve: Callable[..., None] = _cpu.lasso
    solve(grams, *(numpy_view(part) for part in flat), max_iter, torch.get_num_threads())
    _unflatten(flat, subproblems)


def solve_cuda(subproblems: list[Subproblem], max_iter: int) -> None:
    cuda: Any = cuda_module()
    flat, device = _flatten(subproblems), subproblems[0].gram.device
    matrices = [sub.gram for sub in subproblems]
    addresses = [matrices[group][model].data_ptr() for group, model in flat.models.tolist()]
    problems, features = len(addresses), len(flat.gradient)
    largest = max(len(matrix[0]) for matrix in matrices)
    kind = "float32" if matrices[0].dtype == torch.float32 else "float64"
    solve = getattr(cuda, f"lasso_{kind}")
    gram, starts = torch.tensor(addresses, device=device), flat.starts.to(device)
    with torch.cuda.device(device):
        size = cuda.lasso_workspace(features, problems, largest)
        workspace = torch.empty(size, dtype=torch.uint8, device=device)
        solve(
            gram.data_ptr(),
            starts.data_ptr(),
            problems,
            features,
            largest,
            *(part.data_ptr() for part in flat[2:]),
            max_iter,
            workspace.data_ptr(),
            stream_of(gram),
        )
    _unflatten(flat, subproblems)


def solve_torch(subproblems: list[Subproblem], max_iter: int) -> None:
    """Accelerated proximal gradient (Beck & Teboulle 2009) with restarts (O'Donoghue & Candès 2015)."""
    for sub in subproblems:
        _descend(sub, max_iter)


_ITERATIONS = 20  # between two looks at the gap, which wait for the device


def _descend(sub: Subproblem, max_iter: int) -> None:
    gram, alpha = sub.gram.double(), sub.alpha[:, None]
    scale = gram.diagonal(dim1=1, dim2=2).sqrt()[:, None]  # features of unit norm: better conditioned
    live = scale > 0
    steps = torch.where(live, scale, 1)
    unit = gram / (steps * steps.mT)
    bound = unit.abs().sum(2).amax(1).clamp(min=1)[:, None, None]  # of the largest eigenvalue
    start, slope = sub.coefficients * steps, sub.gradient / steps
    penalty = alpha / steps / bound

    w, ahead, momentum = start, start, torch.ones_like(sub.residual)[:, :, None]
    while True:
        moved = (w - start) @ unit
        gradient = (slope - moved) * steps
        residual = sub.residual - ((w - start) * (2 * slope - moved)).sum(2)
        unsolved = gaps(residual, gradient, w / steps, sub.alpha) > sub.tolerance
        unsolved &= sub.passes < max_iter
        if not bool(unsolved.any()):
            break
        for _ in range(_ITERATIONS):
            free = ahead + (slope - (ahead - start) @ unit) / bound
            new = torch.where(live, free.sign() * (free.abs() - penalty).clamp(min=0), 0)
            new = torch.where(unsolved[:, :, None], new, w)
            uphill = ((ahead - new) * (new - w)).sum(2, keepdim=True) > 0
            following = torch.where(uphill, 1, (1 + (1 + 4 * momentum**2).sqrt()) / 2)
            ahead = torch.where(uphill, new, new + (momentum - 1) / following * (new - w))
            w, momentum = new, following
        sub.passes.add_(_ITERATIONS * unsolved)
    sub.coefficients.copy_(w / steps)
