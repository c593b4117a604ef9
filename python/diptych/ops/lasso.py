"""The lasso of many targets, and of the folds of a cross-validation, from shared work."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from diptych import _cpu
from diptych.ops import _checks
from diptych.ops._arrays import Array, floating, numpy_view, returner, to_tensor
from diptych.ops._dispatch import choose
from diptych.ops._lasso_sets import LassoSets, Solver, Training, running_sum
from diptych.ops._lasso_solvers import solve_cpu, solve_cuda, solve_torch

# Multiply-adds below which one plain C++ loop is faster than a product from BLAS for each step.
_SMALL = 1 << 20

# Numbers that the residuals and gradients of the targets solved at once may take.
_AT_ONCE = 1 << 24


class LassoResult(NamedTuple):
    """Solutions of :func:`lasso`; axes that y or folds do not have are left out."""

    coef: Array  #: (K, p, t) in the dtype of x
    gap: Array  #: (K, t) float64 duality gap of these coefficients, computed from x in float64
    n_iter: Array  #: (K, t) int32 passes of coordinate descent over the working set


def lasso(
    x: Array,
    y: Array,
    alpha: float | Array,
    folds: int | Array | None = None,
    *,
    tol: float = 1e-5,
    max_iter: int = 100_000,
    backend: str | None = None,
    check: bool | None = None,
) -> LassoResult:
    """Minimise |y - Xw|²/2n + alpha |w|₁ for every target, and for every fold's training set.

    The objective is that of scikit-learn and celer, without intercept: standardise x and y before. With
    folds, model f is trained on the items outside fold f, and n is their number.

    Working sets of features grow by those that violate optimality, as in celer (Massias, Gramfort & Salmon
    2018). Their Gram matrices come once for all targets and folds that share them, a fold's training set
    being the sum of the other folds. On them runs coordinate descent (Friedman, Hastie & Tibshirani 2010,
    sec. 2.2) with gap-safe screening (Ndiaye et al. 2017), Anderson extrapolation (Bertrand & Massias 2021)
    and Newton steps on the nonzero coefficients (least squares while their signs hold, as Osborne, Presnell &
    Turlach 2000), which make nearly dependent features converge, too. One product with all of x then gives
    every problem's gradient and gap. Small problems see all features at once.

    Args:
        x: (n, p) features, float32 or float64, by rows or by columns.
        y: (n,) or (n, t) targets.
        alpha: Weight of the penalty, above 0; a number, or (t,) one for each target.
        folds: None; the number K of folds of consecutive items, as scikit-learn's ``KFold`` cuts them; or
            (n,) integers, the fold 0..K-1 of each item, -1 for items every model is trained on.
        tol: A problem is solved when its duality gap is at most tol |y|²/n (over its training items), as in
            celer.
        max_iter: Most passes of coordinate descent per problem.
        backend: ``"cpu"``, ``"cuda"``, ``"torch"``, or None to choose by device.
        check: Refuse NaN and Inf. Default: on the CPU yes, on a GPU no.

    Returns:
        :class:`LassoResult`. A feature that is zero on all training items gets coefficient 0; of equal
        features any share of the weight is a solution. Where a problem is not solved within max_iter passes
        or to the precision of the coefficients (in float32 about 1e-7 |y|²/n), a
        ``sklearn.exceptions.ConvergenceWarning`` tells how many and the largest gap.

    Complexity:
        With u the features in the working sets of a target (a little over the nonzero coefficients; all p if
        p <= 256): O(n p K t) time per round, of which three or four are usual, and O(n u²) per target for the
        Gram matrices, or once for all targets where their sets overlap. Memory beyond the result:
        O(K t (n + p)) up to 300 MiB (targets are then solved in turns), O(n u + K u²) for each target solved
        at once, 16 MiB per thread (256 MiB on a GPU) for Newton steps, and a copy of x if it is neither
        float32 nor float64 or lies in memory by neither axis.
        On a GPU every round waits for the device.

    Raises:
        ValueError: Wrong rank, other items in y or folds, alpha or tol not above 0, a fold without items or
            with all of them, NaN or Inf, mixed devices.
        TypeError: Not an array of real numbers; folds not integers.
    """
    features, targets = _plain(to_tensor("x", x)), _plain(to_tensor("y", y))
    _checks.matrix("x", features)
    if targets.ndim not in (1, 2) or targets.numel() == 0:
        raise ValueError(f"y: expected shape (n,) or (n, t), found {tuple(targets.shape)}")
    _checks.same_rows("x", features, "y", targets)
    _checks.same_device(x=features, y=targets)
    _checks.positive("tol", tol)
    _checks.integer("max_iter", max_iter, 1)
    columns = targets if targets.ndim == 2 else targets[:, None]
    weights = _weights(alpha, columns)
    training = _training(folds, features)
    if check is None:
        check = features.device.type == "cpu"
    run = choose("lasso", features.device, backend, _IMPLEMENTATIONS)
    coef, gap, passes, missed = run(features, columns, weights, training, tol, max_iter, check)
    if missed:
        _warn(missed, gap, tol, max_iter)
    models, own = gap.shape[:1] if folds is not None else (), targets.shape[1:]
    give_back = returner(x) if isinstance(coef, torch.Tensor) else _from_numpy(x)
    return LassoResult(
        give_back(coef.reshape((*models, features.shape[1], *own))),
        give_back(gap.reshape((*models, *own))),
        give_back(passes.reshape((*models, *own))),
    )


def reference(
    x: torch.Tensor,
    y: torch.Tensor,
    alpha: float,
    held_out: torch.Tensor | None = None,
    *,
    tol: float = 1e-12,
    max_iter: int = 100_000,
) -> torch.Tensor:
    """The definition by plain coordinate descent in float64: (p, t) for x (n, p) and y (n, t).

    Items where ``held_out`` (n,) is true play no part.
    """
    if held_out is not None:
        x, y = x[~held_out], y[~held_out]
    x, residual = x.double(), y.double().clone()
    n = len(x)
    norms = x.square().sum(0) / n
    w = x.new_zeros(x.shape[1], y.shape[1])
    power = residual.square().sum(0) / n
    for _ in range(max_iter):
        for j in norms.nonzero()[:, 0].tolist():
            free = x[:, j] @ residual / n + norms[j] * w[j]
            best = free.sign() * (free.abs() - alpha).clamp(min=0) / norms[j]
            residual -= x[:, j, None] * (best - w[j])
            w[j] = best
        if bool((_gap(x, residual, w, alpha) <= tol * power).all()):
            return w
    raise RuntimeError(f"no solution to a gap of {tol} |y|²/n in {max_iter} passes")


def _gap(x: torch.Tensor, residual: torch.Tensor, w: torch.Tensor, alpha: float) -> torch.Tensor:
    """The duality gap of each target, with the residuals scaled into the dual's feasible set."""
    n, y = len(x), residual + x @ w
    peak = (x.T @ residual / n).abs().amax(0)
    dual = residual * (alpha / peak).clamp(max=1)
    primal = residual.square().sum(0) / (2 * n) + alpha * w.abs().sum(0)
    return primal - (y.square().sum(0) - (y - dual).square().sum(0)) / (2 * n)


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return floating(tensor.detach() if tensor.requires_grad else tensor)


