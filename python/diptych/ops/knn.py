"""The k nearest neighbors of every item: exact, or by an approximate index of faiss."""

from functools import partial
from typing import NamedTuple

import torch

from diptych import _cpu
from diptych.ops import _checks, _faiss_search, _products
from diptych.ops._arrays import Array, floating, numpy_view, returner, to_output, to_tensor
from diptych.ops._dispatch import choose
from diptych.ops._nearest_search import Search

METRICS = ("euclidean", "sqeuclidean", "cosine")

#: Below about so many multiplications all distances cost less than the preparations for bounds.
FEW = 1 << 19

#: Below about so many a second thread costs more than it saves.
ALONE = 1 << 14

# Groups looked at on a GPU beyond those that products put first, and memory for them.
_MORE_GROUPS = 8
_TRITON_BYTES = 1 << 28

# Entries whose largest lies between these can be squared and summed in float32, whatever d.
_LEAST, _MOST = 1e-15, 1e15


class Neighbors(NamedTuple):
    """Distances (n, k), ascending, and indices (n, k) of :func:`knn`."""

    distances: Array
    indices: Array


def knn(
    x: Array,
    k: int,
    y: Array | None = None,
    *,
    metric: str = "euclidean",
    exclude_self: bool | None = None,
    index: str | None = None,
    probes: int | None = None,
    seed: int = 0,
    out: tuple[Array, Array] | None = None,
    backend: str | None = None,
    check: bool | None = None,
) -> Neighbors:
    """Find the k nearest of the rows of y to each row of x, or of the other rows of x where y is not given.

    x holds the items asked about (the queries), y the items searched (the database). Without y an item is
    not its own neighbor, as in scikit-learn's ``kneighbors()``; its duplicates are, at distance zero.

    On the CPU the result is that of comparing all distances, each summed from differences of coordinates
    in float64, ties by index: it depends neither on the BLAS nor on the number of threads. Products of
    float32 serve only to rule items out, by a bound on their rounding (Higham 2002, eq. 3.5). On a GPU
    items whose distances agree to within the rounding of float32 products may be exchanged for one another
    at the end of the list.

    With ``index`` the search is approximate: of many items only some are looked at, and true neighbors among
    the others are missed. Choose an index by the number m of items searched: none up to some 10^5, where the
    exact search is about as fast; then ``"IVF{L},Flat"``, which parts the items by k-means into L lists, 4 to
    16 times sqrt(m), and looks into the ``probes`` lists nearest to a query (Jégou et al. 2011, "Product
    quantization for nearest neighbor search", section IV). It compares the probes / L-th part of all pairs,
    but each some fourteen times slower than the exact search does. More probes find more; measure it on some
    rows, ``knn(x[rows], k, x)`` against ``knn(x[rows], k, x, backend="faiss", index=...)``. ``"HNSW32"``
    (Malkov and Yashunin 2018) walks a graph, in steps that grow with log m only, but is slow to build;
    ``"IVF{L},PQ{M}"`` saves memory at the cost of distances that are those of compressed items.

    Args:
        x: (n, d) embeddings. Distances are returned as float32 or float64 as x is; float16, bfloat16 and
            short integers count as float32, long integers as float64.
        k: Neighbors per item, 1 to the number of items searched (one less where self is excluded).
        y: (m, d) embeddings to search, or None for x itself.
        metric: ``"euclidean"``, ``"sqeuclidean"`` or ``"cosine"`` (1 - cosine of the angle, as half the
            squared distance of the rows at unit length).
        exclude_self: Whether an item is kept from its own neighbors. Default: where y is not given. With
            ``False`` and no y, an item is its own neighbor, after duplicates of lower index (an approximate
            index may miss it).
        index: Factory string of an approximate index of faiss, with ``backend="faiss"`` only: built anew by
            every call from all items searched, trained on faiss's own sample of them (256 a list). None for
            an exact search. Not offered: LSH, which knows no distance, and CAGRA, which is built on a GPU.
        probes: Lists looked at per query, 1 to their number (default: 32, or all), or the candidates that an
            HNSW graph keeps (faiss's ``efSearch``; default 16, and never fewer than k).
        seed: Of the k-means that makes the lists. The same seed, data and number of threads give the same
            result; graphs are built by one thread for that, except those over lists ("IVF1024_HNSW32").
        out: ``(distances, indices)`` to write into: contiguous (n, k) of the result's dtype, and int64.
        backend: ``"cpu"``, ``"triton"``, ``"torch"`` (all distances from differences, slow), ``"faiss"``
            (faiss's flat index, which must be installed; float32 on the CPU, ties in its own order and
            distances with the rounding of products), or None to choose by device.
        check: Refuse NaN and Inf. Default: on the CPU yes, on a GPU (where it synchronises) no. NaN that
            gets through leaves rows that end in index -1 and distance NaN (Inf from faiss).

    Returns:
        :class:`Neighbors`: ``distances`` (n, k) in the units of x, ascending, and ``indices`` (n, k) int64.
        An approximate index that finds fewer than k items ends a row in index -1 and distance Inf; more
        probes find more.

    Complexity:
        O(n m d) time, half of it without y. Memory beyond the result: a float32 copy of the embeddings (in
        float64, too, for cosine), 16 n k bytes of candidates (at most 64 MiB with y or k above n / 16) and
        4 MiB of products. Data whose neighbors are nearer to each other than 1e-6 of its own extent (a
        few clusters far apart) is decided by exact distances, up to ten times slower. An index of L lists
        takes O(2560 L² d) to train, O(m L d) to fill and O(n d (L + m probes / L)) to search, and memory for
        another float32 copy of the items searched.

    Raises:
        ValueError: Wrong rank, features or devices differ, k out of range, NaN or Inf, entries too large or
            too small to be squared, a zero row under ``"cosine"``, an unknown metric, ``exclude_self`` with
            y, an ``out`` that does not fit or overlaps an input, faiss asked for but not installed or with
            arrays on a GPU, ``index`` with another backend, an index that faiss refuses or that has more
            lists than items (fewer than 39 items a list are too few for good ones: faiss says so on stderr),
            probes beyond the lists or without an index.
        TypeError: Not an array of real numbers; k, probes or seed not an integer, index not a string.
    """
    tensor_x = floating(to_tensor("x", x)).detach()
    tensor_y = None if y is None else floating(to_tensor("y", y)).detach()
    _checks.one_of("metric", metric, METRICS)
    _checks.matrix("x", tensor_x)
    if tensor_y is not None:
        _checks.matrix("y", tensor_y)
        _checks.same_columns("x", tensor_x, "y", tensor_y)
        _checks.same_device(x=tensor_x, y=tensor_y)
        if tensor_y.dtype != tensor_x.dtype:
            tensor_x, tensor_y = tensor_x.double(), tensor_y.double()
        if exclude_self:
            raise ValueError("exclude_self: rows of x and y are different items, expected no y")
    without_self = exclude_self is not False and tensor_y is None
    searched = tensor_x if tensor_y is None else tensor_y
    _checks.item_count("x" if tensor_y is None else "y", len(searched))
    _checks.integer("k", k, 1, len(searched) - without_self)
    if tensor_x.device.type == "cpu" if check is None else check:
        _check_values("x", tensor_x, metric)
        if tensor_y is not None:
            _check_values("y", tensor_y, metric)
    result = _outputs(tensor_x, tensor_y, k, out)
    implementations = _IMPLEMENTATIONS
    if index is not None or probes is not None:
        asked = _faiss_search.checked(index, probes, seed, backend)
        implementations = _IMPLEMENTATIONS | {"faiss": partial(_run_faiss, index=asked)}
    run = choose("knn", tensor_x.device, backend, implementations)
    run(tensor_x, tensor_y, k, metric, without_self, *result)
    if out is not None:
        return Neighbors(*out)
    give_back = returner(x)
    return Neighbors(give_back(result[0]), give_back(result[1]))


