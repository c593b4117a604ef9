"""What models foretold of learners who answer at random, for tests of figures and pages."""

import numpy as np

from diptych.tracing.results import Paths, TracingResult
from diptych.tracing.sequences import Sequences

# Names that would be read as mathematics, or break out of a panel.
NAMES = ("$x^2", "b" * 60, "c_{d}", "d")


def made_up(classes: int = 4, steps: int = 6, tests: int = 2, learners: int = 5) -> TracingResult:
    """Two models, with the paths of the second."""
    draw = np.random.default_rng(0)
    each = steps + tests
    n, m, d, h = learners * each, 12, 3, 5
    answers = Sequences(
        classes=NAMES[:classes],
        items=tuple(f"{item}" for item in range(m)),
        labels=np.arange(m) % classes,
        learners=tuple(f"$learner_{who}" for who in range(learners)),
        learner=np.repeat(np.arange(learners), each),
        item=draw.integers(m, size=n),
        response=draw.integers(classes, size=n),
        test=np.tile(np.arange(each) >= steps, learners),
        truth=draw.dirichlet(np.ones(classes), n),
    )
    chances = {
        name: draw.dirichlet(np.ones(classes), n).astype(np.float32) for name in ("static", "a_$model")
    }
    k = learners * (steps + 1)
    paths = Paths(
        "a_$model",
        np.tile(np.arange(learners), steps + 1),
        np.repeat(np.arange(steps + 1), learners),
        draw.standard_normal((k, h)).astype(np.float32),
        draw.standard_normal((k, h)).astype(np.float32),
        draw.standard_normal((k, classes, d)).astype(np.float32),
        draw.standard_normal((k, classes)).astype(np.float32),
        draw.standard_normal((m, d)).astype(np.float32),
    )
    return TracingResult(answers, chances, paths)
