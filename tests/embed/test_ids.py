"""Ids of items: where they are found, and how differences are told."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from diptych.embed import find_ids, load_ids
from diptych.embed.ids import check_count, check_same_ids

X = np.ones((3, 2), np.float32)
NUMBERS = np.array([7, 5, 9])
WORDS = ["a b", "c", "ü"]


@pytest.fixture(autouse=True)
def a_folder_for_shards(in_a_folder_of_its_own: None) -> None:
    Path("folder").mkdir()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (WORDS, WORDS),
        (tuple(WORDS), WORDS),
        (np.array(WORDS, dtype=object), WORDS),
        (np.array([word.encode() for word in WORDS]), WORDS),
        (NUMBERS.tolist(), NUMBERS),
        (NUMBERS.astype(np.uint8), NUMBERS),
        (NUMBERS.astype(object), NUMBERS),
        (torch.tensor(NUMBERS), NUMBERS),
        (np.array([2**64 - 1], np.uint64), np.array([2**64 - 1], np.uint64)),
        ([], []),
    ],
)
def test_ids_come_from_sequences(source: Any, expected: Any) -> None:
    if len(source) == 0:
        source = np.array(source, dtype=str)
    found = load_ids(source)
    assert found.dtype.kind == "U" if len(expected) == 0 else np.asarray(expected).dtype.kind
    assert found.tolist() == list(expected)
    assert found.dtype in (np.int64, np.uint64) or found.dtype.kind == "U"


def test_ids_come_from_files() -> None:
    np.save("x.npy", NUMBERS)
    assert load_ids("x.npy").tolist() == [7, 5, 9]
    np.save("words.npy", WORDS)
    assert load_ids(Path("words.npy")).tolist() == WORDS
    for text in ("a b\nc\nü", "a b\nc\nü\n", "\ufeffa b\r\nc\r\nü\r\n"):
        Path("x.txt").write_bytes(text.encode())
        assert load_ids("x.txt").tolist() == WORDS


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        (np.ones((2, 2), int), ValueError, r"ids: expected one id per item \(n,\), found shape \(2, 2\)"),
        (7, ValueError, r"ids: expected one id per item \(n,\), found shape \(\)"),
        ([1.5], TypeError, "ids: expected ids of text or integers, found dtype float64"),
        ([True], TypeError, "ids: expected ids of text or integers, found dtype bool"),
        (np.array([1, "a", None], dtype=object), TypeError, "text or integers, found NoneType, int, str"),
        (np.array([b"\xff"]), ValueError, "ids: expected ids in UTF-8"),
        ("x.csv", ValueError, r"x\.csv: expected ids in a \.npy or \.txt file"),
        ("absent.npy", FileNotFoundError, r"absent\.npy: no such file"),
        ("bytes.txt", ValueError, r"bytes\.txt: not a text file in UTF-8"),
        ("gap.txt", ValueError, r"gap\.txt: expected an id in each line, found line 2 empty"),
        ("empty.txt", ValueError, r"empty\.txt: expected an id in each line, found line 1 empty"),
        ("bytes.npy", ValueError, r"bytes\.npy: not a readable \.npy file"),
        ("pickled.npy", ValueError, r"pickled\.npy: not a readable \.npy file"),
        ("archive.npy", ValueError, r"archive\.npy: expected one array of ids, found an archive"),
        ("floats.npy", TypeError, r"floats\.npy: expected ids of text or integers, found dtype float64"),
    ],
)
def test_bad_ids_are_refused(source: Any, error: type[Exception], words: str) -> None:
    for name in ("bytes.txt", "bytes.npy"):
        Path(name).write_bytes(b"\xff\xfe")
    Path("gap.txt").write_text("a\n\nb\n")
    Path("empty.txt").touch()
    np.save("pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save("floats.npy", np.ones(3))
    with open("archive.npy", "wb") as file:
        np.savez(file, x=NUMBERS)
    with pytest.raises(error, match=words):
        load_ids(source)


def save_npy_and(name: str, content: Any) -> None:
    np.save("x.npy", X)
    Path(name).write_text(content) if name.endswith("txt") else np.save(name, content)


PLACES: dict[str, Callable[[], object]] = {
    "x.npy": lambda: save_npy_and("x.ids.npy", NUMBERS),
    "./x.npy": lambda: save_npy_and("x.ids.txt", "7\n5\n9\n"),
    "x.npz": lambda: np.savez("x.npz", x=X, ids=NUMBERS),
    "words.npz": lambda: np.savez("words.npz", x=X, ids=np.array(["7", "5", "9"])),
    "x.safetensors": lambda: safetensors.torch.save_file(
        {"x": torch.tensor(X), "ids": torch.tensor(NUMBERS)}, "x.safetensors"
    ),
    "x.pt": lambda: torch.save({"x": torch.tensor(X), "ids": torch.tensor(NUMBERS)}, "x.pt"),
    "list.pt": lambda: torch.save({"x": torch.tensor(X), "ids": ["7", "5", "9"]}, "list.pt"),
}


@pytest.mark.parametrize("path", PLACES)
def test_ids_are_found_in_and_beside_files(path: str) -> None:
    PLACES[path]()
    found = find_ids(path)
    assert found is not None
    assert list(map(str, found)) == ["7", "5", "9"]


def test_files_without_ids_have_none() -> None:
    np.save("x.npy", X)
    np.savez("x.npz", x=X)
    torch.save(torch.tensor(X), "x.pt")
    safetensors.torch.save_file({"x": torch.tensor(X)}, "x.safetensors")
    np.save("folder/0.npy", X)
    Path("x.ids.npy").mkdir()
    for path in ("x.npy", "x.npz", "x.pt", "x.safetensors", "folder"):
        assert find_ids(path) is None


def test_ids_in_two_places_are_refused() -> None:
    PLACES["x.npz"]()
    np.save("x.ids.npy", NUMBERS)
    with pytest.raises(ValueError, match=r"ids: found in x\.npz and in x\.ids\.npy; keep one of them"):
        find_ids("x.npz")
    np.save("folder/0.npy", X)
    np.save("folder/0.ids.npy", NUMBERS)
    np.save("folder/ids.npy", NUMBERS)
    with pytest.raises(ValueError, match=r"ids: found in folder/ids\.npy and in the shards of folder"):
        find_ids("folder")


@pytest.mark.parametrize(("name", "content"), [("ids.npy", NUMBERS), ("ids.txt", "7\n5\n9")])
def test_a_folder_has_ids_of_its_own(name: str, content: Any) -> None:
    np.save("folder/0.npy", X)
    Path("folder", name).write_text(content) if name == "ids.txt" else np.save(f"folder/{name}", content)
    found = find_ids("folder")
    assert found is not None
    assert list(map(str, found)) == ["7", "5", "9"]


def test_ids_of_shards_are_joined_in_their_order() -> None:
    for number in (10, 2, 1):
        np.save(f"folder/{number}.npy", X)
        np.save(f"folder/{number}.ids.npy", 100 * number + NUMBERS)
    found = find_ids("folder")
    assert found is not None
    assert found.tolist() == [107, 105, 109, 207, 205, 209, 1007, 1005, 1009]
    Path("folder/2.ids.npy").unlink()
    with pytest.raises(ValueError, match=r"folder: expected ids of every shard or of none, 2\.npy has none"):
        find_ids("folder")
    Path("folder/2.ids.txt").write_text("u\nv\nw")
    found = find_ids("folder")
    assert found is not None
    assert found.tolist() == ["107", "105", "109", "u", "v", "w", "1007", "1005", "1009"]


def test_joined_integers_stay_exact() -> None:
    for number, ids in enumerate((np.array([2**64 - 1], np.uint64), np.array([-1]))):
        np.save(f"folder/{number}.npy", X[:1])
        np.save(f"folder/{number}.ids.npy", ids)
    found = find_ids("folder")
    assert found is not None
    assert found.tolist() == ["18446744073709551615", "-1"]


def test_ids_of_shards_of_tensors_are_joined() -> None:
    index = {}
    for number in range(2):
        content = {f"x.{number}": torch.tensor(X), f"ids.{number}": torch.tensor(NUMBERS + number)}
        safetensors.torch.save_file(content, f"folder/{number}.safetensors")
        index |= dict.fromkeys(content, f"{number}.safetensors")
    Path("folder/x.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    found = find_ids("folder")
    assert found is not None
    assert found.tolist() == [7, 5, 9, 8, 6, 10]
    content = {name: file for name, file in index.items() if name.startswith("x")}
    Path("folder/x.safetensors.index.json").write_text(json.dumps({"weight_map": content}))
    assert find_ids("folder") is None


def test_unreadable_files_are_named() -> None:
    for name in ("x.npz", "x.pt", "x.safetensors"):
        Path(name).write_bytes(b"nothing")
        with pytest.raises(ValueError, match=rf"{name}: "):
            find_ids(name)
    np.savez("x.npz", x=X, ids=X)
    with pytest.raises(ValueError, match=r"x\.npz: ids: expected one id per item"):
        find_ids("x.npz")
    for name in ("absent.npz", "absent.pt", "absent.safetensors"):
        with pytest.raises(FileNotFoundError, match=name):
            find_ids(name)


def test_equal_ids_pass() -> None:
    check_same_ids(NUMBERS, NUMBERS.copy())
    check_same_ids(NUMBERS, NUMBERS.astype(np.uint64))
    check_same_ids(NUMBERS, np.array(["7", "5", "9"]))
    check_same_ids(np.array(WORDS), np.array([*WORDS, "a longer one"])[:3])
    check_same_ids(np.array([], str), np.array([], str))
    check_count(NUMBERS, 3, "x")


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (
            np.array(["u", "v", "w", "x"]),
            np.array(["u", "w", "v", "x"]),
            "same items in another order: 2 of 4 places differ, first item 1: 'v' in a, 'w' in b",
        ),
        (
            NUMBERS,
            np.array([7, 5, 8]),
            "hold different items: 1 of 3 places differ, first item 2: 9 in a, 8 in b",
        ),
        (NUMBERS, np.array(["7", "05", "9"]), "a and b hold different items: .* item 1: '5' in a, '05' in b"),
        (np.array([3, 3, 4]), np.array([3, 4, 4]), "a and b hold different items: .* item 1: 3 in a, 4 in b"),
        (NUMBERS, NUMBERS[:2], "expected the same items in a and b, found 3 and 2"),
        (
            np.array([2**53, 1]),
            np.array([2**53 + 1, 1], np.uint64),
            "hold different items: 1 of 2 places differ, first item 0: 9007199254740992 in a",
        ),
    ],
)
def test_differences_are_told_with_their_first_place(a: Any, b: Any, words: str) -> None:
    with pytest.raises(ValueError, match=rf"^ids: .*{words}"):
        check_same_ids(a, b)


def test_a_wrong_number_of_ids_is_refused() -> None:
    with pytest.raises(ValueError, match=r"x\.txt: expected 4 ids, one per item, found 3"):
        check_count(NUMBERS, 4, "x.txt")
