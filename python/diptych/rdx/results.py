"""What a comparison found: explanations of both directions, with saving and loading."""

import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diptych._archive import read_archive, readable
from diptych._files import atomic_path
from diptych.rdx.profile import Part

if TYPE_CHECKING:
    import pandas

_FORMAT = 1


@dataclass(frozen=True)
class Parameters:
    """Every choice a comparison was made with; the arguments of :func:`diptych.rdx.compare`."""

    n_explanations: int = 5
    grid_size: int = 9
    gamma: float = 0.1
    beta: float = 5.0
    distance: str = "neighborhood"
    difference: str = "locally_biased"
    sampling: str = "spectral"
    align: str | None = None
    conventions: str = "default"
    seed: int = 0
    precision: str = "float32"
    neighbors: int | None = None
    samples: int | None = None


@dataclass
class Explanations:
    """What one representation groups together that the other does not.

    Attributes:
        grids: One int64 index array per explanation, by falling mean affinity of the clusters, or with
            PageRank in order of discovery; its first entry is the seed item.
        labels: (n,) int64, the explanation whose cluster holds the item; -1 for the discarded cluster
            (spectral sampling) or for items in no grid (PageRank sampling).
        bsr: Binary success rate pooled over the grids, in [0, 1]; NaN without grids.
        bsr_per_grid: (m,) float64, the same for each grid.
        mean_affinity: (m,) float64, mean difference affinity between the items of each cluster.
        raw_bsr: For aligned runs the pooled rate on the representations before alignment, else None.
        notes: What a reader should know, in sentences (a near-tie, a short grid).
    """

    grids: list[NDArray[np.int64]]
    labels: NDArray[np.int64]
    bsr: float
    bsr_per_grid: NDArray[np.float64]
    mean_affinity: NDArray[np.float64]
    raw_bsr: float | None = None
    notes: list[str] = field(default_factory=list)


