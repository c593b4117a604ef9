"""What a run over all pairs of layers found: a matrix, and that of each class."""

import csv
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diptych._archive import read_archive, readable, write_archive
from diptych._files import atomic_path
from diptych._tables import write_csv
from diptych.embed import Unreadable

#: The files of a run, the last of which is there when the run is finished.
MATRIX, CLASSES, LAYERS = "matrix.csv", "classes.csv", "layers.npz"

_ARRAYS = ("mmcs_1to2", "mmcs_2to1", "errors_1", "errors_2")
_FORMAT = 1

Values = NDArray[np.float64]


@dataclass(frozen=True)
class LayersClass:
    """A class of a run over layers; a row of classes.csv.

    Attributes:
        number: Its number in the logits.
        name: Its name.
        predicted_1: Images that network 1 takes for it.
        predicted_2: Images that network 2 takes for it.
        images: Images that its layers were compared on, those of both networks.
        mmcs: Mean of its matrix over all pairs of layers; NaN where it was skipped, or has no concepts.
        skipped: Why the class was not compared; empty where it was.
    """

    number: int
    name: str
    predicted_1: int
    predicted_2: int
    images: int = 0
    mmcs: float = float("nan")
    skipped: str = ""


@dataclass(eq=False)
class LayersResult:
    """What :func:`diptych.rsvc.run_layers` found, for C compared classes and L1 by L2 layers.

    Attributes:
        folder: Where it lies.
        names: How the two networks are called.
        layers_1: The L1 layers of network 1, from input to output where they are a set.
        layers_2: The L2 layers of network 2.
        classes: What is known of each class, in the order of their numbers, the skipped ones included.
        mmcs_1to2: (C, L1, L2) float64, of each compared class the mean over the concepts of a layer of
            network 1 of their largest correlation with any concept of a layer of network 2; NaN where a
            layer has no concepts.
        mmcs_2to1: (C, L1, L2) the same of the concepts of network 2, still layers of network 1 by those of
            network 2.
        errors_1: (C, L1) ‖A − U W‖ / ‖A‖ of the extraction; NaN where there are no concepts, as all patches
            have the same activations.
        errors_2: (C, L2) the same of network 2.
        images: Number of images that were looked at.
        unreadable: Why images could not be read, by id.
        notes: What a reader should know, in sentences.
    """

    folder: Path
    names: tuple[str, str]
    layers_1: list[str]
    layers_2: list[str]
    classes: list[LayersClass]
    mmcs_1to2: Values
    mmcs_2to1: Values
    errors_1: Values
    errors_2: Values
    images: int
    unreadable: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def compared(self) -> list[str]:
        """Names of the C classes that the first axis of the arrays stands for."""
        return [row.name for row in self.classes if not row.skipped]

    @property
    def skipped(self) -> dict[str, str]:
        """Why classes were not compared, by name."""
        return {row.name: row.skipped for row in self.classes if row.skipped}

    @property
    def matrices(self) -> Values:
        """(C, L1, L2), the mean of both directions: MMCS of each class."""
        return (self.mmcs_1to2 + self.mmcs_2to1) / 2

    @property
    def matrix(self) -> Values:
        """(L1, L2), the mean of :attr:`matrices` over the classes in which it is defined; else NaN."""
        return defined_mean(self.matrices)

    def best_matches(self) -> dict[str, tuple[str, float]]:
        """Of each layer of network 1 the most similar one of network 2, and how similar it is.

        Layers that are nowhere defined are left out.
        """
        matches = {}
        for layer, row in zip(self.layers_1, self.matrix, strict=True):
            if not np.isnan(row).all():
                best = int(np.nanargmax(row))
                matches[layer] = self.layers_2[best], float(row[best])
        return matches

    def summary(self) -> str:
        """The run in plain words, a line per fact."""
        first, second = self.names
        pairs = len(self.layers_1) * len(self.layers_2)
        lines = [
            f"{len(self.compared)} classes compared, {len(self.skipped)} skipped; "
            f"{Unreadable(self.images, self.unreadable)}",
            f"{len(self.layers_1)} layers of {first} by {len(self.layers_2)} of {second}: {pairs} pairs",
        ]
        matches = self.best_matches()
        if matches:
            layer = max(matches, key=lambda each: matches[each][1])
            match, value = matches[layer]
            lines.append(f"most similar: {layer} of {first} and {match} of {second}, MMCS {value:.3f}")
        lines += [f"  {note}" for note in self.notes]
        return "\n".join(lines + [f"  skipped {name}: {why}" for name, why in self.skipped.items()])

    def save(self) -> list[Path]:
        """Write matrix.csv, classes.csv and layers.npz into the folder; returns their paths."""
        written = [self.folder / name for name in (MATRIX, CLASSES, LAYERS)]
        with atomic_path(written[0]) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["layer", *self.layers_2])
            for layer, row in zip(self.layers_1, self.matrix, strict=True):
                writer.writerow([layer, *(f"{value:.6g}" for value in row)])
        write_csv(written[1], LayersClass, self.classes)
        meta = {
            "format": _FORMAT,
            "names": self.names,
            "layers_1": self.layers_1,
            "layers_2": self.layers_2,
            "classes": [asdict(row) for row in self.classes],
            "images": self.images,
            "unreadable": self.unreadable,
            "notes": self.notes,
        }
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        write_archive(written[2], "layers", meta, arrays)
        return written

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "LayersResult":
        """Read a finished run.

        Raises:
            FileNotFoundError: There is no such folder, or its run is not finished.
            ValueError: layers.npz is damaged; the message names it.
        """
        root = Path(folder)
        path = root / LAYERS
        if not path.is_file():
            raise FileNotFoundError(f"{root}: no finished run, {LAYERS} is not there")
        with readable(str(path), "layers"):
            arrays, meta = read_archive(path, "layers", _FORMAT)
            first, second = meta["names"]
            return cls(
                folder=root,
                names=(first, second),
                layers_1=meta["layers_1"],
                layers_2=meta["layers_2"],
                classes=[LayersClass(**row) for row in meta["classes"]],
                mmcs_1to2=arrays["mmcs_1to2"],
                mmcs_2to1=arrays["mmcs_2to1"],
                errors_1=arrays["errors_1"],
                errors_2=arrays["errors_2"],
                images=meta["images"],
                unreadable=meta["unreadable"],
                notes=meta["notes"],
            )


def defined_mean(values: Values) -> Values:
    """The mean over the first axis of what is not NaN; NaN where there is nothing."""
    counts = (~np.isnan(values)).sum(0)
    means: Values = np.where(counts > 0, np.nansum(values, 0) / np.maximum(counts, 1), np.nan)
    return means
