"""What the toy-concept experiment is to show, and whether it did."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# A concept is the square if so many of its top patches hold it, and its coefficients rise with it.
_TOP_SHARE, _CORRELATION = 0.8, 0.5

# How far below the other concepts' CMCS, and its own SMCS, that of the square is to be; the others' least.
_BELOW_OTHERS, _BELOW_SELF, _OTHERS = 0.25, 0.3, 0.8


@dataclass(frozen=True)
class ConceptRow:
    """A concept of one of the networks.

    Attributes:
        seed: Of images and training.
        depth: Convolutions of the networks.
        epochs: Passes over the training images.
        model: The network whose concept it is, "M_ps" or "M_nc".
        concept: Its number, strongest first.
        cmcs: Its similarity as the other network predicts it; NaN for a dead concept.
        smcs: Its similarity as its own network predicts it.
        mcs: Its largest correlation with a concept of the other network.
        top_share: Share of its 20 top patches that hold the square.
        correlation: Of its coefficients with how much of the square is in the patch.
    """

    seed: int
    depth: int
    epochs: int
    model: str
    concept: int
    cmcs: float
    smcs: float
    mcs: float
    top_share: float
    correlation: float

    @property
    def is_square(self) -> bool:
        """Whether it is the square: share of top patches >= 0.8, correlation >= 0.5."""
        return self.top_share >= _TOP_SHARE and self.correlation >= _CORRELATION


@dataclass(frozen=True)
class ClaimRow:
    """A claim about one run.

    Attributes:
        seed: Of images and training.
        depth: Convolutions of the networks.
        epochs: Passes over the training images.
        claim: In words.
        value: What was found; NaN where there is nothing to measure.
        wanted: The bound.
        met: Whether the claim holds.
    """

    seed: int
    depth: int
    epochs: int
    claim: str
    value: float
    wanted: str
    met: bool


def claims(rows: Sequence[ConceptRow]) -> list[ClaimRow]:
    """Check every claim against the concepts of one run, dead concepts left out.

    Each holds for every square concept and, but where it says so, for every other one. Without a square
    concept in M_ps only the claim about M_nc can hold.

    Raises:
        ValueError: There are no rows, or rows of several runs.
    """
    runs = {(row.seed, row.depth, row.epochs) for row in rows}
    if len(runs) != 1:
        raise ValueError(f"rows: expected the concepts of one run, found those of {len(runs)}")
    run = runs.pop()
    own = [row for row in rows if row.model == "M_ps" and not math.isnan(row.cmcs)]
    squares = [row for row in own if row.is_square]
    others = np.array([row.cmcs for row in own if not row.is_square])
    highest = max((row.cmcs for row in squares), default=math.nan)
    least, mean = (float(others.min()), float(others.mean())) if len(others) else (math.nan, math.nan)
    drop = min((row.smcs - row.cmcs for row in squares), default=math.nan)
    found = [
        ("square concepts of M_ps", float(len(squares)), ">= 1", len(squares) >= 1),
        ("other concepts' least CMCS less the square's", least - highest, "> 0", least > highest),
        (
            "other concepts' mean CMCS less the square's",
            mean - highest,
            f">= {_BELOW_OTHERS}",
            mean - highest >= _BELOW_OTHERS,
        ),
        ("other concepts' mean CMCS", mean, f">= {_OTHERS}", mean >= _OTHERS),
        ("other concepts' least CMCS", least, f">= {_OTHERS}", least >= _OTHERS),
        ("the square's SMCS less its CMCS", drop, f">= {_BELOW_SELF}", drop >= _BELOW_SELF),
    ]
    gap = _largest_gap([row.cmcs for row in rows if row.model == "M_nc" and not math.isnan(row.cmcs)])
    found.append(
        (
            "M_nc: largest fall of a CMCS below the others' mean",
            gap,
            f"< {_BELOW_OTHERS}",
            gap < _BELOW_OTHERS,
        )
    )
    seed, depth, epochs = run
    return [ClaimRow(seed, depth, epochs, *each) for each in found]


def _largest_gap(cmcs: list[float]) -> float:
    """How far the lowest value lies below the mean of the others."""
    if len(cmcs) < 2:
        return math.nan
    lowest, *others = sorted(cmcs)
    return float(np.mean(others)) - lowest
