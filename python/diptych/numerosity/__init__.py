"""Numerosity: a network that names the actions between two scenes, and the number line it comes to hold.

Kondapaneni & Perona, "A number sense as an emergent property of the manipulating brain", Scientific Reports
14:6858 (2024), doi 10.1038/s41598-024-56828-2.
"""

from typing import TYPE_CHECKING, Any

from diptych.numerosity.actions import ACTIONS
from diptych.numerosity.data import Pairs, Scenes, Sequence, balanced, pair_up, scenes, sequences
from diptych.numerosity.laws import COVARIATES, DATASETS, Renderer, SceneLaw

if TYPE_CHECKING:
    from diptych.numerosity.photographs import Photographs

__all__ = [
    "ACTIONS",
    "COVARIATES",
    "DATASETS",
    "Pairs",
    "Photographs",
    "Renderer",
    "SceneLaw",
    "Scenes",
    "Sequence",
    "balanced",
    "pair_up",
    "scenes",
    "sequences",
]


def __getattr__(name: str) -> Any:
    # Reading pictures loads what training on squares does without.
    if name == "Photographs":
        from diptych.numerosity.photographs import Photographs

        return Photographs
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
