"""The numbers behind the two maps, packed small enough to travel inside the page."""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.plots.projection import Projection
from diptych.rdx.results import RDXResult

MAP_ITEMS = 20_000
_STEPS = 65_535


@dataclass(frozen=True)
class Shown:
    """Which items the maps show: those of the grids first, then others drawn at random.

    Attributes:
        items: (count,) int64, at most ``MAP_ITEMS`` beside the grid items.
        total: Number of items compared.
    """

    items: NDArray[np.int64]
    total: int


def shown_items(result: RDXResult, limit: int = MAP_ITEMS) -> Shown:
    """Choose the items the maps show, all of them where there are at most ``limit``."""
    grids = [grid for _, _, side in result.directions for grid in side.grids]
    first = np.unique(np.concatenate([np.empty(0, np.int64), *grids]))
    others = np.setdiff1d(np.arange(result.n), first)
    others = np.random.default_rng(0).permutation(others)[: max(0, limit - len(first))]
    return Shown(np.concatenate([first, others]), result.n)


def map_data(
    result: RDXResult, projections: tuple[Projection, Projection] | None, shown: Shown
) -> dict[str, Any]:
    """Everything the maps need, as JSON values; arrays are base64 of little-endian numbers.

    Coordinates are rounded to 65,536 steps of their range, finer than any screen.
    """
    data: dict[str, Any] = {
        "items": packed(shown.items, "<i4"),
        "clusters": [packed(side.labels[shown.items], "<i2") for _, _, side in result.directions],
        "grids": [[grid.tolist() for grid in side.grids] for _, _, side in result.directions],
        "points": None,
    }
    if projections is not None:
        data["points"] = [
            {**packed_points(each.points[shown.items]), "explained": list(each.explained)}
            for each in projections
        ]
    return data


def packed_points(points: NDArray[Any]) -> dict[str, Any]:
    """Places (count, 2) as JSON values, in steps of their range."""
    points = points.astype(np.float64)
    low = points.min(axis=0)
    span = np.ptp(points, axis=0)
    steps = np.round((points - low) / np.where(span > 0, span, 1) * _STEPS)
    return {
        "low": low.tolist(),
        "step": (span / _STEPS).tolist(),
        "x": packed(steps[:, 0], "<u2"),
        "y": packed(steps[:, 1], "<u2"),
    }


def packed(values: NDArray[Any], dtype: str) -> str:
    """Numbers as base64 of their little-endian bytes."""
    return base64.b64encode(values.astype(dtype).tobytes()).decode("ascii")
