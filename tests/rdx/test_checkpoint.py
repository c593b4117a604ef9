"""What survives a killed comparison, and what is refused."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from diptych import rdx
from diptych._checkpoint import Checkpoint
from diptych.rdx.checkpoint import clear
from diptych.rdx.streamed import streamed_affinities

pytestmark = pytest.mark.usefixtures("one_thread")

PROGRAM = """
import sys
import numpy as np, torch
from diptych import rdx
from diptych.rdx import planning
planning._LEAST_ROWS = planning._BLOCK_BYTES = 64  # many small blocks
torch.set_num_threads(1)
a, b, workspace, out, *few = sys.argv[1:]
a, b = np.load(a), np.load(b)
sample = dict(zip(("neighbors", "samples"), map(int, few)))
result = rdx.compare(a, b, n_explanations=3, workspace=workspace, resume=True, progress=False, **sample)
result.save(out, embeddings=False)
"""


def pair(n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    groups = rng.integers(0, 8, n)
    a = rng.normal(size=(n, 16)) + 4 * np.eye(16)[groups]
    b = rng.normal(size=(n, 12)) + 4 * np.eye(12)[groups // 2]
    return a.astype(np.float32), b.astype(np.float32)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diptych.rdx.planning._LEAST_ROWS", 64)
    monkeypatch.setattr("diptych.rdx.planning._BLOCK_BYTES", 64)


@pytest.fixture
def stopped(small_blocks: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The workspace of a job that was stopped before it explained anything."""
    with monkeypatch.context() as patch:
        patch.setattr("diptych.rdx.method._sample", _stop)
        with pytest.raises(KeyboardInterrupt):
            rdx.compare(*pair(), workspace=tmp_path / "work", progress=False)
    assert len(list((tmp_path / "work").glob("rows-*"))) == 10
    return tmp_path / "work"


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def assert_same(found: rdx.RDXResult, expected: rdx.RDXResult) -> None:
    for mine, theirs in ((found.a, expected.a), (found.b, expected.b)):
        np.testing.assert_array_equal(mine.labels, theirs.labels)
        assert [grid.tolist() for grid in mine.grids] == [grid.tolist() for grid in theirs.grids]
        np.testing.assert_array_equal(mine.mean_affinity, theirs.mean_affinity)
        np.testing.assert_array_equal(mine.bsr_per_grid, theirs.bsr_per_grid)
        assert mine.notes == theirs.notes
    assert (found.mutual_knn, found.cka) == (expected.mutual_knn, expected.cka)


@pytest.mark.parametrize("options", [{"precision": "int8"}, {"neighbors": 16, "samples": 100}])
def test_killed_at_random_moments_and_resumed_it_finds_the_same(
    options: dict[str, Any], small_blocks: None, tmp_path: Path
) -> None:
    a, b = pair()
    np.save(tmp_path / "a.npy", a)
    np.save(tmp_path / "b.npy", b)
    arguments = [str(tmp_path / name) for name in ("a.npy", "b.npy", "work", "result.npz")]
    few = [str(value) for value in options.values() if isinstance(value, int)]
    command = [sys.executable, "-c", PROGRAM, *arguments, *few]
    chance = random.Random(7)
    kills = 0
    for _ in range(6):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        # Once the first part is there, at any moment of the second that the rest takes.
        while process.poll() is None and not list((tmp_path / "work").glob("*.safetensors")):
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.4))
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
    assert kills > 0
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert_same(
        rdx.RDXResult.load(tmp_path / "result.npz"),
        rdx.compare(a, b, n_explanations=3, progress=False, **options),
    )


