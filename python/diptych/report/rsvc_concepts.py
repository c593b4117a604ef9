"""The concepts of two networks in all classes, as columns of numbers."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diptych.plots.style import SIDES, Side, network_names
from diptych.rsvc.collages import chosen_concepts, lacking
from diptych.rsvc.results import Parameters, RSVCResult

#: Fields of a result for a concept of network 1 and of network 2, by what the page calls them.
FIELDS: dict[str, tuple[str, str]] = {
    "cmcs": ("cmcs_2to1", "cmcs_1to2"),
    "smcs": ("smcs_1", "smcs_2"),
    "mcs": ("mcs_1", "mcs_2"),
    "features": ("nonzero_2to1", "nonzero_1to2"),
}


class _Columns(NamedTuple):
    """Of one network in one class, as in :class:`Network`."""

    classes: NDArray[np.int64]
    concepts: NDArray[np.int64]
    columns: dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Network:
    """All concepts of one network.

    Attributes:
        side: "a" for the first, "b" for the second.
        name: How the network is called.
        classes: The class of each concept, a number.
        concepts: Its number in that class.
        columns: Numbers of each concept: cmcs, smcs, mcs, features, delta_pearson, and with a head importance
            and delta_kl; NaN is undefined.
    """

    side: Side
    name: str
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
        """The concepts to show, by the rule of :func:`diptych.rsvc.chosen_concepts`."""
        return chosen_concepts(self.columns["delta_pearson"], self.columns.get("delta_kl"), count=count)


@dataclass
class Overview:
    """What all classes' results say together.

    Attributes:
        names: How the networks are called.
        evaluated_on: What kind of patches similarity was measured on.
        parameters: Of the comparison (of the first class).
        versions: Software that made the results.
        networks: The concepts of the first and of the second.
        classes: The keys of the classes, or [None] for a single result.
        patches: Patches that similarity was measured on, in all classes.
        images: Images these are of.
        notes: Notes of the results, with their class.
        seconds: Wall time per stage, summed over classes.
    """

    names: tuple[str, str]
    evaluated_on: str
    parameters: Parameters
    versions: dict[str, str]
    networks: list[Network] = field(default_factory=list)
    classes: list[Hashable] = field(default_factory=list)
    patches: int = 0
    images: int = 0
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def entries(results: RSVCResult | Mapping[Any, RSVCResult]) -> Iterator[tuple[Hashable, RSVCResult]]:
    """(class, result), one at a time: a mapping may load its results when they are asked for."""
    if isinstance(results, RSVCResult):
        yield None, results
    else:
        for name in results:
            yield name, results[name]


def overview(results: RSVCResult | Mapping[Any, RSVCResult]) -> Overview:
    """Gather the concepts of all classes.

    Raises:
        TypeError: Neither a result nor a mapping of names to results.
        ValueError: No results, or results of other networks.
    """
    if not isinstance(results, RSVCResult | Mapping):
        raise TypeError(f"results: expected results by their class, found {type(results).__name__}")
    if not isinstance(results, RSVCResult) and len(results) == 0:
        raise ValueError("results: expected at least one class, found none")
    parts: tuple[list[_Columns], list[_Columns]] = [], []
    totals: Overview | None = None
    for number, (label, result) in enumerate(entries(results)):
        if not isinstance(result, RSVCResult):
            raise TypeError(f"results: expected RSVCResult of class {label!r}, found {type(result).__name__}")
        if totals is None:
            names = network_names(result.names)
            totals = Overview(names, result.evaluated_on, result.parameters, versions=dict(result.versions))
        if network_names(result.names) != totals.names:
            raise ValueError(
                f"results: expected one pair of networks, found {totals.names} and, of class {label!r}, "
                f"{result.names}"
            )
        _add(totals, label, result)
        for place in (0, 1):
            parts[place].append(_columns(result, place, number))
    assert totals is not None
    totals.networks = [_joined(SIDES[i], totals.names[i], parts[i]) for i in (0, 1)]
    return totals


def _add(found: Overview, label: Hashable, result: RSVCResult) -> None:
    found.classes.append(label)
    found.patches += len(result.coefficients_1)
    found.images += len(np.unique(result.groups))
    found.notes += [note if label is None else f"{label}: {note}" for note in result.notes]
    for stage, seconds in result.seconds.items():
        found.seconds[stage] = found.seconds.get(stage, 0.0) + seconds


def _columns(result: RSVCResult, place: int, number: int) -> _Columns:
    columns = {key: np.asarray(getattr(result, pair[place]), float) for key, pair in FIELDS.items()}
    columns["delta_pearson"] = columns["cmcs"] - columns["smcs"]
    importance = getattr(result, f"importance_{place + 1}")
    replacement = getattr(result, f"replacement_{place + 1}")
    if importance is not None and "delta_kl" in replacement:
        columns |= {"importance": np.asarray(importance, float), "delta_kl": replacement["delta_kl"]}
    k = len(columns["cmcs"])
    return _Columns(np.full(k, number), np.arange(k), columns)


def _joined(side: Side, name: str, parts: list[_Columns]) -> Network:
    # A column that some class lacks (one without a head) is left out of all.
    common = [key for key in parts[0].columns if all(key in part.columns for part in parts)]
    return Network(
        side,
        name,
        np.concatenate([part.classes for part in parts]),
        np.concatenate([part.concepts for part in parts]),
        {key: np.concatenate([part.columns[key] for part in parts]) for key in common},
    )
