"""The concepts of two networks in all classes, as columns of numbers."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from diptych._text import storable
from diptych.plots.style import SIDES, Side, network_names
from diptych.rsvc.results import ConceptScores, Parameters, RSVCResult
from diptych.rsvc.shown import ConceptTable, Results, concept_table, entries, joined

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Network(ConceptTable):
    """All concepts of one network, and how the page calls it.

    Attributes:
        side: "a" for the first, "b" for the second.
        name: How the network is called.
    """

    side: Side
    name: str

    @property
    def number(self) -> int:
        """1 for the first, 2 for the second."""
        return 1 + SIDES.index(self.side)


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
        scores: What figures show of each class.
        frames: The rows of each class in concepts.csv.
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
    scores: list[ConceptScores] = field(default_factory=list)
    frames: list["pandas.DataFrame"] = field(default_factory=list)


def overview(results: Results) -> Overview:
    """Gather the concepts of all classes, each of which is loaded once.

    Raises:
        TypeError: Neither a result nor a mapping of names to results.
        ValueError: No results, or results of other networks.
    """
    parts: tuple[list[ConceptTable], list[ConceptTable]] = [], []
    totals: Overview | None = None
    for number, (label, result) in enumerate(entries(results)):
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
            parts[place].append(concept_table(result, place + 1, number))
    assert totals is not None
    totals.networks = [Network(**vars(joined(parts[i])), side=SIDES[i], name=totals.names[i]) for i in (0, 1)]
    return totals


def _add(found: Overview, label: Hashable, result: RSVCResult) -> None:
    found.classes.append(label)
    found.patches += len(result.coefficients_1)
    found.images += len(np.unique(result.groups))
    found.notes += [note if label is None else f"{label}: {note}" for note in result.notes]
    for stage, seconds in result.seconds.items():
        found.seconds[stage] = found.seconds.get(stage, 0.0) + seconds
    found.scores.append(result.scores)
    frame = result.to_frame()
    if label is not None:
        frame.insert(0, "class", storable(str(label)))
    found.frames.append(frame)
