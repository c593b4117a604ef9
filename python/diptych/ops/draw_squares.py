"""Pictures of squares on black."""

import numpy as np
import torch

from diptych import _cpu
from diptych.ops import _checks
from diptych.ops._arrays import Array, empty, numpy_view, returner, to_output
from diptych.ops._dispatch import choose, cuda_module, stream_of
from diptych.ops._squares import FULL_CONTRAST, is_shown, to_squares


def draw_squares(
    squares: Array,
    *,
    size: int = 244,
    dtype: torch.dtype = torch.float32,
    out: Array | None = None,
    backend: str | None = None,
    check: bool | None = None,
) -> Array:
    """Draw scenes of squares, as :func:`place_squares` gives them, in grey on black.

    Args:
        squares: (n, k, 4) integers, k up to 1024: x and y of the top left pixel, the side in pixels and the
            contrast in 1/65535; -1 four times where there is none. Where squares overlap the later one shows.
        size: Pixels of a side of a scene, 1 to 4096.
        dtype: ``torch.float32``, intensities of 0 to 1, contrast c drawn as c/65535; or ``torch.uint8``, 0 to
            255, c/257. Both are correctly rounded.
        out: Contiguous array of the result's shape and dtype to write into.
        backend: ``"cpu"``, ``"cuda"``, ``"torch"``, or None to choose by device.
        check: Refuse squares that lie outside. Default: on the CPU yes, on a GPU no; what lies outside is
            then not drawn.

    Returns:
        (n, 1, size, size).

    Complexity:
        Bound by memory: 4 size² bytes written per scene, size² as uint8. No memory beyond the result.

    Raises:
        ValueError: Another shape, a size out of range, squares outside, an ``out`` that does not fit, is
            read-only or overlaps the squares.
        TypeError: Not integers, another dtype.
    """
    tensor = to_squares(squares, size, check)
    if dtype not in (torch.float32, torch.uint8):
        raise TypeError(f"dtype: expected torch.float32 or torch.uint8, found {dtype}")
    shape = (tensor.shape[0], 1, int(size), int(size))
    if out is None:
        result = empty(shape, dtype, tensor.device)
    else:
        result = to_output("out", out)
        _checks.output("out", result, shape, dtype, (tensor,))
    choose("draw_squares", tensor.device, backend, _IMPLEMENTATIONS)(tensor, result)
    return returner(squares)(result) if out is None else out


def reference(squares: torch.Tensor, size: int, dtype: torch.dtype) -> torch.Tensor:
    """The definition, square by square, (n, 1, size, size)."""
    contrasts = np.zeros((len(squares), 1, size, size), np.int64)
    for image, scene in zip(contrasts[:, 0], squares.tolist(), strict=True):
        for x, y, side, contrast in scene:
            if is_shown((x, y, side, contrast), size):
                image[y : y + side, x : x + side] = contrast
    if dtype == torch.uint8:
        per_step = FULL_CONTRAST // 255
        return torch.from_numpy(((contrasts + per_step // 2) // per_step).astype(np.uint8))
    return torch.from_numpy(contrasts.astype(np.float32) / np.float32(FULL_CONTRAST))


def _run_cpu(squares: torch.Tensor, out: torch.Tensor) -> None:
    _cpu.draw_squares(numpy_view(squares), numpy_view(out), torch.get_num_threads())


def _run_cuda(squares: torch.Tensor, out: torch.Tensor) -> None:
    cuda = cuda_module()
    assert cuda is not None
    run = getattr(cuda, f"draw_squares_{str(out.dtype).removeprefix('torch.')}")
    n, k, _ = squares.shape
    with torch.cuda.device(squares.device):
        run(squares.data_ptr(), n, k, out.shape[-1], out.data_ptr(), stream_of(squares))


def _run_torch(squares: torch.Tensor, out: torch.Tensor) -> None:
    out.copy_(reference(squares.cpu(), out.shape[-1], out.dtype))


_IMPLEMENTATIONS = {"cpu": _run_cpu, "cuda": _run_cuda, "torch": _run_torch}
