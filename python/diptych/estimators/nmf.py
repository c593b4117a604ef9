"""NMF: a factorisation with non-negative coefficients and non-negative components."""

import warnings
from typing import Any

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags, check_random_state

from diptych.estimators._factorization import NonnegativeFactorization
from diptych.estimators._starts import INITS
from diptych.estimators.factorize_many import factorize_many
from diptych.ops import _checks

Array = NDArray[Any]


class NMF(NonnegativeFactorization):
    """Non-negative matrix factorisation X ≈ G F with G >= 0 and F >= 0.

    Minimises ‖X − G F‖² (Lee & Seung, "Learning the parts of objects by non-negative matrix factorization",
    Nature 401, 1999) by extrapolated hierarchical alternating least squares; see
    :func:`diptych.estimators.factorize_many`, which factorises many matrices at once. When the loop ends, the
    coefficients are replaced by the exact non-negative least-squares solution for the components found, so
    that ``fit_transform(X)`` equals ``fit(X).transform(X)``.

    An iteration takes O(n d k) operations; memory is three times that of X.

    Args:
        n_components: Number of components k, 1 <= k <= n and at most 256.
        init: ``"svd"``, NNDSVD with its zeros filled, or ``"random"``.
        max_iter: Most iterations; a ``ConvergenceWarning`` tells when they did not do.
        tol: Stop when ‖X − G F‖ falls by at most ``tol`` times its start per iteration, over ten of them.
        random_state: Seed of the start; an int makes the result repeatable.

    Attributes:
        components_: (k, d), the dtype of X: F.
        reconstruction_err_: Frobenius norm of X − G F for the coefficients returned.
        loss_curve_: (n_iter_ + 1,) float64, ‖X − G F‖ of the best factors at the start and after each
            iteration.
        n_iter_: Iterations made.
        n_features_in_: d.
        feature_names_in_: (d,) names, where X was a data frame with string columns.
    """

    def __init__(
        self,
        n_components: int,
        *,
        init: str = "svd",
        max_iter: int = 500,
        tol: float = 1e-5,
        random_state: int | RandomState | None = None,
    ) -> None:
        super().__init__(n_components, max_iter=max_iter, tol=tol, random_state=random_state, progress=False)
        self.init = init

    def _iterate(self, x: Array) -> None:
        _checks.one_of("init", self.init, INITS)
        if x.min() < 0:
            row, column = np.argwhere(x < 0)[0]
            raise ValueError(
                f"Negative values in data passed to NMF (X: expected numbers of at least 0, found one below "
                f"in row {row}, column {column}; SemiNMF takes them)"
            )
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        found = factorize_many(
            [torch.from_numpy(x)],
            self.n_components,
            signed=False,
            init=self.init,
            max_iter=self.max_iter,
            tol=self.tol,
            seed=seed,
        )[0]
        if not found.converged:
            warnings.warn(
                f"NMF stopped at max_iter={self.max_iter} before its error settled to tol={self.tol}",
                ConvergenceWarning,
                stacklevel=3,
            )
        self.components_ = found.components.numpy()
        self.loss_curve_ = found.losses.numpy()
        self.n_iter_ = len(self.loss_curve_) - 1

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
