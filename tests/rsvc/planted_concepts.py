"""Activations of two networks that share all concepts but one."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

#: The concept that the second network lacks.
MISSING = 2


def coefficients(images: int, patches: int, k: int, seed: int) -> tuple[Matrix, NDArray[np.int64]]:
    """Sparse non-negative coefficients (images * patches, k), alike within an image; each patch's image."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(images), patches)
    shared = rng.exponential(1.0, (images, k)) * (rng.random((images, k)) < 0.5)
    own = rng.exponential(1.0, (len(groups), k)) * (rng.random((len(groups), k)) < 0.4)
    return 0.5 * shared[groups] + own, groups


def two_networks(
    images: int = 24, patches: int = 8, k: int = 4, seed: int = 0, world: int = 0
) -> tuple[Matrix, Matrix, Matrix, NDArray[np.int64]]:
    """Activations (n, 30) and (n, 41), the true coefficients (n, k), and each patch's image.

    Both are non-negative combinations of k patterns that do not overlap, with some noise; in the second
    network the pattern of concept ``MISSING`` follows something else. ``world`` seeds the patterns, ``seed``
    the patches.
    """
    u, groups = coefficients(images, patches, k, seed)
    rng = np.random.default_rng(world + 1000)
    patterns = [rng.random((k, d)) * (np.arange(d) * k // d == np.arange(k)[:, None]) for d in (30, 41)]
    other = u.copy()
    other[:, MISSING] = coefficients(images, patches, k, seed + 500)[0][:, MISSING]
    noise = np.random.default_rng(seed + 2000)
    first = u @ patterns[0] + 0.5 * noise.random((len(u), 30))
    second = other @ patterns[1] + 0.5 * noise.random((len(u), 41))
    return first, second, u, groups
