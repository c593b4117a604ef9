"""Stages of work: their times, and a bar once it takes long."""

import time
from collections.abc import Iterator

import pytest

from diptych import _progress
from diptych._progress import Stages, track


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(_progress.time, "perf_counter", clock)
    yield clock
    monkeypatch.undo()


def test_each_stage_is_timed(clock: Clock) -> None:
    with Stages({"load": 1, "work": 3}, enabled=False) as stages:
        stages.enter("load")
        clock.now += 2
        stages.enter("work")
        assert stages.seconds == {"load": 2}
        clock.now += 5
    assert stages.seconds == {"load": 2, "work": 5}


def test_a_stage_entered_twice_adds_up_and_a_skipped_one_is_not_told(clock: Clock) -> None:
    with Stages({"one": 1, "two": 1, "three": 1}, enabled=False) as stages:
        for _ in range(3):
            stages.enter("one")
            clock.now += 1
            stages.enter("two")
            clock.now += 10
    assert stages.seconds == {"one": 3, "two": 30}


def test_a_stage_that_fails_is_timed_and_the_error_passes_on(clock: Clock) -> None:
    stages = Stages({"work": 1}, enabled=False)

    def work() -> None:
        with stages:
            stages.enter("work")
            clock.now += 4
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert stages.seconds == {"work": 4}


def test_short_work_shows_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Stages({"one": 1, "two": 1}) as stages:
        stages.enter("one")
        clock.now += 1.9
        stages.enter("two")
        stages.advance(0.5)
    assert capsys.readouterr() == ("", "")


def test_long_work_shows_its_stage_and_an_eta_on_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes rich take the captured stream for a terminal
    monkeypatch.setattr(_progress, "_PATIENCE", 0.05)
    with Stages({"reading": 1, "sorting": 1}) as stages:
        stages.enter("reading")
        time.sleep(0.5)  # the bar appears in the middle of the first stage
        assert stages._bar.live.is_started
        stages.enter("sorting")
        stages.advance(0.5)
    assert not stages._bar.live.is_started
    out, err = capsys.readouterr()
    assert out == ""
    assert "reading" in err
    assert "ETA" in err


def test_a_loop_left_early_takes_its_bar_along(impatient: None) -> None:
    steps = track(range(5), "counting")
    assert next(steps) == 0
    steps.close()
    assert list(track(range(3), "counting", shown=False)) == [0, 1, 2]


def test_a_bar_that_is_switched_off_stays_off(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Stages({"one": 1, "two": 1}, enabled=False) as stages:
        stages.enter("one")
        clock.now += 60
        stages.enter("two")
        stages.advance(0.5)
    assert capsys.readouterr() == ("", "")


def test_the_bar_moves_by_cost_and_ends_full(clock: Clock) -> None:
    with Stages({"one": 1, "two": 3}, enabled=False) as stages:
        (task,) = stages._bar.tasks
        stages.enter("one")
        assert task.completed == 0
        stages.enter("two")
        assert task.completed == 1
        stages.advance(0.5)
        assert task.completed == 2.5
        stages.advance(0.25)
        assert task.completed == 3.25
    assert task.completed == task.total == 4
    assert task.finished


def test_an_unknown_stage_is_an_error() -> None:
    with pytest.raises(KeyError), Stages({"one": 1}, enabled=False) as stages:
        stages.enter("two")


def test_real_time_is_measured() -> None:
    with Stages({"sleep": 1}, enabled=False) as stages:
        stages.enter("sleep")
        time.sleep(0.02)
    assert stages.seconds["sleep"] >= 0.02
