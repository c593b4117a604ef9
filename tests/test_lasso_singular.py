"""diptych.ops.lasso where features depend on each other: it converges, and in few passes."""

import numpy as np
import pytest
from lasso_gaps import farthest, gaps

from diptych import ops


def singular(kind: str, n: int, p: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Problems whose Gram matrix is singular, or nearly: condition number 1e8 and more."""
    generator = np.random.default_rng(seed)
    x = generator.integers(-2, 3, (n, p)).astype(float)
    if kind == "near":
        x = generator.standard_normal((n, 1)) + 1e-4 * generator.standard_normal((n, p))
    elif kind == "equal":
        x[:, p // 2 :] = x[:, : p - p // 2]
        x[:, -2:] *= -1
    return x, generator.integers(-2, 3, (n, 2)).astype(float)


# As many features in use as items is hardest: the sets of coordinate descent change for long. Where all
# features are seen at once, fewer than 200 passes were needed.
@pytest.mark.parametrize(("n", "p", "passes"), [(10, 10, 1000), (10, 40, 1000), (60, 300, 100_000)])
@pytest.mark.parametrize("alpha", [1e-3, 1e-1])
def test_singular_problems_converge(n: int, p: int, passes: int, alpha: float) -> None:
    for seed in range(8):
        x, y = singular("integers", n, p, seed)
        found = ops.lasso(x, y, alpha, tol=1e-8, max_iter=passes)
        power = (y**2).mean(0)
        assert (gaps(x, y, found.coef, alpha) <= 1e-8 * power * 1.01).all()


@pytest.mark.parametrize("kind", ["near", "equal"])
@pytest.mark.parametrize("shape", [(10, 10), (10, 40), (80, 33)])
def test_dependent_features_take_few_passes(kind: str, shape: tuple[int, int]) -> None:
    for seed in range(8):
        x, y = singular(kind, *shape, seed)
        found = ops.lasso(x, y, 1e-3, tol=1e-8, max_iter=1000)
        limit = 1e-8 * (y**2).mean(0) * 1.01
        assert (gaps(x, y, found.coef, 1e-3) <= limit).all()
        again = ops.lasso(x[:, ::-1], y, 1e-3, tol=1e-8, max_iter=1000).coef[::-1]
        moved = np.linalg.norm(x @ (found.coef - again), axis=0)
        assert (moved <= 2 * farthest(x, y, found.coef, 1e-3, limit)).all()
