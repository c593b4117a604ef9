"""Writing the report of models that foretell what learners answer."""

import os
from collections.abc import Iterator
from pathlib import Path

from matplotlib.figure import Figure

from diptych._progress import Stages
from diptych._tables import load_pandas
from diptych.plots import TRACING_FIGURES, tracing_figure
from diptych.report.figures import png, uri
from diptych.report.folder import LESSONS, MODELS, PAGE, RESULT, check_target, whole_folder
from diptych.report.tracing_page import Drawing, render
from diptych.tracing.lessons import Lessons
from diptych.tracing.results import STATIC, TracingResult

_COSTS = {"tables": 1.0, "figures": 10.0, "page": 1.0}


def write_tracing(
    result: TracingResult,
    path: str | os.PathLike[str],
    *,
    lessons: Lessons | None = None,
    command: str | None = None,
    overwrite: bool = False,
    title: str | None = None,
    progress: bool = True,
) -> Path:
    """Make a folder with a page that shows how well models foretell what learners answer.

    The folder holds ``index.html`` (one file that needs nothing else, and no network), ``result.npz``,
    ``models.csv`` and those of the :data:`diptych.plots.TRACING_FIGURES` that the result allows as PNG. It
    appears under its name only when all of it is written.

    Args:
        result: What models foretold, as :func:`diptych.tracing.trace.trace` returns it.
        path: The folder to make.
        lessons: What came of teaching with one of the models; also written, to ``lessons.npz``.
        command: The shell command that repeats it; the page shows the Python call without it.
        overwrite: Replace an earlier report; other folders are never replaced.
        title: Title of the page.
        progress: Show a progress bar where it takes longer than two seconds.

    Returns:
        The folder.

    Raises:
        FileExistsError: ``path`` exists and is not to be replaced.
        TypeError: Not a result, or lessons that are none.
        ModuleNotFoundError: pandas is not installed.
    """
    for name, value, kind in (("result", result, TracingResult), ("lessons", lessons, Lessons)):
        if not isinstance(value, kind) and not (name == "lessons" and value is None):
            raise TypeError(f"{name}: expected {kind.__name__}, found {type(value).__name__}")
    load_pandas("report.write")
    target = Path(path)
    check_target(target, overwrite)
    with Stages(_COSTS, enabled=progress) as stages, whole_folder(target, overwrite) as folder:
        stages.enter("tables")
        result.save(folder / RESULT)
        frame = result.frame()
        frame.to_csv(folder / MODELS, index=False)
        if lessons is not None:
            lessons.save(folder / LESSONS)
        stages.enter("figures")
        drawings = []
        for name, figure in _figures(result, lessons):
            picture = png(figure)
            (folder / f"{name}.png").write_bytes(picture)
            drawings.append(Drawing(name, TRACING_FIGURES[name], uri(picture)))
            stages.advance(1 / len(TRACING_FIGURES))
        stages.enter("page")
        (folder / PAGE).write_bytes(render(result, frame, drawings, lessons, title, command))
    return target


def _figures(result: TracingResult, lessons: Lessons | None) -> Iterator[tuple[str, Figure]]:
    """The figures, with their names, for which nothing is missing."""
    paths = result.paths
    missing = {"study"} if lessons is not None else {"study", "lessons"}
    if paths is None or paths.hidden is None:
        missing.add("states")
    if paths is None or paths.weights is None or paths.features.shape[1] < 2:
        missing.add("subspaces")
    if STATIC not in result.models or len(result.foretold()) < 2:
        missing.add("learners")
    for name in TRACING_FIGURES:
        if name not in missing:
            drawn = lessons if name == "lessons" and lessons is not None else result
            yield name, tracing_figure(name, drawn)
