"""Simulated learners whose law is known, one kind a file."""

import numpy as np

from diptych.ops import _checks
from diptych.tracing.learners.exemplar import ExemplarLearners
from diptych.tracing.learners.gradient import GradientLearners
from diptych.tracing.learners.laws import Laws, Range, Traits
from diptych.tracing.learners.learner import Learners, Pool
from diptych.tracing.learners.prototype import PrototypeLearners
from diptych.tracing.learners.static import StaticLearners

#: Kinds of learners by name.
KINDS: dict[str, type[Learners]] = {
    "static": StaticLearners,
    "prototype": PrototypeLearners,
    "exemplar": ExemplarLearners,
    "gradient": GradientLearners,
}


def draw_learners(
    kind: str, n_learners: int, pool: Pool, seed: int = 0, laws: Laws | None = None
) -> Learners:
    """Learners who have seen nothing yet; learner i depends on the seed and on i, not on how many there are.

    Args:
        kind: ``"static"``, ``"prototype"``, ``"exemplar"`` or ``"gradient"``.
        n_learners: L, at least 1.
        pool: The images that they will see.
        seed: 0 to 2^63 - 1.
        laws: What their traits are drawn from. Default: the kind's own.

    Raises:
        ValueError: An unknown kind, a number out of range.
        TypeError: Numbers of another type.
    """
    _checks.one_of("kind", kind, KINDS)
    _checks.integer("n_learners", n_learners, 1)
    _checks.seed(seed)
    law = KINDS[kind]
    laws = laws or law.LAWS
    shape = pool.n_classes, pool.features.shape[1] + 1
    uniform = np.empty((n_learners, 6))
    start = np.empty((n_learners, *shape))
    for learner in range(n_learners):
        random = np.random.default_rng([seed, learner])
        uniform[learner] = random.random(6)
        start[learner] = random.normal(size=shape)
    traits, careless = laws.draw(uniform)
    return law(traits, careless, laws.spread * start, pool)


__all__ = [
    "KINDS",
    "ExemplarLearners",
    "GradientLearners",
    "Laws",
    "Learners",
    "Pool",
    "PrototypeLearners",
    "Range",
    "StaticLearners",
    "Traits",
    "draw_learners",
]
