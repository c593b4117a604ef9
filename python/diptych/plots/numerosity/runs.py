"""Which of the number lines a figure draws, as their names tell."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from diptych.numerosity.results import NumberLine
from diptych.plots.style import short

#: Runs that one figure shows side by side at most.
MOST = 6

#: The thesis' networks: trained on up to three objects, with two features.
MAIN_LIMIT, MAIN_DIMENSION = 3, 2

# Data sets with figures of their own.
APART = ("jitter", "jitter-as-printed", "imprecise")

_NAME = re.compile(r"(?P<dataset>.+)-limit(?P<limit>\d+)-d(?P<dimension>\d+)-seed(?P<seed>\d+)")


class RunsError(ValueError):
    """The runs are not those that a figure needs."""


@dataclass(frozen=True, eq=False)
class Run:
    """A number line and what its name tells.

    Attributes:
        name: How the run is called.
        line: Its number line.
        dataset: Name of the scenes; the whole name of a run that is not called as those of a study, and
            nothing of a number line that came without a mapping.
        limit: Most objects that were trained on; None where the name does not tell.
        dimension: Width of the embedding; None where neither the embeddings nor the name tell.
        seed: None where the name does not tell.
        label: How figures call it.
    """

    name: str
    line: NumberLine
    dataset: str
    limit: int | None = None
    dimension: int | None = None
    seed: int | None = None
    label: str = ""

    @property
    def of_study(self) -> bool:
        """Whether it is called as the runs of a study are."""
        return self.seed is not None


def runs_of(lines: NumberLine | Mapping[str, NumberLine], limit: int | None = None) -> list[Run]:
    """Read the names of runs: "B-limit3-d2-seed0", as those of a study, or any other.

    Args:
        lines: A number line, or several by name.
        limit: Most objects that were trained on, where the name does not tell.

    Raises:
        TypeError: Neither a number line nor a mapping of them.
        ValueError: There are none.
    """
    if isinstance(lines, NumberLine):
        return [replace(_read(lines.name or "embedding", lines, limit), dataset="")]
    if not isinstance(lines, Mapping):
        raise TypeError(f"lines: expected a NumberLine or a mapping of them, found {type(lines).__name__}")
    if not lines:
        raise ValueError("lines: expected at least one number line, found none")
    for name, line in lines.items():
        if not isinstance(line, NumberLine):
            raise TypeError(f"lines: expected a NumberLine as {name!r}, found {type(line).__name__}")
    return [_read(str(name), line, limit) for name, line in lines.items()]


def _read(name: str, line: NumberLine, limit: int | None) -> Run:
    width = None if line.embeddings is None else line.embeddings.shape[1]
    told = _NAME.fullmatch(name)
    if told is None:
        return Run(name, line, name, limit, width, label=short(name, 28))
    return Run(
        name,
        line,
        told["dataset"],
        int(told["limit"]),
        width or int(told["dimension"]),
        int(told["seed"]),
        short(told["dataset"], 28),
    )


def main(runs: Iterable[Run]) -> list[Run]:
    """One run of each data set: of limit 3 and two features if there is one, of the lowest seed.

    Jitter and imprecise actions have figures of their own, and are left to them where there are others.

    Raises:
        RunsError: More data sets than a figure shows.
    """
    found = first_of_each(runs)
    chosen = [run for run in found if run.dataset not in APART] or found
    if len(chosen) > MOST:
        raise RunsError(f"lines: expected at most {MOST} data sets side by side, found {len(chosen)}")
    return chosen


def first_of_each(runs: Iterable[Run]) -> list[Run]:
    """The main run of each data set, in the order in which they come."""
    given = list(runs)
    found = {run.dataset: run for run in sorted(given, key=_mainly, reverse=True)}
    return [found[dataset] for dataset in dict.fromkeys(run.dataset for run in given)]


def _mainly(run: Run) -> tuple[bool, int]:
    is_main = run.limit in (None, MAIN_LIMIT) and run.dimension in (None, MAIN_DIMENSION)
    return not is_main, run.seed or 0


def with_part(runs: list[Run], part: Callable[[NumberLine], object], needed: str) -> list[Run]:
    """The runs that have a part of the analysis.

    Raises:
        RunsError: None has; ``needed`` is what is said to be missing.
    """
    found = [run for run in runs if part(run.line) is not None]
    if not found:
        raise RunsError(f"lines: expected {needed}, found none in {listed(runs)}")
    return found


def of_dataset(runs: list[Run], dataset: str) -> list[Run]:
    """The main run of a data set; a number line that came alone is taken for it.

    Raises:
        RunsError: There is none.
    """
    found = [run for run in runs if run.dataset in (dataset, "")]
    if not found:
        raise RunsError(
            f"lines: expected a run of the data set {dataset!r}, called {dataset!r} or "
            f"'{dataset}-limit3-d2-seed0', found {listed(runs)}"
        )
    return main(found)


def series(
    runs: Iterable[Run], over: Callable[[Run], int | None], fixed: Callable[[Run], object]
) -> dict[str, list[Run]]:
    """Runs of each data set that differ in one thing, in ascending order of it, by data set.

    Runs that are not called as those of a study make up one series, without a name.

    Args:
        runs: The runs.
        over: What they differ in; runs without are left out.
        fixed: What runs of one series have in common, besides the data set; of several series of a data set
            the longest is taken.
    """
    groups: dict[tuple[str, object], dict[int, Run]] = {}
    for run in sorted(runs, key=_mainly):
        value = over(run)
        if value is not None:
            key = (run.dataset, fixed(run)) if run.of_study else ("", None)
            groups.setdefault(key, {}).setdefault(value, run)
    longest: dict[str, list[Run]] = {}
    for (dataset, _), found in groups.items():
        if len(found) > max(1, len(longest.get(dataset, []))):
            longest[dataset] = [found[value] for value in sorted(found)]
    return longest


def listed(runs: Iterable[Run]) -> str:
    """The names of runs, the first few."""
    names = [repr(run.name) for run in runs]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
