"""``diptych tracing evaluate`` and ``careless``: what trained tracers make of learners."""

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from diptych.cli._report import check_report, repeat_command, say
from diptych.cli._tracing_options import (
    Answers,
    Features,
    Images,
    OneTracer,
    Tracers,
    read_answers,
    read_tracer,
    read_tracers,
)

if TYPE_CHECKING:
    import pandas

_DASH = "\N{EN DASH}"


def evaluate(
    file: Answers,
    tracers: Tracers,
    name: Annotated[
        list[str] | None, typer.Option(help="Of each tracer in turn; default: its model's.")
    ] = None,
    images: Images = None,
    features: Features = None,
    seen: Annotated[
        bool, typer.Option("--seen", help="Keep learners whom a tracer was trained or selected with.")
    ] = False,
    follow: Annotated[
        str | None,
        typer.Option(help="Tracer whose states and classifiers the page shows; default: one that has some."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for a page, tables and figures.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace --out.")] = False,
) -> None:
    """Have tracers foretell the answers of learners whom none of them has seen."""
    if out is not None:
        check_report(out, overwrite)
    elif overwrite:
        raise ValueError("--overwrite: expected --out beside it, found none")
    from diptych import tracing

    named = read_tracers(tracers, name)
    answers = read_answers(file, images, features, next(iter(named.values())))
    result = tracing.trace(named, answers, follow=follow, seen=seen, progress=True)
    frame = result.frame()
    Console().print(_scores(frame))
    if out is not None:
        from diptych import report

        page = report.write(result, out, command=repeat_command(), overwrite=overwrite)
        say(f"\nReport: {page / 'index.html'}")


def careless(
    file: Answers,
    tracer: OneTracer,
    after: Annotated[
        list[int] | None,
        typer.Option(
            help="First answers of a learner that are looked at; may be repeated. Default: 10, 20, 30."
        ),
    ] = None,
    show: Annotated[int, typer.Option(help="Learners in the table, the most suspicious first.")] = 20,
    images: Images = None,
    features: Features = None,
    out: Annotated[Path | None, typer.Option(help="File for all of them, .csv.")] = None,
) -> None:
    """Score how improbable each learner's first answers are: who answers without care has a high score."""
    if out is not None and out.suffix != ".csv":
        raise ValueError(f"--out: expected a file ending in .csv, found {out}")
    if out is not None and out.exists():
        raise FileExistsError(f"{out}: exists already; choose another --out")
    from diptych import tracing
    from diptych._files import atomic_path
    from diptych.tracing.evaluate import AFTER

    model = read_tracer(tracer)
    answers = read_answers(file, images, features, model)
    asked = tuple(sorted(set(after or AFTER)))
    found = tracing.carelessness(model, answers, asked, progress=True)
    if found.empty:
        most = int(answers.lengths.max())
        raise ValueError(
            f"--after: expected {most} or less, the most that a learner gave, found {min(asked)}"
        )
    found = _worst_first(found)
    known = int(model.seen(answers).sum())
    if known:
        told = f"The tracer was trained with {known} of these {len(answers)} learners"
        say(f"{told}, whose answers surprise it less than they should", stderr=True)
    Console().print(_suspects(found, show))
    if out is not None:
        with atomic_path(out) as temporary:
            found.to_csv(temporary, index=False)
        say(f"\nScores: {out}")


def _scores(frame: "pandas.DataFrame") -> Table:
    """A row a model, training above the test."""
    gap = bool(frame["share_of_gap"].notna().any())
    numbers = ["micro AP", "macro AP", "accuracy", "NLL", "ECE", *(["share of gap"] if gap else [])]
    # What a narrow terminal cuts first would be the names.
    model = Column("model", min_width=min(20, int(frame.model.str.len().max())))
    table = Table("", model, *(Column(name, justify="right") for name in numbers))
    for phase, title in (("train", "training"), ("test", "test")):
        rows = frame[frame.phase == phase].to_dict("records")
        for place, row in enumerate(rows):
            first = "" if place else f"{title}: {row['answers']:,} answers of {row['learners']:,} learners"
            cells = [f"{row['micro_ap']:.3f}", f"{row['macro_ap']:.3f}", f"{row['accuracy']:.1%}"]
            cells += [f"{row['nll']:.3f}", f"{row['ece']:.3f}"]
            if gap:
                cells.append(_DASH if isnan(row["share_of_gap"]) else f"{row['share_of_gap']:.0%}")
            table.add_row(first, Text(row["model"]), *cells, end_section=place == len(rows) - 1)
    return table


def _worst_first(found: "pandas.DataFrame") -> "pandas.DataFrame":
    """Learners by their score after the most answers that they gave."""
    last = found.groupby("learner").score.transform("last")
    return found.loc[last.sort_values(ascending=False, kind="stable").index]


def _suspects(found: "pandas.DataFrame", show: int) -> Table:
    """A row a learner, a pair of columns for each number of answers."""
    numbers = sorted(set(found.answers.tolist()))
    columns = [Column(f"{what} of {n}", justify="right") for n in numbers for what in ("score", "right")]
    rows = {(row["learner"], row["answers"]): row for row in found.to_dict("records")}
    names = list(dict.fromkeys(found.learner))
    table = Table("learner", *columns)
    for name in names[:show]:
        cells = []
        for row in (rows.get((name, n)) for n in numbers):
            cells += [_DASH, _DASH] if row is None else [f"{row['score']:.3f}", f"{row['right']:.0%}"]
        table.add_row(Text(name), *cells)
    if len(names) > show:
        table.caption = f"{show} of {len(names)} learners"
    return table
