"""The tables of a number line, as columns."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from diptych.numerosity.actions import ACTIONS
from diptych.numerosity.covariates import EDGES, QUANTITIES
from diptych.numerosity.perceived import by_count
from diptych.ops import _checks

if TYPE_CHECKING:
    from diptych.numerosity.results import NumberLine

Columns = dict[str, Any]


def columns(line: "NumberLine", table: str) -> Columns:
    """The columns of one of the :data:`TABLES`; none where it needs what the analysis was not given.

    Raises:
        ValueError: No such table.
    """
    _checks.one_of("table", table, TABLES)
    return TABLES[table](line)


def _counts(line: "NumberLine") -> Columns:
    numbers, means, spreads = by_count(line.perceived, line.counts)
    islands = line.islands
    items = islands.confusion.sum(0) + islands.outside
    if islands.n:
        best = islands.confusion.argmax(0)
        most = islands.confusion.max(0)
    else:
        best, most = np.full(len(numbers), -1), np.zeros(len(numbers), np.int64)
    laws = {"power_law": line.absolute.power, "broken_power_law": line.absolute.broken}
    fitted = {
        name: np.where(numbers > 0, law(np.maximum(numbers, 1)), np.nan)
        for name, law in laws.items()
        if law is not None
    }
    return {
        "count": numbers,
        "items": items,
        "perceived": means,
        "spread": spreads,
        "island": np.where(most > 0, best, -1),
        "share_in_island": most / items,
        **fitted,
    }


def _figures(line: "NumberLine") -> Columns:
    found = line.figures()
    return {"figure": list(found), "value": list(found.values())}


def _islands(line: "NumberLine") -> Columns:
    islands = line.islands
    sizes = islands.confusion.sum(1)
    place = np.full(islands.n, -1)
    if islands.order is not None:
        place[islands.order.sequence] = np.arange(len(islands.order.sequence))
    return {
        "island": np.arange(islands.n),
        "items": sizes,
        "majority": islands.majority,
        "share_of_majority": islands.confusion.max(1, initial=0) / sizes,
        "mean_count": islands.confusion @ islands.counts / sizes,
        "place_in_order": place,
        "place": np.nan if islands.order is None else islands.order.places,
    }


def _actions(line: "NumberLine") -> Columns:
    found = line.action_error
    if found is None:
        return {}
    names = ("objects", "pairs", "errors", "share", "low", "high")
    return {name: getattr(found, name) for name in names}


def _relative(line: "NumberLine") -> Columns:
    def joined(column: Callable[[Any], Any]) -> Any:
        return np.concatenate([column(each) for each in line.relative]) if line.relative else []

    return {
        "reference": joined(lambda each: np.full(len(each.counts), each.reference)),
        "count": joined(lambda each: each.counts),
        "comparisons": joined(lambda each: each.comparisons),
        "share_larger": joined(lambda each: each.share),
        "fitted": joined(lambda each: each.curve(each.counts)),
    }


def _sweep(line: "NumberLine") -> Columns:
    return dict(vars(line.sweep))


def _covariates(line: "NumberLine") -> Columns:
    if line.covariates is None:
        return {}
    rows = [
        (
            each.reference,
            quantity,
            EDGES[place],
            EDGES[place + 1],
            each.comparisons[row, place],
            *(getattr(each, name)[row, place] for name in ("change", "error", "low", "high")),
        )
        for each in line.covariates.errors
        for row, quantity in enumerate(QUANTITIES)
        for place in np.flatnonzero(each.comparisons[row])
    ]
    names = ("reference", "quantity", "from", "to", "comparisons", "change", "error", "low", "high")
    return {name: [row[at] for row in rows] for at, name in enumerate(names)}


def _distances(line: "NumberLine") -> Columns:
    found = line.distances
    if found is None:
        return {}
    bins = len(found.edges) - 1
    return {
        "action": np.repeat(ACTIONS, bins),
        "from": np.tile(found.edges[:-1], len(ACTIONS)),
        "to": np.tile(found.edges[1:], len(ACTIONS)),
        "pairs": found.histogram.ravel(),
    }


#: The tables by name.
TABLES: dict[str, Callable[["NumberLine"], Columns]] = {
    "counts": _counts,
    "figures": _figures,
    "islands": _islands,
    "actions": _actions,
    "relative": _relative,
    "sweep": _sweep,
    "covariates": _covariates,
    "distances": _distances,
}
