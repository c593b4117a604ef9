"""``diptych tracing validate``: is a file of answers what it should be, and what is in it."""

from typing import TYPE_CHECKING

import typer

from diptych.cli._report import say
from diptych.cli._tracing_options import Answers, Images, check_beside, read_answers

if TYPE_CHECKING:
    from diptych.tracing import Sequences


def validate(file: Answers, images: Images = None) -> None:
    """Say what is wrong with a file of answers, a fault a line (exit status 1), or what it holds."""
    from diptych.tracing.data import check_suffix

    check_beside(file, images)
    if not file.is_dir():
        check_suffix(file)
    try:
        answers = read_answers(file, images)
    except ValueError as error:
        say(str(error))
        raise typer.Exit(1) from error
    say(contents(answers))


def contents(answers: "Sequences") -> str:
    """How much there is, in two lines."""
    tested = int(answers.test.sum())
    steps = f"{len(answers.test):,} steps, {len(answers.test) - tested:,} in training and {tested:,} in tests"
    counted = f"{len(answers):,} learners, {len(answers.classes)} classes, {len(answers.items):,} images"
    beside = {
        "rankings": answers.rankings,
        "response times": answers.seconds,
        "true probabilities": answers.truth,
        "features": answers.features,
        "files of all images": answers.folder,
    }
    there = [name for name, each in beside.items() if each is not None]
    return f"{counted}; {steps}\nBeside the answers: {', '.join(there) or 'nothing'}"
