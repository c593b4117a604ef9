"""The concepts of a network in all classes, and which of them are shown and put in words."""

from collections.abc import Hashable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diptych.rsvc.collages import SHOWN, chosen_concepts, lacking
from diptych.rsvc.results import RSVCResult

#: Results of one class, or of many by name; a mapping may load them when they are asked for.
Results = RSVCResult | Mapping[Any, RSVCResult]

#: Fields of a result for a concept of network 1 and of network 2, by the column they make.
FIELDS: dict[str, tuple[str, str]] = {
    "cmcs": ("cmcs_2to1", "cmcs_1to2"),
    "smcs": ("smcs_1", "smcs_2"),
    "mcs": ("mcs_1", "mcs_2"),
    "features": ("nonzero_2to1", "nonzero_1to2"),
}


class ConceptKey(NamedTuple):
    """Which concept is meant."""

    network: int  #: whose it is: 1 or 2
    label: Hashable  #: its class, None of a single result
    concept: int  #: its number in that class


@dataclass(frozen=True)
class ConceptTable:
    """All concepts of one network, a row each.

    Attributes:
        classes: The class of each concept, a number.
        concepts: Its number in that class.
        columns: Numbers of each concept: cmcs, smcs, mcs, features, delta_pearson, and with a head importance
            and delta_kl; NaN is undefined.
    """

    classes: NDArray[np.int64]
    concepts: NDArray[np.int64]
    columns: dict[str, NDArray[np.float64]]

    @property
    def living(self) -> int:
        """How many concepts have a similarity."""
        return int(np.count_nonzero(~np.isnan(self.columns["delta_pearson"])))

    @property
    def lacking(self) -> int:
        """How many of them the other network has not."""
        return int(np.count_nonzero(lacking(self.columns["cmcs"], self.columns["smcs"])))

    def mean(self, column: str) -> float:
        """Mean of a column over concepts that are not dead; NaN if all are."""
        found = self.columns[column]
        return float(np.nanmean(found)) if not np.isnan(found).all() else float("nan")

    def chosen(self, count: int) -> NDArray[np.int64]:
        """Rows of the concepts to show, by the rule of :func:`diptych.rsvc.chosen_concepts`."""
        return chosen_concepts(self.columns["delta_pearson"], self.columns.get("delta_kl"), count=count)


def entries(results: Results) -> Iterator[tuple[Hashable, RSVCResult]]:
    """(class, result), one at a time.

    Raises:
        TypeError: Neither a result nor a mapping of names to results.
        ValueError: No results.
    """
    if isinstance(results, RSVCResult):
        return iter([(None, results)])
    if not isinstance(results, Mapping):
        raise TypeError(f"results: expected results by their class, found {type(results).__name__}")
    if len(results) == 0:
        raise ValueError("results: expected at least one class, found none")
    return _loaded(results)


def _loaded(results: Mapping[Any, Any]) -> Iterator[tuple[Hashable, RSVCResult]]:
    for label in results:
        result = results[label]
        if not isinstance(result, RSVCResult):
            raise TypeError(f"results: expected RSVCResult of class {label!r}, found {type(result).__name__}")
        yield label, result


def concept_table(result: RSVCResult, network: int, number: int = 0) -> ConceptTable:
    """The concepts of network 1 or 2 in one class, which gets a number."""
    columns = {key: np.asarray(getattr(result, pair[network - 1]), float) for key, pair in FIELDS.items()}
    columns["delta_pearson"] = columns["cmcs"] - columns["smcs"]
    importance = getattr(result, f"importance_{network}")
    replacement = getattr(result, f"replacement_{network}")
    if importance is not None and "delta_kl" in replacement:
        columns |= {"importance": np.asarray(importance, float), "delta_kl": replacement["delta_kl"]}
    k = len(columns["cmcs"])
    return ConceptTable(np.full(k, number), np.arange(k), columns)


def joined(tables: Sequence[ConceptTable]) -> ConceptTable:
    """The concepts of several classes below each other."""
    # A column that some class lacks (one without a head) is left out of all.
    common = [key for key in tables[0].columns if all(key in each.columns for each in tables)]
    return ConceptTable(
        np.concatenate([each.classes for each in tables]),
        np.concatenate([each.concepts for each in tables]),
        {key: np.concatenate([each.columns[key] for each in tables]) for key in common},
    )


def shown_concepts(results: Results, count: int = SHOWN) -> list[ConceptKey]:
    """The concepts that a report shows: of each network those chosen over all classes together.

    Args:
        results: A comparison, or those of many classes by name.
        count: Most concepts of each network.

    Returns:
        Keys of concepts, network 1's first, of each network the lowest delta Pearson first.

    Raises:
        TypeError: Not results.
        ValueError: No results, count below 1.
    """
    labels: list[Hashable] = []
    tables: tuple[list[ConceptTable], list[ConceptTable]] = [], []
    for number, (label, result) in enumerate(entries(results)):
        labels.append(label)
        for network in (1, 2):
            tables[network - 1].append(concept_table(result, network, number))
    found = []
    for network in (1, 2):
        table = joined(tables[network - 1])
        found += [
            ConceptKey(network, labels[table.classes[row]], int(table.concepts[row]))
            for row in table.chosen(count).tolist()
        ]
    return found


def check_by_class(argument: str, given: Any, labels: Sequence[Hashable]) -> None:
    """Of many classes everything comes by class; of a single result, whose only label is None, it does not.

    Raises:
        TypeError: Not a mapping.
        ValueError: A class is not in it.
    """
    if given is None or labels == [None]:
        return
    if not isinstance(given, Mapping):
        raise TypeError(f"{argument}: expected a mapping by class, found {type(given).__name__}")
    missing = [label for label in labels if label not in given]
    if missing:
        raise ValueError(f"{argument}: found none for {len(missing)} classes, {missing[0]!r} among them")


def check_patches(patches: Any, result: RSVCResult, label: Hashable = None) -> None:
    """Refuse another number of pictures than there are patches.

    Raises:
        ValueError: It is another one.
    """
    # A mapping may hold no more than the patches that are shown.
    if not isinstance(patches, Sized) or isinstance(patches, Mapping):
        return
    where, m = "" if label is None else f" of class {label!r}", len(result.coefficients_1)
    if len(patches) != m:
        raise ValueError(f"patches: expected {m} pictures{where}, one per patch, found {len(patches)}")
