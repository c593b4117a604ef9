"""benchmarks/gpu.sh and the GPU benchmarks where there is no GPU: they say so, and clearly."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "benchmarks" / "gpu.sh"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs bash")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # No GPU is visible, whatever this machine has.
    hidden = os.environ | {"CUDA_VISIBLE_DEVICES": "", "PYTHON": sys.executable} | environment
    return subprocess.run(
        ["bash", str(SCRIPT), *arguments],
        env=hidden,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("arguments", [(), ("one", "two"), ("--help",)])
def test_wants_one_folder(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr == "usage: benchmarks/gpu.sh OUTDIR\n"


def test_refuses_a_folder_it_cannot_make(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run(str(tmp_path / "file" / "out"))
    assert done.returncode == 2
    assert "file" in done.stderr


def test_stops_where_there_is_no_gpu(tmp_path: Path) -> None:
    done = run(str(tmp_path / "out"))
    assert done.returncode == 1
    log = (tmp_path / "out" / "gpu.log").read_text()
    for text in (done.stdout, log):
        assert "no NVIDIA GPU that torch can use: nothing to test or to measure" in text
        assert "=== gpu: failed with status 1" in text
        assert "=== failed: gpu" in text
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["gpu.log"]


def test_ends_when_its_time_is_up(tmp_path: Path) -> None:
    done = run(str(tmp_path), DIPTYCH_GPU_SECONDS="0")
    assert done.returncode == 1
    assert "=== gpu: not run, the time is up" in done.stdout


@pytest.mark.parametrize("name", sorted(path.name for path in SCRIPT.parent.glob("bench_gpu_*.py")))
def test_benchmarks_skip_without_a_gpu(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-rs", "-p", "no:cacheprovider", f"benchmarks/{name}"],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (0, 5), done.stdout  # 5: no test was collected
    assert "no NVIDIA GPU: nothing is measured" in done.stdout


def test_a_race_takes_turns() -> None:
    spec = importlib.util.spec_from_file_location("gpu_timing", SCRIPT.parent / "gpu_timing.py")
    assert spec is not None
    assert spec.loader is not None
    timing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(timing)
    order: list[str] = []
    times, theirs = timing.race(
        lambda: order.append("ours"), {"theirs": lambda: order.append("theirs")}, 2, lambda run: run() or 1.0
    )
    assert times == [1.0, 1.0]
    assert theirs == {"theirs": [1.0, 1.0]}
    assert order == ["ours"] * 2 + ["theirs"] * 2 + ["ours", "theirs"] * 2
