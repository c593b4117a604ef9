"""How much the figures of a number line, and the embeddings themselves, vary from seed to seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diptych import ops
from diptych._tables import load_pandas
from diptych.numerosity.inputs import Floats
from diptych.numerosity.results import NumberLine

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class Reproducibility:
    """The figures of several number lines.

    Attributes:
        figures: (s,) value of each line, by the name of the figure (:meth:`NumberLine.figures`); NaN where a
            line has none.
        alikeness: (s, s) linear CKA of each two lines' embeddings; None where the lines are not of the same
            counts, item by item, or embeddings were not saved.
        names: How the lines are called; numbers where they have no names.
    """

    figures: dict[str, Floats]
    alikeness: Floats | None
    names: tuple[str, ...]

    @property
    def mean_alikeness(self) -> float | None:
        """Mean linear CKA over all pairs of different lines."""
        if self.alikeness is None:
            return None
        return float(self.alikeness[np.triu_indices(len(self.alikeness), 1)].mean())

    def to_frame(self) -> "pandas.DataFrame":
        """One row per figure: mean, standard deviation (with s − 1), min, max, and lines that have it.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        pandas = load_pandas("to_frame")
        return pandas.DataFrame([{"figure": name, **_spread(x)} for name, x in self.figures.items()])

    def summary(self) -> str:
        """The figures in plain words, a line each."""
        lines = [f"{len(self.names)} number lines"]
        for name, values in self.figures.items():
            told = _spread(values)
            if told["lines"]:
                lines.append(
                    f"{name}: {told['mean']:.3f} ± {told['sd']:.3f} ({told['min']:.3f} to {told['max']:.3f})"
                )
        if self.mean_alikeness is not None:
            lines.append(f"linear CKA of the embeddings: {self.mean_alikeness:.3f} in the mean")
        return "\n".join(lines)


def reproducibility(lines: Sequence[NumberLine]) -> Reproducibility:
    """Compare the analyses of several trainings, which differ in their seed.

    Args:
        lines: Two or more.

    Returns:
        :class:`Reproducibility`.

    Complexity:
        O(s² N d²) time for the alikeness of s lines.

    Raises:
        ValueError: Fewer than two lines.
        TypeError: Something else than number lines.
    """
    given = list(lines)
    for each in given:
        if not isinstance(each, NumberLine):
            raise TypeError(f"lines: expected NumberLine, found {type(each).__name__}")
    if len(given) < 2:
        raise ValueError(f"lines: expected at least two, found {len(given)}")
    found = [each.figures() for each in given]
    return Reproducibility(
        {name: np.array([each[name] for each in found]) for name in found[0]},
        _alikeness(given),
        tuple(each.name or str(number) for number, each in enumerate(given)),
    )


def _alikeness(lines: list[NumberLine]) -> Floats | None:
    first = lines[0].counts
    embeddings: list[NDArray[Any]] = [each.embeddings for each in lines if each.embeddings is not None]
    if len(embeddings) < len(lines) or not all(np.array_equal(each.counts, first) for each in lines):
        return None
    found = np.eye(len(lines))
    for row in range(len(lines)):
        for column in range(row):
            # In float64 throughout: one line may have been saved in another precision than the next.
            pair = (embeddings[each].astype(np.float64) for each in (row, column))
            found[row, column] = found[column, row] = float(ops.linear_cka(*pair))
    return found


def _spread(values: Floats) -> dict[str, float]:
    """Infinite figures (the Weber fraction of a flat curve) count as those that a line does not have."""
    there = values[np.isfinite(values)]
    if len(there) == 0:
        return {"mean": np.nan, "sd": np.nan, "min": np.nan, "max": np.nan, "lines": 0}
    return {
        "mean": float(there.mean()),
        "sd": float(there.std(ddof=1)) if len(there) > 1 else float("nan"),
        "min": float(there.min()),
        "max": float(there.max()),
        "lines": len(there),
    }
