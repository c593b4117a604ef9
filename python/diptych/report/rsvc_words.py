"""What the page of an RSVC comparison says in sentences."""

from collections.abc import Sequence
from typing import Any

from diptych.report.rsvc_concepts import Network
from diptych.report.words import count, decimal
from diptych.rsvc.collages import LACKING
from diptych.rsvc.results import Parameters

# How a mean correlation of predicted and real coefficients is put in words; the limits are ours.
_ALIKE = ((0.9, "almost fully"), (0.7, "largely"), (0.4, "in part"), (float("-inf"), "hardly"))
_NOTES = 6


def finding(networks: Sequence[Network]) -> list[str]:
    """The outcome in plain sentences: how well each expresses the other, then what only one has."""
    first, second = networks
    sentences = [_expressed(first, second.name), _expressed(second, first.name)]
    if not first.living or not second.living:
        return sentences
    if not first.lacking and not second.lacking:
        return [*sentences, "Neither has a concept that the other lacks."]
    return [*sentences, _only_in(first, second.name), _only_in(second, first.name)]


def _expressed(own: Network, other: str) -> str:
    if not own.living:
        return f"All concepts of {own.name} are dead, so nothing can be said of them."
    way = next(words for limit, words in _ALIKE if own.mean("cmcs") >= limit)
    return (
        f"{other} expresses the concepts of {own.name} {way}: what it predicts of them correlates "
        f"{decimal(own.mean('cmcs'))} with what they are, on average; what {own.name} itself predicts, "
        f"{decimal(own.mean('smcs'))}."
    )


def _only_in(own: Network, other: str) -> str:
    if not own.lacking:
        return f"{own.name} has no concept that {other} lacks."
    return f"{own.name} has {count(own.lacking, 'concept')} that {other} lacks."


def facts(networks: Sequence[Network], scope: tuple[str, str, str]) -> list[tuple[str, str, str]]:
    """(name, value, meaning) of the figures at the head of the page; ``scope`` is the first of them."""
    found = [scope]
    for own, other in (networks, networks[::-1]):
        by_itself = f"mean CMCS; by itself (SMCS) {decimal(own.mean('smcs'), 3)}"
        found.append((f"{own.name}, predicted by {other.name}", decimal(own.mean("cmcs"), 3), by_itself))
    for own, other in (networks, networks[::-1]):
        meaning = f"concepts that {other.name} lacks: SMCS − CMCS of at least {LACKING:g}"
        found.append((f"Only in {own.name}", f"{own.lacking} of {own.living}", meaning))
    return found


def notes(networks: Sequence[Network], told: list[str]) -> list[str]:
    """What a reader should know: dead concepts, and the first of the results' own notes."""
    found = [
        f"{dead} of {len(each.columns['cmcs'])} concepts of {each.name} are dead: their coefficients do not "
        "vary, and no similarity is defined."
        for each in networks
        if (dead := len(each.columns["cmcs"]) - each.living)
    ]
    # What a result says of each dead concept is said of all of them.
    told = [note for note in told if "is dead (" not in note]
    more = [f"There are {len(told) - _NOTES} more notes."] if len(told) > _NOTES else []
    return found + told[:_NOTES] + more


def python_call(parameters: Parameters, classes: int | None) -> str:
    """The Python call that repeats a comparison, of one class or of several."""
    options: dict[str, Any] = vars(parameters).copy()
    targets = options.pop("target_1"), options.pop("target_2")
    if classes is None and targets != (None, None):
        options |= {"target": targets}
    arguments = ",\n    ".join(f"{name}={value!r}" for name, value in options.items())
    if classes is None:
        return f"result = diptych.rsvc.compare(\n    acts_1, acts_2,\n    {arguments},\n)"
    return f"results = dict(diptych.rsvc.compare_classes(\n    classes,\n    {arguments},\n))"
