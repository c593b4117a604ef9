"""What the ops on scenes of squares share: their arrays, and the refusal of squares that lie outside."""

from collections.abc import Sequence

import torch

from diptych import _cpu
from diptych.ops import _checks
from diptych.ops._arrays import Array, numpy_view, to_tensor

#: Contrast is counted in steps of 1 / FULL_CONTRAST.
FULL_CONTRAST = 65535

#: Pixels of a side that a scene may have, and squares on it.
MAX_SIZE, MAX_SQUARES = _cpu.MAX_SCENE_SIZE, _cpu.MAX_SQUARES


def to_squares(squares: Array, size: int, check: bool | None) -> torch.Tensor:
    """Take squares as a contiguous (n, k, 4) int32 tensor on their own device.

    Args:
        squares: (n, k, 4) integers: x, y, side and contrast; -1 throughout where there is no square.
        size: Pixels of a side of the scenes.
        check: Refuse squares that lie outside their scene. Default: on the CPU yes, on a GPU no.

    Raises:
        TypeError: Not an array of integers.
        ValueError: Another shape, a size out of range, too many squares, or a square outside.
    """
    tensor = to_tensor("squares", squares).detach()
    if tensor.is_floating_point() or tensor.dtype == torch.bool:
        raise TypeError(f"squares: expected integers, found {tensor.dtype}")
    if tensor.ndim != 3 or tensor.shape[2] != 4 or 0 in tensor.shape:
        raise ValueError(f"squares: expected shape (n, k, 4), n and k above 0, found {tuple(tensor.shape)}")
    if tensor.shape[1] > MAX_SQUARES:
        raise ValueError(f"squares: expected at most {MAX_SQUARES} in a scene, found {tensor.shape[1]}")
    _checks.integer("size", size, 1, MAX_SIZE)
    checked = tensor.device.type == "cpu" if check is None else check
    if checked and tensor.dtype != torch.int32:
        tensor = tensor.long().clamp(-2, _checks.INT32_MAX)  # what int32 cannot hold stays refused
    tensor = tensor.to(torch.int32).contiguous()
    if checked:
        _within(tensor, size)
    return tensor


def is_shown(square: Sequence[int], size: int) -> bool:
    """Whether it is a square that lies within the scene."""
    x, y, side, contrast = square
    return 0 < side <= size - max(x, y) and min(x, y) >= 0 and 0 < contrast <= FULL_CONTRAST


def _within(squares: torch.Tensor, size: int) -> None:
    on_host = squares.cpu()
    first = _cpu.first_misplaced(numpy_view(on_host), size, torch.get_num_threads())
    if first < 0:
        return
    scene, number = divmod(first, squares.shape[1])
    raise ValueError(
        f"squares: expected x, y, side and contrast of a square within {size} pixels, the contrast 1 to "
        f"{FULL_CONTRAST}, or -1 four times, found {on_host[scene, number].tolist()} in scene {scene}"
    )