def test_finished_rows_are_read_and_not_made_again(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = rdx.compare(*pair(), precision="int8", progress=False)
    monkeypatch.setattr("diptych.rdx.streamed.made", _stop)
    assert_same(rdx.compare(*pair(), workspace=stopped, resume=True, progress=False), alone)


def test_an_explained_job_needs_no_affinities(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = rdx.compare(*pair(), workspace=stopped, resume=True, progress=False)
    assert sorted(path.name for path in stopped.iterdir()) == [
        "explained-0.safetensors",
        "explained-1.safetensors",
        "job.json",
    ]
    monkeypatch.setattr("diptych.rdx.method.streamed_affinities", _stop)
    assert_same(rdx.compare(*pair(), workspace=stopped, resume=True, progress=False), first)


def test_one_explained_direction_is_kept(
    small_blocks: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from diptych.rdx import method

    explain, explained = method._sample, []

    def once(affinities: object, side: int, *rest: object) -> object:
        if explained:
            raise KeyboardInterrupt
        explained.append(side)
        return explain(affinities, side, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(method, "_sample", once)
        with pytest.raises(KeyboardInterrupt):
            rdx.compare(*pair(), workspace=tmp_path / "w", progress=False)
    explained.clear()
    monkeypatch.setattr(method, "_sample", once)
    alone = rdx.compare(*pair(), workspace=tmp_path / "w", resume=True, progress=False)
    assert explained == [1]
    monkeypatch.undo()
    assert_same(alone, rdx.compare(*pair(), precision="int8", progress=False))


def test_an_unfinished_job_is_not_overwritten(stopped: Path) -> None:
    with pytest.raises(FileExistsError, match="holds an unfinished comparison; resume it"):
        rdx.compare(*pair(), workspace=stopped, progress=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"gamma": 0.2}, "gamma is 0.1 there and 0.2 here"), ({"seed": 3}, "seed is 0 there and 3 here")],
)
def test_another_jobs_parts_are_refused(stopped: Path, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"holds another comparison, {message}"):
        rdx.compare(*pair(), workspace=stopped, resume=True, progress=False, **options)


def test_other_embeddings_are_refused(stopped: Path) -> None:
    a, b = pair()
    a[17, 3] += 1
    with pytest.raises(ValueError, match="holds another comparison, a is '"):
        rdx.compare(a, b, workspace=stopped, resume=True, progress=False)


def damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def foreign(path: Path) -> None:
    save_file(load_file(path), path, {"job": "another", "checksum": "another"})


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (damaged, "a damaged checkpoint, remove it to have it made again: its checksum differs"),
        (truncated, "a damaged checkpoint, remove it to have it made again"),
        (foreign, "a part of another job than"),
    ],
)
def test_a_harmed_part_is_refused_by_name(stopped: Path, harm: object, message: str) -> None:
    part = stopped / "rows-0000000128.safetensors"
    harm(part)  # type: ignore[operator]
    with pytest.raises(ValueError, match=f"rows-0000000128.safetensors: {message}"):
        rdx.compare(*pair(), workspace=stopped, resume=True, progress=False)
    part.unlink()
    alone = rdx.compare(*pair(), precision="int8", progress=False)
    assert_same(rdx.compare(*pair(), workspace=stopped, resume=True, progress=False), alone)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"job": 3, "settings": {}}'])
def test_an_unreadable_description_is_refused(stopped: Path, content: str) -> None:
    (stopped / "job.json").write_text(content)
    with pytest.raises(ValueError, match=r"job.json: not a readable description of a job"):
        rdx.compare(*pair(), workspace=stopped, resume=True, progress=False)


def test_resuming_needs_a_workspace_and_a_workspace_bytes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="resume: needs the workspace of the job"):
        rdx.compare(*pair(), resume=True, progress=False)
    with pytest.raises(ValueError, match="workspace: needs precision 'int8' or 'sampled', found 'float32'"):
        rdx.compare(*pair(), workspace=tmp_path, precision="float32", progress=False)


def test_affinities_in_a_file_are_the_same(
    small_blocks: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alone = rdx.compare(*pair(), precision="int8", progress=False)
    # As much memory as everything but the affinities needs.
    monkeypatch.setattr("diptych.rdx.planning._SHARE", 1.0)
    free = rdx.plan(600, 16, 12, precision="int8", pilot=False).memory - 100_000
    monkeypatch.setattr("diptych._memory.available", lambda _: free)
    with pytest.raises(MemoryError, match="with a workspace the affinities may be on disk"):
        rdx.compare(*pair(), precision="int8", progress=False)
    assert rdx.plan(600, 16, 12, workspace=tmp_path / "w", precision="int8", pilot=False).mapped
    seen = []

    def watched(*arguments: Any) -> Any:
        affinities = streamed_affinities(*arguments)
        seen.append((tmp_path / "w" / "affinity.int8").stat().st_size)
        return affinities

    monkeypatch.setattr("diptych.rdx.method.streamed_affinities", watched)
    assert_same(rdx.compare(*pair(), workspace=tmp_path / "w", progress=False), alone)
    assert seen == [600 * 600]
    assert not (tmp_path / "w" / "affinity.int8").exists()


def test_clearing_leaves_what_is_not_the_jobs(stopped: Path) -> None:
    (stopped / "notes.txt").write_text("mine")
    clear(stopped)
    assert [path.name for path in stopped.iterdir()] == ["notes.txt"]
    (stopped / "notes.txt").unlink()
    Checkpoint(stopped, {"n": 3}, {}, resume=False)
    clear(stopped)
    assert not stopped.exists()
    clear(stopped)


def test_a_description_holds_job_and_settings(tmp_path: Path) -> None:
    first = Checkpoint(tmp_path / "w", {"n": 3}, {"block_rows": 64}, resume=False)
    first.save("part", x=np.arange(5))
    again = Checkpoint(tmp_path / "w", {"n": 3}, {"block_rows": 128}, resume=True)
    assert again.settings == {"block_rows": 64}
    assert again.load("other") is None
    loaded = again.load("part")
    assert loaded is not None
    np.testing.assert_array_equal(loaded["x"], np.arange(5))
    assert json.loads((tmp_path / "w" / "job.json").read_text())["job"] == {"n": 3}
