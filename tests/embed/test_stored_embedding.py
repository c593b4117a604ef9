"""Matrices read in pieces: every layout of one file, and files that shrink or change meanwhile."""

import os
import struct
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from diptych.embed import StoredEmbedding, fingerprint, load_embedding, open_embedding

MATRIX = np.arange(1, 41, dtype=np.float32).reshape(8, 5)
TENSOR_DTYPES = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8"]


def every_slice(opened: StoredEmbedding, expected: np.ndarray) -> None:
    n = len(expected)
    for start in range(n + 1):
        for stop in range(start, n + 1):
            found = opened.rows(start, stop)
            assert found.is_contiguous()
            np.testing.assert_array_equal(found.numpy(), expected[start:stop])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    "dtype",
    ["float16", "float32", "float64", "int8", "uint16", "int64", "uint64", "bool", ">f4", ">i8", ">f2"],
)
def test_npy_files_give_any_rows(order: str, dtype: str) -> None:
    expected = np.asarray(MATRIX, dtype=dtype, order=order)
    np.save("x.npy", expected)
    opened = open_embedding("x.npy")
    assert opened.shape == (8, 5)
    assert len(opened) == 8
    assert str(opened.dtype) == f"torch.{np.dtype(dtype).newbyteorder('=')}"
    every_slice(opened, expected)
    np.testing.assert_array_equal(opened.read().numpy(), expected)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("dtype", TENSOR_DTYPES)
def test_safetensors_keep_their_dtype_until_it_is_asked_for(dtype: str) -> None:
    expected = torch.tensor(MATRIX).to(getattr(torch, dtype))
    safetensors.torch.save_file({"other": torch.ones(3), "x": expected}, "x.safetensors")
    opened = open_embedding(Path("x.safetensors"))
    assert opened.dtype == expected.dtype
    assert torch.equal(opened.rows(3, 6), expected[3:6])
    assert torch.equal(opened.read(), expected)
    wide = opened.read(dtype=torch.float64, device="cpu")
    assert wide.dtype == torch.float64
    assert torch.equal(wide, expected.double())
    assert repr(opened) == f"StoredEmbedding('x.safetensors', shape=(8, 5), dtype=torch.{dtype})"


def test_large_halves_are_read_as_they_are() -> None:
    # Beyond the size from which the float types are allocated by numpy, which has no bfloat16.
    halves = torch.ones(1 << 12, 1 << 10, dtype=torch.bfloat16)
    safetensors.torch.save_file({"x": halves}, "x.safetensors")
    assert torch.equal(open_embedding("x.safetensors").read(), halves)


def test_one_matrix_of_several_is_chosen_by_key() -> None:
    first, second = torch.zeros(2, 2), torch.ones(3, 3)
    safetensors.torch.save_file({"first": first, "second": second}, "x.safetensors")
    assert torch.equal(open_embedding("x.safetensors", "second").read(), second)
    with pytest.raises(ValueError, match=r"x\.safetensors: expected exactly one matrix, .* first, second"):
        open_embedding("x.safetensors")
    with pytest.raises(ValueError, match=r"x\.safetensors: no array 'third', it holds first, second"):
        open_embedding("x.safetensors", "third")


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 2), (0, 9), (9, 9)])
def test_rows_outside_the_matrix_are_refused(start: int, stop: int) -> None:
    np.save("x.npy", MATRIX)
    with pytest.raises(IndexError, match=rf"x\.npy: expected 0 <= start <= stop <= 8, found {start}, {stop}"):
        open_embedding("x.npy").rows(start, stop)


def sparse_npy(path: str, shape: tuple[int, ...], dtype: str = "<f4") -> None:
    """A .npy file of zeros that takes no room on the disk."""
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + int(np.prod(shape)) * np.dtype(dtype).itemsize)


def sparse_safetensors(path: str, n: int, d: int) -> None:
    header = f'{{"x":{{"dtype":"F16","shape":[{n},{d}],"data_offsets":[0,{2 * n * d}]}}}}'.encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(file.tell() + 2 * n * d)


@pytest.mark.parametrize("suffix", ["npy", "safetensors"])
def test_opening_reads_nothing_but_headers(suffix: str) -> None:
    n, d = 1 << 26, 1 << 10  # 128 and 256 GiB, more than there is memory
    (sparse_npy(f"x.{suffix}", (n, d)) if suffix == "npy" else sparse_safetensors(f"x.{suffix}", n, d))
    opened = open_embedding(f"x.{suffix}")
    assert opened.shape == (n, d)
    assert torch.equal(opened.rows(n - 2, n), torch.zeros(2, d, dtype=opened.dtype))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("suffix", ["npy", "safetensors"])
