"""diptych.ops.knn by approximate indexes of faiss: what they find, what they miss, and what is refused."""

from typing import Any

import numpy as np
import pytest
import torch
from helpers import blobs, gaussian, with_duplicates

from diptych import ops
from diptych.ops.knn import METRICS, Neighbors

faiss = pytest.importorskip("faiss")

pytestmark = pytest.mark.usefixtures("one_thread")

# 800 items in 8 groups 14 apart, each of radius about 1; 60 items a list, so that faiss has nothing to say.
GROUPED = blobs(800, 8)[0].float()


def by_index(x: Any, k: int, y: Any = None, index: str = "IVF8,Flat", **options: Any) -> Neighbors:
    return ops.knn(x, k, y, backend="faiss", index=index, **options)


def recall(found: Neighbors, exact: Neighbors) -> float:
    """Share of the true neighbors that were found."""
    pairs = zip(np.asarray(found.indices), np.asarray(exact.indices), strict=True)
    return float(np.mean([np.isin(true, row).mean() for row, true in pairs]))


def assert_same(found: Neighbors, expected: Neighbors) -> None:
    assert torch.equal(found.indices, expected.indices)
    assert torch.equal(found.distances, expected.distances)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("own", [True, False])
def test_all_lists_together_are_exact(metric: str, own: bool) -> None:
    x, y = gaussian(700, 16, 1), None if own else gaussian(650, 16, 2)
    found = by_index(x, 6, y, metric=metric, probes=8)
    assert ops.last_backend() == "faiss"
    expected = ops.knn(x, 6, y, metric=metric)
    # No two of these distances agree to within the rounding of float32.
    assert torch.equal(found.indices, expected.indices)
    # d + 3 roundings of float32 of a sum of squares; cosine rounds its rows, too: one eps of length 1, twice.
    torch.testing.assert_close(found.distances, expected.distances, rtol=19 * 2**-23, atol=2**-22)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
@pytest.mark.parametrize("metric", METRICS)
def test_recall_in_groups(metric: str, seed: int) -> None:
    """A group's neighbors are all in the group, and its lists are the nearest ones to its items.

    4 of 8 lists hold them all unless k-means cut the group into more than 4; that leaves 3 lists or fewer to
    the 7 others, so that at most one group in eight can miss neighbors.
    """
    found = by_index(GROUPED, 10, probes=4, seed=seed, metric=metric)
    assert recall(found, ops.knn(GROUPED, 10, metric=metric)) >= 7 / 8


def test_more_probes_find_more() -> None:
    x = gaussian(2000, 8, 3)
    exact = ops.knn(x, 20)
    shares = [recall(by_index(x, 20, index="IVF32,Flat", probes=p), exact) for p in (1, 2, 4, 8, 16, 32)]
    # The lists of fewer probes are among those of more.
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert shares[0] < 0.9, "one list in 32 cannot hold all neighbors of items without groups"
    default = by_index(x, 20, index="IVF40,Flat")
    assert_same(default, by_index(x, 20, index="IVF40,Flat", probes=32))
    assert_same(by_index(x, 20), by_index(x, 20, probes=8))


def test_graphs_find_neighbors_and_more_probes_more() -> None:
    x = gaussian(1500, 8, 4)
    exact = ops.knn(x, 5)
    # A walk that keeps 5 candidates ends early; one that keeps 200 of 1500 items sees nearly all near ones.
    narrow, wide = (recall(by_index(x, 5, index="HNSW16", probes=p), exact) for p in (1, 200))
    assert narrow < wide
    assert wide > 0.99
    inside = by_index(x, 5, index="PCA8,HNSW16,RFlat", probes=200)
    assert recall(inside, exact) > 0.99


@pytest.mark.parametrize(
    "index", ["IVF8,SQ8", "IVF8,PQ4x4", "PCA4,IVF8,Flat", "IVF8,PQ4x4fs,RFlat", "SQ8", "NSG16"]
)
def test_other_indexes_beat_chance(index: str) -> None:
    probes = {"probes": 8} if "IVF" in index else {}
    found = by_index(GROUPED, 10, index=index, **probes)
    # Compressed items keep their group, in which one of ten at random is a neighbor: 0.1 at least.
    assert recall(found, ops.knn(GROUPED, 10)) > 0.15
    assert (found.distances.diff(dim=1) >= 0).all()


