"""The laws of scenes: how large and how bright their objects are, and whatever else draws scenes."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import torch

from diptych import ops
from diptych.ops import _checks
from diptych.ops._arrays import Array
from diptych.ops._squares import MAX_SIZE
from diptych.ops.place_squares import checked_law

if TYPE_CHECKING:
    import pandas as pd

#: What is known of a scene beside its count: the mean intensity of its pixels (0 to 1), the area of its
#: objects and that of their convex hull (both in pixels).
COVARIATES = ("mean_intensity", "summed_area", "hull_area")


class Renderer(Protocol):
    """Draws scenes; whatever can be called like this is a data set.

    It shall be deterministic: scene i depends on the seed, on first + i and on counts[i] alone. If it has an
    attribute ``amounts``, the least and largest number of objects that an action moves, sequences obey it.
    """

    def __call__(
        self, counts: torch.Tensor, size: int, seed: int, first: int
    ) -> "tuple[torch.Tensor, pd.DataFrame]":
        """Draw scenes number first, first + 1, ...

        Args:
            counts: (N,) int64 on the CPU, objects in each.
            size: Pixels of a side.
            seed: 0 to 2^63 - 1.
            first: Number of the first scene.

        Returns:
            (N, C, size, size) float32 of 0 to 1 or uint8, and N rows of covariates with the columns of
            ``COVARIATES``.
        """


@dataclass(frozen=True)
class SceneLaw:
    """How scenes of squares are drawn.

    Attributes:
        sides: Least and largest side of a scene's squares, in pixels; it is drawn anew for every scene.
        contrasts: The same of their contrast, above 0 and up to 1.
        side_jitter: Each square deviates from its scene's side by at most so many pixels.
        contrast_jitter: The same of its contrast, in units of full contrast.
        clearance: Empty pixels between any two squares, in x or in y.
        amounts: Least and largest number of objects that an action puts or takes.

    Raises:
        TypeError: Not a pair of a least and a largest number, or no numbers.
        ValueError: A number out of range, the least above the largest, amounts of 0 alone.
    """

    sides: tuple[int, int] = (15, 15)
    contrasts: tuple[float, float] = (1.0, 1.0)
    side_jitter: int = 0
    contrast_jitter: float = 0.0
    clearance: int = 3
    amounts: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        ranges = self.sides, self.side_jitter, self.contrasts, self.contrast_jitter, self.clearance
        checked_law(MAX_SIZE, *ranges, tries=1, seed=0)
        check_amounts(self.amounts)

    def squares(
        self, counts: Array, size: int, seed: int, first: int, device: torch.device | str
    ) -> torch.Tensor:
        """Place the squares of scenes number first, first + 1, ...: :func:`diptych.ops.place_squares`."""
        index = torch.arange(first, first + len(counts))
        return ops.place_squares(
            counts,
            index=index,
            size=size,
            sides=self.sides,
            contrasts=self.contrasts,
            side_jitter=self.side_jitter,
            contrast_jitter=self.contrast_jitter,
            clearance=self.clearance,
            seed=seed,
            device=device,
        )

    def __call__(
        self, counts: torch.Tensor, size: int, seed: int, first: int
    ) -> "tuple[torch.Tensor, pd.DataFrame]":
        """Draw scenes number first, first + 1, ..., as every renderer does."""
        squares = self.squares(counts, size, seed, first, "cpu")
        return ops.draw_squares(squares, size=size), covariates_of(squares, size)


def renderer_of(dataset: "str | Renderer") -> Renderer:
    """The renderer that a data set names or is.

    Raises:
        ValueError: There is no data set of this name.
        TypeError: Neither a name nor something that draws scenes.
    """
    if isinstance(dataset, str):
        _checks.one_of("dataset", dataset, DATASETS)
        return DATASETS[dataset]
    if not callable(dataset):
        raise TypeError(f"dataset: expected a name, a SceneLaw or a renderer, found {dataset!r}")
    return dataset


def amounts_of(dataset: "str | Renderer") -> tuple[int, int]:
    """Least and largest number of objects that an action of a data set moves; one, if it does not say."""
    return check_amounts(getattr(renderer_of(dataset), "amounts", (1, 1)))


def described(dataset: "str | Renderer") -> str:
    """A data set in words that tell it from others: a name, or what a renderer calls itself."""
    if isinstance(dataset, str):
        return dataset
    if hasattr(dataset, "__qualname__"):
        return dataset.__qualname__
    # Object's own words are its address, which is another one when a training is resumed.
    own_words = type(dataset).__repr__ is not object.__repr__
    return repr(dataset) if own_words else type(dataset).__qualname__


def check_amounts(amounts: tuple[int, int]) -> tuple[int, int]:
    """Demand the least and the largest number of objects that an action moves."""
    if not isinstance(amounts, tuple | list) or len(amounts) != 2:
        raise TypeError(f"amounts: expected the least and the largest, found {amounts!r}")
    least, most = amounts
    _checks.integer("amounts", most, 1)
    _checks.integer("amounts", least, 0)
    if least > most:
        raise ValueError(f"amounts: expected the least before the largest, found {least} and {most}")
    return least, most


def covariates_of(squares: torch.Tensor, size: int) -> "pd.DataFrame":
    """The covariates of scenes of squares (N, K, 4), as a frame of N rows."""
    import pandas as pd

    measured = ops.square_covariates(squares, size=size)
    return pd.DataFrame(measured.cpu().numpy(), columns=list(COVARIATES))


_VARIED = SceneLaw(sides=(10, 30), contrasts=(25 / 255, 1.0))

#: The data sets of squares by name. "A": 15 pixels, full contrast. "B": 10 to 30 pixels, 25/255 to full
#: contrast, the same for all squares of a scene. "jitter": as B, and every square deviates by up to 3 pixels
#: and 0.02 of full contrast; the thesis' text prints 0.02 %, "jitter-as-printed". "imprecise": as A, and an
#: action puts or takes 0 to 3 objects.
DATASETS = {
    "A": SceneLaw(),
    "B": _VARIED,
    "jitter": replace(_VARIED, side_jitter=3, contrast_jitter=0.02),
    "jitter-as-printed": replace(_VARIED, side_jitter=3, contrast_jitter=0.0002),
    "imprecise": SceneLaw(amounts=(0, 3)),
}
