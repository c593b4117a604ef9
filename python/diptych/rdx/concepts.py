"""Concept scores out of embeddings, and the removal of one concept (thesis ch. 4, Table 4.4).

A post-hoc concept bottleneck replaces an embedding by how strongly each of c named concepts is in
it. Comparing the full score matrix with the one that lacks a concept is an experiment with a known
answer: items that the first alone groups together should agree in the removed concept, all with it
or all without it, and items that the second alone groups together should not.

    bottleneck = ConceptBottleneck().fit(embeddings, concepts, names=["has a loop", "is even"])
    scores = bottleneck.transform(embeddings)
    result = compare(scores, remove_concept(scores, "is even", names=bottleneck.concepts_))
    concept_recovery(result.a.grids, concepts[:, 1]).purity
"""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from diptych._progress import track
from diptych.estimators._items import checked_items
from diptych.ops import _checks


class ConceptBottleneck(TransformerMixin, BaseEstimator):
    """One linear classifier per concept on standardised embeddings; their margins are the scores.

    After Yuksekgonul, Wang & Zou (2023), "Post-hoc Concept Bottleneck Models": a concept is the
    normal vector w of the hyperplane between embeddings with and without it. The score of an item
    is its signed distance to that hyperplane, (w·z + b) / |w| with z the standardised embedding, so
    that the scores of all concepts have one scale (the paper projects on w and divides by |w|²).
    The classifiers are scikit-learn's SGDClassifier with logistic loss and an elastic net, classes
    weighted to balance.

    Fitting takes O(n·d) time per concept and pass, at most ``max_iter`` passes.

    Args:
        alpha: Strength of the elastic net.
        l1_ratio: Its L1 share, 0 to 1.
        share_held_out: Share of the items, drawn for each concept with equal rates of it, on which
            accuracy and AUC are measured and which the classifier does not see; 0 measures nothing.
        max_iter: Most passes over the items.
        random_state: Seed of the passes and of the held-out part.
        progress: Show a progress bar once two seconds have passed.

    Attributes:
        concepts_: Names of the c concepts.
        coef_: (c, d) float64, unit normal vectors in standardised coordinates.
        intercept_: (c,) float64, signed distance of the mean embedding to each hyperplane.
        accuracy_: (c,) float64, mean of the rates at which held-out items with and without the
            concept are told (balanced accuracy); NaN if nothing was held out.
        auc_: (c,) float64, area under the ROC curve on held-out items; NaN likewise.
        base_rates_: (c,) float64, share of items with the concept.
    """

    concepts_: tuple[str, ...]
    coef_: NDArray[np.float64]
    intercept_: NDArray[np.float64]
    accuracy_: NDArray[np.float64]
    auc_: NDArray[np.float64]
    base_rates_: NDArray[np.float64]

    def __init__(
        self,
        *,
        alpha: float = 1e-3,
        l1_ratio: float = 0.15,
        share_held_out: float = 0.2,
        max_iter: int = 1000,
        random_state: int = 0,
        progress: bool = True,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.share_held_out = share_held_out
        self.max_iter = max_iter
        self.random_state = random_state
        self.progress = progress

    def fit(self, X: ArrayLike, y: ArrayLike, names: Sequence[str] | None = None) -> "ConceptBottleneck":
        """Fit one classifier per concept.

        Args:
            X: (n, d) embeddings.
            y: (n, c) concept labels, 0 or 1 (or bool).
            names: c different names; "concept 0", "concept 1", ... when None.

        Raises:
            TypeError: A number among the settings is not one.
            ValueError: Shapes do not match, a value is not finite or not binary, a setting is out
                of range, a concept has too few items with or without it, or its classifier ends
                with no weights (``alpha`` too large).
        """
        self._check_settings()
        embeddings = checked_items(self, X, reset=True)
        labels = _binary("y", y, len(embeddings))
        self.concepts_ = _names(names, labels.shape[1])
        self.base_rates_ = labels.mean(axis=0)
        for name, count in zip(self.concepts_, labels.sum(axis=0), strict=True):
            if min(count, len(labels) - count) < 2:
                raise ValueError(
                    f"y: concept {name!r} is in {count} of {len(labels)} items, expected at least 2 "
                    "items with it and 2 without"
                )
        self._scaler = StandardScaler().fit(embeddings)
        items = self._scaler.transform(embeddings).astype(np.float64)
        c, d = labels.shape[1], items.shape[1]
        self.coef_, self.intercept_ = np.empty((c, d)), np.empty(c)
        self.accuracy_, self.auc_ = np.full(c, np.nan), np.full(c, np.nan)
        for concept in track(range(c), "fitting concepts", shown=self.progress):
            self._fit_one(concept, items, labels[:, concept])
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """(n, d) embeddings to (n, c) signed distances, in standard deviations of the embedding.

        Raises:
            sklearn.exceptions.NotFittedError: Not fitted yet.
            ValueError: The embeddings have another length or values that are not finite.
        """
        check_is_fitted(self, "coef_")
        items = self._scaler.transform(checked_items(self, X, reset=False)).astype(np.float64)
        return items @ self.coef_.T + self.intercept_

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """The names of the concepts, as scikit-learn asks for them."""
        check_is_fitted(self, "coef_")
        return np.array(self.concepts_, dtype=object)

    def _fit_one(self, concept: int, items: NDArray[np.float64], labels: NDArray[np.bool_]) -> None:
        seen = np.arange(len(items))
        away = seen[:0]
        if self.share_held_out:
            try:
                seen, away = train_test_split(
                    seen,
                    test_size=self.share_held_out,
                    stratify=labels,
                    random_state=self.random_state,
                )
            except ValueError as error:
                raise ValueError(
                    f"share_held_out: {self.share_held_out} of {len(items)} items cannot hold "
                    f"items with and without {self.concepts_[concept]!r}: {error}"
                ) from error
        classifier = SGDClassifier(
            loss="log_loss",
            penalty="elasticnet",
            alpha=self.alpha,
            l1_ratio=self.l1_ratio,
            max_iter=self.max_iter,
            class_weight="balanced",
            random_state=self.random_state,
        ).fit(items[seen], labels[seen])
        length = float(np.linalg.norm(classifier.coef_))
        if length == 0:
            raise ValueError(f"alpha: {self.alpha} leaves no weight for concept {self.concepts_[concept]!r}")
        self.coef_[concept] = classifier.coef_[0] / length
        self.intercept_[concept] = classifier.intercept_[0] / length
        if len(away) and len(np.unique(labels[away])) == 2:
            scores = items[away] @ self.coef_[concept] + self.intercept_[concept]
            has = labels[away]
            self.accuracy_[concept] = ((scores[has] > 0).mean() + (scores[~has] <= 0).mean()) / 2
            self.auc_[concept] = roc_auc_score(has, scores)

    def _check_settings(self) -> None:
        _checks.positive("alpha", self.alpha)
        _checks.integer("max_iter", self.max_iter, 1)
        _checks.within("l1_ratio", self.l1_ratio, 0, 1)
        _checks.real("share_held_out", self.share_held_out)
        if not 0 <= self.share_held_out < 1:
            raise ValueError(f"share_held_out: expected 0 or more and below 1, found {self.share_held_out}")


@dataclass(frozen=True)
class ConceptRecovery:
    """How well explanations show a concept.

    Attributes:
        share: Share of the grids' items that carry the concept, pooled over grids, in [0, 1]; NaN
            without grids.
        base_rate: Share of all items that carry it.
        per_grid: (m,) float64, the share in each grid; NaN for an empty one.
    """

    share: float
    base_rate: float
    per_grid: NDArray[np.float64]

    @property
    def purity(self) -> float:
        """Mean share of a grid's items that agree in the concept, with it or without it.

        A score pulls items together that carry the concept, and items that do not, so that a grid
        shows a removed concept when its items agree. 1/2 at worst; NaN without grids.
        """
        filled = self.per_grid[~np.isnan(self.per_grid)]
        return float(np.maximum(filled, 1 - filled).mean()) if len(filled) else float("nan")

    @property
    def lift(self) -> float:
        """``share`` over ``base_rate``: 1 where the grids say nothing about the concept."""
        return self.share / self.base_rate if self.base_rate else float("nan")


def remove_concept(scores: ArrayLike, concept: int | str, names: Sequence[str] | None = None) -> NDArray[Any]:
    """The (n, c) concept scores without one concept, (n, c−1).

    Args:
        scores: (n, c) concept scores.
        concept: The column, or with ``names`` the name of the concept.
        names: The c names of the columns.

    Raises:
        TypeError: The concept is neither an integer nor a name, or a name comes without ``names``.
        ValueError: The scores are no matrix of at least two concepts, the names do not match, or
            there is no such concept.
    """
    matrix = np.asarray(scores)
    if matrix.ndim != 2 or matrix.shape[1] < 2:
        raise ValueError(f"scores: expected (n, c) with c of at least 2, found {matrix.shape}")
    c = matrix.shape[1]
    if names is not None and len(names) != c:
        raise ValueError(f"names: expected {c}, one for each column of scores, found {len(names)}")
    if isinstance(concept, str):
        if names is None:
            raise TypeError(f"names: needed to find the concept {concept!r}")
        if list(names).count(concept) != 1:
            raise ValueError(
                f"concept: expected one of {', '.join(map(repr, names))}, each of which is there "
                f"once, found {concept!r}"
            )
        column = list(names).index(concept)
    elif isinstance(concept, Integral) and not isinstance(concept, bool):
        column = int(concept)
        if not 0 <= column < c:
            raise ValueError(f"concept: expected a column from 0 to {c - 1}, found {column}")
    else:
        raise TypeError(f"concept: expected a column or a name, found {concept!r}")
    return np.delete(matrix, column, axis=1)


def concept_recovery(grids: Sequence[ArrayLike], labels: ArrayLike) -> ConceptRecovery:
    """Share of the items in the grids that carry a concept, beside its base rate.

    Args:
        grids: Index arrays, such as ``Explanations.grids``.
        labels: (n,) 0 or 1 (or bool), whether each item carries the concept.

    Raises:
        ValueError: The labels are no binary vector, or a grid holds an item that they lack.
    """
    values = np.asarray(labels)
    if values.ndim != 1:
        raise ValueError(f"labels: expected shape (n,), found {values.shape}")
    has = _binary("labels", values[:, None], len(values))[:, 0]
    items = [np.asarray(grid, np.int64) for grid in grids]
    for number, grid in enumerate(items):
        if len(grid) and not (grid.min() >= 0 and grid.max() < len(has)):
            raise ValueError(f"grids: grid {number} names items outside 0 to {len(has) - 1}")
    filled = [grid for grid in items if len(grid)]
    return ConceptRecovery(
        share=float(has[np.concatenate(filled)].mean()) if filled else float("nan"),
        base_rate=float(has.mean()),
        per_grid=np.array([has[grid].mean() if len(grid) else np.nan for grid in items]),
    )


def _binary(name: str, values: ArrayLike, n: int) -> NDArray[np.bool_]:
    labels = np.asarray(values)
    if labels.ndim != 2 or labels.shape[0] != n or labels.shape[1] == 0:
        raise ValueError(f"{name}: expected shape ({n}, c) with c of at least 1, found {labels.shape}")
    wrong = ~np.isin(labels, (0, 1))
    if wrong.any():
        row = int(np.flatnonzero(wrong.any(axis=1))[0])
        raise ValueError(f"{name}: expected 0 or 1, found {labels[row][wrong[row]][0]} in row {row}")
    return labels.astype(bool)


def _names(names: Sequence[str] | None, c: int) -> tuple[str, ...]:
    if names is None:
        return tuple(f"concept {number}" for number in range(c))
    if len(names) != c or len(set(names)) != c:
        raise ValueError(f"names: expected {c} different names, found {list(names)}")
    return tuple(names)
