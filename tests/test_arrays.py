"""Every kind of array at the door of diptych.ops, and every kind that has to stay outside."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from helpers import gaussian, integers, rank_matrix
from hypothesis import given
from hypothesis import strategies as st

from diptych import ops
from diptych.ops import _checks
from diptych.ops._arrays import floating, to_output, to_tensor

X = integers(33, 6, 9, 1).numpy()


def backwards(x: np.ndarray) -> np.ndarray:
    return x[::-1, ::-1].copy()[::-1, ::-1]


def every_other(x: np.ndarray) -> np.ndarray:
    return np.repeat(np.repeat(x, 2, 0), 3, 1)[::2, ::3]


def read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


def packed_field(x: np.ndarray) -> np.ndarray:
    """A view whose strides are no multiple of the element's size."""
    records = np.zeros(len(x), dtype=[("flag", "i1"), ("values", x.dtype, x.shape[1:])])
    records["values"] = x
    return records["values"]


def test_a_single_row_seen_backwards() -> None:
    """numpy calls it contiguous all the same."""
    row = np.ones((1, 4), np.float32)[::-1]
    assert row.flags.c_contiguous
    assert row.strides[0] < 0
    np.testing.assert_array_equal(ops.pairwise_distances(row, row + 1), [[2]])


LAYOUTS: dict[str, Callable[[np.ndarray], Any]] = {
    "Fortran order": np.asfortranarray,
    "negative strides": backwards,
    "strided view": every_other,
    "read-only": read_only,
    "packed field": packed_field,
    "foreign byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "list": lambda x: x.astype(np.float64).tolist(),
    "matrix subclass": lambda x: x.view(np.memmap),
}

OPS: dict[str, Callable[[Any], Any]] = {
    "pairwise_distances": ops.pairwise_distances,
    "cosine": lambda x: ops.pairwise_distances(x, metric="cosine"),
    "neighbor_ranks": ops.neighbor_ranks,
    "kmeans": lambda x: ops.kmeans(x, 3).labels,
    "mutual_knn": lambda x: ops.mutual_knn(x, x, 3),
    "knn": lambda x: ops.knn(x, 3).distances,
    "linear_cka": lambda x: ops.linear_cka(x, X[:, :3].copy()),
}

MATRIX_OPS: dict[str, Callable[[Any], Any]] = {
    "ranks of distances": lambda f: ops.neighbor_ranks(distances=f),
    "locally_biased_difference": lambda f: ops.locally_biased_difference(f, AFFINITY),
    "difference_affinity": lambda f: ops.difference_affinity(f, AFFINITY)[0],
    "knn_affinity": lambda f: ops.knn_affinity(f, np.arange(33) % 2, 3).neighbors,
    "spectral_embedding": lambda f: ops.spectral_embedding(f, 3).coordinates,
    "spectral_clusters": lambda f: ops.spectral_clusters(f, 3),
    "normalized_cut": lambda f: ops.normalized_cut(f, np.arange(33) % 3),
}
AFFINITY = (rank_matrix(33, 1) + rank_matrix(33, 1).T).float().numpy()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", OPS)
def test_layouts_of_embeddings(name: str, layout: str) -> None:
    given = LAYOUTS[layout](X)
    before = np.array(given)
    found, expected = OPS[name](given), OPS[name](X)
    assert isinstance(found, type(expected))
    # A list of Python floats is float64; its results are those of float32 to float32's rounding.
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(np.array(given), before)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", MATRIX_OPS)
def test_layouts_of_matrices(name: str, layout: str) -> None:
    given = LAYOUTS[layout](AFFINITY)
    before = np.array(given)
    found, expected = MATRIX_OPS[name](given), MATRIX_OPS[name](AFFINITY)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(np.array(given), before)


