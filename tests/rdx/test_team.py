"""One comparison made by several processes: the same as by one, and clear words when one of them fails."""

import itertools
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from diptych import ops, rdx
from diptych.ops import PackedAffinity, PackedShard
from diptych.rdx.team import Team, spans

PROGRAM = Path(__file__).with_name("team_program.py")


def run_team(size: int, *arguments: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={size}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*launcher, *options, *arguments], capture_output=True, text=True, timeout=300, env=environment
    )


def write_pair(folder: Path, n: int = 700) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers, whose ranks are exact however products are blocked."""
    rng = np.random.default_rng(3)
    groups = rng.integers(0, 6, n)
    a = rng.integers(-8, 8, (n, 12)) + 30 * np.eye(12, dtype=np.int64)[groups]
    b = rng.integers(-8, 8, (n, 9)) + 30 * np.eye(9, dtype=np.int64)[groups // 2 + 3 * (groups == 5)]
    pair = a.astype(np.float32), b.astype(np.float32)
    for name, array in zip("ab", pair, strict=True):
        np.save(folder / f"{name}.npy", array)
    return pair


def assert_same(found: rdx.RDXResult, expected: rdx.RDXResult) -> None:
    for side in ("a", "b"):
        mine, theirs = getattr(found, side), getattr(expected, side)
        np.testing.assert_array_equal(mine.labels, theirs.labels)
        assert [grid.tolist() for grid in mine.grids] == [grid.tolist() for grid in theirs.grids]
        np.testing.assert_array_equal(mine.mean_affinity, theirs.mean_affinity)
    assert found.mutual_knn == expected.mutual_knn
    assert found.cka == expected.cka


@pytest.mark.parametrize(("n", "first", "stop"), [(1, 0, 1), (130, 0, 64), (130, 64, 130), (70, 7, 7)])
def test_a_shard_is_its_rows_of_the_whole(n: int, first: int, stop: int) -> None:
    generator = torch.Generator().manual_seed(n)
    x, y = (torch.randn(n, 5, generator=generator) for _ in range(2))
    ranks = ops.neighbor_ranks(x), ops.neighbor_ranks(y)
    whole, part = PackedAffinity(n), PackedAffinity(n, rows=(first, stop))
    whole.write(0, *ranks)
    if stop > first:
        part.write(first, *(rank[first:stop] for rank in ranks))
    shard = PackedShard(part, whole.codes[:, first:stop].T.contiguous())
    vectors = torch.randn(n, 19, generator=generator)
    labels = torch.arange(n) % 3
    for side, direction in enumerate(whole.fold().directions):
        rows = direction.rows(0, n)[first:stop]
        assert torch.equal(shard.decoded(side, 0, stop - first), rows)
        assert torch.equal(shard.product(side, vectors), (direction @ vectors)[first:stop])
        i, j = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
        entries = shard.entries(side, i, j)
        assert torch.equal(entries[first:stop], rows)
        assert not entries[:first].any()
        assert not entries[stop:].any()
        scores, neighbors = shard.knn(side, labels, 4)
        expected_scores, expected_neighbors = direction.knn(labels, 4)
        assert torch.equal(scores, expected_scores[first:stop])
        assert torch.equal(neighbors, expected_neighbors[first:stop])


@pytest.mark.parametrize(("n", "block", "size"), [(700, 384, 3), (5, 64, 2), (1000, 64, 7), (64, 64, 1)])
def test_shares_are_whole_blocks_in_order(n: int, block: int, size: int) -> None:
    shares = spans(n, block, size)
    assert len(shares) == size
    assert shares[0][0] == 0
    assert shares[-1][1] == n
    assert all(stop == start for (_, stop), (start, _) in itertools.pairwise(shares))
    assert all(start % block == 0 for start, stop in shares if start < stop)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("options", [{"precision": "int8"}, {"neighbors": 16, "samples": 100}])
def test_several_processes_find_what_one_does(size: int, options: dict[str, Any], tmp_path: Path) -> None:
    a, b = write_pair(tmp_path)
    done = run_team(
        size, str(PROGRAM), str(tmp_path), *(f"{name}={value}" for name, value in options.items())
    )
    assert done.returncode == 0, done.stderr
    alone = rdx.compare(a, b, n_explanations=3, progress=False, **options)
    for rank in range(size):
        assert_same(rdx.RDXResult.load(tmp_path / f"{rank}.npz"), alone)


def test_pagerank_runs_on_a_team(tmp_path: Path) -> None:
    a, b = write_pair(tmp_path, 150)
    done = run_team(2, str(PROGRAM), str(tmp_path), "sampling=pagerank")
    assert done.returncode == 0, done.stderr
    alone = rdx.compare(a, b, n_explanations=3, precision="int8", sampling="pagerank", progress=False)
    assert_same(rdx.RDXResult.load(tmp_path / "1.npz"), alone)


def test_the_command_runs_under_torchrun(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    a, b = write_pair(tmp_path)
    files = str(tmp_path / "a.npy"), str(tmp_path / "b.npy")
    out, workspace = tmp_path / "report", tmp_path / "work"
    done = run_team(
        2, "-m", "diptych", "compare", *files, "--out", str(out), "--workspace", str(workspace), "-m", "3"
    )
    assert done.returncode == 0, done.stderr
    assert (out / "index.html").is_file()
    assert not workspace.exists()
    alone = rdx.compare(a, b, n_explanations=3, precision="int8", progress=False)
    assert_same(rdx.RDXResult.load(out / "result.npz"), alone)


def test_processes_with_other_embeddings_are_named(tmp_path: Path) -> None:
    write_pair(tmp_path, 100)
    done = run_team(3, str(PROGRAM), str(tmp_path), "other-2")
    assert done.returncode != 0
    assert "ranks 2 have other embeddings or options than rank 0" in done.stderr


def write_mortal_program(folder: Path) -> Path:
    """A program of which rank 1 is killed at its first product, unless torchrun has started it again."""
    program = folder / "mortal.py"
    program.write_text(
        "import os, signal, sys\n"
        f"sys.path.insert(0, {str(PROGRAM.parent)!r})\n"
        "from pathlib import Path\n"
        "import team_program\n"
        "from diptych.ops import PackedShard, SampledShard\n"
        "def mortal(product):\n"
        "    def dying(self, side, x):\n"
        "        if os.environ['RANK'] == '1' and os.environ.get('TORCHELASTIC_RESTART_COUNT', '0') == '0':\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return product(self, side, x)\n"
        "    return dying\n"
        "for shard in (PackedShard, SampledShard):\n"
        "    shard.product = mortal(shard.product)\n"
        "team_program.main(Path(sys.argv[1]), *sys.argv[2:])\n"
    )
    return program


def test_a_process_that_dies_ends_the_job_with_a_message(tmp_path: Path) -> None:
    """Without torchrun, which would stop the others before they can say anything."""
    write_pair(tmp_path, 300)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    common = {**os.environ, "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2"}
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, str(write_mortal_program(tmp_path)), str(tmp_path)]
    processes = [
        subprocess.Popen(command, env={**common, **place, "RANK": rank}, stderr=subprocess.PIPE, text=True)
        for rank in "01"
    ]
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert processes[1].returncode == -signal.SIGKILL
    assert processes[0].returncode == 1
    assert "rank 0 of 2: a process of the job died, or was lost" in said[0]
    assert "run the job again with resume to go on" in said[0]


@pytest.mark.parametrize("options", [{"precision": "int8"}, {"neighbors": 16, "samples": 100}])
def test_torchrun_restarts_a_job_that_resumes(options: dict[str, Any], tmp_path: Path) -> None:
    a, b = write_pair(tmp_path)
    program, workspace = write_mortal_program(tmp_path), tmp_path / "work"
    chosen = [f"{name}={value}" for name, value in ({"workspace": workspace} | options).items()]
    done = run_team(2, str(program), str(tmp_path), *chosen, options=("--max-restarts=1",))
    assert done.returncode == 0, done.stderr
    alone = rdx.compare(a, b, n_explanations=3, progress=False, **options)
    assert_same(rdx.RDXResult.load(tmp_path / "1.npz"), alone)


def test_without_a_process_group_it_says_so() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 30, 4))
    with pytest.raises(RuntimeError, match="distributed: no process group; start with torchrun"):
        rdx.compare(a, b, distributed=True, progress=False)
    with pytest.raises(RuntimeError, match="no process group"):
        Team(torch.device("cpu"))


def test_one_process_is_a_team_too(tmp_path: Path) -> None:
    a, b = write_pair(tmp_path, 120)
    done = run_team(1, str(PROGRAM), str(tmp_path))
    assert done.returncode == 0, done.stderr
    alone = rdx.compare(a, b, n_explanations=3, precision="int8", progress=False)
    assert_same(rdx.RDXResult.load(tmp_path / "0.npz"), alone)


def test_float32_cannot_be_shared(tmp_path: Path) -> None:
    write_pair(tmp_path, 60)
    done = run_team(1, str(PROGRAM), str(tmp_path), "precision=float32")
    assert done.returncode != 0
    assert "distributed: needs precision 'int8' or 'sampled', found 'float32'" in done.stderr
