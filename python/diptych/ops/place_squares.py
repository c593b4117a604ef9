"""Squares at random places, none near another: scenes that depend on a seed and their own number alone."""

from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from diptych import _cpu
from diptych.ops import _checks
from diptych.ops._arrays import Array, numpy_view, returner, to_tensor
from diptych.ops._counter import each
from diptych.ops._dispatch import choose, cuda_module, stream_of
from diptych.ops._squares import FULL_CONTRAST, MAX_SIZE, MAX_SQUARES

_Number = TypeVar("_Number", int, float)

# As csrc/core/place_squares.hpp has it.
_RANDOM_TRIES = 256


class _Law(NamedTuple):
    """How scenes are drawn, in whole numbers."""

    size: int
    sides: tuple[int, int]
    side_jitter: int
    contrasts: tuple[int, int]
    contrast_jitter: int
    clearance: int
    tries: int
    seed: int


def place_squares(
    counts: Array,
    *,
    index: Array | None = None,
    size: int = 244,
    sides: tuple[int, int] = (15, 15),
    contrasts: tuple[float, float] = (1.0, 1.0),
    side_jitter: int = 0,
    contrast_jitter: float = 0.0,
    clearance: int = 3,
    seed: int = 0,
    tries: int = 100,
    backend: str | None = None,
    device: torch.device | str | None = None,
) -> Array:
    """Place squares at random on scenes of size × size pixels.

    A scene has one side and one contrast, uniform over their ranges; each of its squares deviates from both
    by its own jitter. One after the other, the squares take places that are uniform over all those at which
    they lie wholly inside and clear of the squares before them. Where no place is left the scene is begun
    anew, with the same sides and contrasts. Scenes are drawn with integers from counters, so every backend
    gives the same ones, and scene i depends on seed, index[i] and counts[i] alone, never on the rest of the
    batch.

    Args:
        counts: (n,) integers, squares on each scene, 0 to 1024.
        index: (n,) integers, numbers of the scenes, 0 to 2^63 - 1; 0 to n - 1 by default.
        size: Pixels of a side of a scene, 1 to 4096.
        sides: Least and largest side of a scene's squares, in pixels.
        contrasts: Least and largest contrast, above 0 and up to 1, taken in steps of 1/65535.
        side_jitter: A square's side deviates by a whole number from -side_jitter to side_jitter, but is at
            least 1.
        contrast_jitter: The same for its contrast, in units of full contrast, but between 1/65535 and 1.
        clearance: Empty pixels between any two squares, in x or in y.
        seed: 0 to 2^63 - 1.
        tries: Attempts at a scene.
        backend: ``"cpu"``, ``"cuda"``, ``"torch"`` (plain Python, slow), or None to choose by device.
        device: Where the squares shall be; by default where counts are. If given, the result is a tensor.

    Returns:
        (n, k, 4) int32, k the largest count, at least 1: x and y of the top left pixel, the side in pixels
        and the contrast in 1/65535; -1 four times where a scene has no more squares.

    Complexity:
        O(k) places tried per square in O(k) time each where there is room; where less than a hundredth of the
        places is free, O(size k) time per square. 16 n k bytes for the result, 16 n for counts and numbers.
        With a GPU it waits only to look at counts and numbers that are there, and where squares might not
        fit.

    Raises:
        ValueError: Counts, numbers or parameters out of range, squares larger than the scene, or a scene on
            which all squares found a place in none of the attempts: the message has how many fitted.
        TypeError: Not integers, or not numbers.
    """
    tensor = _integers("counts", counts)
    n = tensor.shape[0]
    numbers = torch.arange(n) if index is None else _integers("index", index)
    if numbers.shape[0] != n:
        raise ValueError(f"index: expected {n} numbers, one per count, found {numbers.shape[0]}")
    if index is not None and int(numbers.min()) < 0:
        raise ValueError(f"index: expected 0 to {2**63 - 1}, found {int(numbers.min())}")
    fewest, most = (int(value) for value in tensor.aminmax())
    if fewest < 0 or most > MAX_SQUARES:
        found = fewest if fewest < 0 else most
        raise ValueError(f"counts: expected 0 to {MAX_SQUARES} squares on a scene, found {found}")
    law = checked_law(size, sides, side_jitter, contrasts, contrast_jitter, clearance, tries, seed)
    target = tensor.device if device is None else torch.device(device)
    run = choose("place_squares", target, backend, _IMPLEMENTATIONS)
    # Copies to a GPU need not be waited for; those from one must be.
    onward = target.type == "cuda"
    asked = tensor.to(target, torch.int32, non_blocking=onward).contiguous()
    whose = numbers.to(target, torch.int64, non_blocking=onward).contiguous()
    squares, placed = run(asked, whose, max(most, 1), law)
    if not _surely_fits(most, law):
        _all_placed(placed, asked)
    return squares if device is not None else returner(counts)(squares)


