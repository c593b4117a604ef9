"""The tables of a page: labels per grid, and what the linear probes say."""

from collections import Counter
from typing import Any

import numpy as np

from diptych._files import natural_key
from diptych.plots.style import SIDES
from diptych.rdx.results import RDXResult
from diptych.report.probe import Probes, Share

MAX_COLUMNS = 14


def label_counts(result: RDXResult, labels: list[str] | None) -> dict[str, Any] | None:
    """Items of each label in each grid (as in thesis Table 4.2); None without labels or grids.

    The most frequent labels get a column each, the others share one.
    """
    if labels is None:
        return None
    grids = [
        (side, number, [labels[item] for item in grid])
        for side, (_, _, explanations) in zip(SIDES, result.directions, strict=True)
        for number, grid in enumerate(explanations.grids)
    ]
    if not grids:
        return None
    totals = Counter(label for _, _, members in grids for label in members)
    columns = sorted((label for label, _ in totals.most_common(MAX_COLUMNS)), key=natural_key)
    rows = []
    for side, number, members in grids:
        counts = Counter(members)
        cells = [counts[label] for label in columns]
        rows.append(
            {
                "side": side,
                "number": number + 1,
                "cells": cells,
                "others": len(members) - sum(cells),
                "total": len(members),
            }
        )
    return {"columns": columns, "rows": rows, "others": len(totals) > len(columns)}


def probes(result: RDXResult, probed: Probes | str | None) -> dict[str, Any] | None:
    """Accuracies and agreement overall, per class and per grid (thesis Table 4.1)."""
    if not isinstance(probed, Probes):
        return None
    classes = [
        {"name": name, **_row(probed, probed.members(number))} for number, name in enumerate(probed.classes)
    ]
    grids = [
        {"side": side, "number": number + 1, **_row(probed, grid)}
        for side, (_, _, explanations) in zip(SIDES, result.directions, strict=True)
        for number, grid in enumerate(explanations.grids)
    ]
    return {
        "a": _described(probed.accuracy(0)),
        "b": _described(probed.accuracy(1)),
        "agreement": _described(probed.agreement()),
        "classes": classes,
        "grids": grids,
        "folds": probed.folds,
        "notes": probed.notes,
    }


def _row(probed: Probes, items: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, Any]:
    return {
        "items": len(items),
        "a": probed.accuracy(0, items),
        "b": probed.accuracy(1, items),
        "agreement": probed.agreement(items),
    }


def _described(share: Share) -> dict[str, Any]:
    low, high = share.interval
    return {"value": share.value, "low": low, "high": high, "hits": share.hits, "of": share.total}
