"""Folders of shards: which files count, in which order, and what is refused."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from diptych.embed import fingerprint, load_embedding, open_embedding

MATRIX = np.arange(36, dtype=np.float32).reshape(12, 3)


@pytest.fixture(autouse=True)
def a_folder_for_shards(in_a_folder_of_its_own: None) -> None:
    Path("x").mkdir()


def save(name: str, array: np.ndarray, key: str = "x") -> None:
    if name.endswith(".npy"):
        np.save(Path("x") / name, array)
    else:
        safetensors.torch.save_file({key: torch.tensor(array)}, Path("x") / name)


def save_all(names: Sequence[str], sizes: Sequence[int]) -> None:
    for name, part in zip(names, np.split(MATRIX, np.cumsum(sizes)[:-1]), strict=True):
        save(name, part)


@pytest.mark.parametrize("suffix", ["npy", "safetensors"])
@pytest.mark.parametrize(
    ("names", "sizes"),
    [
        (["only"], [12]),
        (["1", "2", "10"], [5, 3, 4]),
        (["part-0", "part-1", "part-2", "part-11"], [1, 0, 10, 1]),
        (["m-00001-of-00003", "m-00002-of-00003", "m-00003-of-00003"], [4, 4, 4]),
        (["m-0-of-2", "m-1-of-2"], [0, 12]),
        (["a", "B", "c"], [2, 2, 8]),
    ],
)
def test_shards_follow_each_other_in_natural_order(
    suffix: str, names: Sequence[str], sizes: Sequence[int]
) -> None:
    save_all([f"{name}.{suffix}" for name in names], sizes)
    Path("x/notes.txt").touch()
    Path("x/.hidden.npy").touch()
    Path("x/older").mkdir()
    opened = open_embedding("x")
    assert opened.shape == MATRIX.shape
    assert [Path(part.name).stem for part in opened.parts] == names
    for start in range(13):
        for stop in range(start, 13):
            np.testing.assert_array_equal(opened.rows(start, stop).numpy(), MATRIX[start:stop])
    np.testing.assert_array_equal(opened.read().numpy(), MATRIX)
    assert fingerprint("x") == fingerprint(MATRIX)


@given(sizes=st.lists(st.integers(0, 6), min_size=1, max_size=12), block=st.integers(1, 100))
def test_any_split_is_the_same_matrix(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], block: int
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    whole = np.random.default_rng(0).normal(size=(sum(sizes), 4)).astype(np.float16)
    for number, part in enumerate(np.split(whole, np.cumsum(sizes)[:-1])):
        np.save(folder / f"{number}.npy", part)
    opened = open_embedding(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("diptych.embed.embedding._BLOCK_BYTES", block)
        found = opened.read(dtype=torch.float32)
    assert torch.equal(found, torch.tensor(whole).float())
    assert fingerprint(opened) == fingerprint(whole)


def test_load_embedding_gives_one_array() -> None:
    save("0.npy", MATRIX)
    assert isinstance(load_embedding("x"), np.memmap)
    save("1.npy", MATRIX + 1)
    found = load_embedding("x")
    assert isinstance(found, np.ndarray)
    assert not isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, np.concatenate([MATRIX, MATRIX + 1]))


def test_load_embedding_gives_a_tensor_of_shards_of_tensors() -> None:
    for number in range(2):
        halves = torch.full((3, 2), number, dtype=torch.bfloat16)
        safetensors.torch.save_file({"x": halves, "y": torch.ones(1, 1)}, f"x/{number}.safetensors")
    found = load_embedding("x", key="x")
    assert found.dtype == torch.bfloat16
    assert torch.equal(found[:, 0], torch.tensor([0, 0, 0, 1, 1, 1]).bfloat16())
    with pytest.raises(ValueError, match=r"x/0\.safetensors: expected exactly one matrix"):
        load_embedding("x")


def write_index(weight_map: Any, name: str = "model.safetensors.index.json") -> None:
    (Path("x") / name).write_text(json.dumps({"metadata": {"total_size": 0}, "weight_map": weight_map}))


def indexed_folder() -> dict[str, str]:
    """Shards of two matrices, in files whose order is not theirs."""
    parts = np.split(MATRIX, 3)
    places = {}
    for file, numbers in (("second.safetensors", [0, 10]), ("first.safetensors", [2])):
        content = {}
        for number in numbers:
            content[f"image.{number}"] = torch.tensor(parts[[0, 2, 10].index(number)])
            content[f"text_{number}"] = -content[f"image.{number}"]
            content[f"count.{number}"] = torch.ones(4)
        safetensors.torch.save_file(content, f"x/{file}")
        places |= dict.fromkeys(content, file)
    write_index(places)
    return places


def test_an_index_tells_the_shards_of_a_matrix() -> None:
    indexed_folder()
    np.testing.assert_array_equal(open_embedding("x", "image").read().numpy(), MATRIX)
    np.testing.assert_array_equal(open_embedding("x", "text").read().numpy(), -MATRIX)
    with pytest.raises(ValueError, match=r"index\.json: expected shards of one matrix, found image, text"):
        open_embedding("x")
    with pytest.raises(ValueError, match=r"expected shards of a matrix 'sound', found image, text"):
        open_embedding("x", "sound")


def test_an_index_of_one_matrix_needs_no_key() -> None:
    safetensors.torch.save_file({"weight": torch.tensor(MATRIX)}, "x/model.safetensors")
    write_index({"weight": "model.safetensors"})
    np.testing.assert_array_equal(open_embedding("x").read().numpy(), MATRIX)


def test_damaged_indexes_are_named() -> None:
    places = indexed_folder()
    index = Path("x/model.safetensors.index.json")
    for content in ("", "[]", "{}", '{"weight_map": 3}', '{"weight_map": ["a"]}', "\udcff"):
        index.write_bytes(content.encode("utf-8", "surrogateescape"))
        with pytest.raises(ValueError, match=r"index\.json: expected JSON with a weight_map"):
            open_embedding("x")
    for file in (3, "../first.safetensors", "/etc/first.safetensors"):
        write_index({"image.0": file})
        with pytest.raises(ValueError, match=r"index\.json: expected names of files beside it"):
            open_embedding("x")
    write_index(places | {"image.11": "first.safetensors"})
    with pytest.raises(ValueError, match=r"index\.json: expected 'image\.11' in first\.safetensors, found"):
        open_embedding("x")
    write_index(places | {"image.11": "third.safetensors"})
    with pytest.raises(FileNotFoundError, match=r"third\.safetensors: no such file"):
        open_embedding("x")
    write_index({}, "other.safetensors.index.json")
    with pytest.raises(
        ValueError, match=r"x: expected one safetensors\.index\.json, found model.* and other"
    ):
        open_embedding("x")


def test_shards_that_differ_are_named() -> None:
    save("0.npy", MATRIX)
    save("1.npy", MATRIX)
    save("2.npy", MATRIX[:, :2])
    with pytest.raises(ValueError, match=r"x/2\.npy: expected 3 columns as x/0\.npy has, found 2"):
        open_embedding("x")
    save("2.npy", MATRIX.astype(np.float16))
    with pytest.raises(
        ValueError, match=r"x/2\.npy: expected torch\.float32 as x/0\.npy is, found torch\.float16"
    ):
        open_embedding("x")
    save("2.npy", MATRIX[:, 0])
    with pytest.raises(ValueError, match=r"x/2\.npy: expected a matrix \(n, d\), found shape \(12,\)"):
        open_embedding("x")
    Path("x/2.npy").write_bytes(b"")
    with pytest.raises(ValueError, match=r"x/2\.npy: not a readable \.npy file"):
        open_embedding("x")


def test_a_shard_cut_short_later_is_named() -> None:
    for number in range(3):
        save(f"{number}.npy", MATRIX)
    opened = open_embedding("x")
    with open("x/1.npy", "r+b") as file:
        file.truncate(100)
    assert len(opened.rows(0, 12)) == 12
    with pytest.raises(ValueError, match=r"^x/1\.npy: the file was cut short"):
        opened.read()


def test_two_kinds_of_shards_are_refused() -> None:
    save("0.npy", MATRIX)
    save("1.safetensors", MATRIX)
    with pytest.raises(ValueError, match=r"x: expected shards of one kind, found 0\.npy and 1\.safetensors"):
        open_embedding("x")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["e-1-of-3", "e-3-of-3"], "expected 3 shards, found 2: number 2 is missing"),
        (["e-0-of-2"], "expected 2 shards, found 1: number 1 is missing"),
        (["e-1-of-2", "e-2-of-2", "f-2-of-2"], "expected 2 shards, found 3: a number is there twice"),
        (
            ["e-1-of-2", "e-2-of-2", "e-3-of-2"],
            "expected 2 shards, found 3: a number is there twice or above",
        ),
        (["e-1-of-2", "e-2-of-3"], r"expected shards of 2 as e-1-of-2\.npy is, found e-2-of-3\.npy"),
        (["e-1-of-1", "rest"], r"expected shards of 1 as e-1-of-1\.npy is, found rest\.npy"),
    ],
)
def test_missing_shards_are_told(names: Sequence[str], words: str) -> None:
    for name in names:
        save(f"{name}.npy", MATRIX)
    with pytest.raises(ValueError, match=rf"^x: {words}"):
        open_embedding("x")


def test_a_folder_without_shards_is_refused() -> None:
    np.save("x/ids.npy", np.arange(3))
    np.save("x/0.ids.npy", np.arange(3))
    for read in (open_embedding, load_embedding):
        with pytest.raises(FileNotFoundError, match=r"x: no \.npy or \.safetensors file in this folder"):
            read("x")
