"""The branches that spare a GPU from waiting, taken on the CPU: they give what the others give."""

import importlib

import pytest
import torch
from helpers import affinity_of, blobs, gaussian

from diptych import ops
from diptych.ops.spectral_embedding import _cholesky_qr
from diptych.rdx.grids import cluster_grids


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    # By module: an op's name in the package is that of its function.
    for name in ("diptych.ops.spectral_embedding", "diptych.rdx.grids"):
        monkeypatch.setattr(importlib.import_module(name), "asking_is_cheap", lambda tensor: False)


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "k"), [(600, 1), (700, 5), (1023, 20)])
def test_eigenvectors(n: int, k: int, dtype: torch.dtype) -> None:
    affinity = affinity_of(blobs(n, 6, 1, 1.0)[0], 4.0, dtype)
    found = ops.spectral_embedding(affinity, k)
    values = ops.spectral_embedding(affinity.double(), k, tolerance=1e-9).eigenvalues
    assert found.residual <= 1e-4
    # A residual bounds the distance to an eigenvalue; sums over n items are rounded.
    torch.testing.assert_close(
        found.eigenvalues.double(), values, rtol=0, atol=1e-4 + n * torch.finfo(dtype).eps
    )


@pytest.mark.usefixtures("as_on_a_gpu")
def test_components_of_a_graph() -> None:
    # Four separate blocks: eigenvalue 1 four times, and a Krylov space that is soon exhausted.
    groups = torch.arange(600) % 4
    affinity = (groups[:, None] == groups).float()
    found = ops.spectral_clusters(affinity, 4)
    assert sorted(torch.bincount(found).tolist()) == [150] * 4
    assert len({(int(label), int(group)) for label, group in zip(found, groups, strict=True)}) == 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cholesky_qr_is_a_qr(dtype: torch.dtype) -> None:
    columns = gaussian(500, 16, 2, dtype) * torch.logspace(0, 3, 16, dtype=dtype)
    eps = torch.finfo(dtype).eps
    q, r = _cholesky_qr(columns)
    # Each product of 16 terms; columns of 22,000 at most in length.
    torch.testing.assert_close(q @ r, columns, rtol=0, atol=16 * eps * 3e4)
    again, turn = _cholesky_qr(q)
    torch.testing.assert_close(again.T @ again, torch.eye(16, dtype=dtype), rtol=0, atol=500 * eps)
    torch.testing.assert_close(again @ turn, q, rtol=0, atol=16 * eps)
    assert torch.equal(r.triu(), r)


def test_cholesky_qr_without_full_rank() -> None:
    columns = gaussian(50, 3, 1).repeat(1, 2)
    q, r = _cholesky_qr(columns)
    torch.testing.assert_close(q.T @ q, torch.eye(6), rtol=0, atol=1e-5)
    torch.testing.assert_close(q @ r, columns, rtol=0, atol=1e-5)


@pytest.mark.parametrize("k", [2, 5, 9])
def test_grids_of_all_clusters_side_by_side(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = (ops.neighbor_ranks(gaussian(300, 4, seed)) for seed in (1, 2))
    affinity = ops.difference_affinity(a, b)[0]
    # Five large clusters, one too small for a choice, and items in none.
    labels = torch.arange(300) % 6
    labels[295:] = -1
    labels[(labels == 5) & (torch.arange(300) > 40)] = 0
    expected = cluster_grids(affinity, labels, k, "default", a)
    monkeypatch.setattr("diptych.rdx.grids.asking_is_cheap", lambda tensor: False)
    together = cluster_grids(affinity, labels, k, "default", a)
    monkeypatch.setattr("diptych.rdx.grids._SIDE_BY_SIDE", 0)
    one_by_one = cluster_grids(affinity, labels, k, "default", a)
    for grids in (together, one_by_one):
        assert [grid.tolist() for grid in grids] == [grid.tolist() for grid in expected]


@pytest.mark.usefixtures("as_on_a_gpu")
def test_no_cluster_large_enough_for_a_choice() -> None:
    affinity = affinity_of(gaussian(6, 2))
    grids = cluster_grids(affinity, torch.tensor([0, 0, 0, 1, 1, 1]), 5, "default", affinity)
    assert [sorted(grid.tolist()) for grid in grids] == [[0, 1, 2], [3, 4, 5]]
