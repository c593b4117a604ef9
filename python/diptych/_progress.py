"""Progress with an estimated time of arrival, for work that turns out to take longer than two seconds."""

import time
from collections.abc import Iterator, Mapping, Sequence
from threading import Timer
from types import TracebackType
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_PATIENCE = 2.0

Step = TypeVar("Step")


def track(steps: Sequence[Step], description: str, *, shown: bool = True) -> Iterator[Step]:
    """Yield from ``steps`` under a bar, which goes when the loop ends, also when it is left early."""
    with Stages({description: 1.0}, enabled=shown) as stages:
        stages.enter(description)
        for step in steps:
            yield step
            stages.advance(1 / len(steps))


class Stages:
    """A bar over named stages of known relative cost; shown on stderr once two seconds have passed.

    Use as a context manager. ``enter(name)`` begins a stage and ends the one before; ``seconds`` holds
    the wall time of each finished stage. ``advance(share)`` moves the bar inside a stage.
    """

    def __init__(self, costs: Mapping[str, float], *, enabled: bool = True) -> None:
        self.seconds: dict[str, float] = {}
        self._costs = costs
        self._enabled = enabled
        self._stage_started = time.perf_counter()
        self._stage: str | None = None
        self._within = 0.0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=sum(costs.values()))
        # A timer, not a look at the clock between stages: a first stage may be long.
        self._patience = Timer(_PATIENCE, self._bar.start)
        self._patience.daemon = True

    def enter(self, stage: str) -> None:
        """End the current stage and begin ``stage``."""
        self._finish()
        self._stage, self._stage_started, self._within = stage, time.perf_counter(), 0.0
        self._bar.update(self._task, description=stage)

    def advance(self, share: float) -> None:
        """Move the bar by a share, 0 to 1, of the current stage."""
        if self._stage is not None:
            self._within += share
            self._bar.advance(self._task, share * self._costs[self._stage])

    def __enter__(self) -> "Stages":
        if self._enabled:
            self._patience.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._finish()
        if self._enabled:
            self._patience.cancel()
            self._patience.join()
            if self._bar.live.is_started:
                self._bar.stop()

    def _finish(self) -> None:
        if self._stage is not None:
            spent = time.perf_counter() - self._stage_started
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + spent
            self._bar.advance(self._task, (1 - self._within) * self._costs[self._stage])
            self._stage = None
