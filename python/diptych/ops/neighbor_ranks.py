"""The rank of every item among every item's neighbors."""

from collections.abc import Callable

import torch

from diptych import _cpu
from diptych.ops import _checks, _products
from diptych.ops._arrays import Array, empty, floating, numpy_view, returner, to_output, to_tensor
from diptych.ops._dispatch import choose
from diptych.ops._rank_rows import RankRows, rank_with_cuda, ranks_by_sorting

# Bytes of a row block on a GPU: enough rows to fill it, whatever n is.
_CUDA_BLOCK = 1 << 28


def neighbor_ranks(
    x: Array | None = None,
    *,
    distances: Array | None = None,
    items: Array | None = None,
    out: Array | None = None,
    backend: str | None = None,
    check: bool | None = None,
) -> Array:
    """Rank, for each item, all items by ascending Euclidean distance.

    The item itself has rank 0 whatever rounding says; ties, duplicates among them, are ranked by index
    (on a GPU, where looking for duplicates would wait for it, those only to within rounding).
    Ranks from given distances are exact, and so are those from integer-valued embeddings whose squared
    distances stay below 2²⁴ (2⁵³ in float64); from other embeddings, items whose distances agree to within
    rounding may swap places between two machines.
    These are the neighborhood distances of RDX (Kondapaneni, Mac Aodha & Perona 2025, sec. 3).

    Args:
        x: (n, d) embeddings; or
        distances: (n, n) distances, row i those of item i to all. Need not be symmetric.
        items: (m,) integers, to rank only the rows of these items: ``distances`` and the result are then
            (m, n). Default: all items.
        out: (n, n) contiguous int32 array (a memory map will do) to write into; (m, n) with items.
        backend: ``"cpu"``, ``"cuda"``, ``"torch"``, or None to choose by device; not ``"cuda"`` with items.
        check: Refuse NaN and Inf. Default: on the CPU yes, on a GPU (where it synchronises) no.

    Returns:
        (n, n) int32; ``[i, j]`` is the rank of item j among the neighbors of item i (of ``items[i]``), 0 to
        n-1.

    Complexity:
        O(n² d + n²) time (a radix sort per row). Memory beyond the result: five copies of the embeddings;
        from float32 embeddings on the CPU nothing else (the result's own memory holds the products) but
        64 MiB where rows are duplicates; else a few row blocks of at most 64 MiB (256 MiB with ``"cuda"``).

    Raises:
        ValueError: Neither or both of x and distances, wrong rank, not square, NaN or Inf, embeddings too
            large or too small to be squared, n above 2³¹-1, items out of range, an ``out`` that does not fit
            or overlaps an input.
        TypeError: Not an array of real numbers; items that are not integers.
    """
    if (x is None) == (distances is None):
        raise ValueError("expected either x or distances, found " + ("neither" if x is None else "both"))
    name, given = ("x", x) if distances is None else ("distances", distances)
    tensor = floating(to_tensor(name, given)).detach()
    _checks.matrix(name, tensor)
    n = tensor.shape[distances is not None]
    _checks.item_count(name, n)
    own = None if items is None else _checked_items(items, n, tensor)
    shape = (n if own is None else own.shape[0], n)
    if distances is not None and tensor.shape != shape:
        wanted = "a square (n, n) matrix" if own is None else f"a row for each of {len(own)} items"
        raise ValueError(f"distances: expected {wanted}, found {tuple(tensor.shape)}")
    if tensor.device.type == "cpu" if check is None else check:
        (_checks.squarable if distances is None else _checks.finite)(name, tensor)
    if out is None:
        result = empty(shape, torch.int32, tensor.device)
    else:
        result = to_output("out", out)
        _checks.output("out", result, shape, torch.int32, (tensor,))
    offered = _IMPLEMENTATIONS if own is None else _FOR_ITEMS
    run = choose("neighbor_ranks", tensor.device, backend, offered)
    run(tensor, distances is not None, own, result)
    return returner(given)(result) if out is None else out


