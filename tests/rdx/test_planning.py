"""The plan of a comparison: what it takes, what it chooses, and what it says when it cannot fit."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from diptych import _memory, rdx
from diptych.rdx.planning import block_rows, largest

GIB = 2**30


@pytest.fixture
def eight_gib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diptych._memory.available", lambda _: 8 * GIB)


def plan(n: int, precision: str = "auto", **options: object) -> rdx.Plan:
    return rdx.plan(n, 768, 768, precision=precision, pilot=False, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("n", "precision"), [(500, "float32"), (10_000, "float32"), (10_001, "int8")])
def test_auto_is_exact_as_long_as_it_is_quick(eight_gib: None, n: int, precision: str) -> None:
    assert plan(n).precision == precision


def test_auto_packs_where_matrices_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diptych._memory.available", lambda _: 3 * GIB // 4)
    assert plan(9_500).precision == "int8"


def test_memory_is_that_of_the_affinities_and_little_more(eight_gib: None) -> None:
    n = 50_000
    packed = plan(n)
    assert n * n < packed.memory < n * n + 2 * 4 * n * 768 + GIB
    assert packed.free == 8 * GIB
    assert 8 * n * packed.block_rows <= GIB


@pytest.mark.parametrize("n", [2, 100, 5_000, 50_000, 1_000_000])
@pytest.mark.parametrize("processes", [1, 3])
def test_blocks_have_rows(n: int, processes: int) -> None:
    rows = block_rows(n, 20 * GIB, processes)
    assert 1 <= rows <= n
    if n > 64 * processes:
        assert -(-n // rows) >= processes


def test_what_does_not_fit_is_refused_with_what_would(eight_gib: None, tmp_path: Path) -> None:
    with pytest.raises(MemoryError) as refused:
        plan(40_000, "float32")
    words = str(refused.value)
    assert words.startswith("40,000 items need ")
    assert "all of them with precision='int8'" in words
    fits = int(re.search(r"([\d,]+) items would fit", words)[1].replace(",", ""))  # type: ignore[index]
    assert plan(fits, "float32").precision == "float32"
    with pytest.raises(MemoryError):
        plan(fits + 1, "float32")
    with pytest.raises(MemoryError, match="with a workspace the affinities may be on disk"):
        plan(200_000, "int8")


def test_a_sample_takes_memory_in_proportion_to_the_items(eight_gib: None) -> None:
    small, large = plan(50_000, "sampled"), plan(200_000, "sampled")
    assert 8 * 1280 * 50_000 < small.memory < 1.5 * GIB
    assert large.memory < 5 * small.memory
    assert plan(50_000, "sampled", kept=640).memory < small.memory - 8 * 600 * 50_000
    assert "a sample of the pairs" in str(small)
    with pytest.raises(MemoryError, match="precision='sampled' it takes a few pairs of each item"):
        plan(200_000, "int8")
    with pytest.raises(MemoryError, match="keep fewer neighbors or samples"):
        plan(5_000_000, "sampled")
    timed = rdx.plan(2_000, 16, 16, precision="sampled", kept=500)
    assert 0 < timed.seconds < 60


def test_the_largest_is_found_exactly() -> None:
    n = largest(64, 64, "int8", 4 * GIB)
    assert 40_000 < n < 66_000


def test_a_full_disk_is_told_before_the_work(
    eight_gib: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usage = type("Usage", (), {"free": GIB})()
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(OSError, match=r"workspace: 60,000 items need 3\.4 GiB on disk, 1\.0 GiB are free in"):
        plan(60_000, "int8", workspace=tmp_path / "not" / "there")
    with pytest.raises(
        OSError, match=r"workspace: 200,000 items need 1\.9 GiB on disk, 1\.0 GiB are free in"
    ):
        plan(200_000, "sampled", workspace=tmp_path)
    # What an earlier attempt has written needs no room any more.
    with (tmp_path / "rows-0000000000.safetensors").open("wb") as part:
        part.truncate(GIB)
    assert plan(200_000, "sampled", workspace=tmp_path).precision == "sampled"


def test_a_team_shares_the_sample_and_the_memory(eight_gib: None) -> None:
    n, kept = 100_000, 1280
    alone, team = (
        rdx.plan(n, 64, 64, precision="sampled", processes=size, kept=kept, pilot=False) for size in (1, 4)
    )
    assert team.free == alone.free // 4
    # A quarter of the rows, and as much again of what other rows hold of these items.
    assert alone.memory - team.memory == 8 * n * kept - 2 * 8 * n * kept // 4


def test_a_plan_reads_as_a_sentence() -> None:
    text = str(rdx.Plan(50_000, "int8", 384, 3 * GIB, 20 * GIB, 130.0))
    assert text == "50,000 items, one byte a pair: 3.0 GiB of 20.0 GiB free memory, about 2 minutes"
    mapped = rdx.Plan(300_000, "int8", 384, GIB // 4, 20 * GIB, 9000.0, mapped=True)
    assert str(mapped).startswith("300,000 items, one byte a pair on disk: 256 MiB of")
    assert str(mapped).endswith("about 2.5 hours")
    small = rdx.Plan(5000, "float32", 384, GIB // 4, GIB, 3.0)
    assert "two float32 matrices" in str(small)
    assert str(small).endswith("about 3 s")


def test_without_a_pilot_there_is_no_estimate(eight_gib: None) -> None:
    assert math.isnan(plan(1000).seconds)


def test_a_container_that_has_less_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_memory, "_CGROUP", tmp_path)
    device = torch.device("cpu")
    machine = _memory.available(device)
    (tmp_path / "memory.max").write_text(f"{GIB}\n")
    (tmp_path / "memory.current").write_text(f"{GIB // 2}\n")
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {GIB // 8}\n")
    assert _memory.available(device) == GIB // 2 + GIB // 8
    (tmp_path / "memory.max").write_text("max\n")
    assert _memory.available(device) > machine // 2


def test_memory_that_runs_out_once_is_asked_for_in_smaller_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    from diptych.rdx import streamed

    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 50, (2, 300, 5)).astype(np.float32)
    alone = rdx.compare(a, b, n_explanations=3, precision="int8", progress=False)
    common, asked = streamed.common_neighbors, []

    def short(first: torch.Tensor, second: torch.Tensor, k: int) -> object:
        asked.append(len(first))
        if len(first) > 100:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        return common(first, second, k)

    monkeypatch.setattr(streamed, "common_neighbors", short)
    again = rdx.compare(a, b, n_explanations=3, precision="int8", progress=False)
    assert asked[:2] == [300, 75]
    np.testing.assert_array_equal(again.a.labels, alone.a.labels)
    assert again.mutual_knn == alone.mutual_knn


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (MemoryError(), MemoryError, "memory ran out twice while 75 rows of 300 distances were made"),
        (RuntimeError("another matter"), RuntimeError, "another matter"),
    ],
)
def test_memory_that_runs_out_twice_ends_with_advice(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[Exception], message: str
) -> None:
    from diptych.rdx import streamed

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(streamed, "common_neighbors", fails)
    a, b = np.random.default_rng(1).normal(size=(2, 300, 5))
    with pytest.raises(kind, match=message):
        rdx.compare(a, b, n_explanations=3, precision="int8", progress=False)


def test_a_profile_names_parts_and_their_share_of_the_limit(tmp_path: Path) -> None:
    a, b = np.random.default_rng(1).normal(size=(2, 800, 16))
    result = rdx.compare(a, b, n_explanations=3, precision="int8", profile=True, progress=False)
    names = {part.name for part in result.profile}
    assert {"products", "ranks", "differences", "symmetrising", "affinity times vectors"} <= names
    assert all(part.seconds > 0 and 0 <= part.share < 2 for part in result.profile)
    seconds = [part.seconds for part in result.profile]
    assert seconds == sorted(seconds, reverse=True)
    result.save(tmp_path / "r.npz")
    assert rdx.RDXResult.load(tmp_path / "r.npz").profile == result.profile
    assert rdx.compare(a, b, n_explanations=3, precision="int8", progress=False).profile == []
