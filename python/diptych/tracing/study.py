"""How well models foretell learners over several seeds: rows, their means, what lies between two models."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diptych._tables import load_pandas, read_csv, write_csv
from diptych.stats import mean_interval
from diptych.tracing.models import MODELS
from diptych.tracing.results import ORACLE, STATIC
from diptych.tracing.variants import TABLES, variants

if TYPE_CHECKING:
    import pandas

#: What a study leaves in its folder: all rows, and those of each class.
ROWS, CLASSES = "rows.csv", "classes.csv"


@dataclass(frozen=True)
class Row:
    """One model on learners that it has not seen.

    Attributes:
        learners: Which learners: the kind of simulated ones, or the name of a set.
        seed: Of the simulation, the split and the training.
        model: Name of the variant, or ``oracle``.
        phase: Of the answers, ``train`` or ``test``.
        answers: How many.
        micro_ap: As all that follow, see :class:`~diptych.tracing.scores.Scores`.
        macro_ap: See there.
        accuracy: See there.
        nll: See there.
        ece: See there.
        epochs: Of the training, 0 of the oracle.
    """

    learners: str
    seed: int
    model: str
    phase: str
    answers: int
    micro_ap: float
    macro_ap: float
    accuracy: float
    nll: float
    ece: float
    epochs: int


@dataclass(frozen=True)
class ClassRow:
    """Average precision of one class, as in :class:`Row`; NaN where nobody answered it."""

    learners: str
    seed: int
    model: str
    phase: str
    answer: str
    ap: float


class Interval(NamedTuple):
    """A mean over seeds and its 95 % interval by Student's t; NaN where it is not defined."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class TracingStudy:
    """What :func:`diptych.tracing.reproduce` found.

    Attributes:
        folder: Where it lies: a folder of each training, ``rows.csv``, ``classes.csv`` and ``claims.csv``.
        rows: Of each model, seed and phase.
        classes: Likewise for each class.
    """

    folder: Path
    rows: tuple[Row, ...]
    classes: tuple[ClassRow, ...]

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "TracingStudy":
        """Read what a study left in its folder.

        Raises:
            FileNotFoundError: There is no finished study.
            ValueError: A damaged table.
        """
        there = Path(folder)
        rows, classes = read_csv(there / ROWS, Row), read_csv(there / CLASSES, ClassRow)
        return cls(there, tuple(rows), tuple(classes))

    def save(self) -> None:
        """Write the tables into the folder, each whole or not at all."""
        write_csv(self.folder / ROWS, Row, self.rows)
        write_csv(self.folder / CLASSES, ClassRow, self.classes)

    @property
    def sets(self) -> tuple[str, ...]:
        """The learners' names."""
        return tuple(dict.fromkeys(row.learners for row in self.rows))

    def models(self, learners: str) -> tuple[str, ...]:
        """The variants that were trained on these learners, and the oracle where there is one."""
        return tuple(dict.fromkeys(row.model for row in self.rows if row.learners == learners))

    def compared(self, learners: str, table: str) -> tuple[str, ...]:
        """The variants of a table that were trained on these learners; none where nothing was varied.

        Raises:
            ValueError: No such table.
        """
        if table not in TABLES:
            raise ValueError(f"table: expected one of {', '.join(TABLES)}, found {table!r}")
        wanted = {each.name for each in variants(table, True)}
        found = tuple(name for name in self.models(learners) if name in wanted)
        return found if table == "models" or set(found) - set(MODELS) else ()

    def micro_ap(self, learners: str, model: str, phase: str) -> dict[int, float]:
        """Micro average precision by seed."""
        asked = learners, model, phase
        return {row.seed: row.micro_ap for row in self.rows if (row.learners, row.model, row.phase) == asked}

    def above(self, learners: str, model: str, other: str, phase: str) -> Interval:
        """By how much a model's micro average precision is above another's, in pairs of the same seed."""
        own, theirs = (self.micro_ap(learners, each, phase) for each in (model, other))
        return interval([own[seed] - theirs[seed] for seed in own if seed in theirs])

    def share(self, learners: str, model: str, phase: str) -> tuple[Interval, float]:
        """How much of the gap from static to oracle a model closes: mean gain over mean gap.

        The mean of the seeds' own ratios would be ruled by those whose gap is next to nothing. The spread is
        that of a ratio of means (Cochran, Sampling Techniques, 1977, ch. 6): of what a seed gains beyond the
        share of its gap, over the mean gap.

        Returns:
            The share with its 95 % interval, and the standard deviation over the seeds; NaN without both
            models, or where the oracle is not above the static model in the mean.
        """
        own, low, high = (self.micro_ap(learners, each, phase) for each in (model, STATIC, ORACLE))
        seeds = [seed for seed in own if seed in low and seed in high]
        gains = np.array([own[seed] - low[seed] for seed in seeds])
        gaps = np.array([high[seed] - low[seed] for seed in seeds])
        if not len(gaps) or gaps.mean() <= 0:
            return Interval(float("nan"), float("nan"), float("nan")), float("nan")
        share = gains.mean() / gaps.mean()
        beyond = (gains - share * gaps) / gaps.mean()
        return interval(share + beyond), _deviation(beyond)

    def frame(self, table: str | None = None) -> "pandas.DataFrame":
        """Means over the seeds.

        Args:
            table: One of ``TABLES``, whose models alone are told, or None for all.

        Returns:
            A row for each set of learners, model and phase, the columns ``learners``, ``model``, ``phase``,
            ``seeds``; mean and standard deviation over the seeds of ``micro_ap`` and ``macro_ap`` (the latter
            as ``..._sd``, NaN of one seed); means of ``accuracy``, ``nll``, ``ece``; ``gain``, ``gain_low``,
            ``gain_high``: micro average precision above the static model's in pairs of the same seed, with
            its 95 % interval; ``share`` and ``share_sd`` of the gap from static to oracle (:meth:`share`).

            Seeds of one set of people are splits that share learners, so the interval is then too narrow.

        Raises:
            ModuleNotFoundError: pandas is not installed.
            ValueError: No such table.
        """
        pandas = load_pandas("frame")
        rows = pandas.DataFrame([asdict(row) for row in self.rows])
        if table is not None:
            of_each = {learners: self.compared(learners, table) for learners in self.sets}
            wanted = {(learners, each) for learners, own in of_each.items() if own for each in (*own, ORACLE)}
            rows = rows[[pair in wanted for pair in zip(rows.learners, rows.model, strict=True)]]
        found = []
        for (learners, model, phase), own in rows.groupby(["learners", "model", "phase"], sort=False):
            gain = self.above(learners, model, STATIC, phase)
            share, spread = self.share(learners, model, phase)
            found.append(
                {"learners": learners, "model": model, "phase": phase, "seeds": len(own)}
                | {"micro_ap": own.micro_ap.mean(), "micro_ap_sd": own.micro_ap.std()}
                | {"macro_ap": own.macro_ap.mean(), "macro_ap_sd": own.macro_ap.std()}
                | {name: own[name].mean() for name in ("accuracy", "nll", "ece")}
                | {"gain": gain.mean, "gain_low": gain.low, "gain_high": gain.high}
                | {"share": share.mean, "share_sd": spread}
            )
        return pandas.DataFrame(found)

    def of_classes(self) -> "pandas.DataFrame":
        """Average precision of each class: mean ``ap`` and ``ap_sd`` over the seeds, of all models.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        pandas = load_pandas("of_classes")
        rows = pandas.DataFrame([asdict(row) for row in self.classes])
        groups = rows.groupby(["learners", "model", "phase", "answer"], sort=False).ap
        return groups.agg(ap="mean", ap_sd="std").reset_index()


def interval(values: Sequence[float]) -> Interval:
    """The mean of independent numbers and its 95 % interval, if there are two or more."""
    found = np.array(values, float)
    low, high = mean_interval(found)
    mean = float(found.mean()) if len(found) else float("nan")
    return Interval(mean, float(low), float(high))


def _deviation(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")
