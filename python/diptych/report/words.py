"""What the page says in sentences."""

from collections import Counter
from math import isinf, isnan

from diptych.rdx.results import Explanations, RDXResult

# How a CKA is put in words; the limits are ours.
_ALIKE = (
    (0.95, "in almost the same way"),
    (0.8, "in largely the same way"),
    (0.5, "in partly the same way"),
    (float("-inf"), "in quite different ways"),
)
_CHANCE = 0.5
_LABELS_NAMED = 4
_NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def count(number: int, noun: str) -> str:
    """A number with its noun: "one group", "12 groups"."""
    shown = _NUMBERS[number] if number < len(_NUMBERS) else f"{number:,}"
    return f"{shown} {noun}" if number == 1 else f"{shown} {noun}s"


def percent(share: float, digits: int = 0) -> str:
    """A share as a percentage; a dash for NaN."""
    return "–" if isnan(share) else f"{round(100 * share, digits) + 0.0:.{digits}f} %"


def decimal(value: float, digits: int = 2) -> str:
    """A number with fixed decimals; a dash for NaN."""
    return "–" if isnan(value) else f"{value:.{digits}f}"


def figure(value: float) -> str:
    """A number with three digits; a dash for NaN, a sign for Inf."""
    return "–" if isnan(value) else "∞" if isinf(value) else f"{value:.3g}"


def finding(result: RDXResult) -> list[str]:
    """The outcome in plain sentences: how alike, then what each side groups that the other does not."""
    sentences = [_likeness(result)]
    if not result.a.grids and not result.b.grids:
        first, second = result.names
        sentences.append(
            f"No differences were found: {first} groups nothing that {second} does not, "
            f"and {second} nothing that {first} does not."
        )
        return sentences
    sentences += [_grouped(*direction) for direction in result.directions]
    return sentences


def _likeness(result: RDXResult) -> str:
    first, second = result.names
    if isnan(result.cka):
        return f"{first} and {second} describe the same {result.n:,} items."
    way = next(words for limit, words in _ALIKE if result.cka >= limit)
    sentence = f"{first} and {second} arrange the same {result.n:,} items {way}"
    if isnan(result.mutual_knn):
        return f"{sentence}."
    return (
        f"{sentence}: of an item’s ten nearest neighbors in one, "
        f"{decimal(10 * result.mutual_knn, 1)} are also among its ten nearest in the other, "
        "on average."
    )


def _grouped(name: str, other: str, side: Explanations) -> str:
    if not side.grids:
        return f"{name} groups nothing that {other} does not."
    groups = count(len(side.grids), "group")
    if side.bsr <= _CHANCE:
        return (
            f"{name} shows no difference that holds: of the pairs in its {groups}, only "
            f"{percent(side.bsr)} are closer neighbors in {name} than in {other}."
        )
    return (
        f"{name} holds together {groups} of items that {other} spreads apart: "
        f"{percent(side.bsr)} of the pairs shown are closer neighbors in {name}."
    )


def label_mix(labels: list[str]) -> str:
    """How often each label occurs, most frequent first: "6 labelled cat, 3 labelled dog"."""
    ordered = Counter(labels).most_common()
    if len(ordered) == 1:
        return f"all labelled {labels[0]}"
    shown = ordered if len(ordered) <= _LABELS_NAMED else ordered[: _LABELS_NAMED - 1]
    parts = [f"{times} labelled {label}" for label, times in shown]
    others = len(labels) - sum(times for _, times in shown)
    return ", ".join([*parts, f"{others} others"] if others else parts)


def python_call(result: RDXResult) -> str:
    """The Python call that repeats a comparison, for results that did not come from a command."""
    arguments = ",\n    ".join(f"{name}={value!r}" for name, value in vars(result.parameters).items())
    return f"result = diptych.rdx.compare(\n    a, b,\n    {arguments},\n)"
