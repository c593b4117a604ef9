"""What a vision-language model says of grids and concepts: checked, ready to be shown, and as a table."""

import csv
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diptych._text import storable
from diptych.rdx.results import RDXResult
from diptych.rdx.words import GridDescription
from diptych.report.folder import DESCRIPTIONS
from diptych.report.rsvc_concepts import Overview
from diptych.rsvc.shown import ConceptKey
from diptych.rsvc.words import Description

GridDescriptions = tuple[Sequence[GridDescription], Sequence[GridDescription]]
ConceptDescriptions = Mapping[ConceptKey, Description] | Mapping[tuple[int, Any, int], Description]

_ANSWER = ("answer", "problems", "error", "model")
# What a cell begins with that spreadsheets take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class Said:
    """What a page shows of one answer; all of it is text from outside.

    Attributes:
        lines: (name, text) of what could be read, without a name where there is but one; empty if the answer
            is malformed or there is none.
        answer: A malformed answer, word for word; empty otherwise.
        problems: What is wrong with its form.
        error: Why there is no answer.
    """

    lines: Sequence[tuple[str, str]] = ()
    answer: str = ""
    problems: str = ""
    error: str = ""


def check_grids(
    descriptions: GridDescriptions | None, described_by: str | None, result: RDXResult
) -> tuple[list[GridDescription], list[GridDescription]] | None:
    """The descriptions of both sides' grids, as lists.

    Raises:
        TypeError: Not a pair of lists of :class:`diptych.rdx.words.GridDescription`, a name that is no text.
        ValueError: Another number of them than of grids, or a name without descriptions.
    """
    _check_name(descriptions, described_by)
    if descriptions is None:
        return None
    if not isinstance(descriptions, list | tuple) or len(descriptions) != 2:
        raise TypeError(
            "descriptions: expected (a, b), the descriptions of both sides’ grids, found "
            f"{type(descriptions).__name__}"
        )
    for given, (name, _, side) in zip(descriptions, result.directions, strict=True):
        if not isinstance(given, list | tuple):
            raise TypeError(f"descriptions: expected a list of those of {name}, found {type(given).__name__}")
        for each in given:
            _check_kind(each, GridDescription, name)
        if len(given) != len(side.grids):
            raise ValueError(
                f"descriptions: expected {len(side.grids)} of {name}, one per grid, found {len(given)}"
            )
    return list(descriptions[0]), list(descriptions[1])


def check_concepts(
    descriptions: ConceptDescriptions | None, described_by: str | None, found: Overview
) -> dict[tuple[int, Hashable, int], Description] | None:
    """The descriptions by (network, class, concept).

    Raises:
        TypeError: Not a mapping to :class:`diptych.rsvc.words.Description`, or a name that is no text.
        ValueError: A concept that there is not, or a name without descriptions.
    """
    _check_name(descriptions, described_by)
    if descriptions is None:
        return None
    if not isinstance(descriptions, Mapping):
        raise TypeError(
            "descriptions: expected a mapping by (network, class, concept), found "
            f"{type(descriptions).__name__}"
        )
    known = {
        (each.number, found.classes[label], concept)
        for each in found.networks
        for label, concept in zip(each.classes.tolist(), each.concepts.tolist(), strict=True)
    }
    for key, each in descriptions.items():
        if key not in known:
            raise ValueError(
                "descriptions: expected (1 or 2, class, concept) of a concept of the results, found "
                f"{tuple(key) if isinstance(key, tuple) else key!r}"
            )
        _check_kind(each, Description, repr(tuple(key)))
    return {(key[0], key[1], key[2]): each for key, each in descriptions.items()}


def grid_said(each: GridDescription) -> Said:
    """What a page shows of a grid's description."""
    if each.error is not None or each.problems or each.description is None:
        return _unread(each)
    return Said([("", each.description)])


def concept_said(each: Description) -> Said:
    """What a page shows of a concept's description."""
    texts = {
        "IC1, most of it": each.ic1,
        "IC2, predicted too low": each.ic2,
        "Similarity": each.similarity,
        "Difference": each.difference,
        "Semantic difference": _yes_or_no(each.semantic_difference) or None,
    }
    if each.error is not None or each.problems or None in texts.values():
        return _unread(each)
    return Said([(name, text) for name, text in texts.items() if text is not None])


def write_grids(
    folder: Path,
    result: RDXResult,
    descriptions: tuple[list[GridDescription], list[GridDescription]] | None,
    described_by: str | None,
) -> None:
    """Write ``descriptions.csv``: a row per grid, numbered from 1 as on the page."""
    if descriptions is None:
        return
    rows = [
        [name, number, each.description, *_answer(each, described_by)]
        for (name, _, _), side in zip(result.directions, descriptions, strict=True)
        for number, each in enumerate(side, 1)
    ]
    _write(folder, ["representation", "group", "description", *_ANSWER], rows)


def write_concepts(
    folder: Path,
    found: Overview,
    descriptions: dict[tuple[int, Hashable, int], Description] | None,
    described_by: str | None,
) -> None:
    """Write ``descriptions.csv``: a row per concept, with its class where there are many."""
    if descriptions is None:
        return
    several = found.classes != [None]
    head = ["network", "concept", "ic1", "ic2", "similarity", "difference", "semantic_difference", *_ANSWER]
    rows = []
    for (network, label, concept), each in descriptions.items():
        fields = each.ic1, each.ic2, each.similarity, each.difference, _yes_or_no(each.semantic_difference)
        row = [found.names[network - 1], concept, *fields, *_answer(each, described_by)]
        rows.append([label, *row] if several else row)
    _write(folder, ["class", *head] if several else head, rows)


def _check_name(descriptions: Any, described_by: str | None) -> None:
    if described_by is None:
        return
    if not isinstance(described_by, str):
        raise TypeError(f"described_by: expected the name of a model, found {type(described_by).__name__}")
    if descriptions is None:
        raise ValueError("described_by: expected descriptions beside it, found none")


def _check_kind(each: Any, kind: type, whose: str) -> None:
    if not isinstance(each, kind):
        raise TypeError(f"descriptions: expected {kind.__name__} of {whose}, found {type(each).__name__}")


def _unread(each: GridDescription | Description) -> Said:
    """Of an answer that could not be read, or of none."""
    if each.error is not None or not each.answer:
        return Said(error=each.error or "no answer")
    return Said(answer=each.answer, problems="; ".join(each.problems))


def _yes_or_no(value: bool | None) -> str:
    return "" if value is None else "Yes" if value else "No"


def _answer(each: GridDescription | Description, described_by: str | None) -> list[str | None]:
    return [each.answer, "; ".join(each.problems), each.error, described_by]


def _write(folder: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with open(folder / DESCRIPTIONS, "w", newline="", encoding="utf-8") as file:
        # All text in quotes: the writer overlooks a carriage return alone, and readers end a row there.
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(head)
        writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> Any:
    """Text from outside as a cell: what a spreadsheet would run as a formula gets an apostrophe before it."""
    if not isinstance(value, str):
        return value
    text = storable(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