def _check_values(name: str, tensor: torch.Tensor, metric: str) -> None:
    if metric == "cosine":
        _checks.rows_with_a_direction(name, tensor)
    elif not _LEAST <= _checks.peak(tensor) <= _MOST:  # NaN and Inf are in no range
        _checks.squarable(name, tensor)


def _outputs(
    x: torch.Tensor, y: torch.Tensor | None, k: int, out: tuple[Array, Array] | None
) -> tuple[torch.Tensor, torch.Tensor]:
    shape = (x.shape[0], k)
    if out is None:
        return x.new_empty(shape), torch.empty(shape, dtype=torch.int64, device=x.device)
    if not isinstance(out, tuple) or len(out) != 2:
        raise TypeError(f"out: expected a pair of arrays (distances, indices), found {type(out).__name__}")
    distances, indices = to_output("out[0]", out[0]), to_output("out[1]", out[1])
    inputs = (x,) if y is None else (x, y)
    _checks.output("out[0]", distances, shape, x.dtype, inputs)
    _checks.output("out[1]", indices, shape, torch.int64, (*inputs, distances))
    return distances, indices


def reference(
    x: torch.Tensor,
    k: int,
    y: torch.Tensor | None = None,
    metric: str = "euclidean",
    exclude_self: bool = True,
    first_row: int = 0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The definition: all distances in float64 from differences of coordinates, and a stable sort.

    Where ``exclude_self`` holds, row i of x is item ``first_row + i`` of y, and not its own neighbor.
    """
    y = x if y is None else y
    if metric == "cosine":
        x, y = _unit_rows(x), _unit_rows(y)
    x, y = x.double(), y.double()
    squares = torch.stack([(row - y).square_().sum(1) for row in x])
    if exclude_self:
        rows = torch.arange(len(x), device=x.device)
        squares[rows, rows + first_row] = torch.inf
    squares, indices = squares.sort(dim=1, stable=True)
    squares, indices = squares[:, :k], indices[:, :k]
    return {"euclidean": squares.sqrt(), "sqeuclidean": squares, "cosine": squares / 2}[metric], indices


def _unit_rows(x: torch.Tensor) -> torch.Tensor:
    """Divide rows by their length, in float64; by their largest entry first, so that no square overflows."""
    x = x.double()
    scaled = x / x.abs().amax(1, keepdim=True)
    return scaled / torch.linalg.vector_norm(scaled, dim=1, keepdim=True)


def multiplications(n: int, m: int, d: int) -> int:
    """About what all distances between n and m items and their selection cost."""
    return n * m * (d + 16)


def search(
    x: torch.Tensor,
    y: torch.Tensor | None,
    k: int,
    metric: str,
    exclude_self: bool,
    distances: torch.Tensor,
    indices: torch.Tensor,
) -> None:
    """Write the neighbors of checked CPU tensors."""
    if metric == "cosine":
        x = _products.unit_rows(x, torch.float64)
        y = None if y is None else _products.unit_rows(y, torch.float64)
    x, y = x.contiguous(), None if y is None else y.contiguous()
    searched = x if y is None else y
    kind = (metric == "euclidean", 0.5 if metric == "cosine" else 1.0)
    n, m, d = len(x), len(searched), x.shape[1]
    work = multiplications(n, m, d)
    if work <= FEW:
        _cpu.nearest_direct(
            numpy_view(x),
            numpy_view(searched),
            exclude_self,
            *kind,
            numpy_view(distances),
            numpy_view(indices),
            torch.get_num_threads() if work > ALONE else 1,
        )
        return
    Search(x, y, k, exclude_self).run(kind, distances, indices)


def _run_triton(
    x: torch.Tensor,
    y: torch.Tensor | None,
    k: int,
    metric: str,
    exclude_self: bool,
    distances: torch.Tensor,
    indices: torch.Tensor,
) -> None:
    from diptych.kernels import knn as kernels

    if metric == "cosine":
        x, y = _unit_rows(x), None if y is None else _unit_rows(y)
    x, y = x.contiguous(), None if y is None else y.contiguous()
    searched = x if y is None else y
    points = _centred_points(x, y)
    norms = points[-1].square().sum(1)
    groups = -(-len(searched) // kernels.GROUP)
    chosen = min(groups, k + _MORE_GROUPS)
    scratch = 4 * groups + 32 * kernels.GROUP * chosen  # keys; squares, their order and items
    for start, stop in _products.row_blocks(len(x), scratch, 1, _TRITON_BYTES):
        keys = kernels.least_keys(points[0][start:stop], points[-1], norms, start, exclude_self)
        # By position again, so that the candidates stand by index and a stable sort leaves ties so.
        first = keys.sort(dim=1, stable=True).indices[:, :chosen].sort(dim=1).values
        squares = kernels.squares_of_groups(x[start:stop], searched, first, start, exclude_self)
        squares, order = (z[:, :k] for z in squares.sort(dim=1, stable=True))
        group = first.gather(1, order // kernels.GROUP)
        torch.add(group * kernels.GROUP, order % kernels.GROUP, out=indices[start:stop])
        scaled = {"euclidean": squares.sqrt(), "cosine": squares / 2}.get(metric, squares)
        distances[start:stop] = scaled


def _centred_points(x: torch.Tensor, y: torch.Tensor | None) -> list[torch.Tensor]:
    """x, or x and y, about the mean of those searched, as float32; integers stay so. Waits for no GPU."""
    both = [x] if y is None else [x, y]
    centre = both[-1].mean(0)
    whole = torch.stack([(z == z.round()).all() for z in both]).all()
    centre = torch.where(whole, centre.round(), centre)
    return [(z - centre).float() for z in both]


def _run_torch(
    x: torch.Tensor,
    y: torch.Tensor | None,
    k: int,
    metric: str,
    exclude_self: bool,
    distances: torch.Tensor,
    indices: torch.Tensor,
) -> None:
    searched = x if y is None else y
    for start, stop in _products.row_blocks(len(x), len(searched), 8):
        found = reference(x[start:stop], k, searched, metric, exclude_self, start)
        distances[start:stop], indices[start:stop] = found


def _run_faiss(
    x: torch.Tensor,
    y: torch.Tensor | None,
    k: int,
    metric: str,
    exclude_self: bool,
    distances: torch.Tensor,
    indices: torch.Tensor,
    index: _faiss_search.Index = _faiss_search.EXACT,
) -> None:
    if metric == "cosine":
        x, y = _unit_rows(x), None if y is None else _unit_rows(y)
    asked = x.float().contiguous()
    searched = asked if y is None else y.float().contiguous()
    _faiss_search.search(asked, searched, k, exclude_self, index, distances, indices)
    if metric == "euclidean":
        distances.sqrt_()
    elif metric == "cosine":
        distances.div_(2)


_IMPLEMENTATIONS = {"cpu": search, "triton": _run_triton, "torch": _run_torch, "faiss": _run_faiss}
