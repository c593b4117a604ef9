"""What SemiNMF and ConvexNMF share: the loop, the start, the non-negative projection."""

import warnings
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from diptych import ops
from diptych._progress import track
from diptych.estimators._items import checked_items
from diptych.ops import _checks

Array = NDArray[Any]

#: As many as the non-negative projection of an item is solved for.
MAX_COMPONENTS = 256


class NonnegativeFactorization(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """X ≈ G F with G >= 0, by alternating updates from a K-means start.

    A subclass gives the iteration itself, ``_updates``.
    """

    def __init__(
        self,
        n_components: int,
        *,
        max_iter: int,
        tol: float,
        random_state: int | RandomState | None,
        progress: bool,
    ) -> None:
        self.n_components = n_components
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.progress = progress

    def fit(self, X: object, y: None = None) -> Self:
        """Find the factors of ``X``, an (n, d) array of float32 or float64; ``y`` is ignored.

        Raises:
            TypeError: A parameter has the wrong type, or ``X`` is sparse.
            ValueError: A parameter is out of range, ``n_components`` is above n, or ``X`` is not a
                finite (n, d) array.
        """
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: object, y: None = None) -> Array:
        """Fit and return the (n, n_components) coefficients that :meth:`transform` would give.

        Raises:
            TypeError: A parameter has the wrong type, or ``X`` is sparse.
            ValueError: A parameter is out of range, ``n_components`` is above n, or ``X`` is not a
                finite (n, d) array.
        """
        _checks.integer("max_iter", self.max_iter, 1)
        _checks.not_negative("tol", self.tol)
        x = checked_items(self, X, reset=True)
        _checks.integer("n_components", self.n_components, 1, min(len(x), MAX_COMPONENTS))
        scale = np.abs(x).max() or x.dtype.type(1)
        # Both factorisations commute with a rescaling of X; at unit scale no product overflows.
        scaled = x / scale
        self._iterate(scaled)
        coefficients = nonnegative_coefficients(scaled, self.components_)
        error = _frobenius_error(scaled, coefficients, self.components_)
        self.reconstruction_err_ = error * float(scale)
        self.loss_curve_ *= scale
        self.components_ *= scale
        return coefficients

    def transform(self, X: object) -> Array:
        """Return the (n, n_components) coefficients G >= 0 that minimise ‖X − G components_‖.

        An exact non-negative least-squares problem per item: O(n d k) operations and n solves of
        size k.

        Raises:
            sklearn.exceptions.NotFittedError: :meth:`fit` was not called.
            TypeError: ``X`` is sparse.
            ValueError: ``X`` is not a finite (n, d) array with the d of the fit.
        """
        check_is_fitted(self)
        return nonnegative_coefficients(checked_items(self, X, reset=False), self.components_)

    def inverse_transform(self, X: Array) -> Array:
        """Return the (n, d) reconstruction of (n, n_components) coefficients.

        Raises:
            sklearn.exceptions.NotFittedError: :meth:`fit` was not called.
            ValueError: The second dimension is not ``n_components``.
        """
        check_is_fitted(self)
        coefficients = np.asarray(X)
        if coefficients.ndim != 2 or coefficients.shape[1] != len(self.components_):
            raise ValueError(
                f"X: expected shape (n_samples, {len(self.components_)}), found {coefficients.shape}"
            )
        return coefficients @ self.components_

    def _iterate(self, x: Array) -> None:
        updates = self._updates(x, cluster_indicators(x, self.n_components, self.random_state))
        losses = [_frobenius_error(x, *next(updates))]
        name = type(self).__name__
        for _ in track(range(self.max_iter), f"Fitting {name}", shown=self.progress):
            G, self.components_ = next(updates)
            losses.append(_frobenius_error(x, G, self.components_))
            if losses[-2] - losses[-1] <= self.tol * losses[0]:
                break
        else:
            warnings.warn(
                f"{name} stopped at max_iter={self.max_iter} before its error settled to tol={self.tol}",
                ConvergenceWarning,
                stacklevel=3,
            )
        self.n_iter_ = len(losses) - 1
        self.loss_curve_ = np.array(losses)

    def _updates(self, x: Array, indicators: Array) -> Iterator[tuple[Array, Array]]:
        """Yield (G, F) at the start, from (n, k) indicators, and after each update of both."""
        raise NotImplementedError

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def cluster_indicators(x: Array, k: int, random_state: int | RandomState | None) -> Array:
    """Return the (n, k) zero-one cluster membership by K-means, the best of ten starts."""
    labels = KMeans(k, n_init=10, random_state=random_state).fit_predict(x)
    return np.eye(k, dtype=x.dtype)[labels]


def multiply(factor: Array, numerator: Array, denominator: Array) -> Array:
    """Return ``factor * sqrt(numerator / denominator)``, which is 0 wherever ``factor`` is."""
    limits = np.finfo(factor.dtype)
    updated = factor * np.sqrt(numerator / np.maximum(denominator, limits.eps**2))
    # A vanishing entry halves at each step; as a denormal number it would slow every product after.
    updated[updated < np.sqrt(limits.tiny)] = 0
    return updated


def nonnegative_coefficients(x: Array, components: Array) -> Array:
    """Return the (n, k) minimiser over G >= 0 of ‖x − G components‖ in the dtype of ``x``."""
    return np.asarray(ops.nnls(x, components.astype(x.dtype, copy=False)))


def _frobenius_error(x: Array, coefficients: Array, components: Array) -> float:
    return float(np.linalg.norm(x - coefficients @ components))
