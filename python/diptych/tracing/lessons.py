"""What came of teaching, and whether one teacher is better than another."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diptych._archive import read_archive, readable, write_archive
from diptych._tables import load_pandas
from diptych.stats import mean_interval

if TYPE_CHECKING:
    import pandas

_FORMAT = 1


@dataclass(frozen=True, eq=False)
class Lessons:
    """What simulated learners came to under several teachers, the same learners under each.

    Attributes:
        policies: How P teachers chose, the random one first.
        seeds: Of S groups of learners.
        right: (P, S, L, T + 1) float64 true mean probability of the right answer to images that no teacher
            showed: of each learner, before the first of T steps and after each.
        about: Where it comes from, as JSON can hold it.
    """

    policies: tuple[str, ...]
    seeds: tuple[int, ...]
    right: NDArray[np.float64]
    about: dict[str, Any] = field(default_factory=dict)

    def frame(self, level: float = 0.95) -> "pandas.DataFrame":
        """What each teacher reached at each step.

        Args:
            level: Confidence of the intervals.

        Returns:
            Columns policy, step, mean and sd over the seeds' means, gain over the random teacher, paired by
            seeds, and the ends of its interval, low and high, by Student's t with S - 1 degrees of freedom;
            sd, low and high are NaN for a single seed.

        Raises:
            ModuleNotFoundError: pandas is not installed.
            ValueError: A level outside (0, 1).
        """
        pandas = load_pandas("frame")
        groups = self.right.mean(2)
        gains = groups - groups[:1]
        seeds, steps = groups.shape[1:]
        sd = groups.std(1, ddof=1) if seeds > 1 else np.full((len(groups), steps), np.nan)
        low, high = mean_interval(gains, axis=1, level=level)
        columns = {"mean": groups.mean(1), "sd": sd, "gain": gains.mean(1), "low": low, "high": high}
        return pandas.DataFrame(
            {
                "policy": np.repeat(self.policies, steps),
                "step": np.tile(np.arange(steps), len(self.policies)),
                **{name: each.ravel() for name, each in columns.items()},
            }
        )

    @classmethod
    def joined(cls, parts: Sequence["Lessons"]) -> "Lessons":
        """Lessons of several tracers, or of several sets of images, as seeds of one.

        Raises:
            ValueError: None, or of other teachers, or with other numbers of learners and steps.
        """
        if len({(each.policies, each.right.shape[2:]) for each in parts}) != 1:
            found = [(each.policies, each.right.shape[2:]) for each in parts]
            raise ValueError(f"parts: expected the same teachers, learners and steps in each, found {found}")
        right = np.concatenate([each.right for each in parts], 1)
        seeds = tuple(seed for each in parts for seed in each.seeds)
        return cls(parts[0].policies, seeds, right, {"parts": [each.about for each in parts]})

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write all of it to an .npz, whole or not at all."""
        said = {"format": _FORMAT, "policies": self.policies, "seeds": self.seeds, "about": self.about}
        return write_archive(path, "lessons", said, {"right": self.right})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Lessons":
        """Read what :meth:`save` wrote; nothing is unpickled.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is damaged, or holds something else.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: no such file")
        with readable(str(path), "lessons"):
            arrays, said = read_archive(Path(path), "lessons", _FORMAT)
            return cls(tuple(said["policies"]), tuple(said["seeds"]), arrays["right"], said["about"])
