"""Scenes of objects to train and test with: single ones, and sequences of actions on them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from diptych import ops
from diptych.numerosity.laws import (
    COVARIATES,
    Renderer,
    SceneLaw,
    amounts_of,
    check_amounts,
    covariates_of,
    renderer_of,
)
from diptych.ops import _checks
from diptych.ops._arrays import Array, to_output, to_tensor
from diptych.ops._counter import derived_seed, numbers

if TYPE_CHECKING:
    import pandas as pd

_PUT, _TAKE, _SHAKE = range(3)
# The legal actions, by whether objects may be put and taken.
_LEGAL = (((_SHAKE,), (_TAKE, _SHAKE)), ((_PUT, _SHAKE), (_PUT, _TAKE, _SHAKE)))

# A seed makes scenes, and by other seeds derived from it actions, the scenes between them, and pairs: none of
# them tells of another.
_ACTIONS, _SEQUENCE_SCENES, _PAIRS = range(3)

# Scenes of one sequence are numbered apart from those of the next.
_SEQUENCE_BITS = 24
_MOST_ACTIONS = 2**_SEQUENCE_BITS - 1
_MOST_SEQUENCES = 2 ** (63 - _SEQUENCE_BITS) - 1


class Scenes(NamedTuple):
    """Pictures of scenes and what is known of them beside their counts."""

    images: torch.Tensor  #: (N, C, size, size) float32 of 0 to 1, or uint8
    covariates: "pd.DataFrame"  #: N rows, the columns of ``COVARIATES``


class Pairs(NamedTuple):
    """Actions between items: what was before, what is after."""

    pairs: NDArray[np.int64]  #: (P, 2) numbers of items
    actions: NDArray[np.int64]  #: (P,) 0, 1, 2 as in ``ACTIONS``


@dataclass(frozen=True, eq=False)
class Sequence:
    """Scenes that n actions lead through.

    Attributes:
        images: (n + 1, C, size, size) float32 of 0 to 1, or uint8.
        counts: (n + 1,) int64 objects in each scene, on the CPU.
        actions: (n,) int64 on the CPU, 0, 1, 2 as in ``ACTIONS``: actions[t] leads from scene t to scene t +
            1.
    """

    images: torch.Tensor
    counts: torch.Tensor
    actions: torch.Tensor
    _measure: "Callable[[], pd.DataFrame]" = field(repr=False)

    @property
    def pairs(self) -> torch.Tensor:
        """(n, 2) int64 numbers of the scenes before and after each action."""
        before = torch.arange(len(self.actions))
        return torch.stack([before, before + 1], 1)

    @cached_property
    def covariates(self) -> "pd.DataFrame":
        """n + 1 rows with the columns of ``COVARIATES``, measured when they are first asked for."""
        return self._measure()


def scenes(
    counts: Array,
    dataset: str | Renderer = "B",
    size: int = 244,
    seed: int = 0,
    *,
    first: int = 0,
    dtype: torch.dtype = torch.float32,
    out: Array | None = None,
    device: torch.device | str | None = None,
) -> Scenes:
    """Draw scenes with given numbers of objects.

    Scene i depends on the seed, on first + i and on counts[i] alone: batches that continue each other give
    what one batch would.

    Args:
        counts: (N,) integers, objects in each scene.
        dataset: ``"A"``, ``"B"``, ``"jitter"``, ``"imprecise"`` (see ``DATASETS``), a :class:`SceneLaw`, or
            any :class:`Renderer` (:class:`Photographs`, say), whose images are brought to ``dtype`` and
            ``device``.
        size: Pixels of a side.
        seed: 0 to 2^63 - 1.
        first: Number of the first scene.
        dtype: ``torch.float32`` (0 to 1) or ``torch.uint8`` (0 to 255).
        out: Contiguous array of the images' shape and dtype, to write into; it tells the device, too.
        device: Where the images shall be drawn. Default: the CPU.

    Returns:
        The images and their covariates.

    Complexity:
        :func:`diptych.ops.place_squares` and :func:`diptych.ops.draw_squares`: 4 size² bytes per scene as
        float32, size² as uint8.

    Raises:
        ValueError: An unknown data set, negative counts, a size too small for the objects, more objects than
            fit, a renderer that gives something else.
        TypeError: Counts that are no integers, another dtype, a data set that draws nothing.
        ModuleNotFoundError: pandas is not installed.
    """
    asked = _counts(counts)
    _checks.integer("first", first, 0, 2**63 - 1 - len(asked))
    images, measure = _drawn(asked, renderer_of(dataset), size, seed, first, dtype, out, device)
    return Scenes(images, measure())


def sequences(
    n_actions: int,
    limit: int = 3,
    dataset: str | Renderer = "B",
    seed: int = 0,
    *,
    stream: int = 0,
    size: int = 244,
    amounts: tuple[int, int] | None = None,
    dtype: torch.dtype = torch.float32,
    out: Array | None = None,
    device: torch.device | str | None = None,
) -> Sequence:
    """Draw a sequence of actions and the scenes between them.

    It starts with no objects. Each action is uniform over the legal ones: to put while there are fewer than
    ``limit`` objects, to take while there are any, to shake always. How many objects it moves is uniform over
    the data set's amounts, as far as the limit and the objects allow. Every scene is drawn afresh, with
    places, size and contrast of its own: the scenes before and after an action share nothing but what follows
    from their counts.

    Args:
        n_actions: 1 to 2^24 - 1.
        limit: The most objects in a scene, at least 1.
        dataset: As for :func:`scenes`; no scene of a sequence is one that :func:`scenes` gives.
        seed: 0 to 2^63 - 1.
        stream: Number of the sequence, 0 to 2^39 - 1: each is another one, and any of them can be had without
            the others, as training has its batches.
        size: Pixels of a side.
        amounts: Least and largest number of objects that an action moves. Default: the data set's own, (1, 1)
            for a renderer that has none.
        dtype: ``torch.float32`` (0 to 1) or ``torch.uint8`` (0 to 255).
        out: Contiguous array of the images' shape and dtype, to write into; it tells the device, too.
        device: Where the images shall be drawn. Default: the CPU.

    Returns:
        The sequence. Covariates are measured when they are asked for.

    Complexity:
        As :func:`scenes` for n_actions + 1 scenes.

    Raises:
        ValueError: As for :func:`scenes`; n_actions, limit, stream or amounts out of range.
        TypeError: As for :func:`scenes`; amounts that are no pair of integers.
    """
    _checks.integer("n_actions", n_actions, 1, _MOST_ACTIONS)
    _checks.integer("limit", limit, 1)
    _checks.seed(seed)
    _checks.integer("stream", stream, 0, _MOST_SEQUENCES)
    renderer = renderer_of(dataset)
    moved = amounts_of(renderer) if amounts is None else check_amounts(amounts)
    actions, counts = _walk(n_actions, limit, moved, derived_seed(seed, _ACTIONS), stream)
    states = torch.from_numpy(counts)
    first, own_seed = stream << _SEQUENCE_BITS, derived_seed(seed, _SEQUENCE_SCENES)
    images, measure = _drawn(states, renderer, size, own_seed, first, dtype, out, device)
    return Sequence(images, states, torch.from_numpy(actions), measure)


def balanced(highest: int = 30, each: int = 150) -> NDArray[np.int64]:
    """Counts of a test set that has all of them alike.

    Args:
        highest: The largest count, at least 0.
        each: Scenes per count, at least 1.

    Returns:
        ((highest + 1) each,) int64: 0 ``each`` times, then 1, to ``highest``.

    Raises:
        ValueError: highest below 0 or each below 1.
        TypeError: Not integers.
    """
    _checks.integer("highest", highest, 0)
    _checks.integer("each", each, 1)
    return np.repeat(np.arange(highest + 1), each)


def pair_up(
    counts: Array, n_actions: int, limit: int = 8, seed: int = 0, *, amounts: tuple[int, int] = (1, 1)
) -> Pairs:
    """Choose pairs of items that a sequence of actions leads through.

    The actions are drawn as in :func:`sequences`; each count on the way is shown by an item drawn at random
    from those that have it, another one than just before. The second item of a pair is the first of the next.

    Args:
        counts: (N,) integers of the items at hand.
        n_actions: P, 1 to 2^24 - 1.
        limit: The most objects in a scene, at least 1.
        seed: 0 to 2^63 - 1.
        amounts: Least and largest number of objects that an action moves.

    Returns:
        Pairs (P, 2) of numbers of items, and their actions (P,).

    Complexity:
        O(N + P).

    Raises:
        ValueError: n_actions, limit, seed or amounts out of range, negative counts, or a count up to the
            limit that fewer than two items have.
        TypeError: Counts that are no integers.
    """
    held = _counts(counts).numpy()
    _checks.integer("n_actions", n_actions, 1, _MOST_ACTIONS)
    _checks.integer("limit", limit, 1)
    _checks.seed(seed)
    own_seed = derived_seed(seed, _PAIRS)
    pools = [np.flatnonzero(held == count) for count in range(limit + 1)]
    for count, pool in enumerate(pools):
        if len(pool) < 2:
            raise ValueError(
                f"counts: expected at least two items of each count from 0 to limit {limit}, "
                f"found {len(pool)} of {count}"
            )
    actions, states = _walk(n_actions, limit, check_amounts(amounts), own_seed, 0)
    draws = numbers(own_seed, 1, n_actions + 1)
    shown = np.empty(n_actions + 1, np.int64)
    before, last = -1, -1
    for place, (count, bits) in enumerate(zip(states.tolist(), draws.tolist(), strict=True)):
        pool, again = pools[count], count == before
        chosen = bits * (len(pool) - again) >> 64
        chosen += again and chosen >= last
        shown[place] = pool[chosen]
        before, last = count, chosen
    return Pairs(np.stack([shown[:-1], shown[1:]], 1), actions)


def _walk(
    n_actions: int, limit: int, amounts: tuple[int, int], seed: int, stream: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Actions (n,) and the counts before and after them (n + 1,), from 0 on."""
    least, most = amounts
    needed = max(least, 1)
    actions, counts = [], [0]
    count = 0
    for bits in numbers(seed, stream, n_actions).tolist():
        legal = _LEGAL[limit - count >= needed][count >= needed]
        action = legal[(bits >> 32) * len(legal) >> 32]
        if action != _SHAKE:
            room = limit - count if action == _PUT else count
            moved = least + ((bits & 0xFFFFFFFF) * (min(most, room) - least + 1) >> 32)
            count += moved if action == _PUT else -moved
        actions.append(action)
        counts.append(count)
    return np.array(actions, np.int64), np.array(counts, np.int64)


