"""The rank of every item among every item's neighbors."""

from typing import Any

import torch

from diptych import _cpu
from diptych.ops import _checks, _products
from diptych.ops._arrays import Array, floating, numpy_view, returner, to_output, to_tensor
from diptych.ops._dispatch import choose, cuda_module, stream_of


def neighbor_ranks(
    x: Array | None = None,
    *,
    distances: Array | None = None,
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
        out: (n, n) contiguous int32 array (a memory map will do) to write into.
        backend: ``"cpu"``, ``"cuda"``, ``"torch"``, or None to choose by device.
        check: Refuse NaN and Inf. Default: on the CPU yes, on a GPU (where it synchronises) no.

    Returns:
        (n, n) int32; ``[i, j]`` is the rank of item j among the neighbors of item i, 0 to n-1.

    Complexity:
        O(n² d + n²) time (a radix sort per row). Memory beyond the result: five copies of the embeddings;
        from float32 embeddings on the CPU nothing else (the result's own memory holds the products) but
        64 MiB where rows are duplicates; else a few row blocks of at most 64 MiB.

    Raises:
        ValueError: Neither or both of x and distances, wrong rank, not square, NaN or Inf, embeddings too
            large or too small to be squared, n above 2³¹-1, an ``out`` that does not fit or overlaps an
            input.
        TypeError: Not an array of real numbers.
    """
    if (x is None) == (distances is None):
        raise ValueError("expected either x or distances, found " + ("neither" if x is None else "both"))
    name, given = ("x", x) if distances is None else ("distances", distances)
    tensor = floating(to_tensor(name, given)).detach()
    if distances is None:
        _checks.matrix(name, tensor)
        _checks.item_count(name, tensor.shape[0])
    else:
        _checks.square(name, tensor)
    if tensor.device.type == "cpu" if check is None else check:
        _checks.finite(name, tensor)
        if distances is None:
            _checks.squarable(name, tensor)
    n = tensor.shape[0]
    if out is None:
        result = torch.empty(n, n, dtype=torch.int32, device=tensor.device)
    else:
        result = to_output("out", out)
        _checks.output("out", result, (n, n), torch.int32, (tensor,))
    run = choose("neighbor_ranks", tensor.device, backend, _IMPLEMENTATIONS)
    run(tensor, distances is not None, result)
    return returner(given)(result) if out is None else out


def reference(
    x: torch.Tensor | None = None, *, distances: torch.Tensor | None = None, first_row: int = 0
) -> torch.Tensor:
    """The definition: a stable sort of each row, the item itself before everything.

    ``distances`` may be the rows from ``first_row`` on of the whole matrix.
    """
    if x is not None:
        distances = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    assert distances is not None
    rows = torch.arange(distances.shape[0], device=distances.device)
    keys = distances.clone()
    keys[rows, rows + first_row] = -torch.inf
    order = keys.argsort(dim=1, stable=True)
    places = torch.arange(distances.shape[1], dtype=torch.int32, device=distances.device)
    ranks = torch.empty(distances.shape, dtype=torch.int32, device=distances.device)
    return ranks.scatter_(1, order, places.expand_as(order))


def _run_cpu(tensor: torch.Tensor, given_distances: bool, out: torch.Tensor) -> None:
    threads = torch.get_num_threads()
    ranks = numpy_view(out)
    if given_distances:
        _cpu.ranks(numpy_view(tensor.contiguous()), 0, ranks, threads)
        return
    if tensor.shape[1] * out.numel() <= _products.DIRECT:
        rows = numpy_view(tensor.contiguous())
        squares = numpy_view(tensor.new_empty(out.shape))
        _cpu.direct_distances(rows, rows, True, squares)
        _cpu.ranks(squares, 0, ranks, threads)
        return
    x = _products.centered(tensor)
    groups = _products.duplicates(x)
    if x.dtype == torch.float32:
        # The products fit in the result's own memory: each row is ranked over itself.
        products = out.view(torch.float32)
        _products.product(x, x.T, out=products)
        norms = products.diagonal().contiguous()
        if groups is not None:
            norms = norms[_products.first_of_each(groups)]
            _products.make_duplicates_alike(products, norms, groups, groups)
        _cpu.ranks_from_products(numpy_view(products), numpy_view(norms), 0, ranks, threads)
        return
    norms = _products.squared_norms(x, groups)
    for start, stop in _products.row_blocks(len(x), len(x), x.element_size()):
        products = _products.product(x[start:stop], x.T)
        if groups is not None:
            _products.make_duplicates_alike(products, norms[start:stop], groups[start:stop], groups)
        _cpu.ranks_from_products(numpy_view(products), numpy_view(norms), start, ranks[start:stop], threads)


def _run_blocks(tensor: torch.Tensor, given_distances: bool, out: torch.Tensor, rank_block: Any) -> None:
    """Make distances a row block at a time and hand each to ``rank_block``."""
    n = tensor.shape[0]
    blocks = _products.row_blocks(n, n, tensor.element_size())
    if given_distances:
        for start, stop in blocks:
            rank_block(tensor[start:stop], start, out[start:stop])
        return
    x = _products.centered(tensor)
    groups = _products.duplicates(x)
    norms = _products.squared_norms(x, groups)
    for start, stop in blocks:
        rank_block(_products.squared_distances(x, norms, groups, start, stop), start, out[start:stop])


def _run_torch(tensor: torch.Tensor, given_distances: bool, out: torch.Tensor) -> None:
    def rank_block(block: torch.Tensor, start: int, ranks: torch.Tensor) -> None:
        ranks.copy_(reference(distances=block, first_row=start))

    _run_blocks(tensor, given_distances, out, rank_block)


def _run_cuda(tensor: torch.Tensor, given_distances: bool, out: torch.Tensor) -> None:
    cuda = cuda_module()
    kind = "float32" if tensor.dtype == torch.float32 else "float64"
    size_of, run = getattr(cuda, f"ranks_workspace_{kind}"), getattr(cuda, f"ranks_{kind}")

    def rank_block(block: torch.Tensor, start: int, ranks: torch.Tensor) -> None:
        block = block.contiguous()
        rows, n = block.shape
        workspace = torch.empty(size_of(rows, n), dtype=torch.uint8, device=block.device)
        run(
            block.data_ptr(),
            rows,
            n,
            start,
            ranks.data_ptr(),
            workspace.data_ptr(),
            workspace.numel(),
            stream_of(block),
        )

    with torch.cuda.device(tensor.device):
        _run_blocks(tensor, given_distances, out, rank_block)


_IMPLEMENTATIONS = {"cpu": _run_cpu, "cuda": _run_cuda, "torch": _run_torch}
