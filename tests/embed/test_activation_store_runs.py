"""Runs that fill the store: stopped, killed, and side by side."""

import importlib
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from counted_activations import Counting, assert_same, compute, counting, expected, only_folder, visible

from diptych.embed import Preprocess, load_model

store_module = importlib.import_module("diptych.embed.activation_store")


@pytest.mark.parametrize("seconds", [0.0, 1e9])
@pytest.mark.parametrize("fail_after", [1, 4, 8])
def test_an_interrupted_run_goes_on_and_leaves_no_half_file(
    monkeypatch: pytest.MonkeyPatch, seconds: float, fail_after: int
) -> None:
    monkeypatch.setattr(store_module, "_NOTE_SECONDS", seconds)
    model = counting()
    model.module.fail_after = fail_after  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        compute(model)
    assert visible() == {only_folder().name, "about.json"}
    resumed = counting()
    assert_same(compute(resumed), expected())
    assert resumed.module.seen == 9 - model.module.seen
    assert not list(only_folder().glob(".partial*"))


def test_a_run_killed_between_notes_goes_on_from_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a power cut: rows after the note are there, torn, or not there at all."""
    monkeypatch.setattr(store_module, "_NOTE_SECONDS", 0.0)
    for damage in ("torn", "missing", "no state", "no json"):
        shutil.rmtree("store", ignore_errors=True)
        model = counting()
        model.module.fail_after = 4  # type: ignore[assignment]
        with pytest.raises(KeyboardInterrupt):
            compute(model)
        (partial,) = only_folder().glob(".partial*")
        rows = partial / "1.rows"
        if damage == "torn":
            rows.write_bytes(rows.read_bytes() + b"half a row")
        elif damage == "missing":
            rows.write_bytes(rows.read_bytes()[:-1])
        elif damage == "no state":
            (partial / "state.json").unlink()
        else:
            (partial / "state.json").write_text('{"done": 4')
        resumed = counting()
        assert_same(compute(resumed), expected())
        assert resumed.module.seen == (5 if damage == "torn" else 9)


@pytest.mark.parametrize("at", ["0.rows", "2.rows"])
def test_a_run_that_dies_while_its_files_get_their_names(monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    replaced = os.replace

    def dying(source: Any, target: Any) -> None:
        if Path(source).name == at:
            raise OSError("died")
        replaced(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dying)
        with pytest.raises(OSError, match="died"):
            compute(counting())
    model = counting()
    assert_same(compute(model), expected())
    # The rows of all layers were there still, or two layers were and the third had to be made again.
    assert model.module.seen == (0 if at == "0.rows" else 9)
    assert not list(only_folder().glob(".partial*"))


class Slow(Counting):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        Path("started").touch()
        time.sleep(0.1)
        return super().forward(x)


def fill(log: str) -> None:
    model = load_model(Slow(), preprocess=Preprocess(16), classifier="fc", name="Counting")
    compute(model, progress=False)
    Path(log).write_text(str(model.module.seen))


def test_two_processes_compute_once(one_thread: None) -> None:
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=fill, args=(f"{number}.log",)) for number in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    assert sorted(int(Path(f"{number}.log").read_text()) for number in range(2)) == [0, 9]


def test_a_killed_process_is_succeeded(one_thread: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_NOTE_SECONDS", 0.0)
    process = multiprocessing.get_context("fork").Process(target=fill, args=("0.log",))
    process.start()
    while not list(Path().glob("store/*/.partial*/state.json")):
        assert process.is_alive()
        time.sleep(0.01)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert visible() == {only_folder().name, "about.json"}
    model = load_model(Slow(), preprocess=Preprocess(16), classifier="fc", name="Counting")
    found = compute(model)
    assert model.module.seen < 9
    assert_same(found, expected())


def test_waiting_for_another_process_is_told(
    impatient: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import fcntl

    monkeypatch.setenv("FORCE_COLOR", "1")
    place = store_module.ActivationStore("store", "mine", {"key": 1})
    flock, calls = fcntl.flock, []

    def busy(file: Any, how: int) -> None:
        calls.append(how)
        if how & fcntl.LOCK_NB:
            raise BlockingIOError
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", busy)
    with place.writing():
        pass
    assert calls == [fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_EX]
    assert "waiting for another process that fills mine-" in capsys.readouterr().err
