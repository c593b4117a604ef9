"""What a kind of trial is: all that the page, the store and the export have to know of it."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

Phase = Literal["train", "test"]


@dataclass(frozen=True)
class Trial:
    """One step of a learner.

    Attributes:
        phase: "train", after which the learner is told what is right, or "test".
        images: The study's images that are shown, by number.
    """

    phase: Phase
    images: tuple[int, ...]


class TrialKind(Protocol):
    """A kind of trial: a dataclass whose fields JSON can hold, for the file of answers keeps them.

    Its page is ``static/NAME.js``, a module with a class ``Controls`` that asks for an answer, a function
    ``tell`` that shows feedback, and the words of its ``PHASES``; the kinds by name are in
    :mod:`diptych.collect.kinds`.

    Attributes:
        name: What the file of answers and the page's script call the kind.
    """

    name: ClassVar[str]

    @property
    def images(self) -> tuple[str, ...]:
        """Names of the study's images."""

    def instructions(self) -> list[str]:
        """What learners read before they begin, in sentences."""

    def plan(self, learner: int) -> list[Trial]:
        """The steps of a learner, the same whenever it is asked for.

        Args:
            learner: Number of the learner, from 0, in the order in which they begin.
        """

    def shown(self, trial: Trial) -> dict[str, Any]:
        """What the page is told beside the pictures, as JSON: nothing that gives the answer away."""

    def read(self, trial: Trial, answer: Any) -> Any:
        """The answer as it is kept (not None, and JSON can hold it), out of JSON from anybody.

        Raises:
            ValueError: It is no answer to this trial.
        """

    def feedback(self, trial: Trial, answer: Any) -> dict[str, Any] | None:
        """What the learner is told after the answer; None where nothing is."""

    def header(self) -> dict[str, Any]:
        """What the first line of an exported table says of all rows; empty if there is no such line."""

    def row(self, trial: Trial, answer: Any) -> dict[str, Any]:
        """The columns that the trial has in an exported table."""
