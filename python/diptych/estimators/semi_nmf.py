"""Semi-NMF: a factorisation with non-negative coefficients and components of either sign."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from diptych.estimators._factorization import NonnegativeFactorization, multiply

Array = NDArray[Any]


class SemiNMF(NonnegativeFactorization):
    """Semi-non-negative matrix factorisation X ≈ G F with G >= 0 and F free.

    Minimises ‖X − G F‖² by the updates of Ding, Li and Jordan, "Convex and Semi-Nonnegative Matrix
    Factorizations", IEEE TPAMI 32(1), 2010, the algorithm for semi-NMF, here with items as rows:
    F = (GᵀG)⁻¹GᵀX (a least-squares solution where GᵀG is singular), then

        G ← G · sqrt( ([XFᵀ]⁺ + G[FFᵀ]⁻) / ([XFᵀ]⁻ + G[FFᵀ]⁺) ),

    A⁺ and A⁻ being the positive and negative parts, A = A⁺ − A⁻. The start is the paper's: K-means
    indicators plus 0.2. The norm never rises. When the loop ends, the coefficients are replaced by
    the exact non-negative least-squares solution for the components found, so that
    ``fit_transform(X)`` equals ``fit(X).transform(X)``.

    An iteration takes O(n d k) operations; memory is three times that of X.

    Args:
        n_components: Number of components k, 1 <= k <= n and at most 256.
        max_iter: Most iterations; a ``ConvergenceWarning`` tells when they did not do.
        tol: Stop when an iteration lowers ‖X − G F‖ by at most ``tol`` times its start.
        random_state: Seed of K-means; an int makes the result repeatable.
        progress: Show a progress bar on standard error once the fit has taken two seconds.

    Attributes:
        components_: (k, d), the dtype of X: F.
        reconstruction_err_: Frobenius norm of X − G F for the coefficients returned.
        loss_curve_: (n_iter_ + 1,) float64, ‖X − G F‖ at the start and after each iteration.
        n_iter_: Iterations made.
        n_features_in_: d.
        feature_names_in_: (d,) names, where X was a data frame with string columns.
    """

    def __init__(
        self,
        n_components: int,
        *,
        max_iter: int = 1000,
        tol: float = 1e-5,
        random_state: int | RandomState | None = None,
        progress: bool = True,
    ) -> None:
        super().__init__(
            n_components, max_iter=max_iter, tol=tol, random_state=random_state, progress=progress
        )

    def _updates(self, x: Array, indicators: Array) -> Iterator[tuple[Array, Array]]:
        G = indicators + x.dtype.type(0.2)
        F = least_squares_components(x, G)
        while True:
            yield G, F
            G = update_coefficients(x, G, F)
            F = least_squares_components(x, G)


def least_squares_components(x: Array, G: Array) -> Array:
    """Return the (k, d) minimiser F of ‖x − G F‖, the smallest where there are several."""
    q, r = np.linalg.qr(G)
    return np.linalg.pinv(r) @ (q.T @ x)


def update_coefficients(x: Array, G: Array, F: Array) -> Array:
    """Return the (n, k) coefficients after one multiplicative step at fixed components."""
    products = x @ F.T
    gram = F @ F.T
    numerator = np.maximum(products, 0) + G @ np.maximum(-gram, 0)
    denominator = np.maximum(-products, 0) + G @ np.maximum(gram, 0)
    return multiply(G, numerator, denominator)
