"""``diptych tracing``: follow a learner's changing classifier."""

import typer

from diptych.cli import tracing_collect

app = typer.Typer(no_args_is_help=True, help="Visual knowledge tracing (thesis ch. 2).")


@app.callback()
def _group() -> None:
    """A callback keeps the name of a single command in the command line."""


app.command("collect")(tracing_collect.collect)