def _counts(counts: Array) -> torch.Tensor:
    """(N,) int64 on the CPU."""
    tensor = to_tensor("counts", counts).detach()
    if tensor.ndim != 1 or len(tensor) == 0:
        raise ValueError(f"counts: expected shape (N,), N above 0, found {tuple(tensor.shape)}")
    if tensor.is_floating_point() or tensor.dtype == torch.bool:
        raise TypeError(f"counts: expected integers, found {tensor.dtype}")
    tensor = tensor.to("cpu", torch.int64)
    if int(tensor.min()) < 0:
        raise ValueError(f"counts: expected none below 0, found {int(tensor.min())}")
    return tensor


def _drawn(
    counts: torch.Tensor,
    renderer: Renderer,
    size: int,
    seed: int,
    first: int,
    dtype: torch.dtype,
    out: Array | None,
    device: torch.device | str | None,
) -> "tuple[torch.Tensor, Callable[[], pd.DataFrame]]":
    """Images, and what measures their covariates when it is called."""
    target = None if out is None else to_output("out", out)
    if target is not None and device is not None and target.device != torch.device(device):
        raise ValueError(f"out: expected device {device}, found {target.device}")
    place = torch.device(device or "cpu") if target is None else target.device
    if isinstance(renderer, SceneLaw):
        squares = renderer.squares(counts, size, seed, first, place)
        images = ops.draw_squares(squares, size=size, dtype=dtype, out=target)
        return images, lambda: covariates_of(squares, size)
    _checks.integer("size", size, 1)
    _checks.seed(seed)
    if dtype not in (torch.float32, torch.uint8):
        raise TypeError(f"dtype: expected torch.float32 or torch.uint8, found {dtype}")
    images, covariates = _checked_rendering(renderer(counts, size, seed, first), len(counts), size)
    images = _converted(images, dtype).to(place)
    if target is not None:
        _checks.output("out", target, tuple(images.shape), dtype, (images,))
        images = target.copy_(images)
    return images, lambda: covariates