@dataclass
class RDXResult:
    """The outcome of :func:`diptych.rdx.compare`.

    Attributes:
        a: What the first representation groups together and the second does not.
        b: The other direction.
        parameters: The arguments of the comparison.
        names: How the two representations are called in summaries and reports.
        embeddings: The two (n, d) float arrays that were compared, the caller's own memory where that was
            possible; None if they were not saved.
        cka: Linear CKA of the two representations (before alignment).
        mutual_knn: Mean share of common 10 nearest neighbors (before alignment); NaN for n <= 11, where
            all items are neighbors.
        seconds: Wall time per stage.
        versions: Versions of the software that made the result.
        profile: Where the time went, if that was asked for; longest first.
        ids: (n,) ids of the items, int64, uint64 or str; None if there were none.
        aligned_cka: Linear CKA after alignment; None without one.
    """

    a: Explanations
    b: Explanations
    parameters: Parameters
    names: tuple[str, str] = ("A", "B")
    embeddings: tuple[NDArray[Any], NDArray[Any]] | None = None
    cka: float = float("nan")
    mutual_knn: float = float("nan")
    seconds: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    profile: list[Part] = field(default_factory=list)
    ids: NDArray[Any] | None = None
    aligned_cka: float | None = None

    @property
    def n(self) -> int:
        """Number of items compared."""
        return len(self.a.labels)

    @property
    def directions(self) -> tuple[tuple[str, str, Explanations], ...]:
        """(name, name of the other, explanations) for both directions."""
        first, second = self.names
        return (first, second, self.a), (second, first, self.b)

    def summary(self) -> str:
        """The result in plain words, a line per fact."""
        first, second = self.names
        aligned = "" if self.aligned_cka is None else f" ({self.aligned_cka:.3f} after alignment)"
        lines = [
            f"{self.n} items, {first} against {second}: "
            f"CKA {self.cka:.3f}{aligned}, mutual 10-NN {self.mutual_knn:.3f}"
        ]
        for name, other, side in self.directions:
            if not side.grids:
                lines.append(f"{name} groups nothing that {other} does not: no differences found.")
            else:
                items = sum(len(grid) for grid in side.grids)
                raw = "" if side.raw_bsr is None else f" ({side.raw_bsr:.3f} before alignment)"
                lines.append(
                    f"{name} groups what {other} does not: {len(side.grids)} explanations, "
                    f"{items} items, BSR {side.bsr:.3f}{raw}"
                )
            lines += [f"  {note}" for note in side.notes]
        return "\n".join(lines)

    def to_frame(self) -> "pandas.DataFrame":
        """One row per item of each grid: direction, explanation, position, item, BSR and mean affinity.

        Where the items have ids, a column ``id`` follows.
        """
        try:
            import pandas
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("to_frame needs pandas: pip install 'diptych[report]'") from error
        rows = [
            {
                "representation": name,
                "explanation": number,
                "position": position,
                "item": int(item),
                "grid_bsr": float(side.bsr_per_grid[number]),
                "mean_affinity": float(side.mean_affinity[number]),
            }
            for name, _, side in self.directions
            for number, grid in enumerate(side.grids)
            for position, item in enumerate(grid)
        ]
        columns = ["representation", "explanation", "position", "item", "grid_bsr", "mean_affinity"]
        frame = pandas.DataFrame(rows, columns=columns)
        return frame if self.ids is None else frame.assign(id=self.ids[frame["item"].to_numpy(np.int64)])

    def save(self, path: str | os.PathLike[str], *, embeddings: bool = True) -> None:
        """Write everything to one .npz (arrays and JSON, no pickle), whole or not at all.

        Nothing is compressed: embeddings hardly shrink, and would take minutes of a million items.

        Args:
            path: Where to; ``.npz`` is the usual ending.
            embeddings: Also store the two embedding matrices, which the report's probes need.
        """
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **self._arrays(embeddings))

    def to_bytes(self, *, embeddings: bool = True) -> bytes:
        """What :meth:`save` writes, in memory."""
        file = io.BytesIO()
        np.savez(file, **self._arrays(embeddings))
        return file.getvalue()

    def _arrays(self, embeddings: bool) -> dict[str, Any]:
        arrays: dict[str, Any] = {}
        for key, side in (("a", self.a), ("b", self.b)):
            arrays[f"{key}_labels"] = side.labels
            arrays[f"{key}_items"] = np.concatenate([np.empty(0, np.int64), *side.grids])
            arrays[f"{key}_sizes"] = np.array([len(grid) for grid in side.grids], np.int64)
            arrays[f"{key}_bsr_per_grid"] = side.bsr_per_grid
            arrays[f"{key}_mean_affinity"] = side.mean_affinity
        if embeddings and self.embeddings is not None:
            arrays["embeddings_a"], arrays["embeddings_b"] = self.embeddings
        if self.ids is not None:
            arrays["ids"] = self.ids
        meta = {
            "format": _FORMAT,
            "parameters": asdict(self.parameters),
            "names": self.names,
            "cka": self.cka,
            "aligned_cka": self.aligned_cka,
            "mutual_knn": self.mutual_knn,
            "seconds": self.seconds,
            "versions": self.versions,
            "profile": [asdict(part) for part in self.profile],
            "sides": {
                key: {"bsr": side.bsr, "raw_bsr": side.raw_bsr, "notes": side.notes}
                for key, side in (("a", self.a), ("b", self.b))
            },
        }
        arrays["meta"] = np.array(json.dumps(meta))
        return arrays

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "RDXResult":
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: The file is not a saved comparison, is damaged, or is from a later version.
        """
        return cls._read(Path(path), os.fspath(path))

    @classmethod
    def from_bytes(cls, data: bytes) -> "RDXResult":
        """Read what :meth:`to_bytes` gave; raises as :meth:`load`."""
        return cls._read(io.BytesIO(data), "bytes")

    @classmethod
    def _read(cls, file: Path | io.BytesIO, name: str) -> "RDXResult":
        with readable(name, "RDX"):
            return cls._from_parts(*read_archive(file, "meta", _FORMAT))

    @classmethod
    def _from_parts(cls, arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> "RDXResult":
        def side(key: str) -> Explanations:
            ends = np.cumsum(arrays[f"{key}_sizes"])
            return Explanations(
                grids=np.split(arrays[f"{key}_items"], ends[:-1]) if len(ends) else [],
                labels=arrays[f"{key}_labels"],
                bsr_per_grid=arrays[f"{key}_bsr_per_grid"],
                mean_affinity=arrays[f"{key}_mean_affinity"],
                **meta["sides"][key],
            )

        names: Sequence[str] = meta["names"]
        stored = "embeddings_a" in arrays
        return cls(
            a=side("a"),
            b=side("b"),
            parameters=Parameters(**meta["parameters"]),
            names=(names[0], names[1]),
            embeddings=(arrays["embeddings_a"], arrays["embeddings_b"]) if stored else None,
            cka=meta["cka"],
            mutual_knn=meta["mutual_knn"],
            seconds=meta["seconds"],
            versions=meta["versions"],
            profile=[Part(**part) for part in meta.get("profile", [])],
            ids=arrays.get("ids"),
            aligned_cka=meta.get("aligned_cka"),
        )
