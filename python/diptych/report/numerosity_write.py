"""Writing the report of a number line."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from diptych._progress import Stages
from diptych._tables import load_pandas
from diptych.numerosity.results import NumberLine
from diptych.numerosity.tables import TABLES
from diptych.ops import _checks
from diptych.plots import NUMEROSITY_FIGURES, RunsError, numerosity_figure
from diptych.report.figures import png, uri
from diptych.report.folder import PAGE, RESULT, check_target, whole_folder
from diptych.report.numerosity_page import Material, render
from diptych.report.numerosity_panels import panels

_COSTS = {"tables": 1.0, "figures": 12.0, "panels": 8.0, "page": 2.0}

# Figures of a data set that the number line may not be of.
_OTHERS = ("appendix_7_11", "appendix_7_12")
_SCENES = "appendix_7_14"

#: Dots per inch of the figures beside a page.
DPI = 150


def write_number_line(
    line: NumberLine,
    path: str | os.PathLike[str],
    *,
    scenes: Mapping[str, Any] | None = None,
    limit: int | None = None,
    command: str | None = None,
    overwrite: bool = False,
    title: str | None = None,
    progress: bool = True,
) -> Path:
    """Make a folder with a page that shows what an analysis of numerosity found.

    The folder holds ``index.html`` (one file that needs nothing else, and no network), ``result.npz``, the
    result's tables as CSV (``counts.csv``, ``figures.csv`` and so on; those that the analysis was given
    nothing for are left out) and its :data:`diptych.plots.NUMEROSITY_FIGURES` as PNG. It appears under its
    name only when all of it is written.

    Args:
        line: The number line.
        path: The folder to make.
        scenes: Images by data set, to show some: (n, h, w) or (n, c, h, w) with c = 1 or 3; uint8, or float
            in [0, 1].
        limit: Most objects that were trained on, to be drawn where actions are named.
        command: The shell command that repeats the analysis; the page shows the Python call without it.
        overwrite: Replace an earlier report; other folders are never replaced.
        title: Title of the page; by default the number line's name.
        progress: Show a progress bar where it takes longer than two seconds.

    Returns:
        The folder.

    Raises:
        FileExistsError: ``path`` exists and is not to be replaced.
        TypeError: Not a number line, or scenes that are no images.
        ValueError: Scenes of another shape or range, a limit below 1.
        ModuleNotFoundError: pandas is not installed.
    """
    if not isinstance(line, NumberLine):
        raise TypeError(f"line: expected a NumberLine, found {type(line).__name__}")
    if limit is not None:
        _checks.integer("limit", limit, 1)
    load_pandas("report.write")
    target = Path(path)
    check_target(target, overwrite)
    material = Material(title or line.name or "A number line", command)
    with Stages(_COSTS, enabled=progress) as stages, whole_folder(target, overwrite) as folder:
        _fill(folder, line, material, scenes, limit, stages)
    return target


def _fill(
    folder: Path,
    line: NumberLine,
    material: Material,
    scenes: Mapping[str, Any] | None,
    limit: int | None,
    stages: Stages,
) -> None:
    stages.enter("tables")
    line.save(folder / RESULT)
    material.files = list(_write_tables(folder, line))
    stages.enter("figures")
    for name, figure in allowed_figures(line, scenes, limit):
        figure.savefig(folder / f"{name}.png", dpi=DPI)
        stages.advance(1 / len(NUMEROSITY_FIGURES))
        if name == _SCENES:
            material.scenes = uri(png(figure))
    stages.enter("panels")
    material.panels = panels(line, limit)
    stages.enter("page")
    (folder / PAGE).write_bytes(render(line, material))


def allowed_figures(
    lines: NumberLine | Mapping[str, NumberLine],
    scenes: Mapping[str, Any] | None = None,
    limit: int | None = None,
) -> Iterator[tuple[str, Figure]]:
    """The figures, with their names, for which nothing is missing."""
    for name in NUMEROSITY_FIGURES:
        if (name == _SCENES and scenes is None) or (isinstance(lines, NumberLine) and name in _OTHERS):
            continue
        try:
            yield name, numerosity_figure(name, lines, scenes=scenes, limit=limit)
        except RunsError:
            continue


def _write_tables(folder: Path, line: NumberLine) -> Iterator[str]:
    """Write the tables that have rows; their files' names."""
    for name in TABLES:
        frame = line.to_frame(name)
        if len(frame):
            frame.to_csv(folder / f"{name}.csv", index=False)
            yield f"{name}.csv"
