"""The page of a number line: everything it shows, gathered for the template, then rendered."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from diptych.numerosity.actions import ACTIONS
from diptych.numerosity.inputs import COVARIATES
from diptych.numerosity.results import NumberLine
from diptych.plots.numerosity.covariates import NAMES
from diptych.report import numerosity_words, page
from diptych.report.numerosity_map import map_data
from diptych.report.numerosity_panels import Panel

_PACKAGES = ("plotly", "jinja2", "matplotlib", "pandas")

#: Islands that the table shows; all of them are in the file beside it.
TABLE_ISLANDS = 40


@dataclass
class Material:
    """What a page is made from, beside the number line.

    Attributes:
        title: Title of the page.
        command: Shell command that repeats the analysis, or None for the Python call.
        panels: Figures by section.
        scenes: Data URI of a figure of scenes, or None.
        files: Names of the files beside the page.
    """

    title: str
    command: str | None
    panels: dict[str, list[Panel]] = field(default_factory=dict)
    scenes: Markup | None = None
    files: list[str] = field(default_factory=list)


def render(line: NumberLine, material: Material) -> bytes:
    """Return the page as UTF-8; see :func:`diptych.report.page.render`."""
    data = map_data(line)
    return page.render(
        "numerosity.html.j2",
        _context(line, material, None if data is None else data["shown"]),
        data=data,
        style="numerosity.css",
        script="numerosity.js",
        libraries=[get_plotlyjs()] if data is not None else [],
        evaluates=data is not None,
    )


def _context(line: NumberLine, material: Material, shown: int | None) -> dict[str, Any]:
    return {
        "title": material.title,
        "names": ("", ""),
        "finding": numerosity_words.finding(line),
        "facts": numerosity_words.facts(line),
        "notes": numerosity_words.notes(line),
        "shown": shown,
        "n": len(line.counts),
        "width": None if line.embeddings is None else line.embeddings.shape[1],
        "panels": material.panels,
        "scenes": material.scenes,
        "islands": _islands(line),
        "counts": _counts(line),
        "named": _named(line),
        "partial": _partial(line),
        "sampled": line.absolute.sampling_interval,
        "parameters": vars(line.parameters),
        "versions": page.all_versions(_PACKAGES, line.versions),
        "seconds": line.seconds,
        "command": material.command or numerosity_words.python_call(line.parameters, line),
        "from_shell": material.command is not None,
        "files": material.files,
    }


def _islands(line: NumberLine) -> dict[str, Any]:
    """Items of each island and count, with the share that they are of the count's items."""
    islands = line.islands
    items = islands.confusion.sum(0) + islands.outside

    def cells(row: np.ndarray) -> list[tuple[int, float]]:
        return [(int(number), float(share)) for number, share in zip(row, row / items, strict=True)]

    order = islands.order
    places = {} if order is None else {int(each): place for place, each in enumerate(order.sequence, 1)}
    return {
        "counts": islands.counts.tolist(),
        "rows": [
            {
                "majority": int(islands.majority[island]),
                "place": places.get(island),
                "items": int(row.sum()),
                "cells": cells(row),
            }
            for island, row in enumerate(islands.confusion[:TABLE_ISLANDS])
        ],
        "outside": {"items": int(islands.outside.sum()), "cells": cells(islands.outside)},
        "total": islands.n,
        "ordered": order is not None,
        "agreement": None if order is None else order.agreement,
    }


def _counts(line: NumberLine) -> list[dict[str, float]]:
    """The rows of the table of counts."""
    return [
        {str(key): float(value) for key, value in row.items()}
        for row in line.to_frame("counts").to_dict("records")
    ]


def _named(line: NumberLine) -> dict[str, Any] | None:
    """How often each action was named, by what was done."""
    if line.action_error is None:
        return None
    table = line.action_error.confusion
    totals = table.sum(1)
    return {
        "actions": ACTIONS,
        "rows": [
            (action, int(total), [(int(each), each / total if total else 0.0) for each in row])
            for action, total, row in zip(ACTIONS, totals, table, strict=True)
        ],
    }


def _partial(line: NumberLine) -> list[tuple[str, float, float, float]] | None:
    if line.covariates is None:
        return None
    found = line.covariates
    names = [NAMES[name].split(" (")[0] for name in COVARIATES]
    ends = (each.tolist() for each in (found.partial, found.partial_low, found.partial_high))
    return list(zip(names, *ends, strict=True))
