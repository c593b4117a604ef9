"""Fixtures shared by all tests."""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers share the cores: more threads, and threads that spin while they wait, would take them from each
    # other. Tests that are about threads say how many they want.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from chat_server import Server


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> torch.device:
    """The CPU, and once more an NVIDIA GPU where there is one."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU")
    return torch.device(request.param)


@pytest.fixture
def keep_threads() -> Iterator[None]:
    """Put torch's number of threads back after a test that sets it."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def one_thread(keep_threads: None) -> None:
    """For problems that gain nothing from threads, which wait for each other where cores are few."""
    torch.set_num_threads(1)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress bars appear at once instead of after two seconds."""

    class Immediate:
        daemon = True

        def __init__(self, _: float, show: Callable[[], None]) -> None:
            self.start = show

        def cancel(self) -> None:
            pass

        join = cancel

    monkeypatch.setattr("diptych._progress.Timer", Immediate)


@pytest.fixture
def fresh_compiler() -> Iterator[None]:
    """torch.compile from scratch: a graph cached on disk holds the derivative of the day it was made."""
    torch.compiler.reset()
    with torch.compiler.config.patch(force_disable_caches=True):
        yield


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A chat model behind a URL of this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on this machine")
    arguments = (
        "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync"
    )
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments.split())
        yield browser
        browser.close()