def reference(
    counts: torch.Tensor, index: torch.Tensor, k: int, law: _Law
) -> tuple[torch.Tensor, torch.Tensor]:
    """The definition, scene by scene in Python's own integers: (n, k, 4), and how many were placed (n,)."""
    squares = np.full((len(counts), k, 4), -1, np.int32)
    placed = []
    for scene, (count, number) in enumerate(zip(counts.tolist(), index.tolist(), strict=True)):
        found, best = _scene(count, number, law)
        squares[scene, : len(found)] = np.array(found, np.int32).reshape(-1, 4)
        placed.append(best)
    return torch.from_numpy(squares), torch.tensor(placed, dtype=torch.int32)


def _scene(count: int, number: int, law: _Law) -> tuple[list[tuple[int, int, int, int]], int]:
    """The squares of a scene, and how many of them found a place; none of them if not all did."""
    draws = each(law.seed, number)
    looks = _looks(count, law, draws)
    best = 0
    for _ in range(law.tries):
        squares: list[tuple[int, int, int, int]] = []
        for side, contrast in looks:
            place = _place(squares, side, law, draws)
            if place is None:
                break
            squares.append((*place, side, contrast))
        if len(squares) == count:
            return squares, count
        best = max(best, len(squares))
    return [], best


def _looks(count: int, law: _Law, draws: Iterator[int]) -> list[tuple[int, int]]:
    """Side and contrast of each square."""

    def uniform(bits: int, low: int, high: int) -> int:
        return low + (bits * (high - low + 1) >> 32)

    bits = next(draws)
    side, contrast = uniform(bits >> 32, *law.sides), uniform(bits & 0xFFFFFFFF, *law.contrasts)
    looks = []
    for _ in range(count):
        bits = next(draws)
        own_side = side + uniform(bits >> 32, -law.side_jitter, law.side_jitter)
        own_contrast = contrast + uniform(bits & 0xFFFFFFFF, -law.contrast_jitter, law.contrast_jitter)
        looks.append((max(own_side, 1), min(max(own_contrast, 1), FULL_CONTRAST)))
    return looks


def _place(
    squares: list[tuple[int, int, int, int]], side: int, law: _Law, draws: Iterator[int]
) -> tuple[int, int] | None:
    """A place that is clear of the squares so far: some are tried, then one of all free ones is chosen."""
    places = law.size - side + 1
    near = np.zeros((places, places), bool)  # [y, x]
    for x, y, other, _ in squares:
        columns, rows = (
            slice(max(start - side - law.clearance + 1, 0), start + other + law.clearance) for start in (x, y)
        )
        near[rows, columns] = True
    for _ in range(_RANDOM_TRIES):
        bits = next(draws)
        x, y = (bits >> 32) * places >> 32, (bits & 0xFFFFFFFF) * places >> 32
        if not near[y, x]:
            return x, y
    free = np.flatnonzero(~near)
    if len(free) == 0:
        return None
    y, x = divmod(int(free[next(draws) * len(free) >> 64]), places)
    return x, y


def _integers(name: str, value: Array) -> torch.Tensor:
    tensor = to_tensor(name, value).detach()
    if tensor.ndim != 1 or len(tensor) == 0:
        raise ValueError(f"{name}: expected shape (n,), n above 0, found {tuple(tensor.shape)}")
    if tensor.is_floating_point() or tensor.dtype == torch.bool:
        raise TypeError(f"{name}: expected integers, found {tensor.dtype}")
    whole = tensor.long()
    if tensor.dtype == torch.uint64 and bool((whole < 0).any()):
        raise ValueError(f"{name}: expected integers below 2^63, found a larger one")
    return whole


