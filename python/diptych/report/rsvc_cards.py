"""One card for each concept that is shown: scatters, collages, and the neurons it is told from."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from diptych._pictures import PatchSource, picture_of
from diptych.plots.concept_scatter import correlation
from diptych.report.rsvc_concepts import Network
from diptych.report.thumbnails import thumbnail
from diptych.rsvc.collages import collages, top_patches
from diptych.rsvc.neurons import NeuronContribution, neuron_contribution
from diptych.rsvc.results import RSVCResult
from diptych.rsvc.shown import check_patches

Pair = tuple[Any, Any]

# Coordinates of a scatter go from 0 to this; they are rounded to tenths.
_SPAN = 200.0
_DOTS = 1200
_NEURONS, _NEURON_PATCHES = 4, 6
_TITLES = {
    "top": ("Most of it", "the largest real coefficients"),
    "under": ("Predicted too low", "the largest real − predicted"),
    "over": ("Predicted too high", "the largest predicted − real"),
}


@dataclass
class ClassMaterial:
    """What the cards of one class are made from.

    Attributes:
        label: The class, or None.
        result: Its comparison.
        patches: Its pictures, or None.
        contributions: What the neurons of both networks contribute, or None without activations.
        activations: Of both networks on the evaluated patches, or None.
    """

    label: Hashable
    result: RSVCResult
    patches: PatchSource | None
    contributions: tuple[NeuronContribution, NeuronContribution] | None = None
    activations: tuple[NDArray[Any], NDArray[Any]] | None = None


def class_material(
    label: Hashable, result: RSVCResult, patches: PatchSource | None, activations: Pair | None
) -> ClassMaterial:
    """Check the pictures and activations of a class, and measure what neurons contribute.

    Raises:
        ValueError: Another number of pictures than patches, activations that do not fit, no regressions.
    """
    check_patches(patches, result, label)
    where = "" if label is None else f" of class {label!r}"
    material = ClassMaterial(label, result, patches)
    if activations is None:
        return material
    if result.regression_1 is None or result.regression_2 is None:
        raise ValueError(f"activations: expected a result{where} with its regressions, found none saved")
    own = result.coefficients_1, result.coefficients_2
    regressions = result.regression_1, result.regression_2
    try:
        first, second = (
            neuron_contribution(regressions[i], activations[i], np.concatenate([own[i], own[1 - i]], 1))
            for i in (0, 1)
        )
    except ValueError as error:
        raise ValueError(f"activations{where}: {error}") from error
    material.contributions = first, second
    material.activations = np.asarray(activations[0]), np.asarray(activations[1])
    return material


def card(network: Network, row: int, other: str, material: ClassMaterial, side_pixels: int) -> dict[str, Any]:
    """Everything the template shows of one concept."""
    result, place = material.result, 0 if network.side == "a" else 1
    number, own, cross = int(network.concepts[row]), str(place + 1), ("2to1", "1to2")[place]
    real = getattr(result, f"coefficients_{own}")[:, number]
    predicted = {
        other: getattr(result, f"predicted_{cross}")[:, number],
        "itself": getattr(result, f"predicted_{own}")[:, number],
    }
    chosen = collages(real, predicted[other], result.groups)
    return {
        "id": card_id(network, row),
        "side": network.side,
        "name": network.name,
        "other": other,
        "number": number,
        "label": material.label,
        "numbers": {key: float(column[row]) for key, column in network.columns.items()},
        "scatters": _scatters(real, predicted, {"under": chosen.under, "over": chosen.over}),
        "collages": [
            {
                "key": key,
                "title": _TITLES[key][0],
                "meaning": _TITLES[key][1],
                "tiles": _tiles(patches, material, side_pixels, real, predicted[other]),
            }
            for key, patches in chosen._asdict().items()
        ],
        "neurons": _neurons(place, number, other, network.name, material, side_pixels),
    }


def card_id(network: Network, row: int) -> str:
    """The name a card has inside the page."""
    return f"{network.side}-{network.classes[row]}-{network.concepts[row]}"


def _tiles(
    chosen: Sequence[int] | NDArray[np.int64],
    material: ClassMaterial,
    side_pixels: int,
    real: NDArray[Any] | None = None,
    predicted: NDArray[Any] | None = None,
) -> list[dict[str, Any]]:
    tiles = []
    for patch in map(int, chosen):
        told = f"patch {patch}, image {material.result.groups[patch]}"
        if real is not None and predicted is not None:
            told += f": real {real[patch]:.3g}, predicted {predicted[patch]:.3g}"
        uri = None
        if material.patches is not None:
            uri = Markup(thumbnail(picture_of(material.patches, patch), side_pixels))
        tiles.append({"patch": patch, "told": told, "uri": uri})
    return tiles


def _scatters(
    real: NDArray[Any], predicted: dict[str, NDArray[Any]], marked: dict[str, NDArray[np.int64]]
) -> list[dict[str, Any]]:
    """Dots as paths in a square of ``_SPAN``, both scatters on one scale."""
    low = float(min(real.min(), *(each.min() for each in predicted.values()), 0.0))
    high = float(max(real.max(), *(each.max() for each in predicted.values())))
    span = (high - low) or 1.0
    shown = np.arange(len(real))
    if len(shown) > _DOTS:
        shown = np.sort(np.random.default_rng(0).choice(shown, _DOTS, replace=False))

    def places(guess: NDArray[Any], patches: NDArray[Any]) -> list[tuple[float, float]]:
        across = _SPAN * (real[patches] - low) / span
        down = _SPAN * (1 - (guess[patches] - low) / span)
        return [(round(float(x), 1), round(float(y), 1)) for x, y in zip(across, down, strict=True)]

    found = []
    for number, (by, guess) in enumerate(predicted.items()):
        dots = "".join(f"M{x:g} {y:g}h0" for x, y in places(guess, shown))
        marks = {} if number else {key: places(guess, patches) for key, patches in marked.items()}
        found.append({"by": by, "r": correlation(real, guess), "dots": Markup(dots), "marks": marks})
    return found


def _neurons(
    place: int, number: int, other: str, name: str, material: ClassMaterial, side_pixels: int
) -> list[dict[str, Any]]:
    """The strongest neurons of the concept's own network, then of the other one."""
    if material.contributions is None or material.activations is None:
        return []
    shown = []
    for source, called in ((place, name), (1 - place, other)):
        contribution = material.contributions[source]
        own = material.result.coefficients_1 if source == 0 else material.result.coefficients_2
        # A regression predicts the concepts of its own network first, then the other's.
        column = number if source == place else own.shape[1] + number
        rows = []
        for neuron in np.asarray(contribution.strongest(column, _NEURONS)).tolist():
            values = material.activations[source][:, neuron]
            patches = top_patches(values, material.result.groups, n=_NEURON_PATCHES)
            rows.append(
                {
                    "neuron": neuron,
                    "fall": float(contribution.fall[neuron, column]),
                    "tiles": _tiles(patches, material, side_pixels),
                }
            )
        shown.append({"side": "ab"[source], "name": called, "rows": rows})
    return shown
