"""``diptych tracing reproduce``: models of learners trained over several seeds, and how they compare."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diptych.cli._options import Device, Resume
from diptych.cli._report import repeat_command, say
from diptych.cli._tracing_options import read_answers

if TYPE_CHECKING:
    from diptych.tracing import Sequences

# Folder of the page in that of the study.
_REPORT = "report"


def reproduce(
    out: Annotated[Path, typer.Option(help="Folder for tracers, tables and the page.")],
    answers: Annotated[
        list[Path] | None,
        typer.Option(
            help="Answers of people, or the folder of a set in the study's own layout, instead of simulated "
            "learners; repeated for several."
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="Of simulated learners: static, prototype, exemplar, gradient; repeated for several, "
            "default: all."
        ),
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="May be repeated; default: all.")] = None,
    table: Annotated[
        list[str] | None, typer.Option(help="models, inputs or widths; may be repeated, default: all.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Splits, each of other simulated learners.")] = 5,
    learners: Annotated[int, typer.Option(help="Simulated ones of each kind.")] = 150,
    epochs: Annotated[int, typer.Option(help="Of a training, at most.")] = 400,
    workers: Annotated[int, typer.Option(help="Processes that share the trainings.")] = 1,
    device: Device = None,
    resume: Resume = False,
) -> None:
    """Train models of learners over several seeds, and compare them on learners they never saw."""
    # What the page is made with is looked for before the work.
    from diptych import report, tracing
    from diptych.tracing.claims import claims, summary
    from diptych.tracing.variants import TABLES

    if answers and (kind or learners != 150):
        raise ValueError("--answers: expected neither --kind nor --learners beside it: these are simulated")
    found = tracing.reproduce(
        out,
        _read(answers) if answers else None,
        kinds=kind or tuple(tracing.KINDS),
        models=model or tuple(tracing.MODELS),
        tables=table or tuple(TABLES),
        seeds=seeds,
        n_learners=learners,
        epochs=epochs,
        workers=workers,
        device=device,
        resume=resume,
    )
    page = report.write(found, out / _REPORT, command=repeat_command(), overwrite=True)
    if told := summary(claims(found)):
        say(told)
    say(f"\nReport: {page / 'index.html'}")


def _read(paths: list[Path]) -> "dict[str, Sequences]":
    """Sets of learners by the names of their files and folders."""
    found = {path.stem: path for path in paths}
    if len(found) < len(paths):
        raise ValueError(f"--answers: expected different names, found {[path.name for path in paths]}")
    return {name: read_answers(path) for name, path in found.items()}
