"""``diptych tracing``: follow a learner's changing classifier."""

import typer

from diptych.cli import (
    tracing_answers,
    tracing_collect,
    tracing_evaluate,
    tracing_fit,
    tracing_reproduce,
    tracing_simulate,
)

app = typer.Typer(no_args_is_help=True, help="Visual knowledge tracing (thesis ch. 2).")

app.command("collect")(tracing_collect.collect)
app.command("simulate")(tracing_simulate.simulate)
app.command("greebles")(tracing_simulate.greebles)
app.command("validate")(tracing_answers.validate)
app.command("fit")(tracing_fit.fit)
app.command("evaluate")(tracing_evaluate.evaluate)
app.command("careless")(tracing_evaluate.careless)
app.command("reproduce")(tracing_reproduce.reproduce)
