"""Reading embeddings from files in the system's cache, and hashing them: n = 50,000, d = 768, two threads.

Counted: 154 MB in float32, 77 MB in float16; reading moves them once from the system's cache into memory of
their own (read and written: 307 MB, or 230 MB where halves become float32), copying a memory map by the
kernel twice. All arrays are new, so their first touch counts, for the baselines too. BLAKE2b does about 0.9
GB/s a thread, far below the memory's rate: a fingerprint is limited by arithmetic.

Run: OMP_NUM_THREADS=2 pytest benchmarks/bench_embed.py
"""

import hashlib

import numpy as np
import pytest
import safetensors.torch
import torch

from conftest import race, spread
from diptych.embed import fingerprint, open_embedding
from diptych.embed.embedding import of_map

N, D, SHARDS = 50_000, 768, 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The same matrix in every form."""
    folder = tmp_path_factory.mktemp("embeddings")
    x = np.random.default_rng(0).standard_normal((N, D)).astype(np.float16)
    np.save(folder / "x.npy", x.astype(np.float32))
    np.save(folder / "fortran.npy", np.asfortranarray(x, dtype=np.float32))
    safetensors.torch.save_file({"x": torch.from_numpy(x)}, folder / "x.safetensors")
    (folder / "shards").mkdir()
    for number, part in enumerate(np.array_split(x.astype(np.float32), SHARDS)):
        np.save(folder / "shards" / f"{number}.npy", part)
    return folder


def widened(path):
    return safetensors.torch.load_file(path)["x"].float().numpy()


#: row -> (file, dtype on disk, ours, what one would call instead and its name, bytes read and written)
READS = {
    "read .npy": ("x.npy", "float32", lambda path: open_embedding(path).read(), np.load, "numpy load"),
    "read .npy, Fortran order, to C order": (
        "fortran.npy",
        "float32",
        lambda path: open_embedding(path).read(),
        lambda path: np.ascontiguousarray(np.load(path)),
        "numpy load, ascontiguousarray",
    ),
    "read a copy of a memory map": (
        "x.npy",
        "float32",
        lambda path: of_map("a", np.load(path, mmap_mode="r")).read(),
        lambda path: np.array(np.load(path, mmap_mode="r")),
        "numpy array of the map",
    ),
    "read .safetensors as float32": (
        "x.safetensors",
        "float16",
        lambda path: open_embedding(path).read(dtype=torch.float32),
        widened,
        "safetensors load_file, float",
    ),
    f"read {SHARDS} shards": (
        "shards",
        "float32",
        lambda path: open_embedding(path).read(),
        lambda path: np.concatenate([np.load(path / f"{number}.npy") for number in range(SHARDS)]),
        "numpy load, concatenate",
    ),
}


@pytest.mark.parametrize("op", READS)
def test_reading(benchmark, recorder, limits, folder, op):
    file, dtype, ours, theirs, name = READS[op]
    path = folder / file
    np.testing.assert_array_equal(ours(path).numpy(), theirs(path))
    times, baseline = race(benchmark, lambda: ours(path), {name: lambda: theirs(path)}, 9)
    moved = N * D * (np.dtype(dtype).itemsize + 4)
    low, beside = np.percentile(times, 20), np.percentile(baseline[name], 20)
    recorder.add(
        op=op,
        shape=f"n={N} d={D}",
        dtype=dtype,
        backend="python",
        rate=moved / low / 1e9,
        unit="GB/s",
        share_of_limit=moved / limits["copy"] / low,
        baseline=name,
        baseline_p20_s=float(beside),
        ratio=beside / low,
        error=0,
        **spread(times),
    )


@pytest.mark.parametrize("source", ["of a file", "in memory"])
def test_fingerprint(benchmark, recorder, folder, source):
    x = np.load(folder / "x.npy")
    asked = folder / "x.npy" if source == "of a file" else x
    assert fingerprint(asked) == fingerprint(folder / "shards")
    name = "hashlib blake2b"
    times, baseline = race(
        benchmark, lambda: fingerprint(asked), {name: lambda: hashlib.blake2b(x).digest()}, 5
    )
    low, beside = np.percentile(times, 20), np.percentile(baseline[name], 20)
    # The limit: what the hash does on as many threads.
    recorder.add(
        op=f"fingerprint, {source}",
        shape=f"n={N} d={D}",
        dtype="float32",
        backend="python",
        rate=x.nbytes / low / 1e9,
        unit="GB/s",
        share_of_limit=beside / torch.get_num_threads() / low,
        baseline=name,
        baseline_p20_s=float(beside),
        ratio=beside / low,
        error=0,
        **spread(times),
    )
    # A file is read besides, by the same threads.
    assert beside / low > (1.3 if source == "of a file" else 1.5), (low, beside)
