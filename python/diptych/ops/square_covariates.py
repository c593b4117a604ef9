"""What a scene of squares shows beside their number: light, area and extent."""

from itertools import pairwise

import torch

from diptych import _cpu
from diptych.ops._arrays import Array, numpy_view, returner
from diptych.ops._dispatch import choose, cuda_module, stream_of
from diptych.ops._squares import FULL_CONTRAST, is_shown, to_squares


def square_covariates(
    squares: Array,
    *,
    size: int = 244,
    backend: str | None = None,
    check: bool | None = None,
) -> Array:
    """Measure scenes of squares, as :func:`place_squares` gives them.

    Args:
        squares: (n, k, 4) integers, k up to 1024: x and y of the top left pixel, the side in pixels and the
            contrast in 1/65535; -1 four times where there is none. Squares that overlap count in full.
        size: Pixels of a side of a scene, 1 to 4096.
        backend: ``"cpu"``, ``"cuda"``, ``"torch"``, or None to choose by device.
        check: Refuse squares that lie outside. Default: on the CPU yes, on a GPU no; what lies outside does
            not count then.

    Returns:
        (n, 3) float64: the mean intensity of all pixels, 0 to 1; the summed area of the squares, in pixels;
        the area of the convex hull of them all, of their pixels' outer edges, in pixels. Correctly rounded; 0
        for an empty scene.

    Complexity:
        O(k h) time per scene, h the corners of its hull (Jarvis 1973). No memory beyond the result.

    Raises:
        ValueError: Another shape, a size out of range, squares outside.
        TypeError: Not integers.
    """
    tensor = to_squares(squares, size, check)
    run = choose("square_covariates", tensor.device, backend, _IMPLEMENTATIONS)
    out = torch.empty(tensor.shape[0], 3, dtype=torch.float64, device=tensor.device)
    run(tensor, int(size), out)
    return returner(squares)(out)


def reference(squares: torch.Tensor, size: int) -> torch.Tensor:
    """The definition in Python's own integers, (n, 3)."""
    rows = []
    for scene in squares.tolist():
        there = [square for square in scene if is_shown(square, size)]
        light = sum(side * side * contrast for _, _, side, contrast in there)
        area = sum(side * side for _, _, side, _ in there)
        corners = {(x + i, y + j) for x, y, side, _ in there for i in (0, side) for j in (0, side)}
        rows.append((light / (size * size * FULL_CONTRAST), float(area), _doubled_hull(corners) / 2))
    return torch.tensor(rows, dtype=torch.float64)


def _doubled_hull(corners: set[tuple[int, int]]) -> int:
    """Twice the area of the convex hull, by monotone chains (Andrew 1979)."""
    points = sorted(corners)
    doubled = 0
    for chain in (points, points[::-1]):
        hull: list[tuple[int, int]] = []
        for x, y in chain:
            while len(hull) > 1:
                (x0, y0), (x1, y1) = hull[-2:]
                if (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) > 0:
                    break
                hull.pop()
            hull.append((x, y))
        doubled += sum(a[0] * b[1] - a[1] * b[0] for a, b in pairwise(hull))
    return doubled


def _run_cpu(squares: torch.Tensor, size: int, out: torch.Tensor) -> None:
    _cpu.square_covariates(numpy_view(squares), size, numpy_view(out), torch.get_num_threads())


def _run_cuda(squares: torch.Tensor, size: int, out: torch.Tensor) -> None:
    cuda = cuda_module()
    assert cuda is not None
    n, k, _ = squares.shape
    with torch.cuda.device(squares.device):
        cuda.square_covariates(squares.data_ptr(), n, k, size, out.data_ptr(), stream_of(squares))


def _run_torch(squares: torch.Tensor, size: int, out: torch.Tensor) -> None:
    out.copy_(reference(squares.cpu(), size))


_IMPLEMENTATIONS = {"cpu": _run_cpu, "cuda": _run_cuda, "torch": _run_torch}
