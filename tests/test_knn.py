"""diptych.ops.knn against its definition, scikit-learn, faiss and the geometry."""

import importlib
import importlib.util
from typing import Any

import numpy as np
import pytest
import torch
from helpers import SIZES, gaussian, integers, with_duplicates
from sklearn.neighbors import NearestNeighbors

from diptych import ops
from diptych.ops.knn import METRICS, Neighbors, reference

module = importlib.import_module("diptych.ops.knn")

BACKENDS = ("cpu", "torch")
DTYPES = (torch.float32, torch.float64)


@pytest.fixture
def by_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search by products, in several tiles, however few the items."""
    monkeypatch.setattr(module, "FEW", 0)
    monkeypatch.setattr("diptych.ops._nearest_search._TILE", 40)


def by_brute_force(
    x: torch.Tensor, k: int, y: torch.Tensor | None = None, metric: str = "euclidean"
) -> tuple[np.ndarray, np.ndarray]:
    """Distances and indices by numpy in float64, and a stable sort."""
    a = x.double().numpy()
    b = a if y is None else y.double().numpy()
    if metric == "cosine":
        a, b = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (a, b))
    squares = np.stack([((row - b) ** 2).sum(1) for row in a])
    if y is None:
        np.fill_diagonal(squares, np.inf)
    indices = squares.argsort(axis=1, kind="stable")[:, :k]
    squares = np.take_along_axis(squares, indices, 1)
    return {"euclidean": np.sqrt(squares), "sqeuclidean": squares, "cosine": squares / 2}[metric], indices


def assert_brute_force(
    found: Neighbors, x: torch.Tensor, k: int, y: torch.Tensor | None = None, metric: str = "euclidean"
) -> None:
    """The same neighbors as in float64, in the same order; no two distances of the data may be too near."""
    distances, indices = by_brute_force(x, k, y, metric)
    np.testing.assert_array_equal(found.indices, indices)
    # Summed in float64, rounded once to the dtype; float64 itself by d + 3 roundings of either side.
    eps = torch.finfo(found.distances.dtype).eps
    rtol = eps if found.distances.dtype == torch.float32 else 2 * (x.shape[1] + 3) * eps
    np.testing.assert_allclose(found.distances, distances, rtol=rtol, atol=4 * eps * (metric == "cosine"))


@pytest.mark.usefixtures("by_products")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("d", [1, 3, 16, 65])
def test_agrees_with_brute_force(d: int, n: int, dtype: torch.dtype) -> None:
    x, y = gaussian(n, d, n, dtype), gaussian(2 * n + 1, d, n + 1, dtype)
    for k in {1, 2, n // 17, n // 2, n - 1} - {0}:
        if k < n:
            assert_brute_force(ops.knn(x, k), x, k)
        assert_brute_force(ops.knn(x, k, y), x, k, y)
        assert_brute_force(ops.knn(y, min(k, n), x), y, min(k, n), x)


@pytest.mark.usefixtures("by_products")
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_metric(metric: str, dtype: torch.dtype) -> None:
    x, y = gaussian(200, 12, 1, dtype) + 1, gaussian(123, 12, 2, dtype) + 1
    assert_brute_force(ops.knn(x, 7, metric=metric), x, 7, metric=metric)
    assert_brute_force(ops.knn(x, 7, y, metric=metric), x, 7, y, metric)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_agrees_with_scikit_learn(metric: str, backend: str) -> None:
    x, y = (gaussian(300, 20, seed, torch.float64) for seed in (3, 4))
    learner = NearestNeighbors(n_neighbors=9, algorithm="brute", metric=metric)
    for asked, found in (
        (None, ops.knn(y, 9, metric=metric, backend=backend)),
        (x, ops.knn(x, 9, y, metric=metric, backend=backend)),
    ):
        distances, indices = learner.fit(y).kneighbors(asked)
        np.testing.assert_array_equal(found.indices, indices)
        # scikit-learn expands |x|² + |y|² - 2<x,y>: a few d eps of norms near d.
        np.testing.assert_allclose(found.distances, distances, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("backend", [None, "torch"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n", "d", "high"), [(33, 2, 3), (500, 1, 4), (500, 5, 4), (700, 40, 600)])
def test_integers_are_exact(
    device: torch.device, n: int, d: int, high: int, dtype: torch.dtype, backend: str | None
) -> None:
    x, y = integers(n, d, high, 5, dtype), integers(n // 2, d, high, 6, dtype)
    for k in (1, 10, n // 2):
        for metric in ("euclidean", "sqeuclidean"):
            for searched in (None, y):
                found = ops.knn(
                    x.to(device),
                    k,
                    None if searched is None else y.to(device),
                    metric=metric,
                    backend=backend,
                )
                distances, indices = by_brute_force(x, k, searched, metric)
                np.testing.assert_array_equal(found.indices.cpu(), indices)
                # Squares are exact; of roots torch's may be the other neighbor of the true one.
                rtol = torch.finfo(dtype).eps if metric == "euclidean" else 0
                np.testing.assert_allclose(found.distances.cpu(), distances, rtol=rtol, atol=0)


def clusters(n: int, d: int, spread: float, seed: int, dtype: torch.dtype) -> torch.Tensor:
    centers = 1000 * gaussian(4, d, seed, torch.float64)
    return (centers[torch.arange(n) % 4] + spread * gaussian(n, d, seed + 1, torch.float64)).to(dtype)


@pytest.mark.usefixtures("by_products")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(lambda n, dtype: gaussian(n, 24, 7, dtype) + 1e4, id="far from the origin"),
        pytest.param(lambda n, dtype: clusters(n, 24, 1e-2, 8, dtype), id="products cannot tell"),
        pytest.param(lambda n, dtype: clusters(n, 600, 1e-3, 9, dtype), id="longer than one product"),
        pytest.param(lambda n, dtype: with_duplicates(gaussian(n, 24, 10, dtype)), id="duplicates"),
        pytest.param(lambda n, dtype: gaussian(n, 24, 11, dtype) * 1e-14, id="tiny"),
        pytest.param(lambda n, dtype: gaussian(n, 24, 12, dtype) * 1e17, id="huge"),
        pytest.param(
            lambda n, dtype: gaussian(n, 24, 13, dtype) * torch.logspace(-9, 9, n)[:, None].to(dtype),
            id="tiny and huge",
        ),
        pytest.param(lambda n, dtype: torch.full((n, 3), 0.1, dtype=dtype), id="all the same"),
        pytest.param(lambda n, dtype: integers(n, 1, 2, 14, dtype) + 0.1, id="two points"),
    ],
)
def test_products_rule_out_no_neighbor(data: Any, dtype: torch.dtype, monkeypatch) -> None:
    x = data(400, dtype)
    for metric in METRICS:
        for k, asked in ((1, None), (20, None), (150, None), (9, x[::3])):
            arguments = (x, k) if asked is None else (asked, k, x)
            found = ops.knn(*arguments, metric=metric)
            with monkeypatch.context() as patch:
                patch.setattr(module, "FEW", 1 << 40)
                expected = ops.knn(*arguments, metric=metric)
            assert torch.equal(found.indices, expected.indices)
            assert torch.equal(found.distances, expected.distances)


def test_small_inputs_and_large_ones_have_one_definition() -> None:
    x = gaussian(500, 8, 15, torch.float64)
    assert 500 * 500 * 24 > module.FEW > 90 * 90 * 24
    assert_brute_force(ops.knn(x, 5), x, 5)
    assert_brute_force(ops.knn(x[:90], 5), x[:90], 5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_self_and_duplicates(backend: str) -> None:
    x = torch.tensor([[0.0], [5.0], [0.0], [7.0]])
    apart = ops.knn(x, 3, backend=backend)
    assert apart.indices.tolist() == [[2, 1, 3], [3, 0, 2], [0, 1, 3], [1, 0, 2]]
    assert apart.distances.tolist() == [[0, 5, 7], [2, 5, 5], [0, 5, 7], [2, 7, 7]]
    together = ops.knn(x, 2, exclude_self=False, backend=backend)
    assert together.indices.tolist() == [[0, 2], [1, 3], [0, 2], [3, 1]]
    assert ops.knn(x, 4, x, backend=backend).indices[1].tolist() == [1, 3, 0, 2]


@pytest.mark.usefixtures("by_products")
def test_self_may_be_its_own_neighbor() -> None:
    x = with_duplicates(gaussian(300, 9, 16))
    found, expected = ops.knn(x, 6, exclude_self=False), ops.knn(x, 6, x)
    assert torch.equal(found.indices, expected.indices)
    assert (found.distances[:, 0] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int16, torch.uint8, torch.int64])
def test_every_dtype(dtype: torch.dtype) -> None:
    x = (20 * gaussian(90, 6, 17, torch.float64).abs()).to(dtype)
    found = ops.knn(x, 4)
    assert found.distances.dtype == (torch.float64 if dtype == torch.int64 else torch.float32)
    distances, indices = by_brute_force(x.double(), 4)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_array_equal(found.distances, distances.astype(found.distances.numpy().dtype))
    mixed = ops.knn(x.double(), 4, x.float())
    assert mixed.distances.dtype == torch.float64


@pytest.mark.usefixtures("by_products")
def test_layouts_and_kinds() -> None:
    x = gaussian(130, 10, 18).numpy()
    expected = ops.knn(x, 5)
    assert isinstance(expected.distances, np.ndarray)
    assert expected.indices.dtype == np.int64
    for variant in (np.asfortranarray(x), np.repeat(x, 2, 0)[::2], x[::-1].copy()[::-1]):
        for found in (ops.knn(variant, 5), ops.knn(variant, 5, metric="sqeuclidean")):
            np.testing.assert_array_equal(found.indices, expected.indices)
    tensor = torch.from_numpy(x).requires_grad_()
    found = ops.knn(tensor, 5)
    assert isinstance(found.distances, torch.Tensor)
    assert not found.distances.requires_grad
    np.testing.assert_array_equal(found.distances, expected.distances)


@pytest.mark.usefixtures("by_products", "keep_threads")
@pytest.mark.parametrize("data", [gaussian(500, 33, 19), clusters(500, 9, 1e-2, 20, torch.float32)])
def test_two_threads_and_a_second_run_agree(data: torch.Tensor) -> None:
    results = []
    for threads in (1, 2, 2):
        torch.set_num_threads(threads)
        results.append((ops.knn(data, 11), ops.knn(data[:50], 300, data)))
    for found in results[1:]:
        for got, want in zip(found, results[0], strict=True):
            assert torch.equal(got.indices, want.indices)
            assert torch.equal(got.distances, want.distances)


@pytest.mark.usefixtures("by_products")
def test_invariances() -> None:
    # 200² Gaussian distances in float64 hold no near-tie within the rounding of a rotation.
    x = gaussian(200, 8, 21, torch.float64)
    plain = ops.knn(x, 10)
    rotation = torch.linalg.qr(gaussian(8, 8, 22, torch.float64)).Q
    moved = ops.knn(x @ rotation * 3.7 + 5, 10)
    assert torch.equal(moved.indices, plain.indices)
    torch.testing.assert_close(moved.distances, plain.distances * 3.7, rtol=1e-12, atol=0)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    assert torch.equal(order[ops.knn(x[order], 10).indices], plain.indices[order])
    assert torch.equal(ops.knn(x, 150).indices[:, :10], plain.indices)


@pytest.mark.parametrize("backend", [*BACKENDS, "faiss"])
def test_writes_all_of_out(backend: str) -> None:
    if backend == "faiss":
        pytest.importorskip("faiss")
    x = gaussian(150, 5, 23)
    out = torch.full((150, 4), torch.nan), torch.full((150, 4), -7)
    found = ops.knn(x, 4, out=out, backend=backend)
    assert found.distances is out[0]
    assert found.indices is out[1]
    expected = ops.knn(x, 4, backend=backend)
    assert torch.equal(out[0], expected.distances)
    assert torch.equal(out[1], expected.indices)
    arrays = np.full((150, 4), np.nan, np.float32), np.full((150, 4), -7)
    assert ops.knn(x.numpy(), 4, out=arrays, backend=backend).indices is arrays[1]
    np.testing.assert_array_equal(arrays[1], expected.indices)


@pytest.mark.parametrize("metric", METRICS)
def test_faiss_by_name(metric: str) -> None:
    pytest.importorskip("faiss")
    x, y = gaussian(300, 16, 24), gaussian(200, 16, 25)
    for searched in (None, y):
        found = ops.knn(x, 6, searched, metric=metric, backend="faiss")
        assert ops.last_backend() == "faiss"
        expected = ops.knn(x, 6, searched, metric=metric)
        np.testing.assert_array_equal(found.indices, expected.indices)
        # |x|² + |y|² - 2<x,y> in float32: d eps of norms of about d, halved by the root at distances near 4.
        torch.testing.assert_close(found.distances, expected.distances, rtol=1e-4, atol=1e-5)
    same = torch.ones(9, 2)
    found = ops.knn(same, 3, backend="faiss")
    assert (found.indices != torch.arange(9)[:, None]).all()


def test_faiss_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="backend: 'faiss' needs faiss-cpu, which is not installed"):
        ops.knn(gaussian(5, 3), 2, backend="faiss")


def test_last_backend() -> None:
    x = gaussian(9, 3)
    ops.knn(x, 2)
    assert ops.last_backend() == "cpu"
    ops.knn(x, 2, backend="torch")
    assert ops.last_backend() == "torch"


@pytest.mark.usefixtures("by_products")
def test_unchecked_nan_stays_in_its_rows() -> None:
    x = gaussian(90, 6, 26)
    x[7] = torch.nan
    y = gaussian(90, 6, 27)
    found = ops.knn(y, 3, x, check=False)
    whole = torch.arange(90) != 7
    expected = ops.knn(y, 3, x[whole])
    assert ((found.indices >= -1) & (found.indices < 90)).all()
    assert found.indices.shape == expected.indices.shape
    asked = ops.knn(x, 3, y, check=False)
    assert (asked.indices[7] == -1).all()
    assert asked.distances[7].isnan().all()


def test_reference_takes_row_blocks() -> None:
    x = gaussian(40, 3, 28)
    distances, indices = reference(x, 4)
    rows = reference(x[10:20], 4, x, first_row=10)
    assert torch.equal(rows[0], distances[10:20])
    assert torch.equal(rows[1], indices[10:20])


x53 = torch.arange(15.0).reshape(5, 3) + 1
pair = torch.empty(5, 2), torch.empty(5, 2, dtype=torch.int64)


@pytest.mark.parametrize(
    ("x", "k", "options", "message"),
    [
        (torch.ones(5), 1, {}, r"x: expected a matrix \(n, d\)"),
        (torch.ones(0, 3), 1, {}, "x: expected at least one row and column"),
        (x53, 1, {"y": torch.ones(4)}, r"y: expected a matrix \(n, d\)"),
        (x53, 1, {"y": torch.ones(4, 2)}, "x and y: expected the same features, found 3 and 2 columns"),
        (x53, 1, {"y": x53.to("meta")}, "one device, found x on cpu, y on meta"),
        (x53, 0, {}, "k: expected 1 to 4, found 0"),
        (x53, 5, {}, "k: expected 1 to 4, found 5"),
        (x53, 6, {"exclude_self": False}, "k: expected 1 to 5, found 6"),
        (x53, 5, {"y": x53[:4]}, "k: expected 1 to 4, found 5"),
        (x53, 1, {"metric": "manhattan"}, "metric: expected one of 'euclidean', 'sqeuclidean', 'cosine'"),
        (x53, 1, {"y": x53, "exclude_self": True}, "exclude_self: rows of x and y are different items"),
        (x53 * torch.nan, 1, {}, "x: expected finite numbers, found NaN or Inf in row 0"),
        (x53, 1, {"y": x53 / 0}, "y: expected finite numbers"),
        (x53 * 1e30, 1, {}, "x: expected entries of size"),
        (x53 * 1e-25, 1, {}, "x: expected entries of size"),
        (x53 * 0, 1, {"metric": "cosine"}, "x: row 0 is all zero"),
        (x53, 1, {"y": x53 * 0, "metric": "cosine"}, "y: row 0 is all zero"),
        (x53, 2, {"backend": "cuda"}, "knn has no 'cuda', it has cpu, triton, torch, faiss"),
        (x53, 2, {"backend": "Faiss"}, "backend: expected one of cpu, cuda, triton, torch, found 'Faiss'"),
        (x53, 3, {"out": pair}, r"out\[0\]: expected shape \(5, 3\) and torch.float32"),
        (x53, 2, {"out": pair[:1] * 2}, r"out\[1\]: expected shape \(5, 2\) and torch.int64"),
        (x53, 2, {"out": (x53[:, :2], pair[1])}, r"out\[0\]: expected a contiguous array"),
        (x53, 3, {"out": (x53, torch.empty(5, 3, dtype=torch.int64))}, r"out\[0\]: shares memory"),
    ],
)
def test_refuses_by_name(x: torch.Tensor, k: int, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.knn(x, k, **options)


def test_refuses_other_types() -> None:
    with pytest.raises(TypeError, match=r"k: expected an integer, found 2\.5"):
        ops.knn(x53, 2.5)
    with pytest.raises(TypeError, match="x: expected an array of real numbers"):
        ops.knn(np.array(["a"]), 1)
    with pytest.raises(
        TypeError, match=r"out: expected a pair of arrays \(distances, indices\), found Tensor"
    ):
        ops.knn(x53, 2, out=pair[0])
