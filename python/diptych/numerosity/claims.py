"""What the thesis found of its networks, and whether ours show it too."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from diptych.numerosity.perceived import by_count
from diptych.numerosity.results import NumberLine


@dataclass(frozen=True)
class Run:
    """A network of the study.

    Attributes:
        dataset: Name of its scenes.
        seed: Of its weights, its sequences and its test.
        limit: Most objects in the scenes that it learns from.
        dimension: Width of its embedding.
        epochs: Of its training.
    """

    dataset: str
    seed: int = 0
    limit: int = 3
    dimension: int = 2
    epochs: int = 30

    @property
    def name(self) -> str:
        """What its folder and its figures call it."""
        return f"{self.dataset}-limit{self.limit}-d{self.dimension}-seed{self.seed}"


@dataclass(frozen=True)
class Claim:
    """A finding of the thesis beside ours.

    Attributes:
        claim: What is claimed.
        runs: Of which networks.
        wanted: The figure that it is taken to ask for.
        found: Ours, the mean over seeds; of a claim that one seed must meet, the best.
        spread: Standard deviation over seeds; NaN of one.
        seeds: How many networks.
        reached: How many of them show it.
        holds: Whether the mean does, or one network where that is the claim.
    """

    claim: str
    runs: str
    wanted: str
    found: float
    spread: float
    seeds: int
    reached: int
    holds: bool


@dataclass(frozen=True)
class _Wanted:
    claim: str
    wanted: str
    figure: Callable[[NumberLine], float]
    met: Callable[[float], bool]
    of: tuple[str, ...] = ("A", "B")
    one_is_enough: bool = False


def worst_estimate(line: NumberLine) -> float:
    """The largest |mean perceived number / count - 1| over all counts above 0."""
    counts, means, _ = by_count(line.perceived, line.counts)
    above = counts > 0
    return float(np.abs(means[above] / counts[above] - 1).max())


def _within_three(line: NumberLine) -> float:
    return float("nan") if line.action_error is None else line.action_error.within(3)[0]


def _exponent(line: NumberLine) -> float:
    return float("nan") if line.exponent is None else line.exponent


_WANTED = (
    _Wanted("action error, 0-3 objects", "<= 0.01", _within_three, lambda x: x <= 0.01, ("A",)),
    _Wanted(
        "linear approximation error (a few percent)", "<= 0.05", lambda n: n.linear_error, lambda x: x <= 0.05
    ),
    _Wanted("islands one to one with 0..k, k", ">= 3", lambda n: float(n.subitizing_limit), lambda x: x >= 3),
    _Wanted("Spearman of position and count, 0-30", ">= 0.97", lambda n: n.spearman, lambda x: x >= 0.97),
    _Wanted(
        "largest relative error of mean estimates, 1-30, at best",
        "<= 0.15",
        worst_estimate,
        lambda x: x <= 0.15,
        one_is_enough=True,
    ),
    _Wanted("exponent of the power law", "< 1", _exponent, lambda x: x < 1),
)


def claims(runs: Sequence[Run], lines: Mapping[str, NumberLine]) -> Iterator[Claim]:
    """Set what was found of the study's main networks (limit 3, two dimensions) beside what was claimed.

    Args:
        runs: All networks of a study.
        lines: Their number lines by the runs' names.
    """
    for wanted in _WANTED:
        for dataset in wanted.of:
            seeds = [run.name for run in runs if (run.dataset, run.limit, run.dimension) == (dataset, 3, 2)]
            if not seeds:
                continue
            found = np.array([wanted.figure(lines[name]) for name in seeds])
            met = [wanted.met(value) for value in found]
            best = float(found.min() if wanted.one_is_enough else found.mean())
            spread = float(found.std(ddof=1)) if len(found) > 1 else float("nan")
            yield Claim(
                wanted.claim, dataset, wanted.wanted, best, spread, len(found), sum(met), wanted.met(best)
            )
