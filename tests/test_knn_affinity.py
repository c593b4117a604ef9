"""diptych.ops.knn_affinity against its definition."""

import numpy as np
import pytest
import torch
from helpers import SIZES, gaussian, integers

from diptych import ops
from diptych.ops.knn_affinity import reference

BACKENDS = ("cpu", "torch")


def by_definition(affinity: np.ndarray, labels: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    n = len(affinity)
    scores, neighbors = np.zeros(n), np.full((n, k), -1)
    for i in range(n):
        mates = [j for j in range(n) if j != i and labels[j] == labels[i] and labels[i] >= 0]
        best = sorted(mates, key=lambda j: (-affinity[i, j], j))[:k]
        neighbors[i, : len(best)] = best
        scores[i] = affinity[i, best].astype(np.float64).sum()
    return scores, neighbors


def labeling(n: int, clusters: int, seed: int = 0) -> torch.Tensor:
    """Labels from -2, so that some items are in no cluster."""
    return torch.randint(-2, clusters, (n,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("backend", [None, "torch"])
@pytest.mark.parametrize("k", [1, 8])
@pytest.mark.parametrize("n", [n for n in SIZES if n < 300])
def test_is_the_definition(device: torch.device, n: int, k: int, backend: str | None) -> None:
    for dtype in (torch.float32, torch.float64):
        affinity, labels = integers(n, n, 6, n, dtype), labeling(n, 3, n)
        found = ops.knn_affinity(affinity.to(device), labels.to(device), k, backend=backend)
        scores, neighbors = by_definition(affinity.numpy(), labels.numpy(), k)
        assert found.scores.dtype == dtype
        assert found.neighbors.dtype == torch.int64
        np.testing.assert_array_equal(found.neighbors.cpu(), neighbors)
        np.testing.assert_array_equal(found.scores.cpu(), scores)


@pytest.mark.parametrize("backend", BACKENDS)
def test_real_affinities_of_either_sign(backend: str) -> None:
    affinity, labels = gaussian(65, 65, 1), labeling(65, 2, 1)
    found = ops.knn_affinity(affinity, labels, 5, backend=backend)
    scores, neighbors = by_definition(affinity.numpy(), labels.numpy(), 5)
    np.testing.assert_array_equal(found.neighbors, neighbors)
    # Five float32 numbers of at most 5 are summed: four roundings.
    np.testing.assert_allclose(found.scores, scores, rtol=0, atol=4 * 25 * 6e-8)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("k", [40, 256])
def test_more_neighbors_than_items(k: int, backend: str) -> None:
    affinity, labels = integers(33, 33, 9, 2), labeling(33, 2, 2)
    found = ops.knn_affinity(affinity, labels, k, backend=backend)
    scores, neighbors = by_definition(affinity.numpy(), labels.numpy(), k)
    np.testing.assert_array_equal(found.neighbors, neighbors)
    np.testing.assert_array_equal(found.scores, scores)


@pytest.mark.parametrize("backend", BACKENDS)
def test_alone_or_in_no_cluster(backend: str) -> None:
    found = ops.knn_affinity(torch.ones(4, 4), torch.tensor([0, -1, -1, 3]), 2, backend=backend)
    assert found.scores.tolist() == [0, 0, 0, 0]
    assert (found.neighbors == -1).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_diagonal_plays_no_part(backend: str) -> None:
    affinity = integers(33, 33, 9, 3)
    plain = ops.knn_affinity(affinity, torch.zeros(33, dtype=torch.int64), 4, backend=backend)
    affinity.fill_diagonal_(1000)
    again = ops.knn_affinity(affinity, torch.zeros(33, dtype=torch.int64), 4, backend=backend)
    assert torch.equal(plain.scores, again.scores)
    assert torch.equal(plain.neighbors, again.neighbors)


@pytest.mark.parametrize("backend", BACKENDS)
def test_permuting_items_permutes_the_answer(backend: str) -> None:
    affinity, labels = gaussian(50, 50, 4, torch.float64), labeling(50, 2, 4)
    plain = ops.knn_affinity(affinity, labels, 3, backend=backend)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    shuffled = ops.knn_affinity(affinity[order][:, order], labels[order], 3, backend=backend)
    assert torch.equal(shuffled.scores, plain.scores[order])
    named = torch.where(shuffled.neighbors < 0, -1, order[shuffled.neighbors.clamp(min=0)])
    assert torch.equal(named, plain.neighbors[order])


@pytest.mark.parametrize("dtype", [torch.int8, torch.int32, torch.uint8])
def test_labels_of_any_integer_type(dtype: torch.dtype) -> None:
    affinity, labels = integers(20, 20, 9, 5), torch.arange(20) % 3
    assert torch.equal(
        ops.knn_affinity(affinity, labels.to(dtype), 3).neighbors,
        ops.knn_affinity(affinity, labels, 3).neighbors,
    )


def test_numpy_layouts() -> None:
    affinity = integers(20, 20, 9, 6).numpy()
    labels = np.arange(20) % 3
    plain = ops.knn_affinity(affinity, labels, 3)
    assert isinstance(plain.scores, np.ndarray)
    assert isinstance(plain.neighbors, np.ndarray)
    for variant in (
        np.asfortranarray(affinity),
        np.repeat(affinity, 2, 1)[:, ::2],
        affinity[::-1].copy()[::-1],
    ):
        found = ops.knn_affinity(variant, labels, 3)
        np.testing.assert_array_equal(found.neighbors, plain.neighbors)


@pytest.mark.usefixtures("keep_threads")
def test_two_threads_and_a_second_run_agree() -> None:
    affinity, labels = gaussian(200, 200, 7), labeling(200, 3, 7)
    results = []
    for threads in (1, 2, 2):
        torch.set_num_threads(threads)
        results.append(ops.knn_affinity(affinity, labels, 9))
    for found in results[1:]:
        assert torch.equal(found.scores, results[0].scores)
        assert torch.equal(found.neighbors, results[0].neighbors)


def test_reference_takes_row_blocks() -> None:
    affinity, labels = integers(20, 20, 9, 8), labeling(20, 2, 8)
    scores, neighbors = reference(affinity[5:9], labels, 3, 5)
    expected = by_definition(affinity.numpy(), labels.numpy(), 3)
    np.testing.assert_array_equal(scores, expected[0][5:9])
    np.testing.assert_array_equal(neighbors, expected[1][5:9])


square, labels3 = torch.ones(3, 3), torch.zeros(3, dtype=torch.int64)


@pytest.mark.parametrize(
    ("affinity", "labels", "k", "options", "message"),
    [
        (torch.ones(3, 4), labels3, 1, {}, r"affinity: expected a square \(n, n\) matrix"),
        (square, torch.zeros(4, dtype=torch.int64), 1, {}, r"labels: expected shape \(3,\), found \(4,\)"),
        (square, labels3[:, None], 1, {}, r"labels: expected shape \(3,\), found \(3, 1\)"),
        (square, labels3, 0, {}, "k: expected 1 to 256, found 0"),
        (square, labels3, 257, {}, "k: expected 1 to 256, found 257"),
        (square * torch.nan, labels3, 1, {}, "affinity: expected finite numbers"),
        (square, labels3.to("meta"), 1, {}, "one device, found affinity on cpu, labels on meta"),
        (square, labels3, 1, {"backend": "triton"}, "has no 'triton', it has cpu, cuda, torch"),
    ],
)
def test_refuses_by_name(
    affinity: torch.Tensor, labels: torch.Tensor, k: int, options: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ops.knn_affinity(affinity, labels, k, **options)


def test_refuses_what_is_no_integer() -> None:
    with pytest.raises(TypeError, match=r"labels: expected integers, found torch\.float32"):
        ops.knn_affinity(square, torch.zeros(3), 1)
    with pytest.raises(TypeError, match=r"labels: expected integers, found torch\.bool"):
        ops.knn_affinity(square, torch.zeros(3, dtype=torch.bool), 1)
    with pytest.raises(TypeError, match=r"k: expected an integer, found 1\.5"):
        ops.knn_affinity(square, labels3, 1.5)
    with pytest.raises(TypeError, match="k: expected an integer, found True"):
        ops.knn_affinity(square, labels3, True)
