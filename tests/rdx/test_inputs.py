"""Embeddings from files, folders and memory maps, ids held against each other, and files that shrink."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from by_definition import integer_pair, lists

from diptych.embed import open_embedding
from diptych.rdx import RDXResult, compare, gamma_sweep
from diptych.rdx.inputs import load_pair

pytestmark = pytest.mark.usefixtures("one_thread")

A, B = integer_pair()
IDS = np.array([f"item {number}" for number in range(90)])


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(a: Any, b: Any, **options: Any) -> RDXResult:
    return compare(a, b, n_explanations=2, progress=False, **options)


@pytest.fixture
def expected() -> RDXResult:
    return run(A, B)


def assert_same(found: RDXResult, expected: RDXResult) -> None:
    assert lists(found.a) == lists(expected.a)
    assert lists(found.b) == lists(expected.b)
    assert found.embeddings is not None
    np.testing.assert_array_equal(found.embeddings[0], A)
    np.testing.assert_array_equal(found.embeddings[1], B)


def test_folders_of_shards_are_compared_like_arrays(expected: RDXResult) -> None:
    os.mkdir("a")
    os.mkdir("b")
    for number, part in enumerate(np.array_split(A, 11)):
        np.save(f"a/{number}.npy", part.astype(np.float16))
    for number, part in enumerate(np.array_split(B, 3)):
        content = {"x": torch.tensor(part).bfloat16(), "y": torch.ones(3, 3)}
        safetensors.torch.save_file(content, f"b/{number}.safetensors")
    found = run("a", open_embedding("b", key="x"))
    assert_same(found, expected)
    assert found.embeddings is not None
    assert found.embeddings[0].dtype == found.embeddings[1].dtype == np.float32
    best, _ = gamma_sweep("a", open_embedding("b", key="x"), [0.1], n_explanations=2, progress=False)
    assert_same(best, expected)


def test_halves_are_widened_a_block_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    np.save("a.npy", A.astype(np.float16))
    safetensors.torch.save_file({"b": torch.tensor(B).bfloat16()}, "b.safetensors")
    sizes = []
    read = os.preadv

    def counting(descriptor: int, buffers: Any, offset: int) -> int:
        sizes.append(sum(map(len, buffers)))
        return read(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", counting)
    monkeypatch.setattr("diptych.embed.embedding._BLOCK_BYTES", 64)
    (a, b), _ = load_pair("a.npy", "b.safetensors", "auto", None)
    assert a.dtype == b.dtype == torch.float32
    np.testing.assert_array_equal(a.numpy(), A)
    np.testing.assert_array_equal(b.numpy(), B)
    assert max(sizes) <= 64
    assert sum(sizes) == 2 * (A.size + B.size)


@pytest.mark.parametrize("order", ["C", "F"])
def test_nothing_depends_on_the_files_once_they_are_read(order: Any) -> None:
    # In a process of its own: touching a page that is gone would end it.
    script = """
        import os, sys, numpy as np
        from diptych.rdx import compare, inputs, method
        rng = np.random.default_rng(0)
        for name in ("a", "b"):
            np.save(f"{name}.npy", np.asarray(rng.normal(size=(1500, 8)), order=sys.argv[1]))
        first, second = (np.load(f"{name}.npy", mmap_mode="r") for name in ("a", "b"))
        load_pair = inputs.load_pair
        def load_and_cut(*arguments):
            loaded = load_pair(*arguments)
            for name in ("a", "b"):
                os.truncate(f"{name}.npy", 0)
            return loaded
        method.load_pair = load_and_cut
        result = compare(first, "b.npy", n_explanations=2, progress=False)
        print(len(result.a.grids), os.path.getsize("a.npy"), result.embeddings[0].std() > 0.5)
        try:
            compare(first, first, progress=False)
        except ValueError as error:
            print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), order]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told, error = done.stdout.splitlines()
    assert told == "2 0 True"
    assert error.startswith("a: ")
    assert error.endswith("a.npy behind the memory map was cut short: expected 96128 bytes, found 0")


