"""The commands, and how their errors reach the user: in one line, without a traceback."""

import io
import os
import sys

import typer
from rich.console import Console

from diptych.cli import compare, demo, info, numerosity, rdx, rsvc, tracing

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Two representations of the same items, side by side: how alike, what differs, does it matter.",
)
app.command("compare")(compare.compare)
app.command("demo")(demo.demo)
app.command("info")(info.info)
app.add_typer(numerosity.app, name="numerosity")
app.add_typer(rdx.app, name="rdx")
app.add_typer(rsvc.app, name="rsvc")
app.add_typer(tracing.app, name="tracing")


def main() -> None:
    """Run the command line; what the user can mend becomes one line on stderr and exit status 2.

    With DIPTYCH_DEBUG set in the environment errors keep their traceback.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As stderr does: a name with undecodable bytes must not end a run whose work is done.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except (ValueError, TypeError, OSError, ImportError, RuntimeError, MemoryError) as error:
        if os.environ.get("DIPTYCH_DEBUG"):
            raise
        line = f"error: {error or type(error).__name__}"
        Console(stderr=True).print(line, style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
