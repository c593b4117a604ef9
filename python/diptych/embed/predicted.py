"""Images by the class that models predict for them, and the union over models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class PredictedGroup:
    """The images of one class.

    Attributes:
        by_model: Of each model, ascending indices of the images chosen among those it predicts the class for.
        union: Ascending indices of the images that any model has, each once.
    """

    by_model: tuple[NDArray[np.int64], ...]
    union: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PredictedGroups:
    """The classes that every model predicts often enough.

    Attributes:
        groups: The images by class, in ascending order of classes.
        skipped: Why other classes have no group, by class.
    """

    groups: Mapping[int, PredictedGroup]
    skipped: Mapping[int, str]


def group_by_prediction(
    predictions: Sequence[Any], *, per_class: int = 100, at_least: int = 5, seed: int = 0
) -> PredictedGroups:
    """Choose images of every class by what models predict, for concept proposals (RSVC, thesis ch. 3).

    Of the images that a model predicts a class for, ``per_class`` are drawn at random: 100 for concept
    extraction, 50 for concept correlations alone. All models draw in the same random order of the images, so
    that they share those they agree on.

    Args:
        predictions: Of each model (n,) predicted classes of the same n images
            (:meth:`diptych.embed.Activations.predicted`), whole numbers not below 0.
        per_class: Images drawn per model and class, at most.
        at_least: Images that each model must predict a class for; other classes are skipped, saying why.
        seed: Of the random order.

    Returns:
        The groups, and the classes that were skipped.

    Complexity:
        O(n log n) time for each model and O(n) memory.

    Raises:
        TypeError: Predictions that are no whole numbers.
        ValueError: No model, predictions of different images, a class below 0, per_class below at_least,
            at_least below 1.
    """
    arrays = _checked(predictions)
    if at_least < 1:
        raise ValueError(f"at_least: expected at least 1, found {at_least}")
    if per_class < at_least:
        raise ValueError(f"per_class: expected at least at_least={at_least}, found {per_class}")
    order = np.random.default_rng(seed).permutation(len(arrays[0]))
    members = [_by_class(array, order) for array in arrays]
    groups: dict[int, PredictedGroup] = {}
    skipped: dict[int, str] = {}
    for label in sorted(set().union(*members)):
        counts = [len(of_model.get(label, ())) for of_model in members]
        if min(counts) < at_least:
            number = int(np.argmin(counts))
            skipped[label] = f"model {number + 1} predicts it for {counts[number]} images, wanted {at_least}"
            continue
        chosen = tuple(np.sort(of_model[label][:per_class]) for of_model in members)
        groups[label] = PredictedGroup(chosen, np.unique(np.concatenate(chosen)))
    return PredictedGroups(groups, skipped)


def _checked(predictions: Sequence[Any]) -> list[NDArray[np.int64]]:
    arrays = [np.asarray(each) for each in predictions]
    if not arrays:
        raise ValueError("predictions: expected those of at least one model, found none")
    for number, array in enumerate(arrays, start=1):
        if array.ndim != 1 or len(array) != len(arrays[0]):
            raise ValueError(
                f"predictions: expected one class of each of {arrays[0].size} images, found shape "
                f"{array.shape} for model {number}"
            )
        if array.dtype.kind not in "iu":
            raise TypeError(f"predictions: expected whole numbers, found {array.dtype} for model {number}")
        if len(array) and array.min() < 0:
            item = int(array.argmin())
            raise ValueError(
                f"predictions: expected classes from 0, found {array[item]} for image {item} of model "
                f"{number}"
            )
    return [array.astype(np.int64) for array in arrays]


def _by_class(predicted: NDArray[np.int64], order: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    """Images of each class, in the given order."""
    shuffled = predicted[order]
    sorted_order = order[np.argsort(shuffled, kind="stable")]
    labels, starts = np.unique(np.sort(shuffled), return_index=True)
    parts = np.split(sorted_order, starts[1:])
    return {int(label): part for label, part in zip(labels, parts, strict=True)} if len(labels) else {}
