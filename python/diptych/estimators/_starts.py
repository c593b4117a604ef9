"""Where the factorisations of a batch of matrices start."""

from typing import Protocol, TypeAlias

import torch

from diptych import ops

#: Coefficients (b, k, n) and components (b, k, d).
Start: TypeAlias = tuple[torch.Tensor, torch.Tensor]

#: How the start is chosen.
INITS = ("svd", "random")

# Directions beyond k, and power iterations, of the randomised singular value decomposition.
_EXTRA, _POWERS = 10, 4


class Matrices(Protocol):
    """A batch of matrices (b, n, d) and their products with thin ones."""

    x: torch.Tensor
    sizes: list[int]

    def with_rows(self, w: torch.Tensor) -> torch.Tensor:
        """W (b, k, d) -> W Xᵀ (b, k, n)."""

    def with_columns(self, u: torch.Tensor) -> torch.Tensor:
        """U (b, k, n) -> U X (b, k, d)."""


def nonnegative_start(products: Matrices, k: int, init: str, seed: int) -> Start:
    """Non-negative factors for NMF, scaled so that U W is as near to X as a scale can bring it.

    ``"svd"``: of each singular pair the positive or the negative parts, whichever are larger (Boutsidis &
    Gallopoulos 2008, NNDSVD), their zeros filled with the mean of X (NNDSVDa) times a random number, so that
    components beyond the rank differ. ``"random"``: uniform numbers.
    """
    b, n, d = products.x.shape
    rows = _real_rows(products)
    generator = torch.Generator().manual_seed(seed)
    w = _uniform(generator, d, k, products.x).expand(b, -1, -1)
    pairs = singular_pairs(products, k, generator) if init == "svd" else None
    # Last, and a patch after the other: its numbers do not depend on how many patches the batch has.
    u = _uniform(generator, n, k, products.x).expand(b, -1, -1)
    if pairs is not None:
        left, values, right = pairs
        up, wp = _larger_parts(left, right)
        roots = values.sqrt()[:, :, None]
        # Entries of both factors are of the size of the square root of those of X.
        mean = (products.x.sum((1, 2)) / (rows.sum(1) * d))[:, None, None]
        fill = mean.sqrt() * 0.1
        u = torch.where(up > 0, roots * up, fill * u)
        w = torch.where(wp > 0, roots * wp, fill * w)
    u = u * rows[:, None, :]
    scale = (u * products.with_rows(w)).sum((1, 2)) / (torch.bmm(u, u.mT) * torch.bmm(w, w.mT)).sum(
        (1, 2)
    ).clamp(min=torch.finfo(u.dtype).tiny)
    root = scale.sqrt()[:, None, None]
    return u * root, w * root


def semi_start(products: Matrices, k: int, init: str, seed: int) -> Start:
    """Cluster indicators plus 0.2 (Ding, Li & Jordan 2010) for semi-NMF, and the components they imply.

    The clusters are those of k-means on the leading principal coordinates; ``"random"`` takes uniform numbers
    for indicators.
    """
    b, n, _ = products.x.shape
    generator = torch.Generator().manual_seed(seed)
    if init == "random":
        u = _uniform(generator, n, k, products.x).expand(b, -1, -1)
    else:
        left, values, _ = singular_pairs(products, k, generator)
        coordinates = (left * values[:, :, None]).mT
        u = products.x.new_zeros(b, k, n)
        for indicators, points, size in zip(u, coordinates, products.sizes, strict=True):
            labels = ops.kmeans(points[:size], k, seed=seed).labels
            indicators[:, :size].scatter_(0, labels[None], 1)
        u += 0.2
    u = u * _real_rows(products)[:, None, :]
    inverse = torch.linalg.pinv(torch.bmm(u, u.mT).double(), hermitian=True)
    return u, (inverse @ products.with_columns(u).double()).to(u.dtype)


def singular_pairs(
    products: Matrices, k: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Leading singular vectors (b, k, n), values (b, k) and vectors (b, k, d), zeros beyond the rank.

    Randomised subspace iteration (Halko, Martinsson & Tropp 2011, algorithm 4.4).
    """
    b, n, d = products.x.shape
    width = min(k + _EXTRA, n, d)
    drawn = torch.randn(k + _EXTRA, d, generator=generator, dtype=torch.float64)[:width]
    basis = drawn.to(products.x).expand(b, -1, -1)
    for _ in range(_POWERS):
        basis = products.with_columns(_orthonormal(products.with_rows(basis)))
        basis = _orthonormal(basis)
    left = _orthonormal(products.with_rows(basis))
    inner, values, right = torch.linalg.svd(products.with_columns(left), full_matrices=False)
    left = torch.bmm(inner.mT, left)
    pairs = (left, values, right)
    if width >= k:
        return left[:, :k], values[:, :k], right[:, :k]
    missing = k - width
    padded = [torch.cat([each, each.new_zeros(b, missing, *each.shape[2:])], 1) for each in pairs]
    return padded[0], padded[1], padded[2]


def _orthonormal(rows: torch.Tensor) -> torch.Tensor:
    return torch.linalg.qr(rows.mT).Q.mT.contiguous()


def _larger_parts(left: torch.Tensor, right: torch.Tensor) -> Start:
    """Of each pair of vectors the positive or the negative parts, the ones of the larger product of norms.

    Both come with the square root of that product as their length, so that the pair stays balanced.
    """
    positive, negative = [[(sign * each).clamp(min=0) for each in (left, right)] for sign in (1, -1)]
    lengths = [
        [torch.linalg.vector_norm(each, dim=2, keepdim=True) for each in parts]
        for parts in (positive, negative)
    ]
    products = [norms[0] * norms[1] for norms in lengths]
    choose = products[0] >= products[1]
    chosen = []
    for side in (0, 1):
        part = torch.where(choose, positive[side], negative[side])
        length = torch.where(choose, lengths[0][side], lengths[1][side])
        root = torch.maximum(products[0], products[1]).sqrt()
        chosen.append(torch.where(length > 0, part / length * root, 0))
    return chosen[0], chosen[1]


def _real_rows(products: Matrices) -> torch.Tensor:
    """(b, n): 1 for rows of the matrix, 0 for padding, in its dtype."""
    sizes = torch.tensor(products.sizes, device=products.x.device)
    places = torch.arange(products.x.shape[1], device=products.x.device)
    return (places < sizes[:, None]).to(products.x.dtype)


def _uniform(generator: torch.Generator, m: int, k: int, like: torch.Tensor) -> torch.Tensor:
    """(k, m) numbers in [0, 1), drawn column by column."""
    return torch.rand(m, k, generator=generator, dtype=torch.float64).T.to(like)
