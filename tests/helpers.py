"""Data and yardsticks for the tests of diptych.ops."""

import numpy as np
import torch

#: Around powers of two, SIMD widths and the 384 rows of a block.
SIZES = (1, 2, 3, 7, 8, 9, 31, 33, 65, 383, 385)


def gaussian(n: int, d: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64).to(dtype)


def integers(
    n: int, d: int, high: int = 5, seed: int = 0, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Integer-valued embeddings with many ties."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, high, (n, d), generator=generator).to(dtype)


def rank_matrix(n: int, seed: int = 0) -> torch.Tensor:
    """Ranks as of an embedding: every row a permutation, 0 on the diagonal."""
    return torch.from_numpy(sorted_ranks(gaussian(n, 4, seed, torch.float64).numpy()))


def with_duplicates(x: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Overwrite a third of the rows by copies of other rows, anywhere in the matrix."""
    x = x.clone()
    third = len(x) // 3
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    x[order[:third]] = x[order[third : 2 * third]]
    return x


def exact_squares(x: torch.Tensor, y: torch.Tensor | None = None) -> np.ndarray:
    """Squared distances from differences of coordinates, in float64."""
    a = x.cpu().double().numpy()
    b = a if y is None else y.cpu().double().numpy()
    return np.stack([((row - b) ** 2).sum(1) for row in a])


def sorted_ranks(x: np.ndarray) -> np.ndarray:
    """Ranks of embeddings by numpy's stable sort of exact distances, self first."""
    return ranks_of(np.stack([((row - x) ** 2).sum(1) for row in x]))


def ranks_of(distances: np.ndarray) -> np.ndarray:
    keys = distances.astype(np.float64)
    np.fill_diagonal(keys, -np.inf)
    order = np.argsort(keys, axis=1, kind="stable")
    return np.argsort(order, axis=1, kind="stable").astype(np.int32)


def square_error_bound(x: torch.Tensor, y: torch.Tensor | None = None) -> np.ndarray:
    """How far |x|² + |y|² - 2<x,y> of centred data may be from the exact squared distance, (n, m).

    A sum of d products is off by at most d eps times the sum of their sizes, in whatever order it is taken
    (Higham 2002, eq. 3.5), and |<x,y>| <= (|x|² + |y|²) / 2; centring and the two additions cost a few eps
    more. Norms are about the mean, doubled because the centre in use only lies near it.
    """
    eps = torch.finfo(x.dtype if x.dtype == torch.float64 else torch.float32).eps
    a = x.cpu().double()
    b = a if y is None else y.cpu().double()
    mean = torch.cat([a, b]).mean(0)
    norms = ((a - mean) ** 2).sum(1)[:, None] + ((b - mean) ** 2).sum(1)
    return (4 * (x.shape[1] + 4) * eps * norms).numpy()


def assert_ranks_up_to_near_ties(ranks: torch.Tensor, x: torch.Tensor) -> None:
    """Each row is a permutation, self first, in the order of exact distances but for their rounding."""
    found = ranks.cpu().numpy()
    n = len(found)
    assert (np.sort(found, axis=1) == np.arange(n)).all()
    assert (np.diagonal(found) == 0).all()
    order = np.argsort(found, axis=1)
    squares, bound = exact_squares(x), square_error_bound(x)
    in_order = np.take_along_axis(squares, order, 1)[:, 1:]
    if n > 2:
        falls = np.maximum.accumulate(in_order, axis=1) - in_order
        assert (falls <= 2 * bound.max(1, keepdims=True)).all()


def blobs(n: int, k: int, seed: int = 0, spread: float = 0.3) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings in k well separated groups, and the groups."""
    generator = torch.Generator().manual_seed(seed)
    centers = 10 * torch.eye(k, dtype=torch.float64)
    groups = torch.arange(n) % k
    return centers[groups] + spread * torch.randn(n, k, generator=generator, dtype=torch.float64), groups


def affinity_of(x: torch.Tensor, scale: float = 1.0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A Gaussian affinity with a unit diagonal, exactly symmetric."""
    x = x.double()
    squares = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist") ** 2
    affinity = torch.exp(-squares / (2 * scale**2))
    return ((affinity + affinity.T) / 2).to(dtype)


def same_partition(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two labelings differ only in the clusters' names."""
    pairs = set(zip(np.asarray(first).tolist(), np.asarray(second).tolist(), strict=True))
    return len(pairs) == len(set(np.asarray(first).tolist())) == len(set(np.asarray(second).tolist()))