def reference(
    x: torch.Tensor | None = None,
    *,
    distances: torch.Tensor | None = None,
    items: torch.Tensor | None = None,
) -> torch.Tensor:
    """The definition: a stable sort of each row, the item itself before everything."""
    if x is not None:
        distances = torch.cdist(
            x if items is None else x[items], x, compute_mode="donot_use_mm_for_euclid_dist"
        )
    assert distances is not None
    if items is None:
        items = torch.arange(distances.shape[0], device=distances.device)
    return ranks_by_sorting(distances, items)


def _checked_items(items: Array, n: int, tensor: torch.Tensor) -> torch.Tensor:
    own = to_tensor("items", items)
    if own.is_floating_point() or own.dtype == torch.bool:
        raise TypeError(f"items: expected integers, found {own.dtype}")
    if own.ndim != 1 or own.shape[0] == 0:
        raise ValueError(f"items: expected at least one index (m,), found shape {tuple(own.shape)}")
    low, high = (bound.item() for bound in own.aminmax())
    if low < 0 or high >= n:
        raise ValueError(f"items: expected indices 0 to {n - 1}, found {low if low < 0 else high}")
    return own.to(tensor.device, torch.int64).contiguous()


def _run_cpu(
    tensor: torch.Tensor, given_distances: bool, items: torch.Tensor | None, out: torch.Tensor
) -> None:
    threads = torch.get_num_threads()
    ranks, own = numpy_view(out), None if items is None else numpy_view(items)
    if not given_distances and out.numel() * tensor.shape[1] <= _products.TINY:
        asked = tensor if items is None else tensor[items]
        tensor, given_distances = _products.direct_distances(asked, tensor, root=False), True
    if given_distances:
        _cpu.ranks(numpy_view(tensor.contiguous()), own, ranks, threads)
        return
    if tensor.dtype == torch.float32 and items is None:
        _rank_in_place(tensor, out)
    else:
        _in_blocks(RankRows(tensor), items, out, RankRows.on_cpu)


def _rank_in_place(tensor: torch.Tensor, out: torch.Tensor) -> None:
    """Rank all rows over their own products, whose diagonal holds the norms."""
    x = _products.centered(tensor)
    groups = _products.duplicates(x)
    products = _products.product(x, x.T, out=out.view(torch.float32))
    norms = products.diagonal().contiguous()
    if groups is not None:
        norms = norms[_products.first_of_each(groups)]
        _products.make_duplicates_alike(products, norms, groups, groups)
    _cpu.ranks_from_products(
        numpy_view(products), numpy_view(norms), None, numpy_view(out), torch.get_num_threads()
    )


def _in_blocks(
    rows: RankRows,
    items: torch.Tensor | None,
    out: torch.Tensor,
    rank: Callable[[RankRows, torch.Tensor, torch.Tensor], None],
) -> None:
    every = torch.arange(len(out), device=out.device) if items is None else items
    for start, stop in _products.row_blocks(len(out), out.shape[1], rows.x.element_size()):
        rank(rows, every[start:stop], out[start:stop])


def _run_torch(
    tensor: torch.Tensor, given_distances: bool, items: torch.Tensor | None, out: torch.Tensor
) -> None:
    if not given_distances:
        _in_blocks(RankRows(tensor), items, out, RankRows.by_definition)
        return
    rows, n = out.shape
    every = torch.arange(rows, device=tensor.device) if items is None else items
    for start, stop in _products.row_blocks(rows, n, tensor.element_size()):
        out[start:stop] = ranks_by_sorting(tensor[start:stop], every[start:stop])


def _run_cuda(tensor: torch.Tensor, given_distances: bool, items: None, out: torch.Tensor) -> None:
    n = tensor.shape[0]
    rows = None if given_distances else RankRows(tensor)
    for start, stop in _products.row_blocks(n, n, tensor.element_size(), _CUDA_BLOCK):
        if rows is None:
            rank_with_cuda(tensor[start:stop].contiguous(), None, start, out[start:stop])
        else:
            rows(slice(start, stop), out[start:stop])


_IMPLEMENTATIONS: dict[str, Callable[..., None]] = {"cpu": _run_cpu, "cuda": _run_cuda, "torch": _run_torch}
_FOR_ITEMS: dict[str, Callable[..., None]] = {"cpu": _run_cpu, "torch": _run_torch}
