"""From the concepts of two networks to the figures that compare them."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from diptych.ops._arrays import Array
from diptych.rsvc.concepts import Concepts, refit
from diptych.rsvc.heads import Head
from diptych.rsvc.importance import concept_integrated_gradients, mean_importance
from diptych.rsvc.regression import ConceptRegression, predict
from diptych.rsvc.replacement import replacement_test
from diptych.rsvc.similarity import KINDS, constant_columns, max_similarity, predicted_similarity

Pair = tuple[torch.Tensor, torch.Tensor]


class Predictor(NamedTuple):
    """What one network's activations tell of some concepts."""

    predicted: torch.Tensor  #: (m, k) coefficients
    nonzero: torch.Tensor  #: (K, k) features in use
    taught: torch.Tensor  #: (k,) bool: the coefficients of the training patches were not constant


@dataclass(frozen=True)
class Side:
    """One network's concepts, as predicted by itself and by the other network.

    Attributes:
        concepts: What was extracted.
        real: (m, k) coefficients of the patches that similarity is measured on.
        own: Predictions by its own activations.
        cross: Predictions by the other network's activations.
        regression: From its own activations to its own concepts, then to the other's.
    """

    concepts: Concepts
    real: torch.Tensor
    own: Predictor
    cross: Predictor
    regression: ConceptRegression


def regressed(
    training: Pair,
    evaluation: Pair | None,
    groups: Array | None,
    concepts: tuple[Concepts, Concepts],
    alpha: float | Array,
    folds: int,
) -> tuple[Side, Side]:
    """Fit the regressions of all four directions, two by two, and predict.

    On the evaluation patches by the mean of the fold models; without any, on the training patches by the
    model that did not see the image.
    """
    taught = [refit(acts, each.basis) for acts, each in zip(training, concepts, strict=True)]
    if evaluation is None:
        real = taught
    else:
        real = [refit(acts, each.basis) for acts, each in zip(evaluation, concepts, strict=True)]
    regressions, predictors = [], []
    for number in (0, 1):
        # Its own concepts first: swapping the networks then swaps the very numbers.
        both = [taught[number], taught[1 - number].to(taught[number].dtype)]
        regression = predict(training[number], torch.cat(both, 1), groups, alpha, folds)
        found = regression.held_out if evaluation is None else regression.predict(evaluation[number])
        sizes = [len(concepts[number].basis), len(concepts[1 - number].basis)]
        parts = zip(
            found.split(sizes, 1),
            regression.nonzero.split(sizes, 1),
            (regression.target_scale > 0).split(sizes),
            strict=True,
        )
        regressions.append(regression)
        predictors.append([Predictor(*part) for part in parts])
    first, second = (
        Side(concepts[i], real[i], predictors[i][0], predictors[1 - i][1], regressions[i]) for i in (0, 1)
    )
    return first, second


def similarities(sides: tuple[Side, Side]) -> dict[str, Any]:
    """The fields of :class:`RSVCResult` that need no head."""
    fields: dict[str, Any] = {"notes": []}
    for number, cross, side, other in (("1", "2to1", *sides), ("2", "1to2", *sides[::-1])):
        for kind, ending in zip(KINDS, ("", "_spearman"), strict=True):
            fields[f"smcs_{number}{ending}"] = _similarity(side.own, side.real, kind)
            fields[f"cmcs_{cross}{ending}"] = _similarity(side.cross, side.real, kind)
        fields[f"mcs_{number}"] = _plain(max_similarity(side.real, other.real)).astype(np.float64)
        fields[f"nonzero_{number}"] = _plain(side.own.nonzero.double().mean(0))
        fields[f"nonzero_{cross}"] = _plain(side.cross.nonzero.double().mean(0))
        fields[f"coefficients_{number}"] = _plain(side.real)
        fields[f"predicted_{number}"] = _plain(side.own.predicted)
        fields[f"predicted_{cross}"] = _plain(side.cross.predicted)
        fields[f"concepts_{number}"] = _in_numpy(side.concepts)
        fields[f"regression_{number}"] = _in_numpy(side.regression)
        fields["notes"] += _notes(side, number)
    return fields


def decisions(
    sides: tuple[Side, Side],
    heads: tuple[Head | None, Head | None],
    targets: tuple[int | None, int | None],
    labels: Array | None,
    conventions: str,
) -> dict[str, Any]:
    """The fields of :class:`RSVCResult` that need a head: importance and replacement."""
    fields: dict[str, Any] = {}
    for number, side, head, target in zip(("1", "2"), sides, heads, targets, strict=True):
        if head is None or target is None:
            continue
        basis = side.concepts.basis
        attributions = concept_integrated_gradients(side.real, basis, head, target)
        fields[f"importance_{number}"] = _plain(mean_importance(attributions)).astype(np.float64)
        replaced = replacement_test(
            side.real,
            basis,
            side.own.predicted,
            side.cross.predicted,
            head,
            labels=labels,
            conventions=conventions,
        )
        columns = {key: _plain(values) for key, values in replaced._asdict().items()}
        # Where a regression tells nothing of a concept its similarity is 0 here as everywhere.
        pair = (_similarity(predictor, side.real, "pearson") for predictor in (side.cross, side.own))
        columns["delta_pearson"] = np.subtract(*pair)
        fields[f"replacement_{number}"] = columns
    return fields


def _similarity(predictor: Predictor, real: torch.Tensor, kind: str) -> np.ndarray:
    found = predicted_similarity(predictor.predicted, real, kind=kind).double()
    return _plain(found.masked_fill(~predictor.taught, torch.nan))


def _notes(side: Side, number: str) -> list[str]:
    dead = constant_columns(side.real) | ~side.own.taught
    notes = [
        f"Concept {j} of network {number} is dead (all its coefficients are equal): no similarity is defined."
        for j in dead.nonzero()[:, 0].tolist()
    ]
    unseen = (side.cross.nonzero == 0).all(0) & ~dead
    return notes + [
        f"No feature of the other network tells of concept {j} of network {number}: its similarity is 0."
        for j in unseen.nonzero()[:, 0].tolist()
    ]


def _plain(tensor: torch.Tensor) -> np.ndarray:
    return tensor.cpu().numpy()


def _in_numpy(found: Any) -> Any:
    """The same dataclass with numpy's arrays."""
    return type(found)(
        **{key: _plain(x) if isinstance(x, torch.Tensor) else x for key, x in vars(found).items()}
    )
