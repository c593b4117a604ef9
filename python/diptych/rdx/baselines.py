"""Other methods' explanations of one representation, as grids that RDX's can be compared with.

Each method finds ``n_explanations`` concepts in a representation, without regard to the other one,
and shows each by the items in which it is strongest.
"""

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import TransformerMixin
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF, PCA

from diptych.estimators import ConvexNMF, SemiNMF, SparseAutoencoder, maximum_sampling
from diptych.ops import _checks
from diptych.ops._arrays import to_tensor

Method = Literal["pca", "nmf", "convex-nmf", "semi-nmf", "sae", "kmeans"]
METHODS: tuple[Method, ...] = get_args(Method)


def explain(
    x: ArrayLike,
    method: Method,
    *,
    n_explanations: int,
    grid_size: int,
    seed: int = 0,
    progress: bool = True,
) -> list[NDArray[np.int64]]:
    """Return the grids by which a method explains a representation.

    Grids come by maximum sampling of the coefficients, signed ones as they are (see
    :func:`diptych.estimators.maximum_sampling`); for "kmeans" they are the items nearest to each
    centroid, whichever cluster they belong to. Grids of different concepts may share items.

    Args:
        x: (n, d) float32 or float64, one row per item; other real dtypes are converted to float64.
        method: One of ``METHODS``; :func:`estimator_for` tells what runs.
        n_explanations: Number of concepts, at most n, and at most d for "pca".
        grid_size: Items per grid, at most n.
        seed: Seed of the method's random choices.
        progress: Show a progress bar for the methods that may take longer than two seconds.

    Returns:
        ``n_explanations`` arrays of shape (grid_size,), int64: the strongest (nearest) item first,
        ties to the lower index.

    Raises:
        TypeError: ``n_explanations`` or ``grid_size`` is no integer, or ``x`` is not real.
        ValueError: ``method`` is unknown, ``x`` is not a finite (n, d) array, or a number is out of
            range.
    """
    items = _checked(x, n_explanations, grid_size)
    estimator = estimator_for(items, method, n_explanations=n_explanations, seed=seed, progress=progress)
    coefficients = estimator.fit_transform(items)
    if method == "kmeans":
        coefficients = -coefficients  # distances to the centroids
    return maximum_sampling(coefficients, grid_size)


def estimator_for(
    x: ArrayLike, method: Method, *, n_explanations: int, seed: int = 0, progress: bool = True
) -> TransformerMixin:
    """Return the unfitted estimator behind a method; ``type(...).__name__`` is its name.

    "pca", "nmf" and "kmeans" are scikit-learn's PCA, NMF and KMeans, the last the best of ten
    starts; "sae" is a SparseAutoencoder of width ``n_explanations``; "convex-nmf" is ConvexNMF and
    "semi-nmf" SemiNMF. NMF needs non-negative data: where any value of ``x`` is negative ConvexNMF
    stands in for it.

    Raises:
        ValueError: ``method`` is not one of ``METHODS``, or is "pca" with ``n_explanations`` above
            d.
    """
    k = n_explanations
    values = np.asarray(x)
    if method == "pca":
        if k > values.shape[1]:
            raise ValueError(
                f"n_explanations: expected at most the number of features, {values.shape[1]}, "
                f'for method "pca", found {k}'
            )
        return PCA(k, random_state=seed)
    if method == "nmf" and values.min() >= 0:
        return NMF(k, max_iter=2000, random_state=seed)
    if method in ("nmf", "convex-nmf"):
        return ConvexNMF(k, random_state=seed, progress=progress)
    if method == "semi-nmf":
        return SemiNMF(k, random_state=seed, progress=progress)
    if method == "sae":
        return SparseAutoencoder(k, random_state=seed, progress=progress)
    if method == "kmeans":
        return KMeans(k, n_init=10, random_state=seed)
    raise ValueError(f"method: expected one of {', '.join(METHODS)}, found {method!r}")


def _checked(x: ArrayLike, n_explanations: int, grid_size: int) -> NDArray[Any]:
    values = np.asarray(x)
    tensor = to_tensor("x", values)
    _checks.matrix("x", tensor)
    _checks.finite("x", tensor)
    _checks.integer("n_explanations", n_explanations, 1, len(values))
    _checks.integer("grid_size", grid_size, 1, len(values))
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)
