"""Linear probes: how well the labels can be read from each representation, and whether both agree."""

import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from diptych._files import natural_key
from diptych._text import some

FOLDS = 5
TRAIN_ITEMS = 10_000
MAX_CLASSES = 200
_ITERATIONS = 1000
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Share:
    """A share of items with its 95 % Wilson interval; NaN of no items."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        """The share itself, in [0, 1]."""
        return self.hits / self.total if self.total else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the interval (Wilson 1927, the score interval without continuity correction)."""
        if not self.total:
            return float("nan"), float("nan")
        n, p, z = self.total, self.value, _Z95
        center = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, center - half), min(1.0, center + half)


@dataclass(frozen=True)
class Probes:
    """Out-of-fold predictions of the labels from both representations.

    Attributes:
        classes: The labels, in natural order.
        codes: (n,) int64, the class of each item.
        predictions: For each representation (n,) int64, the class predicted for each item by the
            probe that was fitted without it; -1 for items left out.
        folds: Number of folds.
        notes: What a reader should know, in sentences.
    """

    classes: list[str]
    codes: NDArray[np.int64]
    predictions: tuple[NDArray[np.int64], NDArray[np.int64]]
    folds: int
    notes: list[str] = field(default_factory=list)

    def accuracy(self, side: int, items: NDArray[Any] | None = None) -> Share:
        """Share of items (all of them by default) whose label the probe of a side predicts."""
        chosen = self._chosen(items)
        return _share(self.predictions[side][chosen] == self.codes[chosen])

    def agreement(self, items: NDArray[Any] | None = None) -> Share:
        """Share of items for which both probes predict the same label, right or wrong."""
        chosen = self._chosen(items)
        return _share(self.predictions[0][chosen] == self.predictions[1][chosen])

    def members(self, class_number: int) -> NDArray[np.int64]:
        """Items of a class."""
        return np.flatnonzero(self.codes == class_number)

    def _chosen(self, items: NDArray[Any] | None) -> NDArray[Any]:
        every = np.arange(len(self.codes)) if items is None else np.asarray(items)
        return every[self.predictions[0][every] >= 0]


def encode(labels: list[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Classes in natural order and the (n,) class number of each label."""
    classes = sorted(set(labels), key=natural_key)
    number = {label: code for code, label in enumerate(classes)}
    return classes, np.array([number[label] for label in labels], np.int64)


def linear_probes(
    embeddings: tuple[NDArray[Any], NDArray[Any]],
    labels: list[str],
    *,
    folds: int = FOLDS,
    seed: int = 0,
    advance: Callable[[float], Any] = lambda share: None,
) -> Probes | str:
    """Cross-validate a logistic regression on each representation, on the same stratified folds.

    Features are standardised within each training part; the penalty is scikit-learn's default
    (ridge, C = 1). A fold trains on at most 10,000 items; all others are still predicted.

    Args:
        embeddings: Two arrays (n, d_a) and (n, d_b).
        labels: n labels.
        folds: Folds wanted; fewer where the smallest class has fewer items.
        seed: Seed of the folds.
        advance: Called with the share of the work done.

    Returns:
        The predictions, or, where these labels do not allow a probe, a sentence that says why.
    """
    classes, codes = encode(labels)
    counts = np.bincount(codes, minlength=len(classes))
    used = counts[codes] >= 2
    usable = int((counts >= 2).sum())
    if usable < 2:
        return "These labels allow no linear probe: it takes two labels with two items each."
    if usable > MAX_CLASSES:
        return f"There is no linear probe: it is made for at most {MAX_CLASSES} labels."
    notes = []
    if usable < len(classes):
        notes.append(f"Labels with a single item are left out of the probes: {_listed(~used, labels)}.")
    splits = min(folds, int(counts[counts >= 2].min()))
    splitter = StratifiedKFold(splits, shuffle=True, random_state=seed)
    items = np.flatnonzero(used)
    parts = [
        (items[_thinned(train, seed)], items[held_out], side)
        for train, held_out in splitter.split(items, codes[items])
        for side in (0, 1)
    ]
    predictions = (np.full(len(codes), -1), np.full(len(codes), -1))
    converged = True

    def fit(part: tuple[NDArray[np.int64], NDArray[np.int64], int]) -> tuple[Any, bool]:
        return _fit_predict(embeddings[part[2]], codes, part[0], part[1])

    # One thread a fit and fits side by side: BLAS threads stall each other on products this small.
    with threadpool_limits(1), warnings.catch_warnings(), ThreadPoolExecutor(_workers()) as pool:
        warnings.simplefilter("ignore", ConvergenceWarning)
        for (_, held_out, side), outcome in zip(parts, pool.map(fit, parts), strict=True):
            predictions[side][held_out], settled = outcome
            converged = converged and settled
            advance(1 / len(parts))
    if not converged:
        notes.append(f"A probe had not converged after {_ITERATIONS} iterations.")
    return Probes(classes, codes, predictions, splits, notes)


def _workers() -> int:
    return min(4, os.cpu_count() or 1)


def _fit_predict(
    embedding: NDArray[Any],
    codes: NDArray[np.int64],
    train: NDArray[np.int64],
    held_out: NDArray[np.int64],
) -> tuple[NDArray[np.int64], bool]:
    scaler, classifier = StandardScaler(), LogisticRegression(max_iter=_ITERATIONS)
    classifier.fit(scaler.fit_transform(np.asarray(embedding[train], np.float64)), codes[train])
    settled = bool(np.max(classifier.n_iter_) < _ITERATIONS)
    predicted = classifier.predict(scaler.transform(np.asarray(embedding[held_out], np.float64)))
    return predicted, settled


def _thinned(train: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    if len(train) <= TRAIN_ITEMS:
        return train
    return np.random.default_rng(seed).choice(train, TRAIN_ITEMS, replace=False)


def _listed(left_out: NDArray[np.bool_], labels: list[str]) -> str:
    return some(labels[item] for item in np.flatnonzero(left_out))


def _share(hits: NDArray[np.bool_]) -> Share:
    return Share(int(np.count_nonzero(hits)), len(hits))
