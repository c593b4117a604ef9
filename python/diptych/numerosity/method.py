"""Does an embedding have a number line? Embeddings and counts in, the whole analysis out."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from diptych._build import versions
from diptych._progress import Stages
from diptych.numerosity.absolute import AbsoluteQuantity, absolute_quantity, exponent_sampling_interval
from diptych.numerosity.action_error import action_error
from diptych.numerosity.covariates import REFERENCES, analyze_covariates
from diptych.numerosity.distances import action_distances
from diptych.numerosity.inputs import Items, checked
from diptych.numerosity.islands import SWEEP, Islands, find_islands, swept
from diptych.numerosity.linearity import linear_error
from diptych.numerosity.order import island_order
from diptych.numerosity.perceived import perceived_number, rank_agreement, share_near, unit
from diptych.numerosity.relative import RelativeQuantity, relative_quantity
from diptych.numerosity.results import NumberLine, Parameters
from diptych.ops import _checks
from diptych.ops._arrays import Array, to_tensor

if TYPE_CHECKING:
    import pandas

#: The reference whose absence is told in a note, and is no error.
DEFAULT_REFERENCE = 16

# Relative costs of the stages, for the progress bar.
_COSTS = {"line": 1, "islands": 2, "sweep": 30, "quantity": 8, "actions": 1, "covariates": 6}


def analyze(
    embeddings: Array,
    counts: Array,
    *,
    pairs: Array | None = None,
    actions: Array | None = None,
    predicted: Array | None = None,
    covariates: "pandas.DataFrame | None" = None,
    reference: int | None = DEFAULT_REFERENCE,
    min_cluster_size: int = 90,
    seed: int = 0,
    sweep: Sequence[int] = SWEEP,
    bootstrap: int = 200,
    name: str = "",
    progress: bool = True,
) -> NumberLine:
    """Look for a number line in embeddings of scenes whose numbers of objects are known.

    The whole analysis of Kondapaneni & Perona, "A number sense as an emergent property of the manipulating
    brain", Scientific Reports 14:6858 (2024), doi 10.1038/s41598-024-56828-2: how close the embeddings come
    to a line, islands and their order, perceived number, relative and absolute quantity, errors of action
    naming, distances of actions and covariates. Each part is a function of its own in this package.

    Args:
        embeddings: (N, d) of any width and of any model: numpy, torch or cupy.
        counts: (N,) whole numbers of objects; some items have none, some one.
        pairs: (P, 2) items before and after an action.
        actions: (P,) what was done: 0 put, 1 take, 2 shake; with ``pairs``.
        predicted: (P,) what a classifier named; None: no errors of action naming.
        covariates: DataFrame, or mapping, of N rows with the columns ``mean_intensity`` (0 to 1),
            ``summed_area`` and ``hull_area`` (px²).
        reference: Count that the Weber fraction is taken at; None for none. Where no item has 16, the
            default, there is no Weber fraction and a note tells so; another count that no item has is an
            error. Counts of 3, 9, 16 and 24 objects are references besides, where items have them.
        min_cluster_size: Items of the smallest island, 2 to N.
        seed: Of the bootstrap behind the intervals of Weber fractions and, over items, of the exponent.
        sweep: Smallest cluster sizes to look for islands with besides; those above N are passed over.
        bootstrap: Resamples of the items behind these intervals; 0 for no intervals.
        name: What is analyzed, for titles.
        progress: Show a progress bar on stderr when it takes longer than two seconds.

    Returns:
        :class:`NumberLine`; None stands where pairs, predicted actions or covariates are missing.

    Complexity:
        O(N²) time for the islands, once for each size of ``sweep``, and O(N d min(N, d)) for the line; with
        64 features or more O(N² d), see :func:`find_islands`. Memory: two copies of the embeddings in
        float64; from 64 features on three (N, N) matrices of float64.

    Raises:
        ValueError: Other numbers of items, one number of objects alone, no item of count 0 or of count 1,
            centers of these in one place, all embeddings the same, NaN or Inf, pairs of items that are not
            there, actions outside 0 to 2, missing, without pairs, or against the counts, a covariate missing
            or below 0, an option out of range; the message names the argument.
        TypeError: Not an array of real numbers, an option of another type.
    """
    items = checked(embeddings, counts, pairs, actions, predicted, covariates)
    n = len(items.counts)
    _checks.integer("min_cluster_size", min_cluster_size, 2, n)
    _checks.seed(seed)
    for size in sweep:
        _checks.integer("sweep", size, 2)
    notes = _check_reference(reference, items) + _check_island_size(min_cluster_size, items)
    sizes = sorted({int(size) for size in sweep if size <= n})
    _checks.integer("bootstrap", bootstrap, 0)
    at = None if reference is None else int(reference)
    chosen = Parameters(at, int(min_cluster_size), int(seed), tuple(sizes), int(bootstrap))
    with Stages(_COSTS, enabled=progress) as stages:
        found = _analyzed(items, chosen, stages)
    return NumberLine(
        **found,
        counts=items.counts,
        embeddings=_as_given(embeddings, items),
        pairs=items.pairs,
        actions=items.actions,
        predicted=items.predicted,
        covariate_values=items.covariates,
        parameters=chosen,
        name=name,
        notes=notes,
        seconds=dict(stages.seconds),
        versions=versions(),
    )


def _check_reference(reference: int | None, items: Items) -> tuple[str, ...]:
    if reference is None:
        return ()
    _checks.integer("reference", reference, 1)
    if reference in items.counts:
        return ()
    if reference != DEFAULT_REFERENCE:
        raise ValueError(f"reference: expected a count that items have, found {reference}")
    return (f"No item has {reference} objects: there is no Weber fraction at that reference.",)


def _check_island_size(min_cluster_size: int, items: Items) -> tuple[str, ...]:
    most = int(np.bincount(items.counts).max())
    # Of an island of its own a count has more than half of the items.
    if min_cluster_size < 2 * most:
        return ()
    return (
        f"Islands have {min_cluster_size} items or more, no count has more than {most}: none can have an "
        "island of its own; a smaller min_cluster_size would tell.",
    )


def _analyzed(items: Items, chosen: Parameters, stages: Stages) -> dict[str, Any]:
    z, counts = items.embeddings, items.counts
    stages.enter("line")
    perceived = perceived_number(z, counts)
    found: dict[str, Any] = {
        "perceived": perceived,
        "linear_error": linear_error(z),
        "uncentered_linear_error": linear_error(z, centered=False),
        "spearman": rank_agreement(perceived, counts),
        "within_15_percent": share_near(perceived, counts),
    }
    stages.enter("islands")
    found["islands"] = _ordered(find_islands(z, counts, min_cluster_size=chosen.min_cluster_size), items)
    stages.enter("sweep")
    found["sweep"] = swept(z, counts, _advancing(chosen.sweep, stages))
    stages.enter("quantity")
    found["relative"] = _judged(perceived, items, chosen)
    found["absolute"] = _estimated(perceived, items, chosen)
    stages.enter("actions")
    if items.pairs is not None and items.actions is not None:
        found["distances"] = action_distances(z, items.pairs, items.actions, unit=unit(z, counts))
        if items.predicted is not None:
            before, after = counts[items.pairs].T
            found["action_error"] = action_error(before, after, items.actions, items.predicted)
    stages.enter("covariates")
    if items.covariates:
        found["covariates"] = analyze_covariates(perceived, counts, items.covariates)
    return found


def _ordered(islands: Islands, items: Items) -> Islands:
    if items.pairs is None or items.actions is None:
        return islands
    return replace(islands, order=island_order(islands.labels, items.pairs, items.actions, items.counts))


def _advancing(sizes: Sequence[int], stages: Stages) -> Iterator[int]:
    for size in sizes:
        yield size
        stages.advance(1 / len(sizes))


def _judged(perceived: NDArray[np.float64], items: Items, chosen: Parameters) -> tuple[RelativeQuantity, ...]:
    wanted = {*REFERENCES, *(() if chosen.reference is None else (chosen.reference,))}
    return tuple(
        relative_quantity(perceived, items.counts, each, bootstrap=chosen.bootstrap, seed=chosen.seed)
        for each in sorted(wanted & set(items.counts.tolist()))
    )


def _estimated(perceived: NDArray[np.float64], items: Items, chosen: Parameters) -> AbsoluteQuantity:
    found = absolute_quantity(perceived, items.counts)
    if found.power is None or chosen.bootstrap == 0:
        return found
    sampled = exponent_sampling_interval(
        items.embeddings, items.counts, bootstrap=chosen.bootstrap, seed=chosen.seed
    )
    return replace(found, sampling_interval=sampled)


def _as_given(embeddings: Array, items: Items) -> NDArray[Any]:
    """The embeddings in numpy, in the precision they came in: what was float32 needs no float64 on disk."""
    narrow = to_tensor("embeddings", embeddings).dtype in (torch.float16, torch.bfloat16, torch.float32)
    return items.embeddings.astype(np.float32) if narrow else items.embeddings
