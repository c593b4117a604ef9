"""What a comparison found: similarity, importance and replacement of both networks' concepts."""

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diptych._archive import read_archive, readable
from diptych._files import atomic_path
from diptych._tables import load_pandas
from diptych._text import storable
from diptych.rsvc.concepts import Concepts
from diptych.rsvc.regression import ConceptRegression

if TYPE_CHECKING:
    import pandas

_FORMAT = 1

Values = NDArray[Any]

#: What the replacement test gives for each concept.
REPLACEMENT = ("l2", "kl", "match", "delta_l2", "delta_kl", "delta_accuracy", "delta_pearson")


@dataclass(frozen=True)
class Parameters:
    """Every choice a comparison was made with; the arguments of :func:`diptych.rsvc.compare`."""

    k: int = 10
    method: str = "auto"
    alpha: float = 0.1
    folds: int = 5
    target_1: int | None = None
    target_2: int | None = None
    conventions: str = "default"
    seed: int = 0


@dataclass(frozen=True, eq=False)
class ConceptScores:
    """What is kept of a comparison where there are many: the numbers that figures show of each concept.

    Attributes are those of :class:`RSVCResult`; a kilobyte, where a result has megabytes.
    """

    cmcs_1to2: Values
    cmcs_2to1: Values
    smcs_1: Values
    smcs_2: Values
    mcs_1: Values
    mcs_2: Values
    importance_1: Values | None
    importance_2: Values | None
    names: tuple[str, str]