@pytest.mark.parametrize("name", OPS)
def test_a_read_only_memory_map(name: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(OPS[name](mapped), OPS[name](X))


@pytest.mark.parametrize("name", ["pairwise_distances", "neighbor_ranks", "kmeans"])
@pytest.mark.parametrize("layout", ["transposed", "strided", "expanded", "grad"])
def test_layouts_of_tensors(name: str, layout: str) -> None:
    x = torch.from_numpy(X)
    if layout == "expanded":
        x = x[:1].expand(33, 6)
    given = {
        "transposed": x.T.contiguous().T,
        "strided": x.repeat_interleave(2, 0)[::2],
        "expanded": x,
        "grad": x.clone().requires_grad_(),
    }[layout]
    found = OPS[name](given)
    assert isinstance(found, torch.Tensor)
    assert not found.requires_grad
    assert torch.equal(found, OPS[name](x.contiguous()))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?"])
@pytest.mark.parametrize(
    "name", ["pairwise_distances", "neighbor_ranks", "kmeans", "linear_cka", "mutual_knn"]
)
def test_numpy_dtypes(name: str, dtype: str) -> None:
    x = (X > 4 if dtype == "?" else X).astype(dtype)
    # Integer values below 9: exact in every type, and so are the results that are integers.
    np.testing.assert_allclose(OPS[name](x), OPS[name](x.astype(np.float64)), rtol=1e-5)


def test_what_is_computed_in_which_type() -> None:
    short = [torch.float16, torch.bfloat16, torch.int8, torch.uint8, torch.int16, torch.uint16, torch.bool]
    for dtype in [*short, torch.float32]:
        assert floating(torch.ones(2).to(dtype)).dtype == torch.float32
    for dtype in (torch.int32, torch.int64, torch.uint32, torch.uint64, torch.float64):
        assert floating(torch.ones(2).to(dtype)).dtype == torch.float64


def test_contiguous_arrays_are_not_copied() -> None:
    x = gaussian(5, 3)
    assert to_tensor("x", x) is x
    assert to_tensor("x", x.numpy()).data_ptr() == x.data_ptr()
    assert floating(x) is x


def test_the_kind_of_the_first_argument_comes_back() -> None:
    x, y = gaussian(9, 3), gaussian(9, 3, 1)
    assert isinstance(ops.pairwise_distances(x.numpy(), y), np.ndarray)
    assert isinstance(ops.pairwise_distances(x, y.numpy()), torch.Tensor)


def test_cupy_in_cupy_out() -> None:
    cupy = pytest.importorskip("cupy", reason="cupy is not installed")
    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU")
    found = ops.neighbor_ranks(cupy.asarray(X))
    assert isinstance(found, cupy.ndarray)
    np.testing.assert_array_equal(cupy.asnumpy(found), ops.neighbor_ranks(X))


class OtherLibrary:
    """An array of a library that speaks DLPack and nothing else."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    def __dlpack__(self, **options: Any) -> Any:
        return self.tensor.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.tensor.__dlpack_device__()


def test_dlpack_is_read() -> None:
    found = ops.neighbor_ranks(OtherLibrary(torch.from_numpy(X)))
    np.testing.assert_array_equal(found, ops.neighbor_ranks(X))


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (X.astype(complex), TypeError, "x: expected an array of real numbers, found dtype complex128"),
        (X.astype(object), TypeError, "x: expected an array of real numbers, found dtype object"),
        (X.astype(str), TypeError, "x: expected an array of real numbers, found dtype <U"),
        ("embeddings.npy", TypeError, "x: expected an array of real numbers"),
        (np.array([["2020-01-01"]], "M8[D]"), TypeError, "x: expected an array of real numbers, found dtype"),
        ({"a": 1}, TypeError, "x: expected a dense array of real numbers, found dict"),
        (scipy.sparse.eye(3), TypeError, "x: expected a dense array of real numbers, found dia_"),
        (X.astype(np.longdouble), TypeError, "x: torch has no equivalent of dtype float128"),
        ([[1.0, 2.0], [3.0]], ValueError, "x: expected an array of real numbers: .*inhomogeneous"),
        (torch.ones(3, 3, dtype=torch.cfloat), TypeError, "x: expected a dense array of real numbers"),
        (torch.ones(3, 3).to_sparse(), TypeError, "x: expected a dense array of real numbers"),
    ],
)
def test_what_is_no_array_of_numbers(value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ops.kmeans(value, 1)


def test_no_embeddings_at_all() -> None:
    with pytest.raises(TypeError, match="x: expected a dense array of real numbers, found NoneType"):
        ops.pairwise_distances(None)


def outputs_for(out: Any) -> list[Callable[[], Any]]:
    distances = gaussian(5, 5).abs()
    ranks = rank_matrix(5)
    return [
        lambda: ops.neighbor_ranks(distances=distances, out=out),
        lambda: ops.pairwise_distances(distances, out=out),
        lambda: ops.locally_biased_difference(ranks, ranks, out=out),
        lambda: ops.difference_affinity(ranks, ranks, out=(out, out)),
    ]


@pytest.mark.parametrize("number", range(4))
def test_outputs_that_cannot_be_written(number: int, tmp_path: Path) -> None:
    def call(out: Any) -> None:
        outputs_for(out)[number]()

    dtype = np.int32 if number == 0 else np.float32
    np.save(tmp_path / "out.npy", np.zeros((5, 5), dtype))
    mapped = np.load(tmp_path / "out.npy", mmap_mode="r")
    for frozen in (read_only(np.zeros((5, 5), dtype)), mapped):
        with pytest.raises(
            ValueError, match=r"out.*: expected an array to write into, found a read-only one"
        ):
            call(frozen)
        assert (frozen == 0).all()
    with pytest.raises(TypeError, match=r"out.*: expected native byte order, found dtype >"):
        call(np.zeros((5, 5), np.dtype(dtype).newbyteorder(">")))
    with pytest.raises(TypeError, match=r"out.*: expected an array to write into, found list"):
        call([[0] * 5] * 5)
    with pytest.raises(ValueError, match=r"out.*: expected a contiguous array, found strides"):
        call(np.zeros((5, 5), dtype)[::-1])
    with pytest.raises(ValueError, match=r"out.*: expected a contiguous array, found strides"):
        call(np.zeros((5, 5), dtype, order="F"))


def test_an_output_that_wants_a_gradient_is_written() -> None:
    out = torch.zeros(5, 5, requires_grad=True)
    assert to_output("out", out).data_ptr() == out.data_ptr()
    ops.pairwise_distances(gaussian(5, 3), out=out)
    assert torch.equal(out.detach(), ops.pairwise_distances(gaussian(5, 3)))


def test_overlap_of_spans() -> None:
    memory = torch.zeros(100)
    assert _checks.overlap(memory[:50], memory[49:])
    assert not _checks.overlap(memory[:50], memory[50:])
    assert _checks.overlap(memory.view(10, 10)[:, 3], memory.view(10, 10)[4, :])
    assert not _checks.overlap(memory[:0], memory)
    assert _checks.overlap(memory[10:20].view(torch.int32), memory.view(torch.float64)[9:])
    assert not _checks.overlap(memory, memory.to("meta"))


@given(
    st.sampled_from(sorted(OPS)),
    st.one_of(
        st.none(),
        st.text(max_size=3),
        st.integers(),
        st.lists(st.one_of(st.floats(), st.text(max_size=2), st.none()), max_size=4),
        st.lists(st.lists(st.floats(width=32), max_size=3), max_size=3),
    ),
)
def test_nonsense_is_answered_or_refused_by_name(name: str, value: Any) -> None:
    try:
        OPS[name](value)
    except (ValueError, TypeError) as error:
        message = str(error)
        assert any(message.startswith(f"{argument}") for argument in ("x", "n_clusters", "k", "expected")), (
            message
        )


@pytest.mark.parametrize("scale", [1e30, 1e-25])
@pytest.mark.parametrize(
    "op", [ops.neighbor_ranks, ops.pairwise_distances, lambda x: ops.mutual_knn(x, x, 2)]
)
def test_embeddings_that_cannot_be_squared_are_refused(op, scale: float) -> None:
    x = gaussian(9, 3).double() * scale
    with pytest.raises(ValueError, match=r"x: expected entries of size .* scale the data"):
        op(x.float())
    assert op(x) is not None  # float64 holds the squares
