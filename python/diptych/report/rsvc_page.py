"""The page of an RSVC comparison: everything it shows, gathered for the template, then rendered."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

from diptych.plots.style import SIDES
from diptych.report import page, rsvc_words
from diptych.report.descriptions import Said, concept_said
from diptych.report.rsvc_cards import card_id
from diptych.report.rsvc_concepts import Network, Overview
from diptych.rsvc.collages import EXCLUDED, LACKING, PERCENTILE
from diptych.rsvc.words import Description

_PACKAGES = ("jinja2", "matplotlib", "pillow")
#: Rows of a table that the page shows; all of them are in the file beside it.
TABLE_ROWS = 150


@dataclass
class Material:
    """What a page is made from, beside the results.

    Attributes:
        title: Title of the page.
        command: Shell command that repeats the comparison, or None for the Python call.
        notes: Sentences about all of it.
        cards: One for each concept shown; see :func:`diptych.report.rsvc_cards.card`.
        figures: (title, data URI) of figures about all concepts, by name: ``importance``, ``own``, ``mcs``.
        more_figures: (title, data URI) of those that the caller gave.
        descriptions: What a model says of concepts, by (network, class, concept), or None.
        described_by: What that model is called, or None.
    """

    title: str
    command: str | None
    notes: list[str] = field(default_factory=list)
    cards: list[dict[str, Any]] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)
    more_figures: list[tuple[str, str]] = field(default_factory=list)
    descriptions: Mapping[tuple[int, Hashable, int], Description] | None = None
    described_by: str | None = None


def render(overview: Overview, material: Material) -> bytes:
    """Return the page as UTF-8; see :func:`diptych.report.page.render`."""
    several = overview.classes != [None]
    return page.render(
        "rsvc.html.j2",
        _context(overview, material, len(overview.classes) if several else None),
        data=None,
        style="rsvc.css",
        script="rsvc.js",
    )


def _context(overview: Overview, material: Material, classes: int | None) -> dict[str, Any]:
    networks = overview.networks
    parameters = vars(overview.parameters)
    if classes is not None:
        parameters = {key: x for key, x in parameters.items() if not key.startswith("target")}
    has_heads = any("delta_kl" in each.columns for each in networks)
    shown = {(one["side"], one["id"]) for one in material.cards}
    return {
        "title": material.title,
        "names": (networks[0].name, networks[1].name),
        "finding": rsvc_words.finding(networks),
        "facts": rsvc_words.facts(networks, _scope(overview, classes)),
        "notes": material.notes + rsvc_words.notes(networks, overview.notes),
        "cards": material.cards,
        "said": _said(material),
        "described": material.descriptions is not None,
        "described_by": material.described_by,
        "has_heads": has_heads,
        "several": classes is not None,
        "limits": {"lacking": LACKING, "percentile": PERCENTILE, "excluded": EXCLUDED, "rows": TABLE_ROWS},
        "figures": {key: Markup(uri) for key, uri in material.figures.items()},
        "more_figures": [(title, Markup(uri)) for title, uri in material.more_figures],
        "tables": [_table(each, overview, shown) for each in networks],
        "parameters": parameters,
        "versions": page.all_versions(_PACKAGES, overview.versions),
        "seconds": overview.seconds,
        "command": material.command or rsvc_words.python_call(overview.parameters, classes),
        "from_shell": material.command is not None,
    }


def _said(material: Material) -> dict[str, Said]:
    """What a model says of the concepts shown, by the names of their cards."""
    found = {}
    for card in material.cards:
        key = 1 + SIDES.index(card["side"]), card["label"], card["number"]
        if material.descriptions is not None and key in material.descriptions:
            found[card["id"]] = concept_said(material.descriptions[key])
    return found


def _scope(overview: Overview, classes: int | None) -> tuple[str, str, str]:
    measured = f"of {overview.images:,} images; {overview.evaluated_on}"
    if classes is None:
        return "Patches", f"{overview.patches:,}", measured
    return "Classes", f"{classes:,}", f"{overview.patches:,} patches {measured}"


def _table(network: Network, overview: Overview, shown: set[tuple[str, str]]) -> dict[str, Any]:
    """The concepts of a network, the largest fall of similarity first, dead ones last."""
    order = np.argsort(network.columns["delta_pearson"], kind="stable")
    keys = ["cmcs", "smcs", "delta_pearson", "mcs", "features"]
    keys += [key for key in ("importance", "delta_kl") if key in network.columns]
    rows = []
    for row in order[:TABLE_ROWS].tolist():
        name = card_id(network, row)
        rows.append(
            {
                "number": int(network.concepts[row]),
                "label": overview.classes[network.classes[row]],
                "card": name if (network.side, name) in shown else None,
                "cells": [(key, float(network.columns[key][row])) for key in keys],
            }
        )
    return {
        "side": network.side,
        "name": network.name,
        "keys": keys,
        "rows": rows,
        "total": len(network.concepts),
    }
