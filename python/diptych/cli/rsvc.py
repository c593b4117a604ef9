"""``diptych rsvc``: comparing two networks concept by concept."""

import typer

from diptych.cli import rsvc_toy

app = typer.Typer(no_args_is_help=True, help="Two networks, concept by concept (RSVC, thesis ch. 3).")


@app.callback()
def _group() -> None:
    """Keep ``toy`` a subcommand while it is the only one."""


app.command("toy")(rsvc_toy.toy)
