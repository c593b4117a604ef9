"""Memory maps, copied so that a file cut short is an error and no signal."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from diptych.embed.embedding import of_map
from diptych.embed.mapped import is_mapped

MATRIX = np.arange(1, 41, dtype=np.float32).reshape(8, 5)


VIEWS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "whole": lambda x: x,
    "tail": lambda x: x[3:],
    "every other row": lambda x: x[::2],
    "some columns": lambda x: x[:, 1:4:2],
    "one column": lambda x: x[:, 2:3],
    "backwards": lambda x: x[::-1, ::-1],
    "transposed": lambda x: x.T,
    "as plain array": np.asarray,
}


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float16", "float32", ">f8"])
def test_memory_maps_are_copied_as_they_are(view: str, order: str, dtype: str) -> None:
    np.save("x.npy", np.asarray(MATRIX, dtype=dtype, order=order))
    array = VIEWS[view](np.load("x.npy", mmap_mode="r"))
    assert is_mapped(array)
    opened = of_map("a", array)
    n = len(array)
    for start in range(n + 1):
        for stop in range(start, n + 1):
            np.testing.assert_array_equal(opened.rows(start, stop).numpy(), array[start:stop])
    np.testing.assert_array_equal(opened.read().numpy(), array)


def test_maps_that_were_written_to_are_copied_as_they_are() -> None:
    np.save("x.npy", MATRIX)
    own = np.load("x.npy", mmap_mode="c")
    own[2] = 7
    np.testing.assert_array_equal(of_map("a", own).read().numpy(), own)
    shared = np.load("x.npy", mmap_mode="r+")
    shared[3] = 8
    np.testing.assert_array_equal(of_map("a", shared).read().numpy(), shared)
    os.remove("x.npy")  # the map outlives the name
    np.testing.assert_array_equal(of_map("a", shared).read().numpy(), shared)


def test_other_arrays_are_no_maps() -> None:
    assert not is_mapped(MATRIX)
    assert not is_mapped(torch.tensor(MATRIX))
    assert not is_mapped([[1.0]])


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_map_cut_short_is_an_error_and_no_signal(order: str) -> None:
    script = """
        import os, sys, numpy as np
        from diptych.embed.embedding import of_map
        np.save("x.npy", np.ones((3000, 100), np.float32, order=sys.argv[1]))
        array = np.load("x.npy", mmap_mode="r")
        opened = of_map("a", array)
        for size in (1_200_000, 700_000, 0):  # in the last page, half, nothing
            os.truncate("x.npy", size)
            for attempt in (opened.read, lambda: opened.rows(2990, 3000), lambda: of_map("a", array)):
                try:
                    attempt()
                except ValueError as error:
                    print(error)
        if len(sys.argv) > 2:
            array.sum()
    """
    command = [sys.executable, "-c", textwrap.dedent(script), order]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert len(said) == 9
    for line, size in zip(said, [1_200_000] * 3 + [700_000] * 3 + [0] * 3, strict=True):
        assert line.startswith("a: ")
        assert line.endswith(
            f"x.npy behind the memory map was cut short: expected 1200128 bytes, found {size}"
        )
    # Touching the map does end the process, so the checks above could have failed.
    assert subprocess.run([*command, "touch"], capture_output=True).returncode < 0


@pytest.mark.usefixtures("small_blocks")
def test_a_map_cut_short_under_way_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.ones((64, 1024), np.float32)
    np.save("x.npy", rows)
    opened = of_map("a", np.load("x.npy", mmap_mode="r"))
    write, calls = os.pwrite, []

    def cutting(*arguments: Any) -> int:
        calls.append(arguments)
        if len(calls) == 3:
            os.truncate("x.npy", 5000)
        return write(*arguments)

    monkeypatch.setattr(os, "pwrite", cutting)
    with pytest.raises(ValueError, match=r"^a: .*x\.npy behind the memory map was cut short"):
        opened.read()
    assert len(calls) > 3


def test_maps_of_no_numbers_are_refused() -> None:
    np.save("x.npy", MATRIX.astype(np.complex64))
    with pytest.raises(TypeError, match="a: expected an array of real numbers, found dtype complex64"):
        of_map("a", np.load("x.npy", mmap_mode="r"))
    np.save("x.npy", MATRIX.ravel())
    with pytest.raises(ValueError, match=r"a: expected a matrix \(n, d\), found shape \(40,\)"):
        of_map("a", np.load("x.npy", mmap_mode="r"))
