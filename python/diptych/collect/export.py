"""The answers as a table of JSON lines, one step a line."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from diptych._files import atomic_path
from diptych.collect.store import Learner, Store

# A sequence of answers begins at two steps.
_FEWEST = 2


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        learners: How many learners.
        steps: How many steps of theirs.
        left_out: How many learners have fewer than two answers, which is no sequence.
    """

    learners: int
    steps: int
    left_out: int


def export(answers: str | os.PathLike[str], out: str | os.PathLike[str]) -> Exported:
    """Write the answers of a file as JSON lines, which ``diptych.tracing.load`` reads.

    The first line is a header, if the kind of trial has one (ranking: ``format``, ``classes``, ``images``
    with their true classes, ``about``). Each line after it is one answered step: ``learner`` (a random name,
    by which they are ordered, not the secret of their page), ``step`` (from 0), ``phase`` ("train" or
    "test"), what the kind of trial tells (ranking: ``image``, its path under the folder, ``label``,
    ``response``, ``ranking``), and ``response_time`` in seconds, null where it is not known. Learners who
    have not finished are there as far as they came.

    Args:
        answers: The file of answers; a server may have it open.
        out: The file to write, whole or not at all.

    Raises:
        FileNotFoundError: There is no such file of answers.
        ValueError: It is no file of answers, or ``out`` is the same file.
        OSError: One of them cannot be used.
    """
    source, target = Path(answers), Path(out)
    if target.exists() and source.exists() and target.samefile(source):
        raise ValueError(f"{target}: expected another file than that of the answers")
    store = Store(source)
    try:
        with atomic_path(target) as temporary, open(temporary, "w", encoding="utf-8") as file:
            everybody = store.learners()
            file.writelines(lines(store, everybody))
    finally:
        store.close()
    told = list(filter(_long_enough, everybody))
    return Exported(len(told), sum(each.answered for each in told), len(everybody) - len(told))


def lines(store: Store, learners: list[Learner]) -> Iterator[str]:
    """The lines of a table of some learners, each with its end."""
    if header := store.study.kind.header():
        yield _line(header)
    # By their random names: the order in which people came is nobody's business.
    for learner in sorted(filter(_long_enough, learners), key=lambda each: each.name):
        # As many as there were when the learners were counted: answers may come meanwhile.
        for row in islice(_rows(store, learner), learner.answered):
            yield _line(row)


def _rows(store: Store, learner: Learner) -> Iterator[dict[str, Any]]:
    kind = store.study.kind
    for number, step in enumerate(store.steps(learner.number)):
        if step.answer is not None:
            begins = {"learner": learner.name, "step": number, "phase": step.trial.phase}
            yield {**begins, **kind.row(step.trial, step.answer), "response_time": step.seconds}


def _line(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n"


def _long_enough(learner: Learner) -> bool:
    return learner.answered >= _FEWEST
