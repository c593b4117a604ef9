"""The content of a matrix by a short name."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from diptych.embed import fingerprint, open_embedding

X = np.random.default_rng(0).normal(size=(3000, 700)).astype(np.float32)  # nine leaves


def test_the_same_matrix_has_the_same_fingerprint_wherever_it_lies() -> None:
    np.save("x.npy", X)
    np.save("fortran.npy", np.asfortranarray(X))
    np.save("big.npy", X.astype(">f4"))
    np.savez("x.npz", x=X)
    torch.save(torch.tensor(X), "x.pt")
    safetensors.torch.save_file({"x": torch.tensor(X), "y": torch.ones(2, 2)}, "x.safetensors")
    sources: list[Any] = [
        X,
        X[::-1][::-1],
        torch.tensor(X, requires_grad=True),
        torch.tensor(X.T.copy()).T,
        "x.npy",
        Path("fortran.npy"),
        "big.npy",
        "x.npz",
        "x.pt",
        np.load("x.npy", mmap_mode="r"),
        np.load("fortran.npy", mmap_mode="r"),
        open_embedding("x.npy"),
    ]
    expected = fingerprint("x.safetensors", key="x")
    assert len(expected) == 32
    assert {fingerprint(source) for source in sources} == {expected}


def test_it_is_the_same_in_every_version_and_on_every_machine() -> None:
    # Of one leaf: BLAKE2b of the rows' bytes, hashed after the shape and the dtype.
    assert fingerprint(np.arange(6, dtype=np.float32).reshape(2, 3)) == "2ddaff6e0dd035ec3590ac6bb805dd90"


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_do_not_change_it(threads: int, keep_threads: None) -> None:
    torch.set_num_threads(threads)
    assert fingerprint(X) == fingerprint(torch.tensor(X))


def test_every_bit_counts() -> None:
    seen = {fingerprint(X), fingerprint(X.reshape(700, 3000)), fingerprint(X.view(np.int32))}
    seen |= {fingerprint(X[:-1]), fingerprint(X[:, :-1]), fingerprint(X.astype(np.float64))}
    for row, column in ((0, 0), (373, 699), (374, 0), (2999, 699)):
        changed = X.copy()
        changed.view(np.uint8)[row, 4 * column] ^= 1
        seen.add(fingerprint(changed))
    assert len(seen) == 10
    empty = [np.ones(shape) for shape in ((0, 3), (3, 0), (0, 4))]
    assert len({fingerprint(each) for each in empty}) == 3


def test_what_is_no_matrix_is_refused() -> None:
    with pytest.raises(ValueError, match=r"source: expected a matrix \(n, d\), found shape \(3,\)"):
        fingerprint(np.ones(3))
    with pytest.raises(TypeError, match="source: expected an array of real numbers"):
        fingerprint([["a"]])
    with pytest.raises(FileNotFoundError, match=r"absent\.npy"):
        fingerprint("absent.npy")


def test_a_file_cut_short_under_way_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    np.save("x.npy", X)
    opened = open_embedding("x.npy")
    read = os.preadv

    def cutting(descriptor: int, buffers: Any, offset: int) -> int:
        if offset > 5_000_000:
            os.truncate("x.npy", 5_000_000)
        return read(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", cutting)
    with pytest.raises(ValueError, match=r"^x\.npy: the file was cut short while it was in use"):
        fingerprint(opened)
