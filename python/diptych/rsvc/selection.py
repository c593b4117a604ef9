"""Which classes are compared, and on which images: those that each network takes for the class."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych._text import storable
from diptych.embed import Activations, ImageSet

#: Fewest images of a class that a network's concepts are extracted from.
LEAST_IMAGES = 5

_OFFERED = 5

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ClassImages:
    """The images of a class, by their indices.

    Attributes:
        number: The class' number in the logits.
        predicted: How many images network 1 takes for the class, and network 2.
        training: (n,) ascending: those that either network's concepts are extracted from.
        own: (n,) bool each: those that network 1's concepts are extracted from, and network 2's.
        evaluation: (m,) ascending: other images, to measure on; none where too few are left.
    """

    number: int
    predicted: tuple[int, int]
    training: Indices
    own: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    evaluation: Indices


def names_apart(first: str, second: str) -> tuple[str, str]:
    """Names of two models as tables can hold them, told apart where they are the same."""
    first, second = storable(first), storable(second)
    return (first, second) if first != second else (f"{first} (1)", f"{second} (2)")


def predicted_classes(
    logits: tuple[Activations, Activations], n: int, called: tuple[str, str]
) -> tuple[Indices, Indices]:
    """The class that each network takes each of n images for, -1 for those that could not be read.

    Raises:
        ValueError: Other numbers of logits.
    """
    counts = [each["logits"].shape[1] for each in logits]
    if counts[0] != counts[1]:
        raise ValueError(
            f"models: expected as many logits of both, for the same classes, found {counts[0]} of "
            f"{called[0]} and {counts[1]} of {called[1]}"
        )
    found = np.full((2, n), -1, np.int64)
    for row, each in zip(found, logits, strict=True):
        row[each.indices] = each.predicted()
    return found[0], found[1]


def names_of_classes(images: ImageSet, logits: int, class_names: Sequence[str] | None) -> list[str]:
    """Names of the logits: those given, those of the images' classes if there are as many, or numbers.

    They are such as tables can hold; see :func:`diptych._tables.storable`.

    Raises:
        ValueError: Not a name for each logit, or one twice.
    """
    names = class_names if class_names is not None else images.classes
    if class_names is not None and len(class_names) != logits:
        raise ValueError(f"class_names: expected {logits}, one for each logit, found {len(class_names)}")
    if names is None or len(names) != logits:
        return [str(number) for number in range(logits)]
    if len(set(names)) < logits:
        twice = next(name for name in names if list(names).count(name) > 1)
        raise ValueError(f"class_names: expected each once, found {twice!r} twice")
    return [storable(str(name)) for name in names]


def wanted_classes(
    classes: Sequence[int | str] | None, predicted: tuple[Indices, Indices], names: Sequence[str]
) -> list[int]:
    """Numbers of the classes to compare, ascending: those asked for, or all that either network predicts.

    Raises:
        ValueError: No classes, or one that is neither a name nor a number (the nearest names are offered).
        TypeError: Neither numbers nor names.
    """
    if classes is None:
        return [number for number in np.union1d(*predicted).tolist() if number >= 0]
    if isinstance(classes, str) or not isinstance(classes, Sequence):
        raise TypeError(f"classes: expected a list of numbers or names, found {classes!r}")
    if not classes:
        raise ValueError("classes: expected at least one, found none")
    return sorted({_class_number(each, names) for each in classes})


def _class_number(wanted: Any, names: Sequence[str]) -> int:
    if isinstance(wanted, str) and storable(wanted) in names:
        return list(names).index(storable(wanted))
    if isinstance(wanted, str) and wanted.isdecimal():
        wanted = int(wanted)
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        if 0 <= wanted < len(names):
            return wanted
        raise ValueError(f"classes: expected numbers 0 to {len(names) - 1}, found {wanted}")
    if not isinstance(wanted, str):
        raise TypeError(f"classes: expected numbers or names, found {wanted!r}")
    near = difflib.get_close_matches(wanted, names, _OFFERED, 0.0)
    raise ValueError(f"classes: no class {wanted!r}; the nearest are {', '.join(map(repr, near))}")


def too_few(of_class: tuple[Indices, Indices], called: tuple[str, str], least: int) -> str | None:
    """Why a class cannot be compared on these images, None if it can."""
    for found, name in zip(of_class, called, strict=True):
        if not len(found):
            return f"{name} never predicts it"
        if len(found) < least:
            return f"{name} predicts it for {len(found)} images, expected at least {least}"
    return None


def members(predicted: tuple[Indices, Indices], number: int) -> tuple[Indices, Indices]:
    """The images that network 1 takes for a class, and network 2."""
    first, second = (np.flatnonzero(each == number) for each in predicted)
    return first, second


def choose_images(
    of_class: tuple[Indices, Indices],
    number: int,
    *,
    extraction: int,
    evaluation: int,
    least: int,
    seed: int,
) -> ClassImages:
    """Share out the images of a class.

    All images are put into one random order. Each network's concepts are extracted from the first of its own
    in that order, and the next of them that neither network's concepts are extracted from are measured on.
    Where a network has fewer images than both numbers together they are shared out in their proportion;
    where fewer than ``least`` would be left to measure on, none are, and all may be extracted from.

    Args:
        of_class: What :func:`members` found, at least ``least`` for each network.
        number: The class; seeds the order together with ``seed``.
        extraction: Images of each network to extract from.
        evaluation: Images of each network to measure on.
        least: Fewest images that folds can be made of.
        seed: Of the order.

    Returns:
        The images; training and evaluation have none in common.
    """
    order = np.random.default_rng([seed, number]).permutation(np.union1d(*of_class))
    ordered = [order[np.isin(order, each)] for each in of_class]
    wanted = [_share(len(each), extraction, evaluation, least) for each in ordered]
    taken = [each[:count] for each, count in zip(ordered, wanted, strict=True)]
    left = [each[~np.isin(each, np.union1d(*taken))][:evaluation] for each in ordered]
    measured = np.union1d(*left)
    if len(measured) < least:
        measured = measured[:0]
        taken = [each[:extraction] for each in ordered]
    training = np.union1d(*taken)
    first, second = (np.isin(training, each) for each in taken)
    counts = len(of_class[0]), len(of_class[1])
    return ClassImages(number, counts, training, (first, second), measured)


def _share(found: int, extraction: int, evaluation: int, least: int) -> int:
    if found >= extraction + evaluation:
        return extraction
    return max(least, round(found * extraction / (extraction + evaluation)))


def patch_rows(images: Indices, among: Indices, patches: int) -> Indices:
    """Rows of activations of some images, where those of the images ``among`` lie one after the other.

    Args:
        images: (n,) indices, all of them in ``among``.
        among: (m,) ascending indices.
        patches: Rows of each image.

    Returns:
        (n * patches,) rows.
    """
    rows: NDArray[Any] = np.searchsorted(among, images)[:, None] * patches + np.arange(patches)
    return rows.ravel().astype(np.int64)
