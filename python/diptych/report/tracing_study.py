"""Writing the report of a study of tracing: what is claimed of models, and how they compare."""

import os
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diptych._build import versions
from diptych._progress import Stages
from diptych._tables import load_pandas, write_csv
from diptych.plots import tracing_figure
from diptych.report import page, words
from diptych.report.figures import png, uri
from diptych.report.folder import CLAIMS, CLASSES, PAGE, SUMMARY, check_target, whole_folder
from diptych.tracing.claims import Claim, claims
from diptych.tracing.results import ORACLE
from diptych.tracing.study import TracingStudy
from diptych.tracing.variants import TABLES

if TYPE_CHECKING:
    import pandas

_COSTS = {"tables": 1.0, "figures": 3.0, "page": 1.0}
_PACKAGES = ("jinja2", "matplotlib", "pandas")


def write_tracing_study(
    study: TracingStudy,
    path: str | os.PathLike[str],
    *,
    command: str | None = None,
    overwrite: bool = False,
    title: str | None = None,
    progress: bool = True,
) -> Path:
    """Make a folder with a page that sets models of learners side by side, on every kind of learners.

    The folder holds ``index.html`` (no network is needed), ``summary.csv`` and ``classes.csv`` with the means
    over the seeds, ``claims.csv`` where there are claims, and the figures as PNG. It appears under its name
    only when all of it is written.

    Args:
        study: What :func:`diptych.tracing.reproduce` returns.
        path: The folder to make.
        command: The shell command that repeats the study; the page shows the Python call without it.
        overwrite: Replace an earlier report; other folders are never replaced.
        title: Title of the page.
        progress: Show a progress bar where it takes longer than two seconds.

    Returns:
        The folder.

    Raises:
        FileExistsError: ``path`` exists and is not to be replaced.
        TypeError: Not a study.
        ModuleNotFoundError: pandas is not installed.
    """
    if not isinstance(study, TracingStudy):
        raise TypeError(f"study: expected a TracingStudy, found {type(study).__name__}")
    load_pandas("report.write")
    target = Path(path)
    check_target(target, overwrite)
    with Stages(_COSTS, enabled=progress) as stages, whole_folder(target, overwrite) as folder:
        stages.enter("tables")
        found = claims(study)
        if found:
            write_csv(folder / CLAIMS, Claim, found)
        frame = study.frame()
        frame.to_csv(folder / SUMMARY, index=False)
        study.of_classes().to_csv(folder / CLASSES, index=False)
        stages.enter("figures")
        sections = list(filter(None, (_section(folder, study, table) for table in TABLES)))
        stages.enter("page")
        (folder / PAGE).write_bytes(_render(study, frame, found, sections, title, command))
    return target


def _section(folder: Path, study: TracingStudy, table: str) -> dict[str, Any] | None:
    """A table of the study, with its figure, if the study has its models."""
    if not any(study.compared(learners, table) for learners in study.sets):
        return None
    frame = study.frame(table)
    picture = png(tracing_figure("study", study, table=table))
    (folder / f"study_{table}.png").write_bytes(picture)
    sets = [_set(own, str(learners)) for learners, own in frame.groupby("learners", sort=False)]
    return {"name": table, "title": TABLES[table], "uri": uri(picture), "sets": sets}


def _set(frame: "pandas.DataFrame", learners: str) -> dict[str, Any]:
    """A table's rows of one set of learners: each model, and what it came to in each phase."""
    phases = list(dict.fromkeys(frame.phase))
    rows = [
        {"model": model, "phases": [row for _, row in own.iterrows()]}
        for model, own in frame.groupby("model", sort=False)
    ]
    return {"learners": learners, "phases": phases, "rows": rows, "gap": bool(frame.share.notna().any())}


def _render(
    study: TracingStudy,
    frame: "pandas.DataFrame",
    found: tuple[Claim, ...],
    sections: list[dict[str, Any]],
    title: str | None,
    command: str | None,
) -> bytes:
    seeds = len({row.seed for row in study.rows})
    models = len({row.model for row in study.rows} - {ORACLE})
    holding = sum(each.holds for each in found)
    context = {
        "title": title or "Models of people who learn",
        "names": ("", ""),
        "finding": _finding(study, frame, found, holding),
        "facts": [
            ("Models", f"{models:,}", "trained on the same learners"),
            ("Learners", f"{len(study.sets):,}", words.count(len(study.sets), "kind").partition(" ")[2]),
            ("Seeds", f"{seeds:,}", "each with other learners, or another split of them"),
        ],
        "notes": [],
        "claims": list(found),
        "sections": sections,
        "parameters": {"learners": ", ".join(study.sets), "models": models, "seeds": seeds},
        "versions": page.all_versions(_PACKAGES, versions()),
        "seconds": {},
        "command": command or "study = diptych.tracing.reproduce(out)",
        "from_shell": command is not None,
    }
    return page.render("tracing_study.html.j2", context, data=None, style="numerosity.css", script="plain.js")


def _finding(
    study: TracingStudy, frame: "pandas.DataFrame", found: tuple[Claim, ...], holding: int
) -> list[str]:
    """The best model of each kind of learners, then how many claims hold."""
    sentences = []
    models = frame[frame.model != ORACLE]
    for learners in study.sets:
        own = models[models.learners == learners]
        phase = "test" if (own.phase == "test").any() else "train"
        best = own[own.phase == phase].sort_values("micro_ap").iloc[-1]
        share = "" if isnan(best.share) else f", {words.percent(best.share)} of the gap"
        who = learners[:1].upper() + learners[1:]
        sentences.append(
            f"{who} learners are foretold best by {best.model}: micro average precision "
            f"{words.decimal(best.micro_ap, 3)} in {'the test' if phase == 'test' else 'training'}{share}."
        )
    if found:
        sentences.append(f"Of {words.count(len(found), 'claim')} {holding} hold.")
    return sentences