def checked_law(
    size: int,
    sides: tuple[int, int],
    side_jitter: int,
    contrasts: tuple[float, float],
    contrast_jitter: float,
    clearance: int,
    tries: int,
    seed: int,
) -> _Law:
    """The parameters, checked, in whole numbers."""
    _checks.integer("size", size, 1, MAX_SIZE)
    low, high = _pair("sides", sides)
    for side in (low, high):
        _checks.integer("sides", side, 1)
    _checks.integer("side_jitter", side_jitter, 0, MAX_SIZE)
    if high + side_jitter > size:
        jitter = f" and a jitter of {side_jitter}" if side_jitter else ""
        raise ValueError(f"sides: expected squares that fit on {size} pixels, found {high}{jitter}")
    dim, bright = _pair("contrasts", contrasts)
    for contrast in (dim, bright):
        _checks.within("contrasts", contrast, 1 / FULL_CONTRAST, 1)
    _checks.within("contrast_jitter", contrast_jitter, 0, 1)
    _checks.integer("clearance", clearance, 0, MAX_SIZE)
    _checks.integer("tries", tries, 1)
    _checks.seed(seed)
    steps = round(dim * FULL_CONTRAST), round(bright * FULL_CONTRAST)
    jitter_steps = round(contrast_jitter * FULL_CONTRAST)
    ranges = (int(low), int(high)), int(side_jitter), steps, jitter_steps
    return _Law(int(size), *ranges, int(clearance), int(tries), int(seed))


def _pair(name: str, pair: tuple[_Number, _Number]) -> tuple[_Number, _Number]:
    """The least and the largest, in this order."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(f"{name}: expected the least and the largest, found {pair!r}")
    low, high = pair
    for value in pair:
        _checks.real(name, value)
    if not low <= high:
        raise ValueError(f"{name}: expected the least before the largest, found {low} and {high}")
    return low, high


def _surely_fits(count: int, law: _Law) -> bool:
    """Whether the squares before the last cannot take all places, however they stand."""
    widest = law.sides[1] + law.side_jitter
    kept_off = (2 * widest + 2 * law.clearance - 1) ** 2
    return (count - 1) * kept_off < (law.size - widest + 1) ** 2


def _all_placed(placed: torch.Tensor, counts: torch.Tensor) -> None:
    short = (placed < counts).nonzero()
    if len(short) == 0:
        return
    scene = int(short[0])
    raise ValueError(
        f"counts: {int(counts[scene])} squares do not fit on scene {scene}: "
        f"{int(placed[scene])} did in the best of all tries"
    )


def _run_cpu(
    counts: torch.Tensor, index: torch.Tensor, k: int, law: _Law
) -> tuple[torch.Tensor, torch.Tensor]:
    squares = torch.empty(len(counts), k, 4, dtype=torch.int32)
    placed = torch.empty_like(counts)
    views = numpy_view(squares), numpy_view(placed)
    _cpu.place_squares(numpy_view(counts), numpy_view(index), *law, *views, torch.get_num_threads())
    return squares, placed


def _run_cuda(
    counts: torch.Tensor, index: torch.Tensor, k: int, law: _Law
) -> tuple[torch.Tensor, torch.Tensor]:
    squares = torch.empty(len(counts), k, 4, dtype=torch.int32, device=counts.device)
    placed = torch.empty_like(counts)
    cuda = cuda_module()
    assert cuda is not None
    pointers = squares.data_ptr(), placed.data_ptr()
    with torch.cuda.device(counts.device):
        cuda.place_squares(
            counts.data_ptr(), index.data_ptr(), len(counts), k, *law, *pointers, stream_of(counts)
        )
    return squares, placed


def _run_torch(
    counts: torch.Tensor, index: torch.Tensor, k: int, law: _Law
) -> tuple[torch.Tensor, torch.Tensor]:
    squares, placed = reference(counts.cpu(), index.cpu(), k, law)
    return squares.to(counts.device), placed.to(counts.device)


_IMPLEMENTATIONS = {"cpu": _run_cpu, "cuda": _run_cuda, "torch": _run_torch}
