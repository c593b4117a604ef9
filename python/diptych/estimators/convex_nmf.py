"""Convex-NMF: a factorisation whose components are non-negative combinations of the items."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from diptych.estimators._factorization import NonnegativeFactorization, multiply

Array = NDArray[Any]


class ConvexNMF(NonnegativeFactorization):
    """Convex non-negative matrix factorisation X ≈ G (WᵀX) with G >= 0 and W >= 0.

    Minimises ‖X − G WᵀX‖² by the updates of Ding, Li and Jordan, "Convex and Semi-Nonnegative
    Matrix Factorizations", IEEE TPAMI 32(1), 2010, the algorithm for convex-NMF, here with items as
    rows and K = XXᵀ = K⁺ − K⁻ split by sign:

        G ← G · sqrt( (K⁺W + G WᵀK⁻W) / (K⁻W + G WᵀK⁺W) )
        W ← W · sqrt( (K⁺G + K⁻W GᵀG) / (K⁻G + K⁺W GᵀG) )

    The start is the paper's: for K-means indicators H with cluster sizes D, G = H + 0.2 and
    W = (H + 0.2)D⁻¹. The norm never rises. Only K enters: a rotation of the features changes
    neither G nor W. When the loop ends, the coefficients are replaced by the exact non-negative
    least-squares solution for the components found, so that ``fit_transform(X)`` equals
    ``fit(X).transform(X)``.

    An iteration takes O(n² k) operations and reads n² numbers twice. Memory: one (n, n) matrix of
    X's dtype, |K| (100 MB for 5,000 items in float32, 200 MB in float64), and three times that of
    X. K⁺ and K⁻ are not stored: K⁺W = (|K|W + X(XᵀW))/2, and K⁻W likewise. Where X has no negative
    value K⁻ is 0, nothing of size n² is stored and an iteration takes O(n d k).

    Args:
        n_components: Number of components k, 1 <= k <= n and at most 256.
        max_iter: Most iterations; a ``ConvergenceWarning`` tells when they did not do.
        tol: Stop when an iteration lowers ‖X − G WᵀX‖ by at most ``tol`` times its start.
        random_state: Seed of K-means; an int makes the result repeatable.
        progress: Show a progress bar on standard error once the fit has taken two seconds.

    Attributes:
        components_: (k, d), the dtype of X: WᵀX.
        weights_: (n, k) W, non-negative; its columns need not sum to 1, as in the paper.
        reconstruction_err_: Frobenius norm of X − G WᵀX for the coefficients returned.
        loss_curve_: (n_iter_ + 1,) float64, ‖X − G WᵀX‖ at the start and after each iteration.
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
        W = G / np.maximum(indicators.sum(axis=0), 1)
        gram = SignedGram(x)
        parts_W = gram.parts(W)
        while True:
            self.weights_ = W
            yield G, W.T @ x
            G = update_coefficients(G, W, parts_W)
            W = update_weights(G, W, gram.parts(G), parts_W)
            parts_W = gram.parts(W)


class SignedGram:
    """K = XXᵀ, which multiplies thin matrices by its positive and by its negative part.

    Holds |K|, (n, n), unless X is non-negative; a product takes O(n² k) operations, or O(n d k).
    """

    def __init__(self, x: Array) -> None:
        self._x = x
        self._absolute: Array | None = None
        if x.min() < 0:
            self._absolute = x @ x.T
            np.abs(self._absolute, out=self._absolute)

    def parts(self, factor: Array) -> tuple[Array, Array]:
        """Return (K⁺ factor, K⁻ factor), both (n, k), for an (n, k) factor >= 0."""
        difference = self._x @ (self._x.T @ factor)
        if self._absolute is None:
            return difference, np.zeros_like(difference)
        # |K| is symmetric, and (factorᵀ|K|)ᵀ is the faster order in the usual BLAS.
        total = (factor.T @ self._absolute).T
        # Half-sums of equals can round to below zero, which no part of a sum of products is.
        positive = np.maximum(total + difference, 0) / 2
        negative = np.maximum(total - difference, 0) / 2
        return positive, negative


def update_coefficients(G: Array, W: Array, parts_W: tuple[Array, Array]) -> Array:
    """Return the (n, k) coefficients after one step; ``parts_W`` is (K⁺W, K⁻W)."""
    positive, negative = parts_W
    return multiply(G, positive + G @ (W.T @ negative), negative + G @ (W.T @ positive))


def update_weights(G: Array, W: Array, parts_G: tuple[Array, Array], parts_W: tuple[Array, Array]) -> Array:
    """Return the (n, k) weights after one step; ``parts_G`` is (K⁺G, K⁻G), likewise W."""
    gram = G.T @ G
    return multiply(W, parts_G[0] + parts_W[1] @ gram, parts_G[1] + parts_W[0] @ gram)
