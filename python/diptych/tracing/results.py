"""What models made of learners: predictions side by side, and where one of them went on the way."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diptych._archive import packed, read_archive, readable, unpacked, write_archive
from diptych._tables import load_pandas
from diptych.tracing.scores import score
from diptych.tracing.sequences import Sequences

if TYPE_CHECKING:
    import pandas

#: What the true probabilities of simulated learners are called among models.
ORACLE = "oracle"

#: The model that the others are compared with.
STATIC = "static"

_FORMAT = 1


@dataclass(frozen=True, eq=False)
class Paths:
    """Where one model went with its learners: k states, before the first training step and after each.

    Attributes:
        model: Whose states they are.
        learner: (k,) int64 of whom.
        step: (k,) int64 training steps made before.
        hidden: (k, h) float32 hidden states of the topmost layer; None for a model without.
        cell: (k, h) float32 states of its cells; None for a model without.
        weights: (k, C, d) float32 linear classifiers, the mean over the true class where it plays a part;
            None for a model without.
        offsets: (k, C) float32, likewise.
        features: (m, d) float32 of the images, as the model sees them.
    """

    model: str
    learner: NDArray[np.int64]
    step: NDArray[np.int64]
    hidden: NDArray[np.float32] | None
    cell: NDArray[np.float32] | None
    weights: NDArray[np.float32] | None
    offsets: NDArray[np.float32] | None
    features: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TracingResult:
    """What models foretold of the same learners.

    Attributes:
        answers: What L learners did; neither pixels nor a folder of images.
        probabilities: By model, (n, C) float32 probabilities of the answers, each from what came before it.
        paths: Of one of the models; None where none was followed.
        about: Where it comes from, as JSON can hold it.

    Raises:
        ValueError: No model, or probabilities of another shape than the answers'.
    """

    answers: Sequences
    probabilities: dict[str, NDArray[np.float32]]
    paths: Paths | None = None
    about: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.probabilities:
            raise ValueError("probabilities: expected those of a model or more, found none")
        wanted = len(self.answers.item), len(self.answers.classes)
        for name, each in self.probabilities.items():
            if each.shape != wanted:
                raise ValueError(f"probabilities: expected shape {wanted} of {name}, found {each.shape}")

    @property
    def models(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.probabilities)

    def foretold(self) -> dict[str, NDArray[Any]]:
        """The models' probabilities (n, C) and, where they are known, the true ones, the oracle's."""
        truth = self.answers.truth
        return {**self.probabilities, **({} if truth is None else {ORACLE: truth})}

    def frame(self) -> "pandas.DataFrame":
        """How well each model foretold the answers.

        Returns:
            A row for each model, and the oracle where there is one, and for training and test as far as there
            are answers: ``model``, ``phase``, ``learners``, ``answers``, ``micro_ap``, ``macro_ap``,
            ``accuracy``, ``nll``, ``ece`` (:class:`~diptych.tracing.scores.Scores`), and ``share_of_gap``:
            how much of the gap in ``micro_ap`` from the static model to the oracle is closed, NaN without
            both.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        pandas = load_pandas("frame")
        answers, rows = self.answers, []
        for phase, asked in answers.phases():
            found = {
                name: score(chances[asked], answers.response[asked])._asdict()
                for name, chances in self.foretold().items()
            }
            counted = {"learners": len(np.unique(answers.learner[asked])), "answers": int(asked.sum())}
            low, high = (found.get(name, {}).get("micro_ap", np.nan) for name in (STATIC, ORACLE))
            for name, scores in found.items():
                del scores["class_ap"]
                closed = (scores["micro_ap"] - low) / (high - low) if high > low else np.nan
                rows.append({"model": name, "phase": phase, **counted, **scores, "share_of_gap": closed})
        return pandas.DataFrame(rows)

    def of_learners(self, phase: str) -> dict[str, NDArray[np.float64]]:
        """By model, (L,) micro average precision of each learner's answers; NaN for one without any.

        Args:
            phase: ``"train"`` or ``"test"``.
        """
        from sklearn.metrics import average_precision_score

        answers = self.answers
        asked = answers.test == (phase == "test")
        given = np.eye(len(answers.classes), dtype=bool)[answers.response]
        found = {}
        for name, chances in self.foretold().items():
            of_each = np.full(len(answers), np.nan)
            for learner, rows in enumerate(_rows(answers, asked)):
                if len(rows):
                    of_each[learner] = average_precision_score(given[rows].ravel(), chances[rows].ravel())
            found[name] = of_each
        return found

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write all of it to an .npz, whole or not at all."""
        arrays: dict[str, Any] = {}
        said = {"format": _FORMAT, "content": packed(self, arrays, "result")}
        return write_archive(path, "tracing", said, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "TracingResult":
        """Read what :meth:`save` wrote; nothing is unpickled.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is damaged, or holds something else.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: no such file")
        with readable(str(path), "tracing"):
            arrays, said = read_archive(Path(path), "tracing", _FORMAT)
            found = unpacked(
                said["content"], arrays, {each.__name__: each for each in (cls, Paths, Sequences)}
            )
            if not isinstance(found, cls):
                raise ValueError("it holds something else")
            return found


def without_images(sequences: Sequences) -> Sequences:
    """The same without pixels and folder, which a result does not hold."""
    return replace(sequences, images=None, folder=None)


def _rows(answers: Sequences, asked: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """For each learner which of its steps, by number in the table, are asked for."""
    ends = np.cumsum(answers.lengths)
    return [
        first + np.flatnonzero(asked[first:last])
        for first, last in zip(ends - answers.lengths, ends, strict=True)
    ]