@pytest.mark.parametrize("index", ["IVF8,Flat", "HNSW8", "IVF8,PQ4x4", "PCA4,IVF8,Flat", "IVF8,Flat,RFlat"])
def test_a_second_call_agrees(index: str) -> None:
    torch.set_num_threads(2)
    first = by_index(GROUPED, 12, index=index)
    assert_same(by_index(GROUPED, 12, index=index), first)


def test_the_seed_makes_the_lists() -> None:
    x = gaussian(1000, 6, 5)
    first, again, other = (by_index(x, 30, probes=1, seed=seed) for seed in (1, 1, 2))
    assert_same(first, again)
    assert not torch.equal(first.indices, other.indices)


def test_leaves_the_threads_of_faiss_alone() -> None:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    try:
        by_index(GROUPED, 3, index="HNSW8")
        ops.knn(GROUPED, 3, backend="faiss")
        with pytest.raises(ValueError, match="faiss refuses"):
            by_index(GROUPED, 3, index="nonsense")
        assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(before)


@pytest.mark.parametrize("index", ["IVF8,Flat", "HNSW8", "IVF8,PQ4x4"])
def test_self_is_no_neighbor(index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diptych.ops._faiss_search._FOUND_BYTES", 1)  # several blocks of rows
    x = with_duplicates(GROUPED)
    own = torch.arange(len(x))[:, None]
    assert (by_index(x, 9, index=index).indices != own).all()
    included = by_index(GROUPED, 9, index=index, exclude_self=False)
    if index != "IVF8,PQ4x4":  # whose codes may be nearer to one another's items
        assert (included.indices == own).any(1).float().mean() > 0.99


def test_self_that_is_not_found_costs_the_last_neighbor_only() -> None:
    same = torch.ones(300, 4)
    found = by_index(same, 5, index="IVF2,Flat", probes=2)
    assert (found.indices != torch.arange(300)[:, None]).all()
    assert (found.distances == 0).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("index", ["IVF8,Flat", "IVF8,Flat,RFlat"])
def test_what_is_not_found_is_minus_one_at_infinity(index: str, metric: str) -> None:
    found = by_index(GROUPED, 700, index=index, probes=1, metric=metric)
    missing = found.indices < 0
    assert missing.any(1).all(), "no list holds 700 of 800 items in 8 groups"
    assert (found.indices[missing] == -1).all()
    assert (found.distances[missing] == torch.inf).all()
    assert found.distances[~missing].isfinite().all()
    assert (missing[:, 1:] >= missing[:, :-1]).all(), "they stand at the end"
    for row, (items, gone) in enumerate(zip(found.indices, missing, strict=True)):
        assert len(set(items[~gone].tolist()) - {row}) == int((~gone).sum())


def test_kinds_dtypes_and_out() -> None:
    expected = by_index(GROUPED, 7)
    arrays = by_index(GROUPED.numpy(), 7)
    assert isinstance(arrays.distances, np.ndarray)
    assert arrays.indices.dtype == np.int64
    np.testing.assert_array_equal(arrays.indices, expected.indices)
    for variant in (
        np.asfortranarray(GROUPED.numpy()),
        np.repeat(GROUPED.numpy(), 2, 0)[::2],
        GROUPED.double().numpy(),
    ):
        found = by_index(variant, 7)
        assert found.distances.dtype == variant.dtype
        np.testing.assert_array_equal(found.indices, expected.indices)
    halves = by_index(GROUPED.half(), 7)
    assert halves.distances.dtype == torch.float32
    assert_same(halves, by_index(GROUPED.half().float(), 7))
    out = torch.full((800, 7), torch.nan), torch.full((800, 7), -7)
    assert by_index(GROUPED, 7, out=out).distances is out[0]
    assert_same(Neighbors(*out), expected)


def test_none_is_the_flat_index() -> None:
    assert_same(ops.knn(GROUPED, 4, backend="faiss", index=None), ops.knn(GROUPED, 4, backend="faiss"))
    assert_same(by_index(GROUPED, 4, index="Flat"), ops.knn(GROUPED, 4, backend="faiss"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": None}, "index: 'IVF8,Flat' is faiss's, expected backend=\"faiss\", found None"),
        ({"backend": "cpu"}, "index: 'IVF8,Flat' is faiss's, expected backend=\"faiss\", found 'cpu'"),
        ({"index": None, "probes": 2}, "probes: an exact search looks everywhere, found 2 but no index"),
        (
            {"index": "IVF801,Flat"},
            "index: 'IVF801,Flat' has 801 lists, expected at most one per item, of 800",
        ),
        ({"index": "IVF1k,Flat"}, "index: 'IVF1k,Flat' has 1024 lists, expected at most one per item"),
        ({"index": "IVF99999999999,Flat"}, "has 99999999999 lists, expected at most one per item"),
        (
            {"index": "nonsense"},
            "faiss refuses 'nonsense' for 800 items of 8 features: could not parse index",
        ),
        ({"index": ""}, "faiss refuses '' for 800 items of 8 features: could not parse"),
        ({"index": "IVF8,PQ3"}, "faiss refuses 'IVF8,PQ3' for 800 items of 8 features: .*multiple of"),
        ({"index": "IVF8,PQ4x12"}, r"faiss refuses 'IVF8,PQ4x12' for 800 items .*training points \(800\)"),
        ({"index": "IDMap,Flat"}, "faiss refuses 'IDMap,Flat' for 800 items of 8 features: add does not"),
        ({"index": "NSG16", "x": GROUPED[:50]}, "faiss refuses 'NSG16' for 50 items of 8 features: .*100"),
        ({"index": "IVF0,Flat"}, "index: expected sizes of at least 1, found a zero in 'IVF0,Flat'"),
        ({"index": "HNSW0"}, "index: expected sizes of at least 1, found a zero in 'HNSW0'"),
        ({"index": "HNSW1"}, "index: expected a graph of at least 2 links an item, found 'HNSW1'"),
        (
            {"index": "IVF8_HNSW1,Flat"},
            "index: expected a graph of at least 2 links an item, found 'IVF8_HNSW1",
        ),
        ({"index": "LSH"}, "index: LSH in 'LSH' counts differing bits, expected an index of the distance"),
        ({"index": "L2norm,Flat"}, 'index: L2norm in .* which metric="cosine" does by its name'),
        ({"index": "CAGRA"}, "index: 'CAGRA' is cuVS's on a GPU, which is not offered here"),
        ({"probes": 0}, "probes: expected 1 to 2147483647, found 0"),
        ({"probes": 9}, "probes: expected 1 to 8, found 9"),
        ({"index": "SQ8", "probes": 9}, "probes: 'SQ8' has neither lists nor an HNSW graph to search"),
        ({"seed": -1}, "seed: expected 0 to 2147483647, found -1"),
        ({"k": 800}, "k: expected 1 to 799, found 800"),
    ],
)
def test_refuses_by_name(options: dict[str, Any], message: str) -> None:
    arguments = {"x": GROUPED, "k": 2, "backend": "faiss", "index": "IVF8,Flat"} | options
    with pytest.raises(ValueError, match=message):
        ops.knn(**arguments)


def test_refuses_other_types() -> None:
    with pytest.raises(TypeError, match="index: expected a factory string of faiss, found 8"):
        by_index(GROUPED, 2, index=8)
    with pytest.raises(TypeError, match=r"probes: expected an integer, found 2\.5"):
        by_index(GROUPED, 2, probes=2.5)
    with pytest.raises(TypeError, match=r"seed: expected an integer, found 'a'"):
        by_index(GROUPED, 2, seed="a")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
def test_refuses_arrays_on_a_gpu() -> None:
    with pytest.raises(ValueError, match="backend: 'faiss' cannot serve arrays on cuda:0 here"):
        by_index(GROUPED.cuda(), 2)
