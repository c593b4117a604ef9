"""Dictionaries for the tests of diptych.ops.nnls, and how far a result is from the minimiser."""

import numpy as np
import torch
from helpers import gaussian
from scipy.optimize import nnls as scipy_nnls


def dictionary(kind: str, k: int, d: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    w = gaussian(k, d, k + d, torch.float64)
    if kind == "positive":
        w = w.abs()
    elif kind == "collinear":  # condition of the Gram matrix about 1e8
        w = w[:1] + 1e-4 * w
    elif kind == "duplicates":
        w[k // 2 :] = 3 * w[: k - k // 2]
    elif kind == "twins":  # duplicates but for 1e-3 to 1e-9 of their length
        sizes = torch.logspace(-3, -9, k - k // 2, dtype=torch.float64)[:, None]
        w[k // 2 :] = w[: k - k // 2] + sizes * gaussian(k - k // 2, d, 5, torch.float64)
    elif kind == "zeros":
        w[::3] = 0
    elif kind == "scales":
        w *= torch.logspace(-9, 9, k, dtype=torch.float64)[:, None]
    return w.to(dtype)


KINDS = ("signed", "positive", "collinear", "duplicates", "twins", "zeros", "scales")


def violation(a: torch.Tensor, w: torch.Tensor, u: torch.Tensor) -> float:
    """By how much u misses the optimality conditions: |gradient_j| / (|a| |w_j|) where it is wrong."""
    a, w, u = a.double(), w.double(), u.double()
    assert bool((u >= 0).all())
    sizes = a.norm(dim=1)[:, None] * w.norm(dim=1)
    gradient = (u @ w - a) @ w.T / torch.where(sizes > 0, sizes, 1)
    wrong = torch.where(u > 0, gradient.abs(), (-gradient).clamp(min=0))
    return float(wrong.max())


def objective_gap(a: torch.Tensor, w: torch.Tensor, u: torch.Tensor) -> float:
    """The largest excess of the objective over scipy's, relative to |a_i|²."""
    a, w, u = (x.double().numpy() for x in (a, w, u))
    # scipy's tolerances are absolute: both sides go in with unit norms, which changes no residual.
    norms, sizes = np.linalg.norm(w, axis=1), np.linalg.norm(a, axis=1)
    unit = (w / np.where(norms > 0, norms, 1)[:, None]).T
    gaps = [
        (np.linalg.norm(row - x @ w) / size) ** 2 - scipy_nnls(unit, row / size, maxiter=100 * len(w))[1] ** 2
        for row, x, size in zip(a, u, sizes, strict=True)
        if size > 0
    ]
    return max(gaps, default=0.0)


def tolerances(dtype: torch.dtype, k: int) -> tuple[float, float]:
    """What the optimality conditions and the objective may miss.

    Everything is computed in float64 to about 1e-12 and then rounded to the dtype: a coefficient's rounding
    moves the gradient by eps |u_j| |w_j| |w_i|, and sum |u_j| |w_j| stays within k |a| on these dictionaries.
    The objective moves by at most that times sum |u_j| |w_j|, the gradient being zero where u_j is not.
    """
    eps = torch.finfo(dtype).eps
    return 1e-11 + k * eps, 1e-11 + (k * eps) ** 2 + 1e-11
