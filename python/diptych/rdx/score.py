"""The binary success rate: do grids show what one representation alone holds together?"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.ops import _checks
from diptych.ops._arrays import Array, floating, to_tensor
from diptych.rdx.distances import DISTANCES, distances_among, safely_scaled
from diptych.rdx.grids import CONVENTIONS


def binary_success_rate(
    grids: Sequence[Array],
    a: Array,
    b: Array,
    distance: str = "neighborhood",
    *,
    conventions: str = "default",
) -> float:
    """Share of ordered pairs within grids that are nearer in a than in b, pooled over grids.

    BSR of RDX (Kondapaneni, Mac Aodha & Perona 2025, sec. 4); BSR_MN and BSR_LS are
    ``distance="max"`` and ``"local"``. Equal distances count as no success.

    Args:
        grids: Index arrays into the rows of a and b, the explanations of what a alone groups together.
        a: (n, d_a) embeddings of the representation explained.
        b: (n, d_b) embeddings of the other.
        distance: ``"neighborhood"`` (ranks), ``"max"`` or ``"local"``.
        conventions: ``"published-code"`` for that code's form of the local scaling.

    Returns:
        A number in [0, 1]; NaN if no grid has two items.

    Complexity:
        O(k n d) time and O(k n) memory for k distinct items in the grids; ``"max"`` adds O(n² d) time.

    Raises:
        ValueError: Different numbers of items, an index out of range, an unknown distance or convention,
            NaN or Inf.
        TypeError: Indices that are not integers.
    """
    _checks.one_of("conventions", conventions, CONVENTIONS)
    return pooled(*success_rates(grids, a, b, distance, conventions=conventions))


def pooled(rates: NDArray[np.float64], sizes: Sequence[int]) -> float:
    """Success rate over the ordered pairs of all grids, from each grid's rate and size."""
    pairs = np.array([size * (size - 1) for size in sizes])
    return float(np.nansum(rates * pairs) / pairs.sum()) if pairs.sum() else float("nan")


def success_rates(
    grids: Sequence[Array], a: Array, b: Array, distance: str, *, conventions: str = "default"
) -> tuple[NDArray[np.float64], list[int]]:
    """Binary success rate of each grid (NaN for one item) and the grids' sizes."""
    tensor_a, tensor_b = floating(to_tensor("a", a)).detach(), floating(to_tensor("b", b)).detach()
    _checks.one_of("distance", distance, DISTANCES)
    for name, tensor in (("a", tensor_a), ("b", tensor_b)):
        _checks.matrix(name, tensor)
        _checks.finite(name, tensor)
    _checks.same_rows("a", tensor_a, "b", tensor_b)
    _checks.same_device(a=tensor_a, b=tensor_b)
    indices = [_checked_grid(number, grid, len(tensor_a)) for number, grid in enumerate(grids)]
    if not any(map(len, indices)):
        return np.full(len(indices), np.nan), [0] * len(indices)
    items, places = torch.cat(indices).unique(return_inverse=True)
    items = items.to(tensor_a.device)
    published = conventions == "published-code"
    near_a = distances_among(items, safely_scaled(tensor_a), distance, published=published)
    near_b = distances_among(items, safely_scaled(tensor_b), distance, published=published)
    success = (near_a < near_b).fill_diagonal_(False).cpu()
    rates = []
    for grid in places.split([len(grid) for grid in indices]):
        pairs = len(grid) * (len(grid) - 1)
        wins = int(success[grid][:, grid].sum())
        rates.append(wins / pairs if pairs else float("nan"))
    return np.array(rates), [len(grid) for grid in indices]


def _checked_grid(number: int, grid: Array, n: int) -> torch.Tensor:
    tensor = to_tensor(f"grids[{number}]", grid)
    if tensor.shape == (0,):
        return tensor.long().cpu()  # an empty list has no dtype of its own
    if tensor.is_floating_point() or tensor.dtype == torch.bool:
        raise TypeError(f"grids[{number}]: expected integer indices, found {tensor.dtype}")
    if tensor.ndim != 1:
        raise ValueError(f"grids[{number}]: expected a list of indices, found shape {tuple(tensor.shape)}")
    if not (int(tensor.min()) >= 0 and int(tensor.max()) < n):
        raise ValueError(f"grids[{number}]: expected indices 0 to {n - 1}, found {tensor.tolist()}")
    return tensor.long().cpu()
