"""What the traits of simulated learners are drawn from."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diptych.ops import _checks

#: A trait's law: the least and the largest value, or one number for all.
Range = float | tuple[float, float]


class Traits(NamedTuple):
    """What tells learners of a kind apart, (L,) each."""

    ability: NDArray[np.float64]  #: inverse temperature, above 0
    learning_rate: NDArray[np.float64]  #: at least 0, which never learns
    forgetting: NDArray[np.float64]  #: share of what was learned that a step loses, 0 to 1
    lapse: NDArray[np.float64]  #: probability of an answer at random, uniform over the classes, 0 to 1
    gamma: NDArray[np.float64]  #: exponent of the exemplars' evidence, at least 0


@dataclass(frozen=True)
class Laws:
    """What the traits of a kind are drawn from.

    Ability, learning rate and gamma are log-uniform between the least and the largest, forgetting, lapse and
    careless lapse uniform; a single number is every learner's.

    Attributes:
        ability: Inverse temperature.
        learning_rate: How far feedback moves a learner.
        forgetting: Share of what was learned that a step loses.
        lapse: Probability of an answer at random.
        gamma: Exponent of the exemplars' evidence; of exemplar learners alone.
        spread: Standard deviation of what learners start with, about what all have in common; exemplar
            learners start with nothing.
        careless: Share of learners who are careless.
        careless_lapse: Their probability of an answer at random.

    Raises:
        ValueError: A number out of range, the least above the largest.
        TypeError: No number, or no pair of them.
    """

    ability: Range
    learning_rate: Range
    forgetting: Range
    lapse: Range
    gamma: Range = 1.0
    spread: float = 0.0
    careless: float = 0.0
    careless_lapse: Range = (0.6, 0.95)

    def __post_init__(self) -> None:
        for name in ("ability", "learning_rate", "gamma"):
            _check_scale(name, getattr(self, name))
        for name in ("forgetting", "lapse", "careless_lapse"):
            for each in _ends(name, getattr(self, name)):
                _checks.within(name, each, 0, 1)
        _checks.not_negative("spread", self.spread)
        _checks.within("careless", self.careless, 0, 1)

    def draw(self, uniform: NDArray[np.float64]) -> tuple[Traits, NDArray[np.bool_]]:
        """Traits of L learners, and which of them are careless, of numbers (L, 6) uniform in 0..1.

        Another law of one trait leaves the others as they are.
        """
        u = uniform.T
        careless = u[5] < self.careless
        lapse = np.where(careless, _between(self.careless_lapse, u[3]), _between(self.lapse, u[3]))
        traits = Traits(
            ability=_log_between(self.ability, u[0]),
            learning_rate=_log_between(self.learning_rate, u[1]),
            forgetting=_between(self.forgetting, u[2]),
            lapse=lapse,
            gamma=_log_between(self.gamma, u[4]),
        )
        return traits, careless


def _ends(name: str, law: Range) -> tuple[float, float]:
    if not isinstance(law, tuple | list):
        _checks.real(name, law)
        return law, law
    if len(law) != 2:
        raise ValueError(f"{name}: expected a number or the least and the largest, found {law!r}")
    low, high = law
    for each in law:
        _checks.real(name, each)
    if low > high:
        raise ValueError(f"{name}: expected the least before the largest, found {low} and {high}")
    return low, high


def _check_scale(name: str, law: Range) -> None:
    """Demand what a log-uniform law can be drawn between; a single number may be 0."""
    low, high = _ends(name, law)
    _checks.not_negative(name, low)
    _checks.not_negative(name, high)
    if low == 0 < high:
        raise ValueError(f"{name}: expected a least value above 0 or 0 alone, found {low} and {high}")


def _between(law: Range, u: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = _ends("law", law)
    return low + (high - low) * u


def _log_between(law: Range, u: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = _ends("law", law)
    return np.full_like(u, low) if low == high else low * (high / low) ** u
