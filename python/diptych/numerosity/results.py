"""What an analysis found: whether the embeddings have a number line, and what it is like."""

import math
import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from diptych._archive import packed, read_archive, readable, unpacked, write_archive
from diptych._tables import load_pandas
from diptych.numerosity import tables
from diptych.numerosity.absolute import HUMAN_EXPONENT, HUMAN_EXPONENT_SPREAD, AbsoluteQuantity
from diptych.numerosity.action_error import ActionError
from diptych.numerosity.covariates import CovariateAnalysis, CovariateErrors
from diptych.numerosity.distances import ActionDistances
from diptych.numerosity.inputs import Floats, Integers
from diptych.numerosity.islands import Islands, Sweep
from diptych.numerosity.order import IslandOrder
from diptych.numerosity.relative import RelativeQuantity
from diptych.stats import BrokenPowerLaw, CumulativeGaussian, PowerLaw

if TYPE_CHECKING:
    import pandas

_FORMAT = 1
_NAN = float("nan")


@dataclass(frozen=True)
class Parameters:
    """Every choice an analysis was made with; the arguments of :func:`diptych.numerosity.analyze`."""

    reference: int | None = 16
    min_cluster_size: int = 90
    seed: int = 0
    sweep: tuple[int, ...] = ()
    bootstrap: int = 200


