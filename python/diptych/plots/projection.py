"""The two principal axes of a representation, for maps."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA


@dataclass(frozen=True)
class Projection:
    """Items on the first two principal axes.

    Attributes:
        points: (n, 2) float32.
        explained: Share of the variance on each axis, in [0, 1]; 0 for an axis that does not exist.
    """

    points: NDArray[np.float32]
    explained: tuple[float, float]


def project(embedding: NDArray[Any], like: Projection | None = None) -> Projection:
    """Project a representation on its first two principal axes.

    Time O(n d min(n, d)) or less, deterministic. An axis beyond the rank of the data is all zeros.

    Args:
        embedding: (n, d) finite values.
        like: Turn axes around so that they correlate positively with this projection's; the sign of
            a principal axis is arbitrary, and two maps compare more easily this way.
    """
    x = np.asarray(embedding)
    if x.dtype not in (np.float32, np.float64):
        x = x.astype(np.float64)
    count = min(2, *x.shape)
    points = np.zeros((len(x), 2), np.float32)
    explained = np.zeros(2)
    if float(np.ptp(x, axis=0).max()) > 0:
        pca = PCA(count, random_state=0)
        points[:, :count] = pca.fit_transform(x)
        explained[:count] = pca.explained_variance_ratio_
    if like is not None:
        signs = np.einsum("ij,ij->j", points, like.points, dtype=np.float64)
        points *= np.where(signs < 0, np.float32(-1), np.float32(1))
    return Projection(points, (float(explained[0]), float(explained[1])))
