"""Greebles-like figures in three classes that overlap."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from diptych._files import atomic_path
from diptych._progress import track
from diptych._tables import load_pandas
from diptych.ops import _checks
from diptych.ops._counter import derived_seed, numbers
from diptych.tracing.greeble_figure import draw

if TYPE_CHECKING:
    import pandas

#: The classes, by number.
CLASSES = ("Agara", "Bari", "Cooka")
#: What a figure is described by, each 0 to 1, and the columns that tell of its class.
ATTRIBUTES = ("head_width", "head_size", "body_width", "body_size", "red", "green")
INFORMATIVE = (3, 4, 5)

# Of the informative attributes, a normal law cut to 0..1: means by class and attribute, and the deviation of
# all. Each class has one of them low, one middling and one high, so that no two of the classes are told apart
# by one attribute alone.
_MEANS = np.array([[0.35, 0.50, 0.65], [0.50, 0.65, 0.35], [0.65, 0.35, 0.50]])
_DEVIATION = 0.13

_DRAWS = 11


@dataclass(frozen=True, eq=False)
class Greebles:
    """m figures; made by :func:`greebles`.

    Attributes:
        images: (m, size, size, 3) uint8.
        labels: (m,) int64, indices into ``classes``.
        attributes: (m, 6) float64 of 0 to 1, the columns of ``ATTRIBUTES``.
        items: Names of the images, as files that :meth:`save` writes: "Agara/0000.png".
        classes: "Agara", "Bari", "Cooka".
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    attributes: NDArray[np.float64]
    items: tuple[str, ...]
    classes: tuple[str, ...] = CLASSES

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def posterior(self) -> NDArray[np.float64]:
        """(m, 3) probabilities of the classes, to who knows how the figures are made."""
        return posterior(self.attributes)

    @property
    def ideal_accuracy(self) -> float:
        """Expected share of these figures whose class the ideal observer names right: the likeliest one."""
        return float(self.posterior.max(1).mean())

    def to_frame(self) -> "pandas.DataFrame":
        """A row for each figure: its name, its class and its attributes.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        columns = {"image": self.items, "label": [self.classes[label] for label in self.labels]}
        return load_pandas("to_frame").DataFrame(
            columns | dict(zip(ATTRIBUTES, self.attributes.T, strict=True))
        )

    def save(self, folder: str | os.PathLike[str], *, progress: bool = True) -> Path:
        """Write the images as PNG, in a folder for each class; each whole or not at all.

        Raises:
            ModuleNotFoundError: Pillow is not installed.
        """
        from PIL import Image

        root = Path(folder)
        for item in track(range(len(self)), "writing greebles", shown=progress):
            with atomic_path(root / self.items[item]) as temporary:
                Image.fromarray(self.images[item]).save(temporary)
        return root


def greebles(n_per_class: int = 400, size: int = 128, seed: int = 0, *, progress: bool = True) -> Greebles:
    """Draw Greebles-like figures, after Fig. 2.7 of the thesis.

    Body size and the two colors inform of the class, each by a normal law around a mean of the class (0.35,
    0.5 or 0.65, deviation 0.13) cut to 0..1; the other attributes are uniform, the same for all classes. The
    laws and the figures are ours; the thesis tells which attributes inform and that the classes overlap. An
    ideal observer (:func:`posterior`) names the right class of 86 % of the figures, and one who sees a single
    attribute that of 62 %.

    Args:
        n_per_class: Figures of each class, at least 1. Figure k of a class is the same however many are
            drawn.
        size: Pixels of a side, 16 to 1024.
        seed: 0 to 2^63 - 1.
        progress: Show a bar when it takes longer than two seconds.

    Returns:
        The figures, class by class.

    Complexity:
        O(size²) for each; 1,200 of 128×128 take some 3 s and 59 MB.

    Raises:
        ValueError: A number out of range.
        TypeError: Not integers.
    """
    _checks.integer("n_per_class", n_per_class, 1)
    _checks.integer("size", size, 16, 1024)
    _checks.seed(seed)
    labels = np.repeat(np.arange(len(CLASSES)), n_per_class)
    attributes = np.concatenate([_attributes(label, n_per_class, seed) for label in range(len(CLASSES))])
    images = np.empty((len(labels), size, size, 3), np.uint8)
    for item in track(range(len(labels)), "drawing greebles", shown=progress):
        draw(attributes[item], images[item])
    items = tuple(f"{name}/{number:04d}.png" for name in CLASSES for number in range(n_per_class))
    return Greebles(images, labels, attributes, items)


def posterior(attributes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of the classes, given the attributes: what an ideal observer believes.

    Bayes' rule with equal priors and the laws by which :func:`greebles` draws. Who names the likeliest class
    is right as often as anybody can be.

    Args:
        attributes: (m, 6) of 0 to 1, the columns of ``ATTRIBUTES``.

    Returns:
        (m, 3) float64.

    Raises:
        ValueError: Another shape.
    """
    given = np.asarray(attributes, np.float64)
    if given.ndim != 2 or given.shape[1] != len(ATTRIBUTES):
        raise ValueError(f"attributes: expected shape (m, {len(ATTRIBUTES)}), found {given.shape}")
    low, high = (ndtr((bound - _MEANS) / _DEVIATION) for bound in (0.0, 1.0))
    distance = (given[:, None, INFORMATIVE] - _MEANS) / _DEVIATION
    logs = (-0.5 * distance**2 - np.log(high - low)).sum(2)
    shares = np.exp(logs - logs.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def _attributes(label: int, n: int, seed: int) -> NDArray[np.float64]:
    """(n, 6) of the figures of a class."""
    own_seed = derived_seed(derived_seed(seed, _DRAWS), label)
    bits = np.stack([numbers(own_seed, number, len(ATTRIBUTES)) for number in range(n)])
    # 53 bits, in the middle of their intervals: neither 0 nor 1.
    values = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    mean = _MEANS[label]
    low, high = (ndtr((bound - mean) / _DEVIATION) for bound in (0.0, 1.0))
    informative = list(INFORMATIVE)
    values[:, informative] = mean + _DEVIATION * ndtri(low + values[:, informative] * (high - low))
    return values
