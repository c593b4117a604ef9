"""Writing the report of an RDX comparison: checks first, then a folder that appears when it is whole."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diptych._progress import Stages
from diptych._text import some
from diptych.plots.projection import Projection, project
from diptych.rdx.results import RDXResult
from diptych.report.descriptions import GridDescriptions, check_grids, write_grids
from diptych.report.figures import write_figures
from diptych.report.folder import PAGE, RESULT, check_target, whole_folder
from diptych.report.images import Images, ImageSource, load_images
from diptych.report.labels import LabelSource, check_names, load_labels
from diptych.report.maps import shown_items
from diptych.report.probe import linear_probes
from diptych.report.rdx_page import Material, render
from diptych.report.thumbnails import grid_thumbnails, make_sheets

_NO_EMBEDDINGS = "The embeddings were not saved with this result: the page has no maps and no linear probes."
_COSTS = {"images": 3.0, "maps": 1.0, "probes": 4.0, "figures": 3.0, "page": 1.0}


def write_rdx(
    result: RDXResult,
    path: str | os.PathLike[str],
    *,
    images: ImageSource | None = None,
    labels: LabelSource | None = None,
    item_names: Sequence[Any] | None = None,
    command: str | None = None,
    overwrite: bool = False,
    title: str | None = None,
    descriptions: GridDescriptions | None = None,
    described_by: str | None = None,
    progress: bool = True,
) -> Path:
    """Make a folder with a page that shows what a comparison found.

    The folder holds ``index.html`` (one file that needs nothing else, and no network),
    ``result.npz``, PNG figures, and the descriptions if there are any. It appears under its name only
    when all of it is written.

    Args:
        result: The comparison.
        path: The folder to make.
        images: The items' pictures: an array (n, h, w), (n, h, w, c) or (n, c, h, w), uint8 or float
            in [0, 1]; the path of a .npy file of one; a folder of n image files, taken in natural
            order of their names; or a list of n paths. A file that cannot be read is named on the
            page and shown as a grey square.
        labels: n strings or integers, or the path of a .csv file: one column, or several with a
            header that has ``label`` and maybe ``item`` or ``name``.
        item_names: n names; without them those of the .csv file, then the ids that were compared, then
            those of the image files.
        command: The shell command that repeats the comparison; the page shows the Python call
            without it.
        overwrite: Replace an earlier report; other folders are never replaced.
        title: Title of the page; by default the two names.
        descriptions: What a vision-language model says of each grid of a, and of b, as
            :func:`diptych.rdx.words.describe` returns them; also written to ``descriptions.csv``.
        described_by: What to call that model.
        progress: Show a progress bar where it takes longer than two seconds.

    Returns:
        The folder.

    Raises:
        FileExistsError: ``path`` exists and is not to be replaced.
        FileNotFoundError: ``images`` or ``labels`` is a path that does not exist.
        TypeError: ``images`` is neither uint8 nor float, a label is neither string nor number, or
            ``descriptions`` are none.
        ValueError: ``images``, ``labels`` or ``item_names`` do not match n, or cannot be read; another
            number of descriptions than of grids.
    """
    target = Path(path)
    check_target(target, overwrite)
    pictures = None if images is None else load_images(images, result.n)
    known = None if labels is None else load_labels(labels, result.n)
    names = _names(item_names, None if known is None else known.names, result, pictures)
    said = check_grids(descriptions, described_by, result)
    material = Material(
        title=title or f"{result.names[0]} and {result.names[1]}",
        command=command,
        shown=shown_items(result),
        names=names,
        labels=None if known is None else known.labels,
        descriptions=said,
        described_by=described_by,
    )
    with Stages(_COSTS, enabled=progress) as stages, whole_folder(target, overwrite) as folder:
        _prepare(result, material, pictures, stages)
        _fill(folder, result, material, pictures, stages)
    return target


def _prepare(result: RDXResult, material: Material, pictures: Images | None, stages: Stages) -> None:
    stages.enter("images")
    if pictures is not None:
        grids = [grid for _, _, side in result.directions for grid in side.grids]
        items = [item for grid in grids for item in grid.tolist()]
        material.thumbnails = grid_thumbnails(pictures, items)
        if result.embeddings is not None:
            material.sheets = make_sheets(pictures, material.shown.items, stages.advance)
        material.notes += _about_images(pictures)
    if result.embeddings is None:
        material.notes.append(_NO_EMBEDDINGS)
        return
    stages.enter("maps")
    material.projections = _projections(result.embeddings)
    if material.labels is not None:
        stages.enter("probes")
        material.probes = linear_probes(result.embeddings, material.labels, seed=0, advance=stages.advance)


def _fill(
    folder: Path, result: RDXResult, material: Material, pictures: Images | None, stages: Stages
) -> None:
    stages.enter("figures")
    write_figures(
        folder,
        result,
        images=pictures,
        labels=material.labels,
        names=material.names,
        projections=material.projections,
    )
    stages.enter("page")
    result.save(folder / RESULT)
    write_grids(folder, result, material.descriptions, material.described_by)
    (folder / PAGE).write_bytes(render(result, material))


def _projections(embeddings: tuple[Any, Any]) -> tuple[Projection, Projection]:
    first = project(embeddings[0])
    return first, project(embeddings[1], like=first)


def _names(
    given: Sequence[Any] | None, listed: list[str] | None, result: RDXResult, pictures: Images | None
) -> list[str] | None:
    if given is not None:
        return check_names(given, result.n)
    if listed is not None:
        return listed
    if result.ids is not None:
        return result.ids.astype(str).tolist()
    return None if pictures is None else pictures.names


def _about_images(pictures: Images) -> list[str]:
    if not pictures.unreadable or pictures.names is None:
        return []
    failed = sorted(pictures.unreadable)
    named = some(pictures.names[item] for item in failed)
    return [f"Unreadable images, shown as a grey square: {named}."]
