"""``diptych info``: what was built and what it can use."""

from rich.console import Console
from rich.table import Table


def info() -> None:
    """Show versions, instruction set, CUDA module and GPU of this installation."""
    import diptych

    table = Table(show_header=False, box=None)
    for name, value in diptych.build_info().items():
        table.add_row(name, "none" if value is None else str(value))
    Console().print(table)
