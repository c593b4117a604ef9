"""A progress bar for fits that turn out to be long."""

from collections.abc import Iterator, Sequence
from time import perf_counter

from rich.console import Console
from rich.progress import Progress

PATIENCE_SECONDS = 2.0


def track(steps: Sequence[int], description: str, *, shown: bool) -> Iterator[int]:
    """Yield from ``steps``; once two seconds have passed, show a bar with an ETA on standard error.

    The bar goes when the loop ends, also when it is left early.
    """
    if not shown:
        yield from steps
        return
    start = perf_counter()
    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task(description, total=len(steps))
    running = False
    try:
        for done, step in enumerate(steps):
            if not running and perf_counter() - start > PATIENCE_SECONDS:
                bar.start()
                running = True
            bar.update(task, completed=done)
            yield step
    finally:
        if running:
            bar.stop()
