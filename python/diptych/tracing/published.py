"""The three sets of people's answers that were published with the study, in the layout that they come in.

Kondapaneni, Perona, Mac Aodha, "Visual Knowledge Tracing", ECCV 2022, arXiv 2207.10157. A set, "butterflies",
"OCT" or "greebles", is a folder::

    greebles/
        greebles.json               image_urls, labels, class_names
        images/                     the files that the image_urls end in
        mongodb_data/db_dict.json   a session for each learner, by name

``image_urls[i]`` and ``labels[i]`` tell of image i. A session has ``num_hits_per_session`` (the steps that
were planned), ``hits_completed``, ``num_correct_test``, ``shuffled_indices`` (the image of each step) and
``hit_list``, whose entries have ``target_label``, ``feedback`` ("testing" where none was given, other text
where it was) and ``response``: a ranking of class numbers, likeliest first, as JSON in a text ("[2, 0, 1]").

This is our reading of the names that the authors' public code asks for; the files themselves were not at
hand. So another layout is refused, with the key that was expected and what was found. Further keys are let
be. How the times of single answers are called is not known to us, and they are not read.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diptych._text import some
from diptych.ops import _checks
from diptych.tracing.rows import PHASES, RANKED, Coder, Header, Rows, Texts, checked_classes, sequences_of
from diptych.tracing.sequences import Sequences
from diptych.tracing.validation import faults

#: Correct answers in the test that the study asks of a learner: who has fewer of the 15 is left out.
LEAST_CORRECT = 4

_TESTING = "testing"


def load_published(folder: str | os.PathLike[str], *, least_correct: int = LEAST_CORRECT) -> Sequences:
    """Read a set of the study.

    Sessions that were not finished are left out, and those with fewer correct answers in the test than
    asked: the authors' code keeps sessions of 45 steps with at least 4. ``about`` counts them.

    Args:
        folder: The set's folder, by the name that its .json file has.
        least_correct: Correct answers in the test that a session must have; 0 to keep all.

    Returns:
        The sequences: learners in the file's order, all images of the set, the first three of each ranking.

    Raises:
        FileNotFoundError: A file or folder of the layout is missing.
        TypeError: ``least_correct`` is no integer.
        ValueError: Another layout: a key is missing or holds something else; labels or images that do not
            agree between the files; no session is left; or any of the faults that
            :func:`diptych.tracing.data.load` finds. The message names the file, the learner and the step.
    """
    _checks.integer("least_correct", least_correct, 0)
    root = Path(folder)
    images = root / "images"
    pictures = _Pictures(root / f"{root.resolve().name}.json")
    if not images.is_dir():
        raise FileNotFoundError(f"{images}: no such folder")
    sessions = _Sessions(root / "mongodb_data" / "db_dict.json", pictures, least_correct)
    rows = sessions.rows()
    found = faults(rows, pictures.classes, images)
    if found:
        raise ValueError("\n".join(found))
    return sequences_of(rows, pictures.classes, images)


class _Pictures:
    """What the set's own file tells: the images and their classes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        said = _object(_json(path), str(path))
        self.classes = checked_classes(_texts(said, "class_names", str(path)), f"{path}: class_names")
        self.names = [url.rsplit("/", 1)[-1] for url in _texts(said, "image_urls", str(path))]
        self.labels = _integers(said, "labels", str(path))
        if len(self.labels) != len(self.names):
            raise ValueError(
                f"{path}: labels: expected {len(self.names)}, one per image, found {len(self.labels)}"
            )
        self.listed: dict[str, str] = {}
        for name, label in zip(self.names, self.labels, strict=True):
            if not 0 <= label < len(self.classes):
                raise ValueError(
                    f"{path}: labels: expected 0 to {len(self.classes) - 1}, found {label} of {name}"
                )
            if self.listed.setdefault(name, self.classes[label]) != self.classes[label]:
                raise ValueError(f"{path}: labels: expected one of each image, found two of {name}")