def _checked_rendering(drawn: Any, n: int, size: int) -> "tuple[torch.Tensor, pd.DataFrame]":
    """Demand of a renderer what :class:`Renderer` says."""
    if not isinstance(drawn, tuple) or len(drawn) != 2:
        raise TypeError(f"dataset: expected a renderer of (images, covariates), found {type(drawn).__name__}")
    images, covariates = drawn
    if not isinstance(images, torch.Tensor) or images.dtype not in (torch.float32, torch.uint8):
        found = getattr(images, "dtype", type(images).__name__)
        raise TypeError(f"dataset: expected a renderer of float32 or uint8 tensors, found {found}")
    if images.ndim != 4 or (images.shape[0], *images.shape[2:]) != (n, size, size):
        raise ValueError(
            f"dataset: expected a renderer of images ({n}, C, {size}, {size}), found {tuple(images.shape)}"
        )
    # NaN is neither.
    if images.dtype == torch.float32 and not bool(((images >= 0) & (images <= 1)).all()):
        raise ValueError("dataset: expected a renderer of float32 images in 0..1, found numbers beyond")
    missing = [name for name in COVARIATES if name not in covariates]
    if missing or len(covariates) != n:
        raise ValueError(
            f"dataset: expected a renderer of {n} rows of covariates {', '.join(COVARIATES)}, "
            f"found {len(covariates)} rows of {', '.join(map(str, covariates))}"
        )
    return images, covariates


def _converted(images: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """uint8 to float32 of 0 to 1, or back."""
    if images.dtype == dtype:
        return images
    return images.float() / 255 if dtype == torch.float32 else (images * 255).round().to(torch.uint8)