@dataclass(frozen=True, eq=False)
class NumberLine:
    """The outcome of :func:`diptych.numerosity.analyze`.

    Attributes:
        counts: (N,) int64, true number of objects of each item.
        perceived: (N,) float64, perceived number; see :func:`~diptych.numerosity.perceived_number`.
        linear_error: ‖E − E₁‖ / ‖E‖ of the centered embeddings, 0 to 1; see
            :func:`~diptych.numerosity.linear_error`.
        uncentered_linear_error: The same without centering.
        spearman: Spearman's correlation of perceived and true number; NaN where all are perceived alike.
        within_15_percent: Share of the counts above 0 whose mean perceived number is within 15 % of the
            count.
        islands: Clusters, the true counts of their items and, where pairs were given, their order.
        sweep: Islands over the smallest cluster size.
        relative: Judgements against each reference count that items have, ascending; see :meth:`against`.
        absolute: Perceived over true number, with power laws.
        action_error: Errors of naming actions; None without predicted actions.
        distances: How far actions move a scene, in units of the distance of counts 0 and 1; None without
            pairs.
        covariates: What brightness, area and hull have to do with it; None without covariates.
        embeddings: (N, d) that were analyzed, float32 or float64; None if they were not saved.
        pairs: (P, 2) int64, items before and after each action; None if there were none.
        actions: (P,) int64, the true actions.
        predicted: (P,) int64, the named ones; None if there were none.
        covariate_values: (N,) float64 of each covariate by name; empty without.
        parameters: The arguments of the analysis.
        name: What was analyzed, for titles.
        notes: What a reader should know, in sentences.
        seconds: Wall time per stage.
        versions: Versions of the software that made the result.
    """

    counts: Integers
    perceived: Floats
    linear_error: float
    uncentered_linear_error: float
    spearman: float
    within_15_percent: float
    islands: Islands
    sweep: Sweep
    relative: tuple[RelativeQuantity, ...]
    absolute: AbsoluteQuantity
    action_error: ActionError | None = None
    distances: ActionDistances | None = None
    covariates: CovariateAnalysis | None = None
    embeddings: NDArray[Any] | None = None
    pairs: Integers | None = None
    actions: Integers | None = None
    predicted: Integers | None = None
    covariate_values: dict[str, Floats] = field(default_factory=dict)
    parameters: Parameters = field(default_factory=Parameters)
    name: str = ""
    notes: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def subitizing_limit(self) -> int:
        """The largest number up to which islands and counts match one to one, −1 if not even at 0."""
        return self.islands.subitizing_limit

    @property
    def weber_fraction(self) -> float | None:
        """Of the judgements against ``parameters.reference``; None where no item has that count."""
        judged = self._judged()
        return None if judged is None else judged.weber_fraction

    @property
    def weber_interval(self) -> tuple[float, float] | None:
        """95 % interval of the Weber fraction, by bootstrap over items; NaN without resamples."""
        judged = self._judged()
        return None if judged is None else judged.interval

    @property
    def exponent(self) -> float | None:
        """Of the power law of perceived over true number; None with fewer than three counts above 0."""
        return None if self.absolute.power is None else self.absolute.power.exponent

    @property
    def exponent_interval(self) -> tuple[float, float] | None:
        """95 % interval of the exponent as the law's regression gives it: how well a power law fits.

        ``absolute.sampling_interval`` tells how much it varies with the items.
        """
        return None if self.absolute.power is None else self.absolute.power.interval

    def against(self, reference: int) -> RelativeQuantity:
        """The judgements against one of the references.

        Raises:
            ValueError: It is not among them.
        """
        for each in self.relative:
            if each.reference == reference:
                return each
        listed = ", ".join(str(each.reference) for each in self.relative)
        raise ValueError(f"reference: expected one of {listed or 'none'}, found {reference}")

    def _judged(self) -> RelativeQuantity | None:
        reference = self.parameters.reference
        return next((each for each in self.relative if each.reference == reference), None)

    def figures(self) -> dict[str, float]:
        """Each single number of the result, by name; NaN where it is not defined."""
        order, broken, named = self.islands.order, self.absolute.broken, self.action_error
        found = {
            "linear_error": self.linear_error,
            "uncentered_linear_error": self.uncentered_linear_error,
            "spearman": self.spearman,
            "within_15_percent": self.within_15_percent,
            "islands": self.islands.n,
            "subitizing_limit": self.subitizing_limit,
            "order_agreement": _NAN if order is None else order.agreement,
            "weber_fraction": self.weber_fraction,
            "exponent": self.exponent,
            "kink": _NAN if broken is None else broken.kink,
            "exponent_before_kink": _NAN if broken is None else broken.before,
            "exponent_after_kink": _NAN if broken is None else broken.after,
            "action_error": _NAN if named is None else named.overall[0],
        }
        return {key: _NAN if value is None else float(value) for key, value in found.items()}

    def to_frame(self, table: str = "counts") -> "pandas.DataFrame":
        """One of the result's tables.

        Args:
            table: ``"counts"``: a row per count; perceived number, its island, the fitted laws.
                ``"figures"``: each single number of the result. ``"islands"``: a row per island.
                ``"actions"``: errors of naming actions by number of objects. ``"relative"``: a row per
                reference and count. ``"sweep"``: a row per smallest cluster size. ``"covariates"``: a row per
                reference, quantity and bin of fractional change. ``"distances"``: a row per action and bin.
                Empty where the analysis was not given what a table needs.

        Raises:
            ValueError: No such table.
            ModuleNotFoundError: pandas is not installed.
        """
        return load_pandas("to_frame").DataFrame(tables.columns(self, table))

    def summary(self) -> str:
        """The result in plain words, a line per fact."""
        lines = [*self._line_facts(), *self._quantity_facts()]
        if self.action_error is not None:
            share, low, high = self.action_error.overall
            lines.append(
                f"actions: {share:.1%} of {self.action_error.pairs.sum()} named wrongly "
                f"(95 % interval {low:.1%} to {high:.1%})"
            )
        return "\n".join(lines + [f"  {note}" for note in self.notes])

    def _line_facts(self) -> list[str]:
        limit, order = self.subitizing_limit, self.islands.order
        own = f"each of 0 to {limit} has its own" if limit > 0 else "0 alone has its own"
        if limit < 0:
            own = "not even 0 has its own"
        told = ""
        if order is not None and not math.isnan(order.agreement):
            told = f"; puts and takes order them with a rank correlation of {order.agreement:.2f} with number"
        return [
            f"{self.name + ': ' if self.name else ''}{len(self.counts)} items of {self.counts.min()} to "
            f"{self.counts.max()} objects",
            f"line: error {self.linear_error:.3f} (uncentered {self.uncentered_linear_error:.3f}), "
            f"Spearman's correlation of perceived and true number {self.spearman:.3f}",
            f"islands: {self.islands.n}, {own}{told}",
        ]

    def _quantity_facts(self) -> list[str]:
        means, numbers = self.absolute.mean, self.absolute.counts
        lines = [
            f"absolute quantity: count {numbers[-1]} is perceived as {means[-1]:.1f}; "
            f"{self.within_15_percent:.0%} of the counts are perceived within 15 %"
        ]
        if self.exponent is not None and self.exponent_interval is not None:
            low, high = self.exponent_interval
            lines.append(
                f"power law: exponent {self.exponent:.2f} (95 % interval {low:.2f} to {high:.2f}); people "
                f"{HUMAN_EXPONENT} ± {HUMAN_EXPONENT_SPREAD}"
            )
        if self.weber_fraction is not None and self.weber_interval is not None:
            low, high = self.weber_interval
            told = "" if math.isnan(low) else f" (95 % interval {low:.3f} to {high:.3f})"
            reference = self.parameters.reference
            lines.append(f"relative quantity: Weber fraction {self.weber_fraction:.3f} at {reference}{told}")
        return lines

    def save(self, path: str | os.PathLike[str], *, embeddings: bool = True) -> None:
        """Write everything to one compressed .npz (arrays and JSON, no pickle), whole or not at all.

        Args:
            path: Where to; ``.npz`` is the usual ending.
            embeddings: Also store the embeddings.
        """
        arrays: dict[str, Any] = {}
        said = {
            each.name: packed(getattr(self, each.name), arrays, each.name)
            for each in fields(self)
            if embeddings or each.name != "embeddings"
        }
        write_archive(path, "numerosity", {"format": _FORMAT, "result": said}, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "NumberLine":
        """Read what :meth:`save` wrote.

        Raises:
            FileNotFoundError: No such file.
            ValueError: The file is not a saved analysis, is damaged, or is from a later version.
        """
        with readable(os.fspath(path), "numerosity"):
            arrays, meta = read_archive(Path(path), "numerosity", _FORMAT)
            return cls(**{key: unpacked(each, arrays, _KINDS) for key, each in meta["result"].items()})


_KINDS: dict[str, type[Any]] = {
    each.__name__: each
    for each in (
        AbsoluteQuantity,
        ActionDistances,
        ActionError,
        BrokenPowerLaw,
        CovariateAnalysis,
        CovariateErrors,
        CumulativeGaussian,
        IslandOrder,
        Islands,
        Parameters,
        PowerLaw,
        RelativeQuantity,
        Sweep,
    )
}
