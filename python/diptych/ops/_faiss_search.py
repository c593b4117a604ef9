"""The search for nearest neighbors by an index of faiss: its flat one, or an approximate one by name."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from diptych.ops import _checks, _products

# Memory for the neighbors of a block of queries, squares in float32 and items in int64.
_FOUND_BYTES = 1 << 26

# Lists looked at where nothing is said; of 1024 they hold 0.94 of the neighbors in bench_knn_index.py.
_PROBES = 32

# Least links of an item in a graph: with none or one faiss crashes or never ends.
_LEAST_LINKS = 2

# Names of parts that change what a distance is, and why they do not belong here.
_OTHER_DISTANCES = {
    "LSH": "counts differing bits",
    "L2norm": 'changes the distances, which metric="cosine" does by its name',
}


class Index(NamedTuple):
    """A factory string of faiss, how widely it is searched (None: see `ops.knn`) and a seed."""

    factory: str = "Flat"
    probes: int | None = None
    seed: int = 0


EXACT = Index()


def checked(factory: str | None, probes: int | None, seed: int, backend: str | None) -> Index:
    """What the user asked for, or an error that names the argument.

    What faiss would not survive (a crash, or memory without end) is refused here, the rest by faiss itself.
    """
    if factory is None:
        if probes is not None:
            raise ValueError(f"probes: an exact search looks everywhere, found {probes} but no index")
        return EXACT
    if not isinstance(factory, str):
        raise TypeError(f"index: expected a factory string of faiss, found {factory!r}")
    if backend != "faiss":
        raise ValueError(f'index: {factory!r} is faiss\'s, expected backend="faiss", found {backend!r}')
    if "CAGRA" in factory.upper():
        raise ValueError(
            f"index: {factory!r} is cuVS's on a GPU, which is not offered here; expected an index of faiss "
            'on the CPU, such as "IVF1024,Flat"'
        )
    for part, effect in _OTHER_DISTANCES.items():
        if part in factory:
            raise ValueError(f"index: {part} in {factory!r} {effect}, expected an index of the distance")
    if re.search(r"(?<!\d)0+(?!\d)", factory):
        raise ValueError(f"index: expected sizes of at least 1, found a zero in {factory!r}")
    for links in re.findall(r"(?:HNSW|NSG)(\d+)", factory):
        if int(links) < _LEAST_LINKS:
            raise ValueError(
                f"index: expected a graph of at least {_LEAST_LINKS} links an item, found {factory!r}"
            )
    if probes is not None:
        _checks.integer("probes", probes, 1)
    _checks.integer("seed", seed, 0)
    return Index(factory, probes, seed)


def search(
    asked: torch.Tensor,
    searched: torch.Tensor,
    k: int,
    exclude_self: bool,
    index: Index,
    squares: torch.Tensor,
    indices: torch.Tensor,
) -> None:
    """Write squared distances and items (n, k) of float32 CPU tensors; Inf and -1 where there are no more."""
    with _threads(torch.get_num_threads()):
        built = _built(searched, index)
        for start, stop in _products.row_blocks(len(asked), k + 1, 12, _FOUND_BYTES):
            found = _asked(built, asked[start:stop], k + exclude_self, index)
            if exclude_self:
                found = _without_self(*found, start)
            missing = found[1] < 0
            squares[start:stop] = found[0].clamp_(min=0).masked_fill_(missing, torch.inf)
            indices[start:stop] = found[1]


def _asked(built: Any, rows: torch.Tensor, k: int, index: Index) -> tuple[torch.Tensor, torch.Tensor]:
    with _named(index.factory, len(rows), rows.shape[1]):
        squares, items = built.search(rows.numpy(), k)
    return torch.from_numpy(squares), torch.from_numpy(items)


def _without_self(
    squares: torch.Tensor, items: torch.Tensor, first_row: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Drop row i's item ``first_row + i``, or the last where duplicates or the index have left it out."""
    rows, wide = items.shape
    others = items != torch.arange(first_row, first_row + rows)[:, None]
    others[others.all(1), -1] = False
    return squares[others].view(rows, wide - 1), items[others].view(rows, wide - 1)


def _built(searched: torch.Tensor, index: Index) -> Any:
    """The index, trained and filled."""
    import faiss

    n, d = searched.shape
    _enough_items(index.factory, n)
    with _named(index.factory, n, d):
        built = faiss.index_factory(d, index.factory, faiss.METRIC_L2)
        lists = faiss.try_extract_index_ivf(built)
    _set_probes(built, lists, index)
    if lists is not None:
        lists.cp.seed = index.seed
    # faiss promises no order in which threads add items to a graph, and its links depend on it: one adds all.
    graph = lists is None and re.search("HNSW|NSG", index.factory) is not None
    with _threads(1 if graph else torch.get_num_threads()), _named(index.factory, n, d):
        built.train(searched.numpy())
        built.add(searched.numpy())
    return built


def _enough_items(factory: str, n: int) -> None:
    """Demand an item per list before faiss makes room for them; a multi-index may have more."""
    for count, unit in re.findall(r"IVF(\d+)([kM]?)", factory):
        lists = int(count) * {"": 1, "k": 1 << 10, "M": 1 << 20}[unit]
        if lists > n:
            raise ValueError(f"index: {factory!r} has {lists} lists, expected at most one per item, of {n}")


def _set_probes(built: Any, lists: Any | None, index: Index) -> None:
    if lists is not None:
        probes = min(_PROBES, lists.nlist) if index.probes is None else index.probes
        _checks.integer("probes", probes, 1, lists.nlist)
        lists.nprobe = probes
    elif index.probes is not None:
        graph = getattr(_innermost(built), "hnsw", None)
        if graph is None:
            raise ValueError(f"probes: {index.factory!r} has neither lists nor an HNSW graph to search")
        graph.efSearch = index.probes


def _innermost(built: Any) -> Any:
    """The index inside those that transform its vectors or refine its answers."""
    import faiss

    while True:
        inside = getattr(built, "base_index", None) or getattr(built, "index", None)
        if inside is None:
            return built
        built = faiss.downcast_index(inside)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let faiss take so many threads, for the calling thread only, as its OpenMP counts."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


@contextmanager
def _named(factory: str, n: int, d: int) -> Iterator[None]:
    """Say of faiss's errors which argument they are about; what stands before the cause is C++'s."""
    try:
        yield
    except RuntimeError as error:
        reason = re.sub(r"^.*?\.cpp:\d+: (?:Error: )?", "", str(error).strip(), flags=re.DOTALL)
        raise ValueError(
            f"index: faiss refuses {factory!r} for {n} items of {d} features: {reason}"
        ) from error