@dataclass(eq=False)
class RSVCResult:
    """The outcome of :func:`diptych.rsvc.compare`.

    Arrays hold one value per concept *of the network whose concepts are predicted*: ``cmcs_1to2`` and
    ``predicted_1to2`` are of the k2 concepts of network 2, predicted from the activations of network 1;
    ``cmcs_2to1`` of the k1 concepts of network 1. All are float64; NaN is undefined (a dead concept, whose
    coefficients are constant), never 0.

    Attributes:
        cmcs_1to2: (k2,) cross-model concept similarity, Pearson: real coefficients of network 2's concepts
            against those that network 1's activations predict.
        cmcs_2to1: (k1,) the same of network 1's concepts, predicted by network 2.
        smcs_1: (k1,) same-model concept similarity, Pearson: network 1's concepts predicted by its own
            activations.
        smcs_2: (k2,) the same of network 2.
        cmcs_1to2_spearman: (k2,) as ``cmcs_1to2``, by Spearman's correlation; so the next three.
        cmcs_2to1_spearman: (k1,)
        smcs_1_spearman: (k1,)
        smcs_2_spearman: (k2,)
        mcs_1: (k1,) largest correlation of each concept with any of network 2's, without regression.
        mcs_2: (k2,) the same of network 2's concepts.
        nonzero_1to2: (k2,) features of network 1 that predict the concept, the mean over folds.
        nonzero_2to1: (k1,) features of network 2.
        nonzero_1: (k1,) features of network 1 itself.
        nonzero_2: (k2,) features of network 2 itself.
        coefficients_1: (m, k1) real coefficients of the patches that similarity was measured on.
        coefficients_2: (m, k2) the same of network 2.
        predicted_1to2: (m, k2) what network 1 predicts for network 2's concepts there.
        predicted_2to1: (m, k1) what network 2 predicts for network 1's concepts.
        predicted_1: (m, k1) what network 1 predicts for its own.
        predicted_2: (m, k2) what network 2 predicts for its own.
        groups: (m,) the image each of these patches is of.
        concepts_1: Network 1's concepts, with their coefficients on the patches they were extracted from.
        concepts_2: Network 2's.
        regression_1: From network 1's activations to the concepts of network 1, then those of network 2; None
            if it was not saved.
        regression_2: From network 2's activations to the concepts of network 2, then those of network 1.
        evaluated_on: ``"evaluation patches"``, given for that, or ``"held-out folds"`` of the training
            patches.
        importance_1: (k1,) mean attribution of the class logit to each concept over the m patches, None
            without a head.
        importance_2: (k2,) the same of network 2.
        replacement_1: Columns of :attr:`replacement` for network 1's concepts, (k1,) each; empty without a
            head.
        replacement_2: The same for network 2's.
        parameters: The arguments of the comparison.
        names: How the two networks are called.
        notes: What a reader should know, in sentences.
        seconds: Wall time per stage.
        versions: Versions of the software that made the result.
    """

    cmcs_1to2: Values
    cmcs_2to1: Values
    smcs_1: Values
    smcs_2: Values
    cmcs_1to2_spearman: Values
    cmcs_2to1_spearman: Values
    smcs_1_spearman: Values
    smcs_2_spearman: Values
    mcs_1: Values
    mcs_2: Values
    nonzero_1to2: Values
    nonzero_2to1: Values
    nonzero_1: Values
    nonzero_2: Values
    coefficients_1: Values
    coefficients_2: Values
    predicted_1to2: Values
    predicted_2to1: Values
    predicted_1: Values
    predicted_2: Values
    groups: Values
    concepts_1: Concepts
    concepts_2: Concepts
    regression_1: ConceptRegression | None
    regression_2: ConceptRegression | None
    evaluated_on: str
    importance_1: Values | None = None
    importance_2: Values | None = None
    replacement_1: dict[str, Values] = field(default_factory=dict)
    replacement_2: dict[str, Values] = field(default_factory=dict)
    parameters: Parameters = field(default_factory=Parameters)
    names: tuple[str, str] = ("1", "2")
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def scores(self) -> ConceptScores:
        """The numbers that figures show of each concept, without all that is told of patches."""
        return ConceptScores(**{each.name: getattr(self, each.name) for each in fields(ConceptScores)})

    @property
    def replacement(self) -> "pandas.DataFrame":
        """The replacement test: network, concept and the columns of :class:`~diptych.rsvc.Replacement`.

        One row per concept of each network that a head was given for.
        """
        pandas = load_pandas("replacement")
        parts = [
            pandas.DataFrame({"network": storable(name), "concept": np.arange(len(columns["kl"])), **columns})
            for name, columns in zip(self.names, (self.replacement_1, self.replacement_2), strict=True)
            if columns
        ]
        if not parts:
            return pandas.DataFrame(columns=["network", "concept", *REPLACEMENT])
        return pandas.concat(parts, ignore_index=True)

    def to_frame(self) -> "pandas.DataFrame":
        """One row per concept of each network, first network 1's, then network 2's.

        Columns: network, concept, cmcs, cmcs_spearman, smcs, smcs_spearman, mcs, cross_nonzero, same_nonzero,
        dead, importance, and those of the replacement test; NaN where there was no head.
        """
        pandas = load_pandas("to_frame")
        sides = (
            ("2to1", "1", self.importance_1, self.replacement_1),
            ("1to2", "2", self.importance_2, self.replacement_2),
        )
        parts = []
        for name, (cross, own, importance, replacement) in zip(self.names, sides, strict=True):
            real = getattr(self, f"coefficients_{own}")
            columns = {
                "network": storable(name),
                "concept": np.arange(real.shape[1]),
                "cmcs": getattr(self, f"cmcs_{cross}"),
                "cmcs_spearman": getattr(self, f"cmcs_{cross}_spearman"),
                "smcs": getattr(self, f"smcs_{own}"),
                "smcs_spearman": getattr(self, f"smcs_{own}_spearman"),
                "mcs": getattr(self, f"mcs_{own}"),
                "cross_nonzero": getattr(self, f"nonzero_{cross}"),
                "same_nonzero": getattr(self, f"nonzero_{own}"),
                "dead": (real == real[0]).all(0),
                "importance": np.nan if importance is None else importance,
            }
            columns |= {key: replacement.get(key, np.nan) for key in REPLACEMENT}
            parts.append(pandas.DataFrame(columns))
        return pandas.concat(parts, ignore_index=True)

    def summary(self) -> str:
        """The result in plain words, a line per fact."""
        first, second = self.names
        lines = [
            f"{len(self.coefficients_1)} patches of {len(np.unique(self.groups))} images, {first} against "
            f"{second}, similarity on {self.evaluated_on}"
        ]
        sides = (
            (first, second, self.cmcs_2to1, self.smcs_1),
            (second, first, self.cmcs_1to2, self.smcs_2),
        )
        for own, other, cross, same in sides:
            if np.isnan(cross).all():
                lines.append(f"{own}: all {len(cross)} concepts are undefined")
                continue
            lowest = int(np.nanargmin(cross))
            lines.append(
                f"{own}: {len(cross)} concepts, predicted by {other} with a mean correlation of "
                f"{np.nanmean(cross):.3f}, by itself of {np.nanmean(same):.3f}; least by {other}: concept "
                f"{lowest} ({cross[lowest]:.3f}, by itself {same[lowest]:.3f})"
            )
        return "\n".join(lines + [f"  {note}" for note in self.notes])

    def save(self, path: str | os.PathLike[str], *, regressions: bool = True) -> None:
        """Write everything to one compressed .npz (arrays and JSON, no pickle), whole or not at all.

        Args:
            path: Where to; ``.npz`` is the usual ending.
            regressions: Also store the fitted regressions.
        """
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **self._arrays(regressions))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "RSVCResult":
        """Read what :meth:`save` wrote.

        Raises:
            FileNotFoundError: No such file.
            ValueError: The file is not a saved comparison, is damaged, or is from a later version.
        """
        with readable(os.fspath(path), "RSVC"):
            return cls._from_parts(*read_archive(Path(path), "rsvc", _FORMAT))

    def _arrays(self, regressions: bool) -> dict[str, Any]:
        arrays: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, np.ndarray):
                arrays[each.name] = value
        for side in ("1", "2"):
            arrays |= {
                f"replacement_{side}/{key}": x for key, x in getattr(self, f"replacement_{side}").items()
            }
            concepts = getattr(self, f"concepts_{side}")
            arrays[f"concepts_{side}/coefficients"] = concepts.coefficients
            arrays[f"concepts_{side}/basis"] = concepts.basis
            regression = getattr(self, f"regression_{side}")
            if regressions and regression is not None:
                arrays |= {f"regression_{side}/{key}": x for key, x in vars(regression).items()}
        concepts_told = [
            {"error": each.error, "method": each.method, "seed": each.seed}
            for each in (self.concepts_1, self.concepts_2)
        ]
        meta = {
            "format": _FORMAT,
            "parameters": asdict(self.parameters),
            "names": self.names,
            "evaluated_on": self.evaluated_on,
            "notes": self.notes,
            "seconds": self.seconds,
            "versions": self.versions,
            "concepts": concepts_told,
        }
        return arrays | {"rsvc": np.array(json.dumps(meta))}

    @classmethod
    def _from_parts(cls, arrays: dict[str, Values], meta: dict[str, Any]) -> "RSVCResult":
        def part(name: str) -> dict[str, Values]:
            prefix = f"{name}/"
            return {key.removeprefix(prefix): x for key, x in arrays.items() if key.startswith(prefix)}

        def regression(side: str) -> ConceptRegression | None:
            stored = part(f"regression_{side}")
            return ConceptRegression(**stored | {"alpha": float(stored["alpha"])}) if stored else None

        names, told = meta["names"], meta["concepts"]
        return cls(
            **{key: x for key, x in arrays.items() if "/" not in key},
            concepts_1=Concepts(**(part("concepts_1") | told[0])),
            concepts_2=Concepts(**(part("concepts_2") | told[1])),
            regression_1=regression("1"),
            regression_2=regression("2"),
            replacement_1=part("replacement_1"),
            replacement_2=part("replacement_2"),
            parameters=Parameters(**meta["parameters"]),
            names=(names[0], names[1]),
            evaluated_on=meta["evaluated_on"],
            notes=meta["notes"],
            seconds=meta["seconds"],
            versions=meta["versions"],
        )


#: What figures of many classes take of each.
Scored = RSVCResult | ConceptScores
