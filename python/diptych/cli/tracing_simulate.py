"""``diptych tracing simulate`` and ``greebles``: learners whose law is known, and images to learn."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from diptych.cli._options import Seed
from diptych.cli._report import say


def simulate(
    out: Annotated[Path, typer.Option(help="File for the answers, .jsonl or .parquet.")],
    kind: Annotated[
        Literal["static", "prototype", "exemplar", "gradient"], typer.Option(help="How they learn.")
    ] = "gradient",
    learners: Annotated[int, typer.Option(help="How many.")] = 150,
    train: Annotated[int, typer.Option(help="Steps of a learner with feedback.")] = 30,
    test: Annotated[int, typer.Option(help="Steps without, after these.")] = 15,
    classes: Annotated[int, typer.Option(help="Of the images.")] = 5,
    dimension: Annotated[int, typer.Option(help="Width of their features.")] = 8,
    pool: Annotated[int, typer.Option(help="Images that learners are shown some of.")] = 300,
    careless: Annotated[
        float | None, typer.Option(help="Share of learners who answer without care; default: none.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Let simulated learners learn, and write their answers with the true probabilities of these."""
    from diptych import tracing
    from diptych.tracing.data import check_suffix

    check_suffix(out)
    if out.exists():
        raise FileExistsError(f"{out}: exists already; choose another --out")
    answers = tracing.simulate(
        kind,
        learners,
        train,
        test,
        seed,
        n_classes=classes,
        dimension=dimension,
        n_images=pool,
        careless=careless,
    )
    tracing.save(answers, out)
    right = answers.response == answers.label
    said = f"{len(answers)} {kind} learners, {len(right)} answers, {right.mean():.0%} of them right"
    if careless is not None:
        said += f"; careless: {len(answers.about['careless'])}"
    say(said)
    say(f"\nAnswers: {out}")


def greebles(
    out: Annotated[Path, typer.Option(help="Folder for the images, in a folder for each class.")],
    each: Annotated[int, typer.Option(help="Figures of each class.")] = 400,
    size: Annotated[int, typer.Option(help="Pixels of a side.")] = 128,
    seed: Seed = 0,
) -> None:
    """Draw figures in three classes that overlap."""
    from diptych import tracing
    from diptych.embed._extras import require

    require("PIL")
    if out.is_dir() and any(out.iterdir()):
        raise FileExistsError(f"{out}: holds something already; choose another --out")
    figures = tracing.greebles(each, size, seed)
    figures.save(out)
    ideal = f"{figures.ideal_accuracy:.0%} of them can be told by who knows how they are made"
    say(f"{len(figures)} figures of {', '.join(figures.classes)}; {ideal}")
    say(f"\nImages: {out}")
