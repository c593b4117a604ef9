"""Figures of the toy-concept and the training-variation experiments."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from diptych.plots import toy_concepts, toy_similarity, variation_similarity
from diptych.rsvc.color_mnist import SIDE
from diptych.rsvc.toy import GRID
from diptych.rsvc.toy_claims import ConceptRow
from diptych.rsvc.variations import VARIATIONS, VariationRow


def concept(model: str, number: int, cmcs: float, square: bool = False, epochs: int = 12) -> ConceptRow:
    sign = 1.0 if square else 0.0
    return ConceptRow(0, 4, epochs, model, number, cmcs, 0.95, 0.5, sign, sign)


@pytest.fixture
def run() -> Any:
    """Three images, of one grey each, and two concepts of each network."""
    pictures = np.zeros((3, SIDE, SIDE, 3), np.uint8) + np.array([10, 20, 30], np.uint8)[:, None, None, None]
    coefficients = np.zeros((3 * len(GRID), 2))
    coefficients[2 * len(GRID) :, 0] = 1
    coefficients[: len(GRID), 1] = 1
    return SimpleNamespace(
        images=SimpleNamespace(images=pictures),
        result=SimpleNamespace(coefficients_1=coefficients, coefficients_2=coefficients),
        concepts=[
            concept("M_ps", 0, 0.9),
            concept("M_ps", 1, 0.5, square=True),
            concept("M_nc", 0, float("nan")),
            concept("M_nc", 1, 0.8),
        ],
    )


def test_concepts_show_their_top_patches_lowest_similarity_first(run: Any) -> None:
    figure = toy_concepts(run)
    words = [ax.get_ylabel() for ax in figure.axes]
    assert words == [
        "CMCS 0.50\nSMCS 0.95\nsquare",
        "CMCS 0.80\nSMCS 0.95",
        "CMCS 0.90\nSMCS 0.95",
        "CMCS nan\nSMCS 0.95",
    ]
    greys = [{int(image.get_array().mean()) for image in ax.get_images()} for ax in figure.axes]
    assert greys == [{10}, {10}, {30}, {30}]
    assert [len(ax.get_images()) for ax in figure.axes] == [10] * 4


def points(figure: Figure, panel: int) -> list[list[list[float]]]:
    found = [each for each in figure.axes[panel].collections if isinstance(each, PathCollection)]
    return [np.asarray(each.get_offsets()).tolist() for each in found]


def test_each_setting_and_network_has_its_panel(run: Any) -> None:
    rows = [*run.concepts, concept("M_ps", 0, 0.7, epochs=24)]
    figure = toy_similarity(rows)
    assert len(figure.axes) == 4
    assert points(figure, 0) == [[[0.95, 0.9]], [[0.95, 0.5]]]
    assert points(figure, 1) == [[[0.95, 0.8]], []]
    assert points(figure, 2) == [[[0.95, 0.7]], []]
    with pytest.raises(ValueError, match="rows: expected at least one concept, found none"):
        toy_similarity([])


def test_bars_are_means_over_seeds_of_means_over_digits() -> None:
    rows = [
        VariationRow(seed, 4, 12, name, digit, 0.5 + 0.1 * place + 0.02 * seed + 0.04 * digit, 1, 1, 1)
        for place, name in enumerate(VARIATIONS)
        for seed in (0, 1)
        for digit in (0, 1)
    ]
    figure = variation_similarity(rows)
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert np.allclose(heights, [0.53, 0.63, 0.73, 0.83])
    assert np.allclose(np.concatenate(points(figure, 0))[:2, 1], [0.52, 0.54])
    with pytest.raises(ValueError, match="rows: expected at least one variation, found none"):
        variation_similarity([])