class _Sessions:
    """The learners' answers, a column for each thing that is told of a step."""

    def __init__(self, path: Path, pictures: _Pictures, least_correct: int) -> None:
        self._path, self._pictures = path, pictures
        self._learner, self._image = Coder(), Coder()
        self._steps: list[tuple[int, int, int, int, int, int]] = []
        self._rankings: list[list[int]] = []
        self._left_out = {"unfinished": 0, "too_few_correct": 0}
        for name, content in _object(_json(path), str(path)).items():
            where = f"{path}, learner {name!r}"
            session = _object(content, where)
            planned = _integer(session, "num_hits_per_session", where)
            if planned < 2:
                raise ValueError(f"{where}: num_hits_per_session: expected at least 2, found {planned}")
            if _integer(session, "hits_completed", where) < planned:
                self._left_out["unfinished"] += 1
            elif _integer(session, "num_correct_test", where) < least_correct:
                self._left_out["too_few_correct"] += 1
            else:
                self._add(name, session, planned, where)
        if not self._steps:
            counts = ", ".join(f"{count} {why}" for why, count in self._left_out.items())
            raise ValueError(f"{path}: expected at least one finished session, found none: {counts}")

    def rows(self) -> Rows:
        """All steps of those that were kept."""
        columns = np.array(self._steps, np.int64).T
        learner, step, testing, image, label, response = columns
        names = self._learner.names
        about = {"set": self._pictures.path.stem, **self._left_out}
        return Rows(
            str(self._path),
            lambda row: f"{self._path}, learner {names[learner[row]]!r}, step {step[row]}",
            learner=Texts(learner, names),
            step=step,
            phase=Texts(testing, PHASES),
            image=Texts(image, self._image.names),
            classes=self._pictures.classes,
            label=label,
            response=response,
            ranking=np.array(self._rankings, np.int64),
            header=Header(self._pictures.classes, self._pictures.listed, about),
        )

    def _add(self, name: str, session: dict[str, Any], planned: int, where: str) -> None:
        shown = _integers(session, "shuffled_indices", where)
        hits = _list(session, "hit_list", where)
        for key, found in (("shuffled_indices", shown), ("hit_list", hits)):
            if len(found) != planned:
                raise ValueError(
                    f"{where}: {key}: expected {planned}, as num_hits_per_session says, found {len(found)}"
                )
        (learner,) = self._learner([name])
        for step, (item, content) in enumerate(zip(shown, hits, strict=True)):
            at = f"{where}, step {step}"
            hit, label = _object(content, at), self._label(item, at)
            told = _integer(hit, "target_label", at)
            if told != label:
                raise ValueError(
                    f"{at}: target_label: expected {label}, that of {self._pictures.names[item]} in "
                    f"{self._pictures.path.name}, found {told}"
                )
            ranking = self._ranking(hit, at)
            testing = _text(hit, "feedback", at) == _TESTING
            (image,) = self._image([self._pictures.names[item]])
            self._steps.append((learner, step, testing, image, label, ranking[0]))
            self._rankings.append(ranking)

    def _label(self, item: int, where: str) -> int:
        if not 0 <= item < len(self._pictures.labels):
            raise ValueError(
                f"{where}: shuffled_indices: expected 0 to {len(self._pictures.labels) - 1}, found {item}"
            )
        return self._pictures.labels[item]

    def _ranking(self, hit: dict[str, Any], where: str) -> list[int]:
        """The first three classes of a response."""
        text, n = _text(hit, "response", where), len(self._pictures.classes)
        try:
            ranking = [_class_number(each) for each in list(json.loads(text))]
        except (ValueError, TypeError, RecursionError) as error:
            wanted = "class numbers as JSON in a text, such as '[2, 0, 1]'"
            raise ValueError(f"{where}: response: expected {wanted}, found {text!r:.80}") from error
        depth = min(RANKED, n)
        if len(ranking) < depth or not all(0 <= each < n for each in ranking):
            wanted = f"a ranking of at least {depth} of the classes 0 to {n - 1}"
            raise ValueError(f"{where}: response: expected {wanted}, found {text!r:.80}")
        return ranking[:depth]


def _class_number(found: Any) -> int:
    """A number, or the text of one."""
    if type(found) not in (int, str):
        raise TypeError(found)
    return int(found)


def _json(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; is this a set of the study?")
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not a JSON file: {error}") from error


def _object(found: Any, where: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ValueError(f"{where}: expected an object of keys and values, found {found!r:.80}")
    return found


def _value(said: dict[str, Any], key: str, where: str) -> Any:
    if key not in said:
        raise ValueError(f"{where}: expected the key {key!r}, found {some(map(repr, said), 12) or 'none'}")
    return said[key]


def _integer(said: dict[str, Any], key: str, where: str) -> int:
    value = _value(said, key, where)
    if type(value) is not int:
        raise ValueError(f"{where}: {key}: expected a whole number, found {value!r:.80}")
    return value


def _text(said: dict[str, Any], key: str, where: str) -> str:
    value = _value(said, key, where)
    if not isinstance(value, str):
        raise ValueError(f"{where}: {key}: expected text, found {value!r:.80}")
    return value


def _list(said: dict[str, Any], key: str, where: str) -> list[Any]:
    value = _value(said, key, where)
    if not isinstance(value, list):
        raise ValueError(f"{where}: {key}: expected a list, found {value!r:.80}")
    return value


def _integers(said: dict[str, Any], key: str, where: str) -> list[int]:
    values = _list(said, key, where)
    if not all(type(value) is int for value in values):
        raise ValueError(f"{where}: {key}: expected whole numbers, found {_other(values, int)}")
    return values


def _texts(said: dict[str, Any], key: str, where: str) -> list[str]:
    values = _list(said, key, where)
    if not all(type(value) is str for value in values):
        raise ValueError(f"{where}: {key}: expected texts, found {_other(values, str)}")
    return values


def _other(values: Sequence[Any], kind: type) -> str:
    """The first value of another type."""
    place = next(place for place, value in enumerate(values) if type(value) is not kind)
    return f"{values[place]!r:.80} at place {place}"
