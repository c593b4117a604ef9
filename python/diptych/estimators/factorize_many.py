"""X ≈ U W with U >= 0, of many matrices at once, by extrapolated hierarchical alternating least squares.

Concepts lie in rows throughout: U is held as (b, k, n) and W as (b, k, d), so that a column of coefficients
is contiguous.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from diptych import ops
from diptych.estimators._starts import Start, nonnegative_start, semi_start
from diptych.ops._nonnegative_descent import nonnegative_descent
from diptych.ops._precision import full_precision
from diptych.ops._thin_product import thin_product

# Bytes of matrices that are worked on together. On the CPU a batch gains only where single matrices are so
# small that the calls cost more than the arithmetic.
_BATCH_BYTES = {"cpu": 1 << 20, "cuda": 1 << 31}

# Sweeps of coordinate descent per product with X, which costs more than they do.
_SWEEPS = 2

# Iterations between looks at which matrices are settled: on a GPU each look waits for the device.
_INTERVAL = 10


class Factors(NamedTuple):
    """What :func:`factorize_many` finds of one matrix."""

    coefficients: torch.Tensor  #: (n, k) U >= 0, the exact minimiser for these components
    components: torch.Tensor  #: (k, d) W
    losses: torch.Tensor  #: (iterations + 1,) float64 on the CPU, ‖X − U W‖ of the best pair so far
    converged: bool  #: False where max_iter ended it


def factorize_many(
    matrices: Sequence[torch.Tensor],
    k: int,
    *,
    signed: bool,
    init: str = "svd",
    max_iter: int = 500,
    tol: float = 1e-5,
    seed: int = 0,
) -> list[Factors]:
    """Factorise each matrix into k components with non-negative coefficients.

    Minimises ‖X − U W‖² over U >= 0 and W, free where ``signed`` (semi-NMF; Ding, Li & Jordan 2010), else
    W >= 0 (NMF). One iteration improves U by coordinate descent on its columns in turn (hierarchical
    alternating least squares; Cichocki & Phan 2009), several sweeps per product XWᵀ (Gillis & Glineur 2012),
    then W: likewise, or where free by its least-squares solution. Both are extrapolated from the last
    iterate, and restarted from it when the error rises (Ang & Gillis 2019). At the end the coefficients are
    replaced by the exact non-negative least-squares solution.

    A matrix' result does not depend on the others but for rounding; those of fewer rows are padded with
    zeros, which do not enter.

    Args:
        matrices: (n_i, d_i), finite, float32 or float64, entries of size about 1; non-negative unless signed.
        k: Components, 1 to 256; at most n_i.
        signed: Let components have either sign.
        init: ``"svd"``: NNDSVD with zeros filled (Boutsidis & Gallopoulos 2008), or for signed matrices the
            clusters of k-means plus 0.2; ``"random"``.
        max_iter: Most iterations.
        tol: A matrix is settled when its error falls by at most tol times its first per iteration, over
            ten of them.
        seed: Of the start. The same seed gives the same result on the same machine and number of threads.

    Returns:
        One :class:`Factors` per matrix, on its device and in its dtype.

    Complexity:
        O(n d k) time per iteration; memory beyond the result: on the CPU a copy and a transposed copy of
        1 MiB of matrices or of one, on a GPU a copy of 2 GiB of them.
    """
    results: dict[int, Factors] = {}
    for batch in _batches(matrices):
        found = _factorize([matrices[i] for i in batch], k, signed, init, max_iter, tol, seed)
        results.update(zip(batch, found, strict=True))
    return [results[i] for i in range(len(matrices))]


class Products:
    """A batch of matrices, padded with zero rows, and their products with thin ones.

    Attributes:
        x: (b, n, d).
        sizes: Rows of each before padding.
    """

    def __init__(self, matrices: Sequence[torch.Tensor]) -> None:
        self.sizes = [len(matrix) for matrix in matrices]
        first = matrices[0]
        if len(matrices) == 1:
            self.x = first[None].contiguous()
        else:
            self.x = first.new_zeros(len(matrices), max(self.sizes), first.shape[1])
            for padded, matrix in zip(self.x, matrices, strict=True):
                padded[: len(matrix)] = matrix
        # A kernel that reads a matrix by rows multiplies it by thin ones several times faster than a GEMM.
        self._transposed = self.x.mT.contiguous() if self.x.device.type == "cpu" else None

    def with_rows(self, w: torch.Tensor) -> torch.Tensor:
        """W (b, k, d) -> W Xᵀ (b, k, n)."""
        if self._transposed is None:
            return torch.bmm(w, self.x.mT)
        return _thin_products(self.x, w)

    def with_columns(self, u: torch.Tensor) -> torch.Tensor:
        """U (b, k, n) -> U X (b, k, d)."""
        return torch.bmm(u, self.x) if self._transposed is None else _thin_products(self._transposed, u)


def _thin_products(matrices: torch.Tensor, thin: torch.Tensor) -> torch.Tensor:
    out = thin.new_empty(*thin.shape[:2], matrices.shape[1])
    for matrix, factor, product in zip(matrices, thin, out, strict=True):
        product.copy_(thin_product(matrix, factor.T).T)
    return out


def _batches(matrices: Sequence[torch.Tensor]) -> list[list[int]]:
    """Cut the list into batches of one device, dtype and width, that stay small together."""
    kinds: dict[tuple[torch.device, torch.dtype, int], list[int]] = {}
    for i, matrix in enumerate(matrices):
        kinds.setdefault((matrix.device, matrix.dtype, matrix.shape[1]), []).append(i)
    batches = []
    for (device, dtype, d), members in kinds.items():
        # Neighbors in size share a batch: little is padded.
        members = sorted(members, key=lambda i: len(matrices[i]))
        budget = _BATCH_BYTES.get(device.type, _BATCH_BYTES["cpu"])
        batch: list[int] = []
        for i in members:
            if batch and (len(batch) + 1) * len(matrices[i]) * d * dtype.itemsize > budget:
                batches.append(batch)
                batch = []
            batch.append(i)
        batches.append(batch)
    return batches


def _factorize(
    matrices: Sequence[torch.Tensor], k: int, signed: bool, init: str, max_iter: int, tol: float, seed: int
) -> list[Factors]:
    products = Products(matrices)
    with full_precision(products.x.device):
        start = (semi_start if signed else nonnegative_start)(products, k, init, seed)
        state = _descend(products, start, _free_components if signed else _nonnegative, max_iter, tol)
    losses = torch.stack(state.losses).double().cpu()
    settled, last = state.settled.tolist(), state.iterations.tolist()
    return [
        Factors(
            ops.nnls(matrix, state.w[i], check=True), state.w[i], losses[: last[i] + 1, i], bool(settled[i])
        )
        for i, matrix in enumerate(matrices)
    ]


class _State(NamedTuple):
    w: torch.Tensor  #: (b, k, d) of the best pair
    losses: list[torch.Tensor]  #: (b,) of the best pair, per iteration
    settled: torch.Tensor  #: (b,) bool
    iterations: torch.Tensor  #: (b,) made until settled


#: A factor (b, k, m), its product with X and the other's Gram matrix (b, k, k) to the improved factor.
Update = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def _nonnegative(factor: torch.Tensor, products: torch.Tensor, gram: torch.Tensor) -> torch.Tensor:
    return nonnegative_descent(factor, products, gram, _SWEEPS)


def _free_components(factor: torch.Tensor, products: torch.Tensor, gram: torch.Tensor) -> torch.Tensor:
    """The least-squares components, the smallest where there are several."""
    inverse = torch.linalg.pinv(gram.double(), hermitian=True)
    return (inverse @ products.double()).to(factor.dtype)


def _descend(products: Products, start: Start, update_w: Update, max_iter: int, tol: float) -> _State:
    free = update_w is _free_components
    u, w = start
    square = torch.linalg.vector_norm(products.x.flatten(1), dim=1, dtype=torch.float64).square()
    u_ahead, w_ahead = u, w
    step = torch.full_like(square, 0.5)  # β of the paper, its bound, and the factors by which they move
    bound = torch.ones_like(square)
    settled = torch.zeros_like(square, dtype=torch.bool)
    iterations = torch.zeros_like(square, dtype=torch.int64)
    losses = [_loss(square, w, products.with_columns(u), _gram(u))]
    for iteration in range(1, max_iter + 1):
        new_u = _nonnegative(u_ahead, products.with_rows(w_ahead), _gram(w_ahead))
        u_next = _ahead(u, new_u, step).clamp_(min=0)
        targets, gram = products.with_columns(u_next), _gram(u_next)
        new_w = update_w(w_ahead, targets, gram)
        loss = _loss(square, new_w, targets, gram)
        better = (loss <= losses[-1]) & ~settled
        w_next = _ahead(w, new_w, step)
        u, w = _where(better, new_u, u), _where(better, new_w, w)
        u_ahead = _where(better, u_next, u)
        w_ahead = _where(better, w_next if free else w_next.clamp_(min=0), w)
        bound = torch.where(better, (1.01 * bound).clamp(max=1), step)
        step = torch.where(better, torch.minimum(bound, 1.05 * step), step / 1.5)
        losses.append(torch.where(better, loss, losses[-1]))
        iterations += ~settled
        if iteration >= _INTERVAL:
            fall = losses[-1 - _INTERVAL] - losses[-1]
            settled = settled | (fall <= tol * _INTERVAL * losses[0])
            if iteration % _INTERVAL == 0 and bool(settled.all()):
                break
    return _State(w, losses, settled, iterations)


def _gram(factor: torch.Tensor) -> torch.Tensor:
    return torch.bmm(factor, factor.mT)


def _ahead(old: torch.Tensor, new: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    return new + step.to(new.dtype)[:, None, None] * (new - old)


def _where(condition: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return torch.where(condition[:, None, None], first, second)


def _loss(square: torch.Tensor, w: torch.Tensor, products: torch.Tensor, gram: torch.Tensor) -> torch.Tensor:
    """‖X − U W‖ (b,) from ‖X‖², U X and U Uᵀ, in float64."""
    w = w.double()
    explained = (w * products.double()).sum((1, 2))
    norm = (gram.double() * torch.bmm(w, w.mT)).sum((1, 2))
    return (square - 2 * explained + norm).clamp(min=0).sqrt()
