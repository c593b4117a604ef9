"""The leading eigenvectors of a normalised affinity, by matrix-vector products alone."""

import math
from collections.abc import Callable
from functools import partial
from operator import matmul
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

from diptych import _cpu
from diptych.ops import _checks
from diptych.ops._arrays import Array, floating, numpy_view, returner, to_tensor
from diptych.ops._dispatch import asking_is_cheap, choose
from diptych.ops._operator import AffinityOperator, is_operator
from diptych.ops._thin_product import thin_product

#: What a symmetric affinity comes as inside.
Affinity: TypeAlias = torch.Tensor | AffinityOperator

#: (n, n) affinity and (n, k) vectors to their product.
Multiply: TypeAlias = Callable[[Affinity, torch.Tensor], torch.Tensor]

#: (n, n) affinity and a number of components to coordinates and eigenvalues, float64.
Dense: TypeAlias = Callable[[torch.Tensor, int], tuple[torch.Tensor, torch.Tensor]]

# Vectors multiplied at once: a pass over the affinity costs little more for 16 vectors than for one.
_BLOCK = 16
# Basis vectors kept before a restart: 40 passes.
_MAX_BASIS = 40 * _BLOCK
_MAX_RESTARTS = 20
# Passes between two tests for convergence on a GPU, where a pass takes less time than a test.
_STRIDE = 3
# Least ratio of a Cholesky factor's diagonal entries: below it the Gram matrix has lost too many digits.
_FULL_RANK = 1e-5
# Rows compared at once with their transpose.
_ROWS = 256
# Below this size a dense eigendecomposition is faster and exact.
_DENSE = 512


class SpectralEmbedding(NamedTuple):
    """What :func:`spectral_embedding` returns."""

    coordinates: Array  #: (n, k) eigenvectors divided by the square root of the degrees
    eigenvalues: Array  #: (k,) of D^-1/2 F D^-1/2, largest first
    residual: float  #: largest |S v - lambda v| of the k unit eigenvectors v
    passes: int  #: how often the affinity was read


def spectral_embedding(
    affinity: Array,
    n_components: int,
    *,
    seed: int = 0,
    tolerance: float = 1e-4,
    backend: str | None = None,
    check: bool | None = None,
) -> SpectralEmbedding:
    """Embed items by the leading eigenvectors of S = D^-1/2 F D^-1/2 (normalised cuts).

    Shi & Malik 2000; the scaling of the coordinates, and the diagonal of F playing no part, are those of
    ``sklearn.manifold.spectral_embedding(drop_first=False)``. The first eigenvector is known in closed
    form; the others come from a block Lanczos iteration with full reorthogonalisation and Rayleigh-Ritz
    (Golub & Van Loan, sec. 10.3), so F is only ever multiplied by thin blocks of vectors.

    Args:
        affinity: (n, n) symmetric, entries >= 0; float32 or float64. Or anything symmetric with
            ``shape``, torch ``dtype`` and ``device``, ``diagonal()`` and ``@ x`` for (n, k) tensors, such as
            the directions of a :class:`diptych.ops.PackedAffinity`; its entries are not checked.
        n_components: Eigenvectors wanted, the constant one included; 1 to n.
        seed: Of the random starting block. Signs are fixed: each vector's largest entry is positive.
        tolerance: Residual |S v - lambda v| at which to stop; the eigenvalues are in [-1, 1].
        backend: ``"cpu"``, ``"torch"``, or None to choose by device.
        check: Refuse NaN, Inf, negative and asymmetric entries. Default: on the CPU yes, on a GPU no.

    Returns:
        :class:`SpectralEmbedding`, in the dtype of the affinity.

    Complexity:
        O(n²) per pass, typically 10 passes of 16 vectors (of n_components if that is more); a basis of up
        to 640 vectors, or 8 n_components. Synchronises with a GPU twice per pass, for 16 x 16 matrices,
        and every third pass to test for convergence.

    Raises:
        ValueError: Not square, n_components, tolerance or seed out of range, NaN, Inf, negative or
            asymmetric entries.
        RuntimeError: No convergence (the message tells the residual reached).
        TypeError: Not an array of real numbers, or parameters that are not numbers.
    """
    tensor = checked_affinity(affinity, check)
    _checks.integer("n_components", n_components, 1, tensor.shape[0])
    _checks.positive("tolerance", tolerance)
    _checks.seed(seed)
    run = choose("spectral_embedding", tensor.device, backend, _IMPLEMENTATIONS)
    coordinates, eigenvalues, residual, passes = run(tensor, n_components, seed, tolerance)
    give_back = returner(affinity)
    return SpectralEmbedding(give_back(coordinates), give_back(eigenvalues), residual, passes)


