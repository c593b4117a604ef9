"""The tables of the toy-concept experiment over seeds and settings, and what they say."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from diptych._tables import read_csv, write_csv
from diptych.rsvc.toy import ModelRow, ToyRun
from diptych.rsvc.toy_claims import ClaimRow, ConceptRow
from diptych.rsvc.variations import VariationRow


@dataclass
class ToyTables:
    """All rows of some runs.

    Attributes:
        models: A row per network.
        concepts: A row per network and concept.
        claims: A row per claim and run.
        variations: A row per variation of the training and digit.
    """

    models: list[ModelRow] = field(default_factory=list)
    concepts: list[ConceptRow] = field(default_factory=list)
    claims: list[ClaimRow] = field(default_factory=list)
    variations: list[VariationRow] = field(default_factory=list)

    def add(self, run: ToyRun) -> None:
        """Take over the rows of a run."""
        self.models += run.models
        self.concepts += run.concepts
        self.claims += run.claims

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write the tables as CSV, each whole or not at all; returns their paths.

        rsvc_toy.csv (concepts), rsvc_toy_claims.csv, rsvc_toy_models.csv and, if there are any,
        rsvc_variations.csv.
        """
        written = []
        for name, (file, kind) in _TABLES.items():
            rows = getattr(self, name)
            if rows or kind is not VariationRow:
                write_csv(Path(folder) / file, kind, rows)
                written.append(Path(folder) / file)
        return written

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "ToyTables":
        """Read what :meth:`save` wrote.

        Raises:
            FileNotFoundError: A file is missing.
            ValueError: A file is damaged or has other columns; the message names it.
        """
        paths = {name: (Path(folder) / file, kind) for name, (file, kind) in _TABLES.items()}
        return cls(
            **{
                name: read_csv(path, kind)
                for name, (path, kind) in paths.items()
                if kind is not VariationRow or path.exists()
            }
        )

    def summary(self) -> str:
        """Of each setting: similarities over seeds with their range, and how often each claim holds."""
        settings = list(dict.fromkeys((row.depth, row.epochs) for row in self.concepts))
        return "\n\n".join("\n".join(self._lines(*each)) for each in settings)

    def _lines(self, depth: int, epochs: int) -> list[str]:
        concepts = [row for row in self.concepts if (row.depth, row.epochs) == (depth, epochs)]
        rows = [row for row in self.claims if (row.depth, row.epochs) == (depth, epochs)]
        own = [row for row in concepts if row.model == "M_ps"]
        squares, others = ([row for row in own if row.is_square is wanted] for wanted in (True, False))
        lines = [
            f"{depth} convolutions, {epochs} epochs, {len({row.seed for row in concepts})} seeds",
            f"  square concepts of M_ps: CMCS {_range(squares, 'cmcs')}, SMCS {_range(squares, 'smcs')}",
            f"  its other concepts:      CMCS {_range(others, 'cmcs')}, SMCS {_range(others, 'smcs')}",
        ]
        for claim in dict.fromkeys(row.claim for row in rows):
            each = [row for row in rows if row.claim == claim]
            values = ", ".join(f"{row.value:.2f}" for row in each)
            met = sum(row.met for row in each)
            lines.append(f"  {claim}: {values}; wanted {each[0].wanted}; met {met} of {len(each)}")
        return lines


def _range(rows: Sequence[ConceptRow], name: str) -> str:
    values = np.array([getattr(row, name) for row in rows])
    values = values[~np.isnan(values)]
    if not len(values):
        return "none"
    return f"{values.min():.2f} to {values.max():.2f} (mean {values.mean():.2f}, {len(values)} concepts)"


_TABLES: dict[str, tuple[str, type[Any]]] = {
    "concepts": ("rsvc_toy.csv", ConceptRow),
    "claims": ("rsvc_toy_claims.csv", ClaimRow),
    "models": ("rsvc_toy_models.csv", ModelRow),
    "variations": ("rsvc_variations.csv", VariationRow),
}
