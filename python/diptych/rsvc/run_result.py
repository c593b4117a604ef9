"""What a run over many classes found: two tables, and a file for each class."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diptych._files import atomic_path
from diptych._tables import load_pandas, read_csv, write_csv
from diptych.embed import Unreadable
from diptych.rsvc.results import REPLACEMENT, RSVCResult

if TYPE_CHECKING:
    import pandas

#: The files of a run, the last of which is there when the run is finished.
CLASSES, CONCEPTS, RUN = "classes.csv", "concepts.csv", "run.json"
#: The images whose patches both networks were shown.
SHOWN = "shown.npy"
FORMATS = ("csv", "parquet")

#: The columns of concepts.csv.
COLUMNS = (
    "class",
    "class_name",
    "network",
    "concept",
    "cmcs",
    "cmcs_spearman",
    "smcs",
    "smcs_spearman",
    "mcs",
    "cross_nonzero",
    "same_nonzero",
    "dead",
    "importance",
    *REPLACEMENT,
)

# Of the figures in concepts.csv.
_DIGITS = "%.9g"


@dataclass(frozen=True)
class ClassRow:
    """A class of a run; a row of classes.csv.

    Attributes:
        number: Its number in the logits.
        name: Its name.
        predicted_1: Images that network 1 takes for it.
        predicted_2: Images that network 2 takes for it.
        training_images: Images that concepts were extracted from and regressions trained on.
        evaluation_images: Other images, that all figures were measured on; 0: on held-out folds of the
            training images.
        evaluated_on: "evaluation patches" or "held-out folds"; empty where the class was skipped.
        cmcs_1to2: Mean CMCS of network 2's concepts, predicted from network 1; NaN where it was skipped, or
            where it is undefined for all of them.
        cmcs_2to1: Mean CMCS of network 1's concepts, predicted from network 2.
        smcs_1: Mean SMCS of network 1's concepts.
        smcs_2: Mean SMCS of network 2's concepts.
        mcs_1: Mean largest correlation of network 1's concepts with any of network 2's.
        mcs_2: The same of network 2's.
        error_1: ‖A − U W‖ / ‖A‖ of the extraction of network 1's concepts.
        error_2: The same of network 2.
        skipped: Why the class was not compared; empty where it was.
    """

    number: int
    name: str
    predicted_1: int
    predicted_2: int
    training_images: int = 0
    evaluation_images: int = 0
    evaluated_on: str = ""
    cmcs_1to2: float = float("nan")
    cmcs_2to1: float = float("nan")
    smcs_1: float = float("nan")
    smcs_2: float = float("nan")
    mcs_1: float = float("nan")
    mcs_2: float = float("nan")
    error_1: float = float("nan")
    error_2: float = float("nan")
    skipped: str = ""


@dataclass
class RunResult(Mapping[str, RSVCResult]):
    """What :func:`diptych.rsvc.run` found; a mapping from classes to their results, read when asked for.

    Attributes:
        folder: Where it lies.
        names: How the two networks are called.
        rows: What is known of each class, in the order of their numbers, the skipped ones included.
        concepts: One row per class, network and concept: the columns of :meth:`RSVCResult.to_frame` after
            class (its number) and class_name.
        images: Number of images that were looked at.
        unreadable: Why images could not be read, by id.
        notes: What a reader should know, in sentences.
        stores: The files of both networks' activations of patches, or None where no class was compared.
    """

    folder: Path
    names: tuple[str, str]
    rows: list[ClassRow]
    concepts: "pandas.DataFrame"
    images: int
    unreadable: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    stores: tuple[Path, Path] | None = None

    def __getitem__(self, name: str) -> RSVCResult:
        for row in self.rows:
            if row.name == name and not row.skipped:
                return RSVCResult.load(class_file(self.folder, row.number))
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (row.name for row in self.rows if not row.skipped)

    def __len__(self) -> int:
        return sum(not row.skipped for row in self.rows)

    @property
    def skipped(self) -> dict[str, str]:
        """Why classes were not compared, by name."""
        return {row.name: row.skipped for row in self.rows if row.skipped}

    @property
    def stored(self) -> bool:
        """Whether the store of activations is still there."""
        return self.stores is not None and all(path.is_file() for path in self.stores)

    def activations(self, result: RSVCResult) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Both networks' activations of the patches that a class' similarity was measured on.

        Args:
            result: Of one of the classes.

        Returns:
            (m, d1) and (m, d2) float32, a row for each of ``result.groups``; None where the store of
            activations was removed.
        """
        if self.stores is None or not self.stored:
            return None
        shown = np.load(self.folder / SHOWN, allow_pickle=False)
        first, second = (np.load(path, mmap_mode="r", allow_pickle=False) for path in self.stores)
        per = len(first) // len(shown)
        place = {name: row for row, name in enumerate(shown.tolist())}
        images = np.array([place[name] for name in result.groups[::per].tolist()])
        rows = (images[:, None] * per + np.arange(per)).ravel()
        return first[rows], second[rows]

    def least_expressed(self, n: int = 5) -> "pandas.DataFrame":
        """The rows of each network's n concepts whose CMCS is farthest below their SMCS, farthest first."""
        pandas = load_pandas("least_expressed")
        gaps = self.concepts["cmcs"] - self.concepts["smcs"]
        of_each = [gaps[self.concepts["network"] == name].nsmallest(n).index for name in self.names]
        return pandas.concat([self.concepts.loc[index] for index in of_each], ignore_index=True)

    def summary(self) -> str:
        """The run in plain words, a line per fact."""
        first, second = self.names
        lines = [
            f"{len(self)} classes compared, {len(self.skipped)} skipped; "
            f"{Unreadable(self.images, self.unreadable)}"
        ]
        for name, other in ((first, second), (second, first)):
            own = self.concepts[self.concepts["network"] == name]
            defined = int(own["cmcs"].notna().sum())
            if not defined:
                continue
            lines.append(
                f"{name}: {len(own)} concepts, predicted by {other} with a mean correlation of "
                f"{own['cmcs'].mean():.3f}, by itself of {own['smcs'].mean():.3f}; "
                f"{len(own) - defined} are undefined"
            )
        lines += [f"  {note}" for note in self.notes]
        return "\n".join(lines + [f"  skipped {name}: {why}" for name, why in self.skipped.items()])

    def save(self, table_format: str = "csv") -> list[Path]:
        """Write classes.csv, concepts.csv and run.json into the folder; returns their paths.

        Args:
            table_format: ``"parquet"`` also writes both tables as .parquet.

        Raises:
            ModuleNotFoundError: ``"parquet"`` without pyarrow.
        """
        written = [self.folder / CLASSES, self.folder / CONCEPTS]
        write_csv(written[0], ClassRow, self.rows)
        with atomic_path(written[1]) as temporary:
            self.concepts.to_csv(
                temporary, index=False, na_rep="nan", float_format=_DIGITS, lineterminator="\n"
            )
        if table_format == "parquet":
            pandas = load_pandas("save")
            for path, frame in zip(list(written), (pandas.DataFrame(self.rows), self.concepts), strict=True):
                written.append(path.with_suffix(".parquet"))
                with atomic_path(written[-1]) as temporary:
                    frame.to_parquet(temporary, engine="pyarrow", index=False)
        content = {
            "names": self.names,
            "images": self.images,
            "unreadable": self.unreadable,
            "notes": self.notes,
            "stores": None if self.stores is None else [self._told(path) for path in self.stores],
        }
        with atomic_path(self.folder / RUN) as temporary:
            temporary.write_text(json.dumps(content, indent=1))
        return [*written, self.folder / RUN]

    def _told(self, path: Path) -> str:
        """A path as run.json has it: from the folder where it lies inside, so that the folder can move."""
        root = self.folder.resolve()
        where = path.resolve()
        return str(where.relative_to(root) if where.is_relative_to(root) else where)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "RunResult":
        """Read a finished run.

        Raises:
            FileNotFoundError: There is no such folder, or its run is not finished.
            ValueError: A file is damaged; the message names it.
            ModuleNotFoundError: pandas is not installed.
        """
        pandas, root = load_pandas("load"), Path(folder)
        if not (root / RUN).is_file():
            raise FileNotFoundError(f"{root}: no finished run, {RUN} is not there")
        rows = read_csv(root / CLASSES, ClassRow)
        try:
            content = json.loads((root / RUN).read_text())
            first, second = content["names"]
            images, unreadable = int(content["images"]), dict(content["unreadable"])
            notes, stores = list(content["notes"]), content["stores"]
            if stores is not None:
                stores = root / stores[0], root / stores[1]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{root / RUN}: damaged: {error}") from error
        try:
            concepts = pandas.read_csv(root / CONCEPTS, dtype={"class_name": str, "network": str})
        except ValueError as error:
            raise ValueError(f"{root / CONCEPTS}: damaged: {error}") from error
        return cls(root, (first, second), rows, concepts, images, unreadable, notes, stores)


def class_file(folder: Path, number: int) -> Path:
    """Where the result of a class is."""
    return folder / "classes" / f"{number:05d}.npz"


def refusal_file(folder: Path, number: int) -> Path:
    """Where it is told why a class could not be compared."""
    return folder / "classes" / f"{number:05d}.json"


def compared_row(row: ClassRow, result: RSVCResult) -> ClassRow:
    """A class' row with the means of what was found."""

    def mean(name: str) -> float:
        values = getattr(result, name)
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")

    return replace(
        row,
        cmcs_1to2=mean("cmcs_1to2"),
        cmcs_2to1=mean("cmcs_2to1"),
        smcs_1=mean("smcs_1"),
        smcs_2=mean("smcs_2"),
        mcs_1=mean("mcs_1"),
        mcs_2=mean("mcs_2"),
        evaluated_on=result.evaluated_on,
        error_1=result.concepts_1.error,
        error_2=result.concepts_2.error,
    )
