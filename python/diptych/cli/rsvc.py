"""``diptych rsvc``: comparing two networks concept by concept."""

import typer

from diptych.cli import rsvc_finetune, rsvc_layers, rsvc_run, rsvc_toy

app = typer.Typer(no_args_is_help=True, help="Two networks, concept by concept (RSVC, thesis ch. 3).")

app.command("finetune")(rsvc_finetune.finetune)
app.command("run")(rsvc_run.run)
app.command("layers")(rsvc_layers.layers)
app.command("toy")(rsvc_toy.toy)
