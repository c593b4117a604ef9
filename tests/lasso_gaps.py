"""How far a solution of the lasso is from the best, in float64 from the data alone."""

import numpy as np


def gaps(x: np.ndarray, y: np.ndarray, w: np.ndarray, alpha: float | np.ndarray) -> np.ndarray:
    """Duality gaps (t,) as the textbook has them, in float64."""
    x, y, w = (array.astype(np.float64) for array in (x, y, w))
    n, residual = len(x), y - x @ w
    peak = np.maximum(np.abs(x.T @ residual / n).max(0), 1e-300)
    dual = residual * np.minimum(1, alpha / peak)
    primal = (residual**2).sum(0) / (2 * n) + alpha * np.abs(w).sum(0)
    return primal - ((y**2).sum(0) - ((y - dual) ** 2).sum(0)) / (2 * n)


def farthest(x: np.ndarray, y: np.ndarray, w: np.ndarray, alpha: float, gap: np.ndarray) -> np.ndarray:
    """How far Xw may be from the optimum's: the objective is 1/n-strongly convex in it, |Xd|² <= 2 n gap."""
    return np.sqrt(2 * len(x) * np.maximum(gap, 0)) + 1e-6 * np.linalg.norm(y, axis=0)
