"""How well probabilities foretell answers: average precision, calibration, likelihood."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diptych.ops import _checks
from diptych.ops._arrays import Array, to_tensor

#: Bins of equal width that confidence is sorted into for the calibration error.
BINS = 15


class Scores(NamedTuple):
    """What probabilities of n answers come to.

    Attributes:
        micro_ap: Average precision over all pairs of an answer and a class together.
        macro_ap: Mean of the classes' average precisions, over those that were answered.
        class_ap: (C,) average precision of each class; NaN for one that nobody answered.
        accuracy: Share of answers that the likeliest class is.
        nll: Mean negative log-likelihood of the answers, in nats.
        ece: Expected calibration error.
    """

    micro_ap: float
    macro_ap: float
    class_ap: NDArray[np.float64]
    accuracy: float
    nll: float
    ece: float


def score(probabilities: Array, responses: Array) -> Scores:
    """Score probabilities of answers.

    Average precision is the area under the steps of precision over recall, without interpolation. The
    calibration error sorts answers into 15 bins by the probability of the likeliest class, and is the mean
    distance, weighed by the answers of a bin, between the mean of these and the share of answers that were
    that class (Guo et al., ICML 2017, arXiv 1706.04599).

    Args:
        probabilities: (n, C) of each class, n and C at least 1, rows that sum to 1.
        responses: (n,) whole numbers, the classes answered.

    Complexity:
        O(n C log(n C)).

    Raises:
        TypeError: Responses that are no whole numbers.
        ValueError: No answers, shapes that do not fit, a class outside 0..C-1, rows that are no
            probabilities.
    """
    from sklearn.metrics import average_precision_score

    given, classes = to_tensor("probabilities", probabilities), to_tensor("responses", responses)
    _checks.matrix("probabilities", given)
    _checks.finite("probabilities", given)
    if classes.shape != given.shape[:1]:
        raise ValueError(f"responses: expected shape ({len(given)},), found {tuple(classes.shape)}")
    if classes.is_floating_point():
        raise TypeError(f"responses: expected whole numbers, found {classes.dtype}")
    chances, answers = given.detach().cpu().double().numpy(), classes.cpu().long().numpy()
    n, count = chances.shape
    if answers.min() < 0 or answers.max() >= count:
        raise ValueError(f"responses: expected 0 to {count - 1}, found {answers.min()} to {answers.max()}")
    # Sums of float32 rows.
    off = (np.abs(chances.sum(1) - 1) > 1e-4) | (chances < 0).any(1)
    if off.any():
        raise ValueError(f"probabilities: expected rows that sum to 1, found another in row {off.argmax()}")
    answered = np.eye(count, dtype=bool)[answers]
    class_ap = np.full(count, np.nan)
    for each in np.unique(answers):
        class_ap[each] = average_precision_score(answered[:, each], chances[:, each])
    likeliest = chances.argmax(1)
    own = chances[np.arange(n), answers]
    return Scores(
        micro_ap=float(average_precision_score(answered.ravel(), chances.ravel())),
        macro_ap=float(np.nanmean(class_ap)),
        class_ap=class_ap,
        accuracy=float((likeliest == answers).mean()),
        nll=float(-np.log(np.maximum(own, np.finfo(np.float32).tiny)).mean()),
        ece=_calibration_error(chances.max(1), likeliest == answers),
    )


def _calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    # Of a bin the count times the distance of the means is the distance of the sums.
    sums = np.bincount(bins, confidence - right, minlength=BINS)
    return float(np.abs(sums).sum() / len(confidence))
