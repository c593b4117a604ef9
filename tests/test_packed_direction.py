"""One direction of packed affinities: products, rows, entries and neighbors, against its own rows."""

import pytest
import torch
from helpers import blobs, gaussian, same_partition
from packed_pairs import EPS, SIZES, dense, folded, packed

from diptych import ops


@pytest.mark.parametrize("n", SIZES)
def test_products_are_those_of_the_rows(n: int) -> None:
    for direction in folded(n, seed=n).directions:
        matrix = dense(direction).double()
        for k in (1, 2, 15, 16, 17, 40):
            x = gaussian(n, k, k)
            found = direction @ x
            assert found.shape == (n, k)
            assert found.dtype == torch.float32
            # A sum of n products in whatever order (Higham 2002, eq. 3.5), for factors that are the same.
            bound = (n + 1) * EPS * (matrix @ x.double().abs())
            assert bool(((found - matrix @ x.double()).abs() <= bound).all())


def test_products_of_strided_and_of_no_vectors() -> None:
    direction = folded(70).directions[0]
    x = gaussian(70, 6)
    assert torch.equal(direction @ x.T.contiguous().T, direction @ x)
    assert torch.equal(direction @ x[:, ::2], (direction @ x)[:, ::2])
    assert (direction @ x[:, :0]).shape == (70, 0)


@pytest.mark.parametrize("n", [1, 2, 9, 63, 65, 130, 200])
def test_rows_from_anywhere(n: int) -> None:
    for direction in folded(n, seed=n).directions:
        i, j = torch.arange(n)[:, None], torch.arange(n)
        whole = dense(direction)
        # A product of two roundings against one rounding.
        torch.testing.assert_close(whole, direction.entries(i, j), rtol=2 * EPS, atol=0)
        for start in {0, 1, 5, 62, 63, 64, 65, n - 1} & set(range(n)):
            for stop in {start + 1, start + 7, start + 64, n} & set(range(start + 1, n + 1)):
                out = torch.full((stop - start, n), torch.nan)
                assert direction.rows(start, stop, out) is out
                assert torch.equal(out, whole[start:stop])
                assert torch.equal(direction.rows(start, stop), out)


def test_entries_broadcast() -> None:
    for direction in folded(40).directions:
        whole = dense(direction)
        some, others = torch.tensor([3, 39, 0, 3]), torch.tensor([[7], [3], [39]])
        found = direction.entries(some, others)
        assert found.shape == (3, 4)
        torch.testing.assert_close(found, whole[some.expand(3, 4), others.expand(3, 4)], rtol=2 * EPS, atol=0)
        assert direction.entries(torch.tensor(5), torch.tensor(5)) == 1
        assert torch.equal(direction.entries(others, some), found)


@pytest.mark.parametrize("k", [1, 8, 80])
@pytest.mark.parametrize("n", [1, 9, 65, 200])
def test_neighbors_are_those_of_the_rows(n: int, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = torch.randint(-1, 3, (n,), generator=torch.Generator().manual_seed(n))
    for direction in folded(n, seed=n).directions:
        expected = ops.knn_affinity(dense(direction), labels, k)
        for scratch in (1 << 24, 1):  # one block, and blocks of 64 rows
            monkeypatch.setattr("diptych.ops.packed_affinity._SCRATCH", scratch)
            scores, neighbors = direction.knn(labels, k)
            assert torch.equal(scores, expected.scores)
            assert torch.equal(neighbors, expected.neighbors)
            scores, neighbors = direction.knn(labels.to(torch.int32).numpy(), k)
            assert torch.equal(neighbors, expected.neighbors)


@pytest.mark.parametrize("n", [130, 700])
def test_spectral_methods_take_the_operator(n: int) -> None:
    # Three groups in one representation, none in the other.
    x, groups = blobs(n, 3, 1)
    a, b = ops.neighbor_ranks(x), ops.neighbor_ranks(gaussian(n, 4, 5, torch.float64))
    for direction, exact in zip(packed(a, b).directions, ops.difference_affinity(a, b), strict=True):
        matrix = dense(direction)
        for k in (2, 3):
            labels = ops.spectral_clusters(direction, k)
            assert isinstance(labels, torch.Tensor)
            again = ops.spectral_clusters(matrix, k)
            cuts = [ops.normalized_cut(exact, found) for found in (labels, again)]
            # The operator and its own matrix differ in rounding alone: equal cuts, to the eigensolver's 1e-4.
            assert cuts[0] == pytest.approx(cuts[1], rel=1e-3)
            assert ops.normalized_cut(direction, labels) == pytest.approx(
                ops.normalized_cut(matrix, labels), rel=n * EPS
            )
        found, expected = ops.spectral_embedding(direction, 3), ops.spectral_embedding(matrix, 3)
        # Residuals of 1e-4 bound the distance to an eigenvalue, on both sides.
        torch.testing.assert_close(found.eigenvalues, expected.eigenvalues, rtol=0, atol=2e-4)
    labels = ops.spectral_clusters(packed(a, b).directions[0], 3)
    assert same_partition(labels.numpy(), groups.numpy())
