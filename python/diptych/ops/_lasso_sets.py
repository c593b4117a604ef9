"""Working sets of the lasso: which features each problem sees, their Gram matrices, and the gaps on all."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch

from diptych import _cpu
from diptych.ops._arrays import numpy_view
from diptych.ops._products import product, row_blocks

#: Features a working set starts with. It grows by half at most: many that look needed early are not.
_FEATURES = 64

#: Up to this many features the whole Gram matrix costs less than looking for those that matter.
_WHOLE = 256

# A round solves its subproblems to this share of the last gaps, and no finer than this share of the limit.
_OF_GAP, _OF_LIMIT = 0.01, 0.1

# Rounds in which no set grows and a gap does not halve, before a problem is given up.
_PATIENCE = 4


class Training(NamedTuple):
    """The training sets of K models over n items: all items without those of one fold each."""

    n: int
    starts: list[int]  #: (K + 1,) fold k holds the items starts[k] to starts[k + 1] of ``order``
    order: torch.Tensor | None  #: (n,) items sorted by fold; None where they lie so already
    inverse: torch.Tensor | None  #: (n,) the place of each item in ``order``

    @property
    def folds(self) -> list[slice]:
        """The held-out items of each model."""
        return [slice(a, b) for a, b in zip(self.starts[:-1], self.starts[1:], strict=True)]

    @property
    def counts(self) -> list[int]:
        """The number of items each model is trained on."""
        return [self.n - (fold.stop - fold.start) for fold in self.folds]

    def sorted(self, rows: torch.Tensor) -> torch.Tensor:
        """Bring the items, along the last axis, into the order of the folds."""
        return rows if self.order is None else rows.index_select(-1, self.order)

    def unsorted(self, rows: torch.Tensor) -> torch.Tensor:
        """Bring the items, along the last axis, back into the order they came in."""
        return rows if self.inverse is None else rows.index_select(-1, self.inverse)

    def means(self, of_rows: Callable[[slice], torch.Tensor]) -> torch.Tensor:
        """Sum a quantity over the training items of each model, and divide by their number.

        Args:
            of_rows: Gives the sum over a slice of the sorted items.

        Returns:
            (K, ...). Sums of the other folds, from both ends: nothing is subtracted, so nothing cancels.
        """
        always = of_rows(slice(0, self.starts[0]))
        if self.starts[0] == self.n:
            return always[None] / self.n
        own = [of_rows(fold) for fold in self.folds]
        means = torch.empty(len(own), *always.shape, dtype=always.dtype, device=always.device)
        for k, part in enumerate(own):
            means[k] = always
            always = always + part
        after = own[-1]
        for k in range(len(own) - 2, -1, -1):
            means[k] += after
            after = after + own[k]
        for mean, count in zip(means, self.counts, strict=True):
            mean /= count
        return means


class Subproblem(NamedTuple):
    """The lasso of g targets and K models on u features, in covariance form; solvers update it in place."""

    gram: torch.Tensor  #: (K, u, u), float32 or float64; what follows is float64
    alpha: torch.Tensor  #: (g,)
    tolerance: torch.Tensor  #: (K, g) duality gap to reach
    residual: torch.Tensor  #: (K, g) mean squared residual
    gradient: torch.Tensor  #: (K, g, u) mean product of residual and feature
    coefficients: torch.Tensor  #: (K, g, u)
    passes: torch.Tensor  #: (K, g) int32, counted on


Solver = Callable[[list[Subproblem], int], None]


class _Group:
    """Targets that share a working set."""

    def __init__(
        self, training: Training, targets: slice, features: torch.Tensor, columns: torch.Tensor
    ) -> None:
        self.training, self.targets = training, targets
        self.features = features[:0]
        self.columns = columns[:, :0]  # (n, u), items sorted by fold
        self.gram = columns.new_empty(len(training.folds), 0, 0)
        self.grow(features, columns)

    def grow(self, features: torch.Tensor, columns: torch.Tensor) -> None:
        """Add features: only their own rows and columns of the Gram matrices are computed."""
        old, added = len(self.features), columns
        self.features = torch.cat([self.features, features])
        self.columns = torch.cat([self.columns, added], 1) if old else added
        cross = self.training.means(lambda rows: product(added[rows].T, self.columns[rows]))
        if old:
            above = torch.cat([self.gram, cross[:, :, :old].mT], 2)
            cross = torch.cat([above, cross], 1)
        self.gram = cross

    def at_zero(self, y: torch.Tensor) -> torch.Tensor:
        """The gradient (K, g, u) where all coefficients are zero, from the sorted targets y (g, n)."""
        return self.training.means(lambda items: product(y[:, items], self.columns[items])).double()


class LassoSets:
    """Solves the lasso of t targets and K models by growing working sets.

    Args:
        x: (n, p) float32 or float64, contiguous along either axis.
        y: (n, t) float64.
        training: The training sets of the K models.
        alpha: (t,) float64.
    """

    def __init__(self, x: torch.Tensor, y: torch.Tensor, training: Training, alpha: torch.Tensor) -> None:
        self.x, self.training, self.alpha = x, training, alpha
        self.y = training.sorted(y.T.contiguous())
        models, targets, p = len(training.folds), len(self.y), x.shape[1]
        self.counts = torch.tensor(training.counts, dtype=torch.float64, device=x.device)[:, None]
        self.power = training.means(lambda items: self.y[:, items].square().sum(1))
        self.coefficients = self.y.new_zeros(models, targets, p)
        self.residuals = self._held_out(self.y.repeat(models, 1, 1))
        self.gradient = torch.empty_like(self.coefficients)
        self.gap = self.power / 2
        self.passes = torch.zeros_like(self.power, dtype=torch.int32)
        self.groups = self._first_groups()

    def solve(self, tolerance: float, max_iter: int, solver: Solver) -> int:
        """Solve to gaps of ``tolerance`` times the mean square of the target; how many problems miss that."""
        limit = tolerance * self.power
        accuracy = _OF_LIMIT * limit
        exact = self.x.dtype == torch.float64
        unsolved = torch.ones_like(limit, dtype=torch.bool)
        first, patience = True, _PATIENCE
        while True:
            inner = torch.maximum(accuracy, _OF_GAP * self.gap).masked_fill_(~unsolved, torch.inf)
            self._solve_subproblems(inner, first, max_iter, solver)
            before = self.gap.clone()
            self._evaluate(unsolved, exact)
            unsolved = self.gap > limit
            going = unsolved & (self.passes < max_iter)
            if not exact and not bool(going.any()):
                exact = True
                self._evaluate(torch.ones_like(unsolved), exact)
                unsolved = self.gap > limit
                going = unsolved & (self.passes < max_iter)
            if not bool(going.any()):
                return int(unsolved.sum())
            first = False
            if self._grow(going):
                patience = _PATIENCE
                continue
            # The sets hold what they need: what is missing is accuracy, of the products first.
            if exact and not bool((self.gap < before / 2)[going].all()):
                patience -= 1
                if patience == 0:
                    return int(unsolved.sum())
            accuracy = torch.where(going, accuracy / 10, accuracy)
            if not exact:
                exact = True
                unsolved.fill_(True)  # those that seemed solved are looked at again

    def _first_groups(self) -> list[_Group]:
        p, targets = self.x.shape[1], len(self.y)
        every = slice(0, targets)
        if p <= _WHOLE:
            features = torch.arange(p, device=self.x.device)
            return [_Group(self.training, every, features, self.training.sorted(self.x.T).T)]
        scores = _thin_product(self.training.unsorted(self.y).to(self.x.dtype), self.x).abs()
        best = scores.topk(_FEATURES, dim=1).indices
        union = best.unique()
        if len(union) ** 2 <= best.numel() * _FEATURES:
            return [_Group(self.training, every, union, self._columns([union])[0])]
        columns = self._columns(list(best))
        return [_Group(self.training, slice(j, j + 1), best[j], columns[j]) for j in range(targets)]

    def _columns(self, features: list[torch.Tensor]) -> Sequence[torch.Tensor]:
        """Columns of x, items sorted by fold, for each list of features; all in one pass over x."""
        chosen, sizes = torch.cat(features), [len(part) for part in features]
        if self.x.device.type == "cpu" and self.x.is_contiguous():
            columns, order = self.x.new_empty(len(self.x), len(chosen)), self.training.order
            _cpu.gather_columns(
                numpy_view(self.x),
                None if order is None else numpy_view(order),
                numpy_view(chosen),
                numpy_view(columns),
                torch.get_num_threads(),
            )
            return columns.split(sizes, 1)
        return self.training.sorted(self.x.T.index_select(0, chosen)).T.split(sizes, 1)

    def _solve_subproblems(self, tolerance: torch.Tensor, first: bool, max_iter: int, solver: Solver) -> None:
        residual = self.residuals.square().sum(2) / self.counts
        subproblems = []
        for group in self.groups:
            part = [whole[:, group.targets] for whole in (tolerance, residual, self.passes)]
            coefficients = self._pick(self.coefficients, group)
            if first:
                gradient = group.at_zero(self.y[group.targets].to(self.x.dtype))
            else:
                gradient = self._pick(self.gradient, group)
            alpha = self.alpha[group.targets]
            subproblems.append(
                Subproblem(group.gram, alpha, part[0], part[1], gradient, coefficients, part[2])
            )
        solver(subproblems, max_iter)
        for group, solved in zip(self.groups, subproblems, strict=True):
            # Rounded to the type of the result, so that the gap is that of what is returned.
            coefficients = solved.coefficients.to(self.x.dtype).double()
            self.coefficients[:, group.targets].index_copy_(2, group.features, coefficients)
            self.passes[:, group.targets] = solved.passes
            models, targets, features = coefficients.shape
            fit = coefficients.view(-1, features) @ group.columns.double().T
            self.residuals[:, group.targets] = self.y[group.targets] - fit.unflatten(0, (models, targets))
        self._held_out(self.residuals)

    def _evaluate(self, chosen: torch.Tensor, exact: bool) -> None:
        """Refresh gradients and gaps of the chosen problems (K, t) from all of x."""
        rows = self.training.unsorted(self.residuals[chosen])
        if exact and self.x.dtype != torch.float64:
            products = rows.new_zeros(len(rows), self.x.shape[1])
            for start, stop in row_blocks(self.x.shape[0], self.x.shape[1], 8, 1 << 25):
                products.addmm_(rows[:, start:stop], self.x[start:stop].double())
        else:
            products = _thin_product(rows.to(self.x.dtype), self.x).double()
        counts = self.counts.expand_as(chosen)[chosen]
        products /= counts[:, None]
        self.gradient[chosen] = products
        residual = rows.square().sum(1) / counts
        alpha = self.alpha.expand_as(chosen)[chosen]
        self.gap[chosen] = gaps(residual, products, self.coefficients[chosen], alpha)

    def _grow(self, still_open: torch.Tensor) -> bool:
        """Add the features that violate optimality to the sets of open problems; whether there were any."""
        scores = self.gradient.abs() / self.alpha[:, None]
        scores.masked_fill_(~still_open[:, :, None], 0)
        scores = scores.amax(0)
        growing, features = [], []
        for group in self.groups:
            score = scores[group.targets].amax(0)
            score[group.features] = 0
            count = min(int((score > 1).sum()), max(1, len(group.features) // 2))
            if count:
                growing.append(group)
                features.append(score.topk(count).indices)
        if not growing:
            return False
        union = self._union(growing, features)
        if union is not None:
            self.groups = [_Group(self.training, slice(0, len(self.y)), union, self._columns([union])[0])]
            return True
        for group, added, columns in zip(growing, features, self._columns(features), strict=True):
            group.grow(added, columns)
        return True

    def _union(self, growing: list[_Group], added: list[torch.Tensor]) -> torch.Tensor | None:
        """The union of all sets, once its Gram matrix is smaller than theirs together."""
        sets = [group.features for group in self.groups] + added
        union = torch.cat(sets).unique()
        sizes = {id(group): len(group.features) for group in self.groups}
        for group, features in zip(growing, added, strict=True):
            sizes[id(group)] += len(features)
        return union if len(union) ** 2 < sum(size**2 for size in sizes.values()) else None

    def _pick(self, whole: torch.Tensor, group: _Group) -> torch.Tensor:
        return whole[:, group.targets].index_select(2, group.features)

    def _held_out(self, residuals: torch.Tensor) -> torch.Tensor:
        """Zero, in place, what each model (K, t, n) must not see."""
        for residual, fold in zip(residuals, self.training.folds, strict=True):
            residual[:, fold] = 0
        return residuals


def _thin_product(rows: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """rows @ x; BLAS is up to a fifth faster where the number of rows fills its tiles."""
    count = len(rows)
    missing = -count % 8 if count > 1 else 0
    return product(torch.nn.functional.pad(rows, (0, 0, 0, missing)), x)[:count]


def gaps(
    residual: torch.Tensor, gradient: torch.Tensor, coefficients: torch.Tensor, alpha: torch.Tensor
) -> torch.Tensor:
    """Duality gaps (...) of problems with coefficients (..., u), as core/lasso_problem.hpp defines them."""
    with_target = residual + (coefficients * gradient).sum(-1)
    scale = (alpha / gradient.abs().amax(-1)).clamp(max=1)
    primal = residual / 2 + alpha * coefficients.abs().sum(-1)
    return (primal - scale * (with_target - scale * residual / 2)).clamp(min=0)


def running_sum(values: Iterable[int]) -> list[int]:
    """Running sums, from 0."""
    sums = [0]
    for value in values:
        sums.append(sums[-1] + value)
    return sums