def test_a_file_cut_short_while_it_is_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    np.save("a.npy", A)
    np.save("b.npy", B)
    read = os.preadv

    def cutting(descriptor: int, buffers: Any, offset: int) -> int:
        os.truncate("b.npy", 1000)
        return read(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", cutting)
    with pytest.raises(ValueError, match=r"^b\.npy: the file was cut short while it was in use"):
        run("a.npy", "b.npy")


def test_shapes_are_compared_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    np.save("a.npy", A)
    np.save("b.npy", B[:-1])
    monkeypatch.setattr(os, "preadv", None)
    with pytest.raises(ValueError, match="a and b: expected the same items, found 90 and 89 rows"):
        run("a.npy", "b.npy")
    np.save("b.npy", B[:0])
    with pytest.raises(ValueError, match="b: expected at least one row and column"):
        run("a.npy", "b.npy")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_bad_values_in_files_are_named_by_their_row(value: float) -> None:
    bad = A.copy()
    bad[71, 1] = value
    np.save("a.npy", bad)
    np.save("b.npy", B)
    with pytest.raises(ValueError, match="a: expected finite numbers, found NaN or Inf in row 71"):
        run("a.npy", "b.npy")
    np.save("a.npy", np.ones_like(A))
    with pytest.raises(ValueError, match="a: all items have the same embedding"):
        run(np.load("a.npy", mmap_mode="r"), "b.npy")


def test_a_single_row_of_many_that_differs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diptych.rdx.inputs._BLOCK_BYTES", 100)
    flat = np.ones((500, 3))
    flat[-1, -1] = 2
    assert len(load_pair(flat, flat, None, None)[0][0]) == 500
    flat[-1, -1] = 1
    with pytest.raises(ValueError, match="a: all items have the same embedding"):
        load_pair(flat, flat, None, None)


def test_ids_beside_files_are_compared_and_kept(expected: RDXResult) -> None:
    np.savez("a.npz", x=A, ids=IDS)
    np.save("b.npy", B)
    Path("b.ids.txt").write_text("\n".join(IDS))
    for b in ("b.npy", open_embedding("b.npy")):
        found = run("a.npz", b)
        assert_same(found, expected)
        assert found.ids is not None
        np.testing.assert_array_equal(found.ids, IDS)
    frame = found.to_frame()
    assert frame["id"].tolist() == [f"item {item}" for item in frame["item"]]
    found.save("result.npz")
    np.testing.assert_array_equal(RDXResult.load("result.npz").ids, IDS)
    assert run("a.npz", "b.npy", ids=None).ids is None


def test_one_side_with_ids_names_the_items() -> None:
    np.savez("a.npz", x=A, ids=np.arange(90))
    for pair in (("a.npz", B), (B, "a.npz")):
        np.testing.assert_array_equal(run(*pair).ids, np.arange(90))


def test_items_without_ids_have_none(expected: RDXResult) -> None:
    assert expected.ids is None
    assert "id" not in expected.to_frame().columns
    expected.save("result.npz")
    assert RDXResult.load("result.npz").ids is None


def test_ids_are_given_with_arrays() -> None:
    np.save("ids.npy", np.arange(90))
    found = run(A, B, ids=(list(range(90)), "ids.npy"))
    np.testing.assert_array_equal(found.ids, np.arange(90))
    np.testing.assert_array_equal(run(A, B, ids=(None, IDS)).ids, IDS)


def test_ids_that_differ_are_refused_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    np.save("a.npy", A)
    np.save("b.npy", B)
    swapped = IDS.copy()
    swapped[[20, 21]] = swapped[[21, 20]]
    np.save("a.ids.npy", IDS)
    np.save("b.ids.npy", swapped)
    monkeypatch.setattr(os, "preadv", None)
    with pytest.raises(
        ValueError,
        match=r"^ids: a and b hold the same items in another order: 2 of 90 places differ, "
        r"first item 20: 'item 20' in a, 'item 21' in b$",
    ):
        run("a.npy", "b.npy")
    with pytest.raises(ValueError, match=r"^ids: a and b hold different items: 90 of 90 places differ"):
        run(A, B, ids=(np.arange(90), np.arange(1, 91)))


@pytest.mark.parametrize(
    ("ids", "error", "words"),
    [
        (IDS, TypeError, r"ids: expected 'auto', None or a pair \(ids of a, ids of b\), found array"),
        ("a.txt", TypeError, "ids: expected 'auto', None or a pair .* found 'a.txt'"),
        ((IDS,), TypeError, "ids: expected 'auto', None or a pair"),
        ((IDS, IDS[:-1]), ValueError, "ids of b: expected 90 ids, one per item, found 89"),
        ((IDS[None], None), ValueError, r"ids of a: expected one id per item \(n,\), found shape \(1, 90\)"),
        ((None, np.ones(90)), TypeError, "ids of b: expected ids of text or integers, found dtype float64"),
        (("absent.npy", None), FileNotFoundError, r"absent\.npy: no such file"),
    ],
)
def test_bad_ids_are_named(ids: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        run(A, B, ids=ids)


def test_ids_of_another_number_beside_a_file_are_named() -> None:
    np.save("a.npy", A)
    np.save("a.ids.npy", np.arange(7))
    with pytest.raises(ValueError, match=r"ids of a\.npy: expected 90 ids, one per item, found 7"):
        run("a.npy", B)
