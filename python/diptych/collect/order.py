"""In which order a learner is shown images."""

from collections.abc import Sequence

import numpy as np

from diptych.collect.trials import Phase, Trial


def check_order(labels: Sequence[int], classes: Sequence[str], train: int, test: int) -> None:
    """Refuse numbers of steps for which there are no balanced orders.

    Raises:
        ValueError: Fewer than two classes, a phase of negative length, fewer training steps than classes, or
            fewer images of a class than a learner may see.
    """
    n = len(classes)
    if n < 2:
        raise ValueError(f"classes: expected at least two, found {n}: {', '.join(classes)}")
    if train < n:
        raise ValueError(f"train: expected at least one step for each of the {n} classes, found {train}")
    if test < 0:
        raise ValueError(f"test: expected at least 0 steps, found {test}")
    needed = -(-train // n) - (-test // n)
    for name, found in zip(classes, np.bincount(labels, minlength=n), strict=True):
        if found < needed:
            raise ValueError(
                f"class {name}: expected at least {needed} images, so that nobody sees one twice in {train} "
                f"training and {test} test steps, found {found}; add images, or take fewer steps"
            )


def balanced_order(labels: Sequence[int], train: int, test: int, seed: Sequence[int]) -> list[Trial]:
    """Draw the steps of one learner, each of one image.

    In each phase the counts of the classes differ by one at most; which classes have the one more, the order
    of the classes and the images are drawn at random. No image comes twice.

    Args:
        labels: (m,) class of each image, of which :func:`check_order` has found enough.
        train: Number of training steps, which come first.
        test: Number of test steps.
        seed: Of this learner.
    """
    generator = np.random.default_rng(seed)
    classes = max(labels) + 1
    unseen = [
        generator.permutation(np.flatnonzero(np.equal(labels, each))).tolist() for each in range(classes)
    ]
    phases: tuple[tuple[Phase, int], ...] = ("train", train), ("test", test)
    trials = []
    for phase, steps in phases:
        # Whole rounds of the classes, and some of one more round.
        last = generator.permutation(classes)[: steps % classes]
        drawn = np.concatenate([np.tile(np.arange(classes), steps // classes), last])
        trials += [Trial(phase, (unseen[each].pop(),)) for each in generator.permutation(drawn).tolist()]
    return trials
