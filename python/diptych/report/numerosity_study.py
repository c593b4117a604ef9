"""Writing the report of a study of numerosity: its claims, its figures and its runs."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from diptych._progress import Stages
from diptych._tables import load_pandas, write_csv
from diptych.numerosity.claims import Claim
from diptych.numerosity.reproduce import Study
from diptych.numerosity.results import NumberLine
from diptych.plots import NUMEROSITY_FIGURES
from diptych.plots.numerosity.runs import MOST, first_of_each, runs_of
from diptych.report import numerosity_words, page, words
from diptych.report.figures import png, uri
from diptych.report.folder import CLAIMS, PAGE, RUN_PAGES, RUNS, check_target, whole_folder
from diptych.report.numerosity_write import DPI, allowed_figures, write_number_line

_COSTS = {"tables": 1.0, "figures": 10.0, "runs": 10.0, "page": 1.0}
_PACKAGES = ("jinja2", "matplotlib", "pandas")

# What is told of each run, and what it is called.
_TOLD = {
    "linear_error": "Linear error",
    "spearman": "Spearman",
    "subitizing_limit": "Subitizing limit",
    "within_15_percent": "Within 15 %",
    "weber_fraction": "Weber fraction",
    "exponent": "Exponent",
    "action_error": "Actions named wrongly",
}
# Figures of at most so many inches shrink on a small screen; wider ones are scrolled.
_NARROW = 4.5

# Run names that are fit for a folder; those of the form "run-2" stand for names that are not.
_PLAIN = re.compile(r"(?!run-\d+$)[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

_SHARES = ("within_15_percent", "action_error")


def write_number_study(
    study: Study,
    path: str | os.PathLike[str],
    *,
    scenes: Mapping[str, Any] | None = None,
    pages: Sequence[str] | None = None,
    command: str | None = None,
    overwrite: bool = False,
    title: str | None = None,
    progress: bool = True,
) -> Path:
    """Make a folder with a page that sets what a study found beside what the thesis found.

    The folder holds ``index.html`` (no network is needed), ``claims.csv``, ``runs.csv`` with the numbers of
    every run, those of the :data:`diptych.plots.NUMEROSITY_FIGURES` that the runs allow as PNG, and in
    ``runs`` the reports of some runs, to which the page links. It appears under its name only when all of it
    is written.

    Args:
        study: What :func:`diptych.numerosity.reproduce` returns.
        path: The folder to make.
        scenes: Images by data set, as :func:`write_number_line` takes them.
        pages: Names of the runs that get a report of their own (some 6 MB each); by default the main run of
            each data set.
        command: The shell command that repeats the study; the page shows the Python call without it.
        overwrite: Replace an earlier report; other folders are never replaced.
        title: Title of the page.
        progress: Show a progress bar where it takes longer than two seconds.

    Returns:
        The folder.

    Raises:
        FileExistsError: ``path`` exists and is not to be replaced.
        TypeError: Not a study, or scenes that are no images.
        ValueError: A study without runs, pages of runs that are not there, scenes of another shape or range.
        ModuleNotFoundError: pandas is not installed.
    """
    if not isinstance(study, Study):
        raise TypeError(f"study: expected a Study, found {type(study).__name__}")
    runs = runs_of(study.lines)
    chosen = [run.name for run in first_of_each(runs)[:MOST]] if pages is None else list(pages)
    for name in chosen:
        if name not in study.lines:
            raise ValueError(f"pages: expected names of runs, found {name!r}")
    load_pandas("report.write")
    target = Path(path)
    check_target(target, overwrite)
    with Stages(_COSTS, enabled=progress) as stages, whole_folder(target, overwrite) as folder:
        stages.enter("tables")
        _write_tables(folder, study)
        stages.enter("figures")
        figures = list(_write_figures(folder, study, scenes, stages))
        stages.enter("runs")
        links = _links(study.lines, chosen)
        for run in runs:
            if run.name in links:
                place = folder / links[run.name]
                write_number_line(run.line, place, limit=run.limit, title=run.name, progress=False)
                stages.advance(1 / len(links))
        stages.enter("page")
        (folder / PAGE).write_bytes(_render(study, title, command, figures, links))
    return target


def _write_tables(folder: Path, study: Study) -> None:
    if study.claims:
        write_csv(folder / CLAIMS, Claim, study.claims)
    # Undecodable bytes in a name are lone surrogates, which pandas refuses.
    names = (name.encode("utf-8", "replace").decode("utf-8") for name in study.lines)
    rows = [{"run": name, **line.figures()} for name, line in zip(names, study.lines.values(), strict=True)]
    load_pandas("report.write").DataFrame(rows).to_csv(folder / RUNS, index=False)


def _write_figures(
    folder: Path, study: Study, scenes: Mapping[str, Any] | None, stages: Stages
) -> Iterator[tuple[str, str, Markup, bool]]:
    """Write the figures; name, title, data URI and whether it is narrow of each."""
    for name, figure in allowed_figures(study.lines, scenes):
        figure.savefig(folder / f"{name}.png", dpi=DPI)
        stages.advance(1 / len(NUMEROSITY_FIGURES))
        yield name, NUMEROSITY_FIGURES[name], uri(png(figure)), bool(figure.get_figwidth() <= _NARROW)


def _links(lines: Mapping[str, NumberLine], chosen: Sequence[str]) -> dict[str, str]:
    """Where the reports of the chosen runs lie, under names that every file system takes."""
    return {
        name: f"{RUN_PAGES}/{name if _PLAIN.fullmatch(name) else f'run-{number}'}"
        for number, name in enumerate(lines)
        if name in chosen
    }


def _render(
    study: Study,
    title: str | None,
    command: str | None,
    figures: list[tuple[str, str, Markup, bool]],
    links: dict[str, str],
) -> bytes:
    first = next(iter(study.lines.values()))
    holding = sum(bool(claim.holds) for claim in study.claims)
    context = {
        "title": title or "A number sense from manipulation",
        "names": ("", ""),
        "finding": numerosity_words.study_finding(study.stem, len(study.lines), holding, len(study.claims)),
        "facts": [
            ("Runs", f"{len(study.lines):,}", "networks trained, tested and analyzed"),
            ("Claims reached", f"{holding} of {len(study.claims)}", "of what the thesis found"),
            ("Stem", study.stem, numerosity_words.STEMS.get(study.stem, "of all networks")),
        ],
        "notes": [],
        "claims": list(study.claims),
        "figures": figures,
        "missing": [
            title for name, title in NUMEROSITY_FIGURES.items() if name not in {f[0] for f in figures}
        ],
        "runs": [_run(name, line, links.get(name)) for name, line in study.lines.items()],
        "parameters": {"stem": study.stem, "runs": len(study.lines)},
        "versions": page.all_versions(_PACKAGES, first.versions),
        "seconds": {},
        "command": command or numerosity_words.study_call(study.stem),
        "from_shell": command is not None,
    }
    return page.render(
        "numerosity_study.html.j2", context, data=None, style="numerosity.css", script="numerosity.js"
    )


def _run(name: str, line: NumberLine, folder: str | None) -> dict[str, Any]:
    """A run's headline numbers, and the address of its report."""
    found = line.figures()
    numbers = [
        (told, words.percent(found[key], 1) if key in _SHARES else words.figure(found[key]))
        for key, told in _TOLD.items()
    ]
    return {
        "name": name,
        "items": len(line.counts),
        "highest": int(line.counts.max()),
        "numbers": numbers,
        "link": None if folder is None else f"{quote(folder)}/{PAGE}",
    }