def reference(affinity: torch.Tensor, n_components: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The definition: coordinates and eigenvalues from a dense eigendecomposition in float64."""
    matrix = affinity.to(torch.float64, copy=True, memory_format=torch.contiguous_format).fill_diagonal_(0)
    degrees = matrix.sum(1)
    isolated = degrees <= 0
    scale = degrees.rsqrt().masked_fill_(isolated, 1)
    matrix.mul_(scale).mul_(scale[:, None]).diagonal().copy_(isolated)
    values, vectors = torch.linalg.eigh(matrix)
    values, vectors = values.flip(0)[:n_components], vectors.flip(1)[:, :n_components]
    return _fix_signs(vectors).mul_(scale[:, None]), values


def checked_affinity(affinity: Array, check: bool | None) -> Affinity:
    """View an affinity as a square floating tensor; refuse what no graph has, where asked to."""
    if is_operator(affinity):
        _checks.square_shape("affinity", affinity.shape)
        return affinity
    tensor = floating(to_tensor("affinity", affinity)).detach()
    _checks.square("affinity", tensor)
    if tensor.device.type == "cpu" if check is None else check:
        low, high, gap = _range(tensor)
        if not math.isfinite(high):
            _checks.finite("affinity", tensor)
        if low < 0:
            raise ValueError(f"affinity: expected entries >= 0, found {low}")
        if gap > 1e-4 * high:
            raise ValueError(f"affinity: expected a symmetric matrix, entries differ by {gap:.3g}")
    return tensor


def _range(matrix: torch.Tensor) -> tuple[float, float, float]:
    """The smallest entry, the largest (NaN where one is not finite) and the largest |a_ij - a_ji|."""
    if matrix.device.type == "cpu" and matrix.is_contiguous():
        return _cpu.symmetric_range(numpy_view(matrix), torch.get_num_threads())
    low, high = (bound.item() for bound in matrix.aminmax())
    pairs = zip(matrix.split(_ROWS, 0), matrix.split(_ROWS, 1), strict=True)
    gap = max(float((rows - columns.T).abs().max()) for rows, columns in pairs)
    return low, high if low > -math.inf else math.nan, gap


class _NormalizedAffinity:
    """Multiplication of row vectors by D^-1/2 F D^-1/2, F without its diagonal.

    Items without any affinity are components of their own: they are fixed by the product, as in SciPy.
    """

    def __init__(self, affinity: Affinity, multiply: Multiply = matmul) -> None:
        self.affinity = affinity
        self.multiply = multiply
        self.diagonal = affinity.diagonal()
        self.degrees = row_sums(affinity) - self.diagonal
        self.isolated = self.degrees <= 0
        self.scale = torch.where(self.isolated, torch.ones_like(self.degrees), self.degrees.rsqrt())
        self.passes = 0

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Multiply the rows of a (k, n) matrix."""
        self.passes += 1
        scaled = rows * self.scale
        # F is symmetric: its rows serve as the columns that the product of row vectors asks for.
        product = (self.multiply(self.affinity, scaled.T).T - scaled * self.diagonal) * self.scale
        return torch.where(self.isolated, rows, product)

    def known_eigenvector(self) -> torch.Tensor:
        """The unit eigenvector of eigenvalue 1, (1, n): the square roots of the degrees."""
        root = self.degrees.clamp(min=0).sqrt()
        if not bool(root.any()):
            root = torch.ones_like(root)
        return (root / torch.linalg.vector_norm(root))[None]


def _embed(
    affinity: Affinity,
    k: int,
    seed: int,
    tolerance: float,
    multiply: Multiply = matmul,
    dense: Dense = reference,
) -> tuple[torch.Tensor, torch.Tensor, float, int]:
    n = affinity.shape[0]
    if n <= max(_DENSE, 8 * k):
        coordinates, values = dense(_as_matrix(affinity), k)
        return coordinates.to(affinity.dtype), values.to(affinity.dtype), 0.0, 1
    operator = _NormalizedAffinity(affinity, multiply)
    generator = torch.Generator().manual_seed(seed)
    width = max(_BLOCK, k)
    start = torch.randn(width, n, generator=generator, dtype=affinity.dtype).to(affinity.device)
    residual = float("inf")
    for _ in range(_MAX_RESTARTS):
        values, vectors, residual = _lanczos(operator, start, k, tolerance)
        if residual <= tolerance:
            coordinates = _fix_signs(vectors[:k].T) * operator.scale[:, None]
            return coordinates, values[:k].to(start), residual, operator.passes
        start = vectors[1:]
    raise RuntimeError(
        f"spectral_embedding: no convergence after {operator.passes} passes, "
        f"residual {residual:.2g} is above the tolerance {tolerance:.2g}"
    )


def _as_matrix(affinity: Affinity) -> torch.Tensor:
    if isinstance(affinity, torch.Tensor):
        return affinity
    return affinity @ torch.eye(affinity.shape[0], dtype=affinity.dtype, device=affinity.device)


def row_sums(affinity: Affinity) -> torch.Tensor:
    """The sum of each row, (n,)."""
    if isinstance(affinity, torch.Tensor):
        return affinity.sum(1)
    ones = torch.ones(affinity.shape[0], 1, dtype=affinity.dtype, device=affinity.device)
    return (affinity @ ones)[:, 0]


def _dense(affinity: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The definition, by numpy on the CPU: on a few items a call of torch costs more than it computes."""
    matrix = affinity.numpy().astype(np.float64, order="C")
    np.fill_diagonal(matrix, 0)
    degrees = matrix.sum(1)
    isolated = degrees <= 0
    degrees[isolated] = 1
    scale = 1 / np.sqrt(degrees)
    matrix *= scale
    matrix *= scale[:, None]
    matrix[isolated, isolated] = 1
    # torch's LAPACK: numpy's would wake a second pool of threads.
    values, vectors = (z.numpy() for z in torch.linalg.eigh(torch.from_numpy(matrix)))
    leading = vectors[:, ::-1][:, :k]
    largest = np.take_along_axis(leading, np.abs(leading).argmax(0)[None], 0)
    coordinates = leading * np.copysign(scale[:, None], largest)
    return torch.from_numpy(coordinates), torch.from_numpy(values[::-1][:k].copy())


def _lanczos(
    operator: _NormalizedAffinity, start: torch.Tensor, k: int, tolerance: float
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Grow a block Krylov basis from ``start`` until the k leading Ritz pairs have converged.

    Returns the leading Ritz values and vectors (as rows; one more than ``start`` has) and the residual.
    """
    width, n = start.shape
    blocks = min(max(_MAX_BASIS, 8 * width), n - 1) // width
    basis = start.new_empty(1 + blocks * width, n)
    basis[:1] = operator.known_eigenvector()
    basis[1 : 1 + width], _, _ = _orthonormalized(start, basis[:1])
    projected = torch.zeros(len(basis), len(basis), dtype=torch.float64, device=start.device)
    projected[0, 0] = 1
    for block in range(blocks):
        low, high = 1 + block * width, 1 + (block + 1) * width
        fresh, overlap, remainder = _orthonormalized(operator(basis[low:high]), basis[:high])
        projected[low:high, :high] = overlap.double()
        projected[:high, low:high] = overlap.double().T
        last = block == blocks - 1
        if last or asking_is_cheap(start) or block % _STRIDE == 1:
            # Small eigenproblems are solved on the CPU: a GPU takes longer.
            values, mixing = torch.linalg.eigh(projected[:high, :high].cpu())
            values, mixing = values.flip(0), mixing.flip(1)
            residual = float((remainder.double().cpu() @ mixing[-width:, :k]).norm(dim=0).max())
            if residual <= tolerance or last:
                break
        basis[high : high + width] = fresh
    leading = mixing[:, : width + 1].T.to(basis) @ basis[:high]
    return values, leading, residual


def _orthonormalized(
    rows: torch.Tensor, basis: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Split rows into their part along an orthonormal basis and an orthonormal rest.

    rows = overlap @ basis + remainder.T @ fresh; returns fresh, overlap, remainder. Projecting twice
    keeps the basis orthogonal to working precision ("twice is enough", Giraud et al. 2005); the second
    time after normalising, which also clears the directions QR fills up with where the rest has no full rank.
    """
    overlap = rows @ basis.T
    fresh, remainder = _cholesky_qr((rows - overlap @ basis).T)
    along = basis @ fresh
    again, turn = _cholesky_qr(fresh - basis.T @ along)
    return again.T, overlap + (along @ remainder).T, turn @ remainder


def _cholesky_qr(columns: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """QR of a tall matrix (n, k) by products: the Cholesky factor of its Gram matrix, in float64.

    A Householder QR of this shape keeps a GPU waiting for every column, and a CPU is slow at it too. Called
    twice in a row, as here, it gives an orthogonal factor (Yamamoto et al. 2015); without full rank,
    Householder it is.
    """
    wide = columns.double()
    lower, failed = torch.linalg.cholesky_ex((wide.T @ wide).cpu())
    diagonal = lower.diagonal()
    if int(failed) or float(diagonal.min()) < _FULL_RANK * float(diagonal.max()):
        q, r = torch.linalg.qr(columns)
        return q, r
    inverse = torch.linalg.inv(lower.T).to(wide.device)
    return (wide @ inverse).to(columns.dtype), lower.T.to(columns)


def _fix_signs(vectors: torch.Tensor) -> torch.Tensor:
    """Make the entry of largest size in each column positive."""
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    return vectors * torch.ones_like(largest).copysign_(largest)


_IMPLEMENTATIONS: dict[str, Callable[..., Any]] = {
    "cpu": partial(_embed, multiply=thin_product, dense=_dense),
    "torch": _embed,
}