def _from_numpy(x: Array) -> Callable[[np.ndarray], Array]:
    """As ``returner``, of results in numpy."""
    return torch.from_numpy if isinstance(x, torch.Tensor) else lambda array: array


def _weights(alpha: float | Array, y: torch.Tensor) -> float | torch.Tensor:
    """The penalty of all targets, or of each, (t,) float64."""
    t = y.shape[1]
    if isinstance(alpha, (int, float)):
        _checks.positive("alpha", alpha)
        return alpha
    weights = to_tensor("alpha", alpha).detach().to(y.device, torch.float64)
    if weights.ndim > 0 and weights.shape != (t,):
        raise ValueError(f"alpha: expected a number or shape ({t},), found {tuple(weights.shape)}")
    low, high = weights.aminmax()
    _checks.positive("alpha", float(low))
    _checks.positive("alpha", float(high))
    return weights.expand(t).contiguous()


def _training(folds: int | Array | None, x: torch.Tensor) -> Training:
    n = len(x)
    if folds is None:
        return Training(n, [n, n], None, None)
    if not hasattr(folds, "__len__") and not hasattr(folds, "__dlpack__"):
        _checks.integer("folds", folds, 2, n)
        size, larger = divmod(n, folds)
        return Training(n, [k * size + min(k, larger) for k in range(folds + 1)], None, None)
    tags = to_tensor("folds", folds).detach()
    if tags.is_floating_point() or tags.dtype == torch.bool:
        raise TypeError(f"folds: expected integers, found {tags.dtype}")
    if tags.shape != (n,):
        raise ValueError(f"folds: expected shape ({n},), found {tuple(tags.shape)}")
    tags = tags.long()
    low, high = (int(bound) for bound in tags.aminmax())
    if low < -1 or high >= n or high < 0:
        raise ValueError(f"folds: expected numbers from 0 (-1 for no fold) to n-1, found {low} to {high}")
    sizes = torch.bincount(tags + 1, minlength=high + 2).tolist()
    for fold, size in enumerate(sizes[1:]):
        if size == 0 or size == n:
            raise ValueError(
                f"folds: expected items inside and outside fold {fold}, found {size} of {n} inside"
            )
    starts = running_sum(sizes)[1:]
    if bool((tags[1:] >= tags[:-1]).all()):
        return Training(n, starts, None, None)
    order = tags.argsort(stable=True).to(x.device)
    return Training(n, starts, order, order.argsort())


