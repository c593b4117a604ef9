"""Writing the report of an RSVC comparison, of one class or of many."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from diptych._pictures import PatchSource
from diptych._progress import Stages
from diptych._tables import load_pandas
from diptych.ops import _checks
from diptych.plots import mcs_vs_lasso, similarity_importance
from diptych.report.descriptions import ConceptDescriptions, check_concepts, write_concepts
from diptych.report.figures import png, uri
from diptych.report.folder import CONCEPTS, IMPORTANCE, MCS, PAGE, RESULT, check_target, whole_folder
from diptych.report.rsvc_cards import Pair, card, class_material
from diptych.report.rsvc_concepts import Overview, overview
from diptych.report.rsvc_page import Material, render
from diptych.rsvc.collages import SHOWN
from diptych.rsvc.results import RSVCResult
from diptych.rsvc.shown import Results, check_by_class

_COSTS = {"concepts": 2.0, "patches": 5.0, "figures": 2.0, "page": 1.0}
# Patches are shown at most this many pixels wide and high; fewer where there are many.
_SIDE, _SMALL_SIDE, _MANY_CARDS = 96, 64, 16


def write_rsvc(
    results: Results,
    path: str | os.PathLike[str],
    *,
    patches: PatchSource | Mapping[Any, PatchSource] | None = None,
    activations: Pair | Mapping[Any, Pair] | None = None,
    figures: Mapping[str, Figure] | None = None,
    shown: int = SHOWN,
    notes: Sequence[str] = (),
    command: str | None = None,
    overwrite: bool = False,
    title: str | None = None,
    descriptions: ConceptDescriptions | None = None,
    described_by: str | None = None,
    progress: bool = True,
) -> Path:
    """Make a folder with a page that shows what two networks' concepts have in common, and what not.

    The folder holds ``index.html`` (one file that needs nothing else, and no network), ``concepts.csv`` with
    the numbers of every concept, ``result.npz`` of a single result, and PNG figures. The concepts shown are
    those of :func:`diptych.rsvc.chosen_concepts`, of each network over all classes.

    Args:
        results: A comparison, or those of many classes by name; a mapping may load its results when they are
            asked for: once, and again where a concept of the class is shown.
        path: The folder to make.
        patches: Pictures of the patches that similarity was measured on, row by row of
            ``coefficients_1``: an array (m, h, w) or (m, h, w, c), uint8 or float in [0, 1], anything indexed
            by patch (:class:`diptych.plots.Crops`), or a function of the index. Of many classes these by
            class. Only those that are shown are asked for; without any, their numbers are shown.
        activations: ((m, d1), (m, d2)) activations of both networks on these patches; of many classes these
            by class. With them the page shows which neurons a concept is told from. The results need their
            regressions.
        figures: More figures by title: layer matrices, sweeps.
        shown: Most concepts of each network that get a card.
        notes: Sentences that the page says before those of the results.
        command: The shell command that repeats the comparison; the page shows the Python call without it.
        overwrite: Replace an earlier report; other folders are never replaced.
        title: Title of the page; by default the names of the networks.
        descriptions: What a vision-language model says of concepts, by (network, class, concept), as
            :func:`diptych.rsvc.words.describe_concepts` returns them; shown in the cards of these concepts,
            and written to ``descriptions.csv``.
        described_by: What to call that model.
        progress: Show a progress bar where it takes longer than two seconds.

    Returns:
        The folder.

    Raises:
        FileExistsError: ``path`` exists and is not to be replaced.
        TypeError: Not results, a picture that is neither uint8 nor float, or descriptions that are none.
        ValueError: No results, results of other networks; pictures, activations or descriptions that do not
            fit them.
    """
    target = Path(path)
    check_target(target, overwrite)
    _checks.integer("shown", shown, 1)
    pandas = load_pandas("write_rsvc")
    with Stages(_COSTS, enabled=progress) as stages:
        stages.enter("concepts")
        found = overview(results)
        for name, given in (("patches", patches), ("activations", activations)):
            check_by_class(name, given, found.classes)
        said = check_concepts(descriptions, described_by, found)
        first, second = (each.name for each in found.networks)
        material = Material(
            title or f"{first} and {second}",
            command,
            list(notes),
            descriptions=said,
            described_by=described_by,
        )
        with whole_folder(target, overwrite) as folder:
            stages.enter("patches")
            material.cards = _cards(results, found, shown, patches, activations, stages)
            stages.enter("figures")
            material.figures = _write_figures(folder, found)
            material.more_figures = [(name, uri(png(each))) for name, each in (figures or {}).items()]
            stages.enter("page")
            pandas.concat(found.frames, ignore_index=True).to_csv(folder / CONCEPTS, index=False)
            if isinstance(results, RSVCResult):
                results.save(folder / RESULT)
            write_concepts(folder, found, said, described_by)
            (folder / PAGE).write_bytes(render(found, material))
    return target


def _cards(
    results: Results, found: Overview, shown: int, patches: Any, activations: Any, stages: Stages
) -> list[dict[str, Any]]:
    """Cards of both networks, each class' result and pictures loaded once."""
    wanted = [(place, int(row)) for place, each in enumerate(found.networks) for row in each.chosen(shown)]
    side = _SIDE if len(wanted) <= _MANY_CARDS else _SMALL_SIDE
    made: dict[tuple[int, int], dict[str, Any]] = {}
    for number in sorted({int(found.networks[place].classes[row]) for place, row in wanted}):
        label = found.classes[number]
        if isinstance(results, RSVCResult):
            material = class_material(None, results, patches, activations)
        else:
            given = (None if each is None else each[label] for each in (patches, activations))
            material = class_material(label, results[label], *given)
        for place, row in wanted:
            network = found.networks[place]
            if network.classes[row] == number:
                made[place, row] = card(network, row, found.networks[1 - place].name, material, side)
                stages.advance(1 / len(wanted))
    return [made[key] for key in sorted(made, key=lambda key: made[key]["numbers"]["delta_pearson"])]


def _write_figures(folder: Path, found: Overview) -> dict[str, str]:
    """Figures about all concepts, as files and as data URIs."""
    figures: dict[str, bytes] = {}
    if any("importance" in each.columns and each.living for each in found.networks):
        for key, kind in (("importance", "cmcs"), ("own", "smcs")):
            figures[key] = png(similarity_importance(found.scores, similarity=kind))
        (folder / IMPORTANCE).write_bytes(figures["importance"])
    # Where all concepts of the other network are dead no concept has a best match.
    if any((each.columns["mcs"] + each.columns["cmcs"] > -np.inf).any() for each in found.networks):
        figures["mcs"] = png(mcs_vs_lasso(found.scores))
        (folder / MCS).write_bytes(figures["mcs"])
    return {key: uri(image) for key, image in figures.items()}
