"""The tables of the MNIST experiments, and what they say in the mean."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych._tables import read_csv, write_csv
from diptych.embed import load_embeddings, save_embeddings

KNOWN_PAIR, KNOWN_DIGITS = "M_35 vs M_b", ("3", "5")


@dataclass(frozen=True)
class ModelRow:
    """A trained model: images it saw, its classes, its accuracy on the same images, and the time."""

    seed: int
    model: str
    images: int
    classes: int
    embedding_dim: int
    step: int
    accuracy: float
    seconds: float


@dataclass(frozen=True)
class ScoreRow:
    """One method's explanations of one direction of one pair.

    Attributes:
        seed: Of the models and the methods.
        experiment: Name of the pair.
        direction: The model explained.
        method: "RDX" or one of :data:`diptych.rdx.baselines.METHODS`.
        bsr: Binary success rate by neighbor ranks; NaN without grids.
        bsr_max: By distances over their largest (BSR_MN).
        bsr_local: By locally scaled distances (BSR_LS).
        seconds: Wall time; for RDX, which explains both directions at once, half of it.
    """

    seed: int
    experiment: str
    direction: str
    method: str
    bsr: float
    bsr_max: float
    bsr_local: float
    seconds: float


@dataclass(frozen=True)
class AblationRow:
    """A variant of RDX; the options of :func:`diptych.rdx.compare`, and as in :class:`ScoreRow`."""

    seed: int
    experiment: str
    direction: str
    distance: str
    difference: str
    sampling: str
    conventions: str
    bsr: float
    bsr_max: float
    bsr_local: float
    seconds: float


@dataclass(frozen=True)
class PurityRow:
    """What one grid of RDX holds.

    Attributes:
        seed: Of the models and the method.
        experiment: Name of the pair.
        direction: The model explained.
        grid: Number of the explanation, strongest first.
        classes: The digits in the grid, seed item first, " flipped" after a copy's, joined by commas.
        purity: Share of the grid's most frequent class.
    """

    seed: int
    experiment: str
    direction: str
    grid: int
    classes: str
    purity: float


@dataclass
class Evaluation:
    """All tables of a run, and the embeddings they were made from.

    Attributes:
        models: One row per model and seed.
        scores: One row per seed, pair, method and direction.
        ablations: One row per seed, pair, variant and direction.
        purity: One row per grid of RDX with default options.
        embeddings: By seed and model, then by set of items, (n, d) float32.
    """

    models: list[ModelRow] = field(default_factory=list)
    scores: list[ScoreRow] = field(default_factory=list)
    ablations: list[AblationRow] = field(default_factory=list)
    purity: list[PurityRow] = field(default_factory=list)
    embeddings: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    def mean_bsr(self) -> dict[str, float]:
        """Mean binary success rate of each method over pairs, directions and seeds, best first."""
        rates: dict[str, list[float]] = {}
        for row in self.scores:
            rates.setdefault(row.method, []).append(row.bsr)
        means = {method: float(np.nanmean(values)) for method, values in rates.items()}
        return dict(sorted(means.items(), key=lambda entry: -entry[1]))

    def known_difference(self) -> dict[str, float]:
        """Of M_35 against M_b, the share of each model's grids that hold both 3s and 5s.

        M_35 was taught that a 5 is a 3, which M_b tells apart: the share should be near 1 for M_35
        and near 0 for M_b. Empty where that pair was not run.
        """
        mixed: dict[str, list[bool]] = {}
        for row in self.purity:
            if row.experiment == KNOWN_PAIR:
                both = set(KNOWN_DIGITS) <= set(row.classes.split(","))
                mixed.setdefault(row.direction, []).append(both)
        return {direction: float(np.mean(found)) for direction, found in mixed.items()}

    def summary(self) -> str:
        """The means of all methods and the known-difference check, a line each."""
        lines = [f"{method}: mean BSR {mean:.3f}" for method, mean in self.mean_bsr().items()]
        lines += [
            f"{share:.0%} of the grids of {direction} in {KNOWN_PAIR} mix 3s and 5s"
            for direction, share in self.known_difference().items()
        ]
        return "\n".join(lines)

    def extend(self, other: "Evaluation") -> None:
        """Take over the rows and embeddings of another run."""
        for name in _TABLES:
            getattr(self, name).extend(getattr(other, name))
        self.embeddings |= other.embeddings

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write the tables as CSV and the embeddings as safetensors; returns their paths.

        mnist_models.csv, mnist_rdx.csv, mnist_ablations.csv, mnist_purity.csv and, last,
        mnist_embeddings.safetensors, each whole or not at all.
        """
        root = Path(folder)
        for name, (file, kind) in _TABLES.items():
            write_csv(root / file, kind, getattr(self, name))
        save_embeddings(root / _EMBEDDINGS, self.embeddings)
        return [root / file for file, _ in _TABLES.values()] + [root / _EMBEDDINGS]

    @staticmethod
    def is_saved(folder: str | os.PathLike[str]) -> bool:
        """Whether :meth:`save` has finished in this folder: its last file is there."""
        return (Path(folder) / _EMBEDDINGS).is_file()

    @staticmethod
    def remove(folder: str | os.PathLike[str]) -> None:
        """Delete what :meth:`save` wrote in this folder, and nothing else."""
        for file in [_EMBEDDINGS, *(file for file, _ in _TABLES.values())]:
            (Path(folder) / file).unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "Evaluation":
        """Read what :meth:`save` wrote.

        Raises:
            FileNotFoundError: A file is missing.
            ValueError: A file is damaged or has other columns; the message names it.
        """
        root = Path(folder)
        tables = {name: read_csv(root / file, kind) for name, (file, kind) in _TABLES.items()}
        return cls(**tables, embeddings=load_embeddings(root / _EMBEDDINGS)[0])


_TABLES: dict[str, tuple[str, type[Any]]] = {
    "models": ("mnist_models.csv", ModelRow),
    "scores": ("mnist_rdx.csv", ScoreRow),
    "ablations": ("mnist_ablations.csv", AblationRow),
    "purity": ("mnist_purity.csv", PurityRow),
}
_EMBEDDINGS = "mnist_embeddings.safetensors"