def _warn(missed: int, gap: Any, tol: float, max_iter: int) -> None:
    from sklearn.exceptions import ConvergenceWarning

    problems = gap.shape[0] * gap.shape[1]
    warnings.warn(
        f"lasso: {missed} of {problems} problems not solved to a duality gap of {tol:.3g} |y|²/n within "
        f"max_iter = {max_iter} passes and the precision of the coefficients; the largest gap is "
        f"{float(gap.max()):.3g}. Raise max_iter, tol or alpha",
        ConvergenceWarning,
        stacklevel=3,
    )


# Coefficients (K, p, t), gaps and passes (K, t), tensors or numpy arrays; and how many problems miss tol.
Solved = tuple[Any, Any, Any, int]


def _run_sets(
    solver: Solver,
    x: torch.Tensor,
    y: torch.Tensor,
    alpha: float | torch.Tensor,
    training: Training,
    tol: float,
    max_iter: int,
    check: bool,
) -> Solved:
    """Solve as many targets at once as memory allows."""
    if check:
        _checks.finite("x", x)
        _checks.finite("y", y)
    alpha = torch.as_tensor(alpha, dtype=torch.float64, device=x.device).expand(y.shape[1])
    if not (x.is_contiguous() or x.T.is_contiguous()):
        x = x.contiguous()
    (n, p), t, models = x.shape, y.shape[1], len(training.folds)
    coef = x.new_empty(models, p, t)
    gap = torch.empty(models, t, dtype=torch.float64, device=x.device)
    passes = torch.empty(models, t, dtype=torch.int32, device=x.device)
    step, missed = max(1, _AT_ONCE // (models * (n + p))), 0
    for start in range(0, t, step):
        part = slice(start, start + step)
        sets = LassoSets(x, y[:, part].double(), training, alpha[part])
        missed += sets.solve(tol, max_iter, solver)
        coef[:, :, part] = sets.coefficients.mT
        gap[:, part] = sets.gap
        passes[:, part] = sets.passes
    return coef, gap, passes, missed


def _run_cpu(
    x: torch.Tensor,
    y: torch.Tensor,
    alpha: float | torch.Tensor,
    training: Training,
    tol: float,
    max_iter: int,
    check: bool,
) -> Solved:
    (n, p), t, models = x.shape, y.shape[1], len(training.starts) - 1
    if models * n * p * (p + t) > _SMALL:
        return _run_sets(solve_cpu, x, y, alpha, training, tol, max_iter, check)
    features = numpy_view(x.contiguous())
    coef = np.empty((models, p, t), features.dtype)
    gap, passes = np.empty((models, t)), np.empty((models, t), np.int32)
    missed = _cpu.lasso_small(
        features,
        numpy_view(y.contiguous()),
        np.asarray(alpha, np.float64),
        training.starts,
        None if training.order is None else numpy_view(training.order),
        tol,
        max_iter,
        check,
        coef,
        gap,
        passes,
    )
    if missed < 0:
        _checks.finite("x", x)
        _checks.finite("y", y)
    return coef, gap, passes, missed


def _run_torch(*arguments: Any) -> Solved:
    return _run_sets(solve_torch, *arguments)


def _run_cuda(*arguments: Any) -> Solved:
    return _run_sets(solve_cuda, *arguments)


_IMPLEMENTATIONS = {"cpu": _run_cpu, "cuda": _run_cuda, "torch": _run_torch}
