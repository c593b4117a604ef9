"""Sequences of learners who answer at random, for tests that need no more."""

import numpy as np

from diptych.tracing.sequences import Sequences


def random_sequences(
    training: list[int],
    tests: list[int],
    *,
    classes: int = 3,
    dimension: int = 4,
    images: int = 12,
    seed: int = 0,
    times: bool = True,
) -> Sequences:
    """Learners of so many training and test steps each."""
    draw = np.random.default_rng(seed)
    lengths = np.add(training, tests)
    learner = np.repeat(np.arange(len(lengths)), lengths)
    labels = np.arange(images) % classes
    seconds = draw.gamma(2.0, size=len(learner)).astype(np.float32)
    seconds[::7] = np.nan
    return Sequences(
        classes=tuple("abcdefgh"[:classes]),
        items=tuple(f"image {each}" for each in range(images)),
        labels=labels,
        learners=tuple(f"learner {each}" for each in range(len(lengths))),
        learner=learner,
        item=draw.integers(images, size=len(learner)),
        response=draw.integers(classes, size=len(learner)),
        test=np.concatenate([np.arange(a + b) >= a for a, b in zip(training, tests, strict=True)]),
        seconds=seconds if times else None,
        features=draw.standard_normal((images, dimension)).astype(np.float32),
    )
