"""Embedding matrices from files, without unpickling."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from diptych.embed import load_embedding, load_embeddings, save_embeddings
from diptych.embed.files import SUFFIXES, count_items

MATRIX = np.arange(12, dtype=np.float32).reshape(4, 3)


class Trap:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("unpickled"),))


WRITERS: dict[str, Callable[[str], object]] = {
    "x.npy": lambda path: np.save(path, MATRIX),
    "x.npz": lambda path: np.savez(path, embeddings=MATRIX),
    "packed.npz": lambda path: np.savez_compressed(path, embeddings=MATRIX, ids=np.arange(4)),
    "x.safetensors": lambda path: safetensors.numpy.save_file({"x": MATRIX}, path),
    "x.pt": lambda path: torch.save(torch.tensor(MATRIX), path),
    "dict.pt": lambda path: torch.save({"x": torch.tensor(MATRIX), "epoch": 3}, path),
    "parameter.pt": lambda path: torch.save(torch.nn.Parameter(torch.tensor(MATRIX)), path),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("kind", [str, Path])
def test_every_format_gives_its_matrix(name: str, kind: type) -> None:
    WRITERS[name](name)
    found = load_embedding(kind(name))
    if isinstance(found, torch.Tensor):
        found = found.detach().numpy()
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, MATRIX)
    assert count_items(kind(name)) == 4


def test_every_suffix_is_tried_above() -> None:
    assert {Path(name).suffix for name in WRITERS} == set(SUFFIXES)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float16", "float64", "int64", "uint8", ">f4"])
def test_npy_files_are_mapped_and_read_only(order: str, dtype: str) -> None:
    np.save("x.npy", np.asarray(MATRIX, dtype=dtype, order=order))
    found = load_embedding("x.npy")
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable
    np.testing.assert_array_equal(found, MATRIX)


def test_bfloat16_comes_through_torch_formats() -> None:
    halves = torch.tensor(MATRIX).bfloat16()
    safetensors.torch.save_file({"x": halves}, "x.safetensors")
    torch.save(halves, "x.pt")
    for name in ("x.safetensors", "x.pt"):
        assert torch.equal(load_embedding(name), halves)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pt"])
def test_one_of_several_is_chosen_by_key(suffix: str) -> None:
    arrays = {"first": MATRIX, "second": MATRIX + 1}
    path = "several" + suffix
    if suffix == ".npz":
        np.savez(path, **arrays)
    elif suffix == ".safetensors":
        safetensors.numpy.save_file(arrays, path)
    else:
        torch.save({name: torch.tensor(array) for name, array in arrays.items()}, path)
    np.testing.assert_array_equal(np.asarray(load_embedding(path, key="second")), MATRIX + 1)
    with pytest.raises(
        ValueError, match=rf"{path}: expected exactly one matrix, the file holds first, second"
    ):
        load_embedding(path)
    with pytest.raises(ValueError, match=rf"{path}: no array 'third', it holds first, second"):
        load_embedding(path, key="third")


def test_a_file_without_a_matrix_tells_what_it_holds() -> None:
    np.savez("x.npz", a=np.ones(3), b=np.ones((2, 2, 2)))
    with pytest.raises(ValueError, match=r"x\.npz: expected exactly one matrix, the file holds a, b"):
        load_embedding("x.npz")
    np.savez("none.npz")
    with pytest.raises(ValueError, match=r"none\.npz: .*the file holds nothing"):
        load_embedding("none.npz")


def test_pickles_are_refused_and_not_run() -> None:
    objects = np.array([[Trap()]], dtype=object)
    np.save("x.npy", objects, allow_pickle=True)
    np.savez("x.npz", allow_pickle=True, x=objects)
    torch.save(Trap(), "x.pt")
    torch.save({"x": torch.ones(2, 2), "extra": Trap()}, "dict.pt")
    Path("raw.pt").write_bytes(pickle.dumps(Trap(), protocol=2))  # torch's own
    Path("raw.npy").write_bytes(pickle.dumps(Trap()))
    Path("raw.npz").write_bytes(pickle.dumps(Trap()))
    for name in ("x.npy", "x.npz", "x.pt", "dict.pt", "raw.pt", "raw.npy", "raw.npz"):
        with pytest.raises(ValueError, match=rf"^{name}: not a readable \.{name.split('.')[1]} file"):
            load_embedding(name)
    assert not Path("unpickled").exists()
    # The trap works where unpickling is allowed, so the checks above could have failed.
    np.load("x.npy", allow_pickle=True)
    assert Path("unpickled").exists()


def test_a_saved_module_is_refused() -> None:
    torch.save(torch.nn.Linear(2, 2), "module.pt")
    with pytest.raises(ValueError, match=r"module\.pt: not a readable \.pt file"):
        load_embedding("module.pt")


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.safetensors", "x.pt"])
def test_damaged_files_are_named(name: str) -> None:
    WRITERS[name](name)
    whole = Path(name).read_bytes()
    for content in (b"", b"\x00" * 50, b"neither one nor the other", whole[: len(whole) // 2], whole[:-1]):
        Path(name).write_bytes(content)
        with pytest.raises(ValueError, match=rf"^{name}: not a readable \.{name[2:]} file: \S"):
            load_embedding(name)


@pytest.mark.parametrize("name", ["x.csv", "x", "x.npy.gz", "x.pth", "x.pkl"])
def test_other_endings_are_refused_with_those_wanted(name: str) -> None:
    Path(name).write_bytes(b"")
    with pytest.raises(ValueError, match=rf"{name}: expected a file ending in \.npy, \.npz, \.safetensors"):
        load_embedding(name)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_missing_files_and_folders_are_named(suffix: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"absent{suffix}: no such file"):
        load_embedding(f"absent{suffix}")
    Path(f"folder{suffix}").mkdir()
    with pytest.raises(FileNotFoundError, match=f"folder{suffix}"):
        load_embedding(f"folder{suffix}")


def test_embeddings_come_back_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "embeddings.safetensors"
    arrays = {"M_35": np.arange(6, dtype=np.float32).reshape(2, 3), "M_b": np.ones((2, 1), "f4")}
    save_embeddings(path, {**arrays, "turned": arrays["M_35"].T}, metadata={"seed": "0"})
    found, metadata = load_embeddings(path)
    assert metadata == {"seed": "0"}
    assert set(found) == {"M_35", "M_b", "turned"}
    np.testing.assert_array_equal(found["M_35"], arrays["M_35"])
    np.testing.assert_array_equal(found["turned"], arrays["M_35"].T)
    assert [entry.name for entry in path.parent.iterdir()] == ["embeddings.safetensors"]


def test_a_damaged_embedding_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    save_embeddings(path, {"M_b": np.ones((100, 8), np.float32)})
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"half\.safetensors: not a readable"):
        load_embeddings(path)
    with pytest.raises(FileNotFoundError):
        load_embeddings(tmp_path / "absent.safetensors")