def test_reading_takes_no_memory_but_the_result(suffix: str) -> None:
    n, d = 1 << 18, 1 << 7
    sparse_npy("x.npy", (n, d), "<f2") if suffix == "npy" else sparse_safetensors("x.safetensors", n, d)
    script = """
        import sys, torch
        from diptych.embed import open_embedding
        from diptych.ops import _checks
        opened = open_embedding(sys.argv[1])
        opened.rows(0, 9).float()  # torch has its threads and buffers
        def resident(field):
            lines = open("/proc/self/status").read().splitlines()
            return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])
        before = resident("VmRSS")
        open("/proc/self/clear_refs", "w").write("5")  # the high-water mark starts again
        _checks.finite("x", opened.read(dtype=torch.float32))
        print(resident("VmHWM") - before)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), f"x.{suffix}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    # The result, 128 MiB of float32; a block of halves is 8 MiB, another may still be on its way back.
    assert 0.9 < int(done.stdout) / (4 * n * d) < 1.2


WRITERS: dict[str, Callable[[str], object]] = {
    "x.npy": lambda path: np.save(path, MATRIX),
    "fortran.npy": lambda path: np.save(path, np.asfortranarray(MATRIX)),
    "x.safetensors": lambda path: safetensors.torch.save_file({"x": torch.tensor(MATRIX)}, path),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("size", [-1, 0, 150])
def test_a_file_cut_short_after_opening_is_an_error(name: str, size: int) -> None:
    WRITERS[name](name)
    opened = open_embedding(name)
    whole = os.path.getsize(name)
    size = size % whole
    os.truncate(name, size)
    words = rf"^{name}: the file was cut short while it was in use, from {whole} to {size} bytes$"
    for read in (lambda: opened.rows(0, 1), opened.read, lambda: fingerprint(opened)):
        with pytest.raises(ValueError, match=words):
            read()


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", WRITERS)
def test_a_file_cut_short_under_way_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    WRITERS[name](name)
    opened = open_embedding(name)
    read, calls = os.preadv, []

    def cutting(descriptor: int, buffers: Any, offset: int) -> int:
        calls.append(offset)
        if len(calls) == 3:
            os.truncate(name, offset + 4)
        return read(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", cutting)
    with pytest.raises(ValueError, match=rf"^{name}: the file was cut short while it was in use, from "):
        opened.read()
    assert len(calls) >= 3


def test_a_read_that_ends_early_is_an_error_whatever_the_size_says(monkeypatch: pytest.MonkeyPatch) -> None:
    np.save("x.npy", MATRIX)
    opened = open_embedding("x.npy")
    monkeypatch.setattr(os, "preadv", lambda *_: 0)
    with pytest.raises(ValueError, match=r"^x\.npy: expected 160 more bytes at 128, found the file's end$"):
        opened.read()


def test_reads_in_several_parts_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    # The kernel gives at most 2 GiB a call, and fewer bytes where it likes.
    np.save("x.npy", MATRIX)
    read = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, buffers, at: read(file, [buffers[0][:7]], at))
    np.testing.assert_array_equal(open_embedding("x.npy").read().numpy(), MATRIX)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_was_written_anew_is_an_error(name: str) -> None:
    WRITERS[name](name)
    opened = open_embedding(name)
    os.utime(name, ns=(1, 1))
    with pytest.raises(ValueError, match=rf"^{name}: the file was changed while it was in use$"):
        opened.rows(0, 1)
    opened = open_embedding(name)
    WRITERS[name]("new")
    os.replace("new.npy" if name.endswith("npy") else "new", name)
    with pytest.raises(ValueError, match=rf"^{name}: the file was changed while it was in use$"):
        opened.rows(0, 1)
    os.remove(name)
    with pytest.raises(FileNotFoundError, match=name):
        opened.rows(0, 1)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.ones(3), r"x\.npy: expected a matrix \(n, d\), found shape \(3,\)"),
        (np.ones((2, 2, 2)), r"x\.npy: expected a matrix \(n, d\), found shape \(2, 2, 2\)"),
        (np.float32(1), r"x\.npy: not a readable \.npy file: it holds a single number"),
        (np.array([["a"]]), r"x\.npy: not a readable \.npy file: expected real numbers, found dtype <U1"),
        (np.ones((2, 2), np.complex64), "expected real numbers, found dtype complex64"),
        (np.ones((2, 2), np.longdouble), "torch has no equivalent of dtype float128"),
        (np.array([[{}]], dtype=object), r"x\.npy: not a readable \.npy file: expected real numbers"),
        (np.zeros((2, 2), [("項", "f4")]), r"x\.npy: not a readable \.npy file: version \(3, 0\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
def test_what_is_no_matrix_is_refused(array: Any, words: str) -> None:
    np.save("x.npy", array)
    with pytest.raises(ValueError, match=words):
        open_embedding("x.npy")


@pytest.mark.parametrize("name", WRITERS)
def test_damaged_files_are_named(name: str) -> None:
    WRITERS[name](name)
    whole = Path(name).read_bytes()
    suffix = name.partition(".")[2]
    for content in (b"", b"\x00" * 50, b"neither one nor the other", whole[: len(whole) // 2], whole[:-1]):
        Path(name).write_bytes(content)
        with pytest.raises(ValueError, match=rf"^{name}: not a readable \.{suffix} file: \S"):
            open_embedding(name)


def safetensors_of(header: str, size: int) -> bytes:
    return struct.pack("<Q", len(header)) + header.encode() + bytes(size)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ('"F32","shape":[2,3],"data_offsets":[0,20]', "has bytes 0 to 20"),
        ('"F32","shape":[-2,-3],"data_offsets":[0,24]', "expected counts in its header, found -2"),
        ('"F32","shape":[2.0,3],"data_offsets":[0,24]', r"expected counts in its header, found 2\.0"),
        ('"F32","shape":[true,6],"data_offsets":[0,24]', "expected counts in its header, found True"),
        ('"F32","shape":[2,3],"data_offsets":[-4,20]', "expected counts in its header, found -4"),
        ('"F32","shape":[2,3],"data_offsets":[4,28]', r"expected \d+ bytes, found"),
        ('"F32","shape":[2,3]', "data_offsets"),
    ],
)
def test_headers_that_contradict_themselves_are_refused(entry: str, words: str) -> None:
    Path("x.safetensors").write_bytes(safetensors_of(f'{{"x":{{"dtype":{entry}}}}}', 24))
    with pytest.raises(ValueError, match=rf"^x\.safetensors: not a readable \.safetensors file: .*{words}"):
        open_embedding("x.safetensors")


def test_negative_shapes_are_refused() -> None:
    with open("x.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (-2, 3)})
    with pytest.raises(ValueError, match=r"x\.npy: .*expected counts in its header, found -2"):
        open_embedding("x.npy")


@given(
    name=st.sampled_from(sorted(WRITERS)),
    edits=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_damage_is_an_error_that_names_the_file_or_is_none(
    tmp_path_factory: pytest.TempPathFactory, name: str, edits: list[tuple[int, int]]
) -> None:
    path = str(tmp_path_factory.mktemp("damaged") / name)
    WRITERS[name](path)
    content = bytearray(Path(path).read_bytes())
    for place, value in edits:
        content[place % min(len(content), 140)] = value
    Path(path).write_bytes(content)
    told = path
    try:
        opened = open_embedding(path)
        found = tuple(opened.read().shape) == opened.shape
    except ValueError as error:
        told, found = str(error), True
    assert found
    assert told.startswith(path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_matrices_are_read_to_any_device(device: torch.device, dtype: torch.dtype) -> None:
    safetensors.torch.save_file({"x": torch.tensor(MATRIX).half()}, "x.safetensors")
    found = open_embedding("x.safetensors").read(dtype=dtype, device=device)
    assert found.device.type == device.type
    assert torch.equal(found.cpu(), torch.tensor(MATRIX, dtype=dtype))


def test_dtypes_unknown_here_are_refused() -> None:
    header = b'{"x":{"dtype":"F8_E8M0","shape":[1,2],"data_offsets":[0,2]}}'
    Path("x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0\0")
    with pytest.raises(
        ValueError, match=r"x\.safetensors: .*array 'x' has dtype F8_E8M0, expected one of F64"
    ):
        open_embedding("x.safetensors")


@pytest.mark.parametrize("name", ["x.npz", "x.pt", "x", "x.csv"])
def test_files_that_are_read_whole_are_refused(name: str) -> None:
    Path(name).touch()
    with pytest.raises(ValueError, match=rf"{name}: expected a folder, \.npy or \.safetensors"):
        open_embedding(name)


@pytest.mark.parametrize("name", ["absent.npy", "absent.safetensors"])
def test_missing_files_are_named(name: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"{name}: no such file"):
        open_embedding(name)


@given(
    n=st.integers(0, 9),
    d=st.integers(0, 5),
    dtype=st.sampled_from(["<f2", ">f4", "<f8", "|i1", ">u2", "|b1"]),
    order=st.sampled_from("CF"),
    content=st.randoms(use_true_random=False),
)
def test_rows_agree_with_numpy(
    tmp_path_factory: pytest.TempPathFactory, n: int, d: int, dtype: str, order: Any, content: Any
) -> None:
    path = tmp_path_factory.mktemp("any") / "x.npy"
    raw = bytes(content.choice(b"\0\1") for _ in range(n * d * np.dtype(dtype).itemsize))
    expected = np.asarray(np.frombuffer(raw, dtype).reshape(n, d), order=order)
    np.save(path, expected)
    opened = open_embedding(path)
    start = content.randint(0, n)
    stop = content.randint(start, n)
    assert opened.shape == (n, d)
    np.testing.assert_array_equal(opened.rows(start, stop).numpy(), expected[start:stop])
    assert (
        fingerprint(opened) == fingerprint(expected) == fingerprint(torch.tensor(expected.astype(dtype[1:])))
    )


def test_load_embedding_is_safe_from_files_of_safetensors_that_shrink() -> None:
    WRITERS["x.safetensors"]("x.safetensors")
    found = load_embedding("x.safetensors")
    os.truncate("x.safetensors", 0)
    np.testing.assert_array_equal(found.numpy(), MATRIX)
