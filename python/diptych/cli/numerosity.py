"""``diptych numerosity``: a number sense from manipulation."""

import typer

from diptych.cli import numerosity_analyze, numerosity_probe, numerosity_reproduce, numerosity_train

app = typer.Typer(no_args_is_help=True, help="A number sense from manipulation (thesis ch. 7).")

app.command("train")(numerosity_train.train)
app.command("test")(numerosity_analyze.examine)
app.command("analyze")(numerosity_analyze.analyze)
app.command("probe")(numerosity_probe.probe)
app.command("reproduce")(numerosity_reproduce.reproduce)
