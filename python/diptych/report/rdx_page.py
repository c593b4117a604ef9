"""The page of an RDX comparison: everything it shows, gathered for the template, then rendered."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from diptych.plots.projection import Projection
from diptych.plots.style import ACCENTS, CLUSTER_COLORS, SIDES, Side, cluster_color
from diptych.rdx.results import Explanations, RDXResult
from diptych.rdx.words import GridDescription
from diptych.report import page, tables, words
from diptych.report.descriptions import grid_said
from diptych.report.maps import Shown, map_data
from diptych.report.probe import Probes, encode
from diptych.report.thumbnails import Sheets

_PACKAGES = ("plotly", "jinja2", "pillow", "scikit-learn")


@dataclass
class Material:
    """What a page is made from, beside the result.

    Attributes:
        title: Title of the page.
        command: Shell command that repeats the comparison, or None for the Python call.
        shown: Items of the maps.
        names: n item names, or None for "item 17".
        labels: n labels, or None.
        projections: Both maps, or None without embeddings.
        probes: Linear probes, a sentence why there are none, or None without labels.
        thumbnails: Data URI of each grid item, or None without images.
        sheets: Thumbnails for hovering, or None without images.
        notes: Sentences about the input (unreadable images, absent embeddings).
        descriptions: What a model says of each grid of both sides, or None.
        described_by: What that model is called, or None.
    """

    title: str
    command: str | None
    shown: Shown
    names: list[str] | None = None
    labels: list[str] | None = None
    projections: tuple[Projection, Projection] | None = None
    probes: Probes | str | None = None
    thumbnails: dict[int, str] | None = None
    sheets: Sheets | None = None
    notes: list[str] = field(default_factory=list)
    descriptions: tuple[list[GridDescription], list[GridDescription]] | None = None
    described_by: str | None = None

    def name(self, item: int) -> str:
        """How an item is called."""
        return f"item {item}" if self.names is None else self.names[item]


def render(result: RDXResult, material: Material) -> bytes:
    """Return the page as UTF-8; see :func:`diptych.report.page.render`."""
    has_maps = material.projections is not None
    return page.render(
        "rdx.html.j2",
        _context(result, material),
        data=_page_data(result, material),
        script="rdx.js",
        libraries=[get_plotlyjs()] if has_maps else [],
        evaluates=has_maps,
    )


def _context(result: RDXResult, material: Material) -> dict[str, Any]:
    return {
        "title": material.title,
        "names": result.names,
        "n": result.n,
        "accents": ACCENTS,
        "finding": words.finding(result),
        "facts": _facts(result),
        "notes": material.notes,
        "has_maps": material.projections is not None,
        "has_groups": bool(result.a.grids or result.b.grids),
        "described": material.descriptions is not None,
        "described_by": material.described_by,
        "shown": material.shown,
        "wings": [
            _wing(side, direction, material) for side, direction in zip(SIDES, result.directions, strict=True)
        ],
        "label_counts": tables.label_counts(result, material.labels),
        "probes": tables.probes(result, material.probes),
        "no_probes": material.probes if isinstance(material.probes, str) else None,
        "hover": None if material.sheets is None else len(material.sheets.items),
        "parameters": vars(result.parameters),
        "versions": page.all_versions(_PACKAGES, result.versions),
        "seconds": result.seconds,
        "command": material.command or words.python_call(result),
        "from_shell": material.command is not None,
    }


def _facts(result: RDXResult) -> list[tuple[str, str, str]]:
    """(name, value, meaning) of the figures at the head of the page."""
    first, second = result.names
    return [
        ("Items", f"{result.n:,}", "compared in both"),
        ("Linear CKA", words.decimal(result.cka, 3), "overall likeness; 1 is the same"),
        (
            "Mutual 10-NN",
            words.decimal(result.mutual_knn, 3),
            "share of nearest neighbors in common",
        ),
        (f"BSR of {first}", words.decimal(result.a.bsr, 3), f"pairs closer in {first}"),
        (f"BSR of {second}", words.decimal(result.b.bsr, 3), f"pairs closer in {second}"),
    ]


def _wing(side: Side, direction: tuple[str, str, Explanations], material: Material) -> dict[str, Any]:
    name, other, explanations = direction
    return {
        "side": side,
        "name": name,
        "other": other,
        "bsr": explanations.bsr,
        "raw_bsr": explanations.raw_bsr,
        "notes": explanations.notes,
        "cards": [_card(side, number, explanations, material) for number in range(len(explanations.grids))],
    }


def _card(side: Side, number: int, explanations: Explanations, material: Material) -> dict[str, Any]:
    grid = explanations.grids[number].tolist()
    labels, said = material.labels, material.descriptions
    return {
        "id": f"{side}-{number + 1}",
        "index": number,
        "color": cluster_color(number),
        "bsr": float(explanations.bsr_per_grid[number]),
        "affinity": float(explanations.mean_affinity[number]),
        "cluster": int(np.count_nonzero(explanations.labels == number)),
        "columns": int(np.ceil(np.sqrt(len(grid)))),
        "said": None if said is None else grid_said(said[SIDES.index(side)][number]),
        "mix": None if labels is None else words.label_mix([labels[item] for item in grid]),
        "tiles": [
            {
                "item": item,
                "name": material.name(item),
                "label": None if labels is None else labels[item],
                "uri": None if material.thumbnails is None else Markup(material.thumbnails[item]),
                "seed": position == 0,
            }
            for position, item in enumerate(grid)
        ],
    }


def _page_data(result: RDXResult, material: Material) -> dict[str, Any]:
    shown = material.shown.items
    data = map_data(result, material.projections, material.shown)
    data["representations"] = list(result.names)
    data["palette"] = list(CLUSTER_COLORS)
    data["names"] = None if material.names is None else [material.names[i] for i in shown.tolist()]
    data["labels"] = data["sheets"] = None
    if material.labels is not None:
        classes, codes = encode(material.labels)
        data["labels"] = {"classes": classes, "codes": codes[shown].tolist()}
    if material.sheets is not None:
        sheets = material.sheets
        data["sheets"] = {
            "uris": sheets.uris,
            "items": sheets.items.tolist(),
            "cell": sheets.cell,
            "size": sheets.size,
            "columns": sheets.columns,
            "perSheet": sheets.per_sheet,
        }
    return data
