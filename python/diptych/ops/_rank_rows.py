"""Neighbor ranks of embeddings, a block of rows at a time."""

from contextlib import AbstractContextManager

import torch

from diptych import _cpu
from diptych.ops import _products
from diptych.ops._arrays import empty, numpy_view
from diptych.ops._dispatch import cuda_module, serves, stream_of
from diptych.ops._meter import OFF, Meter


class RankRows:
    """Ranks in any rows of embeddings x (n, d), float32 or float64, which are prepared once.

    The n × n matrix never exists: rows cost O(rows · n · d) time and, from float32 on the CPU, no memory
    but their own, for the products stand where the ranks will.
    """

    def __init__(self, x: torch.Tensor, meter: Meter = OFF) -> None:
        self.meter = meter
        self.x = _products.centered(x)
        self.groups = _products.duplicates(self.x)
        self.norms = _products.squared_norms(self.x, self.groups)

    def __call__(self, items: torch.Tensor | slice, out: torch.Tensor | None = None) -> torch.Tensor:
        """Ranks of all items for each of ``items`` (int64, or a slice of them all), (rows, n) int32."""
        n, device = len(self.x), self.x.device
        own = torch.arange(n, device=device)[items] if isinstance(items, slice) else items
        if out is None:
            out = empty((len(own), n), torch.int32, device)
        if isinstance(items, slice) and serves("cuda", device):
            products = self.products(items)
            with self.measure_ranks(out):
                rank_with_cuda(products, self.norms, items.start, out)
        else:
            (self.on_cpu if device.type == "cpu" else self.by_definition)(own, out)
        return out

    def on_cpu(self, items: torch.Tensor, out: torch.Tensor) -> None:
        """Rank for each of ``items`` (rows,) int64 into out (rows, n) int32."""
        products = self.products(items, out.view(torch.float32) if self.x.dtype == torch.float32 else None)
        with self.measure_ranks(out):
            _cpu.ranks_from_products(
                numpy_view(products),
                numpy_view(self.norms),
                numpy_view(items),
                numpy_view(out),
                torch.get_num_threads(),
            )

    def by_definition(self, items: torch.Tensor, out: torch.Tensor) -> None:
        """The same in torch, by a stable sort."""
        distances = self.products(items).mul_(-2).add_(self.norms[items, None]).add_(self.norms)
        out.copy_(ranks_by_sorting(distances.clamp_(min=0), items))

    def measure_ranks(self, out: torch.Tensor) -> AbstractContextManager[None]:
        """Count what follows as the ranking of ``out``: each product read, each rank written."""
        return self.meter.measure("ranks", 0, out.numel() * (self.x.element_size() + 4))

    def products(self, items: torch.Tensor | slice, out: torch.Tensor | None = None) -> torch.Tensor:
        """Inner products of some items with all, (rows, n); alike for duplicates."""
        rows, (n, d), width = self.x[items], self.x.shape, self.x.element_size()
        moved = width * (d * (len(rows) + n) + len(rows) * n)
        with self.meter.measure("products", 2.0 * len(rows) * n * d, moved):
            products = _products.product(rows, self.x.T, out)
        if self.groups is not None:
            own = self.norms[items], self.groups[items]
            _products.make_duplicates_alike(products, *own, self.groups)
        return products


def ranks_by_sorting(distances: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
    """The definition: a stable sort of each row (rows, n), the row's own item before everything."""
    rows = torch.arange(distances.shape[0], device=distances.device)
    keys = distances.clone()
    keys[rows, items] = -torch.inf
    order = keys.argsort(dim=1, stable=True)
    places = torch.arange(distances.shape[1], dtype=torch.int32, device=distances.device)
    ranks = torch.empty(distances.shape, dtype=torch.int32, device=distances.device)
    return ranks.scatter_(1, order, places.expand_as(order))


def rank_with_cuda(values: torch.Tensor, norms: torch.Tensor | None, first: int, out: torch.Tensor) -> None:
    """Rank rows (rows, n) of distances, or of products where norms (n,) are given; ``first``: their item."""
    kind = "float32" if values.dtype == torch.float32 else "float64"
    size_of = getattr(cuda_module(), f"ranks_workspace_{kind}")
    run = getattr(cuda_module(), f"ranks_{kind}")
    with torch.cuda.device(values.device):
        size = size_of(*values.shape)
        workspace = torch.empty(size, dtype=torch.uint8, device=values.device)
        run(
            values.data_ptr(),
            0 if norms is None else norms.data_ptr(),
            *values.shape,
            first,
            out.data_ptr(),
            workspace.data_ptr(),
            size,
            stream_of(values),
        )
