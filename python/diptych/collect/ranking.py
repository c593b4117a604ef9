"""Ranking trials: an image is shown, and the learner ranks the classes that are likeliest."""

from dataclasses import dataclass
from typing import Any, ClassVar

from diptych.collect.order import balanced_order, check_order
from diptych.collect.trials import Trial

#: Classes that are ranked, or all where there are fewer.
DEPTH = 3

_WORDS = {2: "two", 3: "three"}


@dataclass(frozen=True)
class Ranking:
    """One image a step, for which the likeliest classes are ranked; in training the true one is told then.

    The steps of Kondapaneni, Perona and Mac Aodha, "Visual Knowledge Tracing", ECCV 2022, arXiv 2207.10157;
    how images are drawn and balanced is ours (:func:`diptych.collect.order.balanced_order`).

    Attributes:
        images: Names of the m images.
        classes: Names of the C classes, at least two.
        labels: (m,) class of each image.
        train: Training steps of a learner, at least C.
        test: Test steps.
        seed: The order of a learner is the same for a seed and the learner's number.

    Raises:
        ValueError: As :func:`diptych.collect.order.check_order`.
    """

    name: ClassVar[str] = "ranking"

    images: tuple[str, ...]
    classes: tuple[str, ...]
    labels: tuple[int, ...]
    train: int = 30
    test: int = 15
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed: expected a number that is not negative, found {self.seed}")
        check_order(self.labels, self.classes, self.train, self.test)

    @property
    def depth(self) -> int:
        """How many classes are ranked."""
        return min(DEPTH, len(self.classes))

    def instructions(self) -> list[str]:
        """What learners read before they begin, in sentences."""
        ranked = f"rank the {_WORDS[self.depth]} classes that you think likeliest, the likeliest first"
        if self.depth == len(self.classes):
            ranked = f"rank the {_WORDS[self.depth]} classes, the likeliest first"
        told = [
            f"You will see {self.train + self.test} pictures, one at a time. For each, {ranked}.",
            f"In the first {self.train} you are told the right class after each answer. Guess at first: "
            "this is how you learn.",
        ]
        return [*told, f"The last {self.test} are a test, without answers."] if self.test else told

    def plan(self, learner: int) -> list[Trial]:
        """The steps of a learner: balanced over the classes, no image twice."""
        return balanced_order(self.labels, self.train, self.test, [self.seed, learner])

    def shown(self, trial: Trial) -> dict[str, Any]:
        """The names of the classes, and how many are ranked."""
        return {"classes": self.classes, "depth": self.depth}

    def read(self, trial: Trial, answer: Any) -> list[int]:
        """The ranking: numbers of different classes, the likeliest first.

        Raises:
            ValueError: It is something else.
        """
        numbers = answer if isinstance(answer, list) else []
        # By type, for True and 1.0 are equal to 1.
        known = all(type(each) is int and 0 <= each < len(self.classes) for each in numbers)
        if not known or len(numbers) != self.depth or len(set(numbers)) != self.depth:
            raise ValueError(
                f"answer: expected a list of {self.depth} different numbers of classes, 0 to "
                f"{len(self.classes) - 1}"
            )
        return list(numbers)

    def feedback(self, trial: Trial, answer: list[int]) -> dict[str, Any] | None:
        """In training the number of the true class; in the test nothing."""
        return {"label": self._label(trial)} if trial.phase == "train" else None

    def header(self) -> dict[str, Any]:
        """The classes in their order, the true class of every image, and the phases' lengths."""
        labels = (self.classes[label] for label in self.labels)
        return {
            "format": 1,
            "classes": list(self.classes),
            "images": dict(zip(self.images, labels, strict=True)),
            "about": {"trials": self.name, "train": self.train, "test": self.test, "seed": self.seed},
        }

    def row(self, trial: Trial, answer: list[int]) -> dict[str, Any]:
        """The image, its true class, the class answered, and the ranking that it leads."""
        ranking = [self.classes[each] for each in answer]
        return {
            "image": self.images[trial.images[0]],
            "label": self.classes[self._label(trial)],
            "response": ranking[0],
            "ranking": ranking,
        }

    def _label(self, trial: Trial) -> int:
        return self.labels[trial.images[0]]
