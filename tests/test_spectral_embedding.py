"""diptych.ops.spectral_embedding against scikit-learn and a dense eigendecomposition."""

import numpy as np
import pytest
import torch
from helpers import affinity_of, blobs, gaussian, rank_matrix
from scipy.sparse.csgraph import laplacian
from sklearn.manifold import spectral_embedding as sklearn_embedding

from diptych import ops
from diptych.ops.spectral_embedding import reference

# Dense up to 512; above, block Lanczos, whose basis is nearly the whole space just above 512.
SIZES = [1, 2, 3, 7, 9, 33, 65, 512, 513, 545, 700, 1023]


def random_affinity(n: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return affinity_of(gaussian(n, 3, seed, torch.float64), 1.0, dtype)


def normalized(affinity: torch.Tensor) -> np.ndarray:
    """D^-1/2 F D^-1/2 by SciPy's Laplacian, which takes isolated items as components of their own."""
    matrix = affinity.double().numpy().copy()
    np.fill_diagonal(matrix, 0)
    product = -laplacian(matrix, normed=True)
    np.fill_diagonal(product, (matrix.sum(1) == 0).astype(float))
    return product


def unit_vectors(found: ops.SpectralEmbedding, affinity: torch.Tensor) -> np.ndarray:
    degrees = affinity.double().sum(1) - affinity.double().diagonal()
    degrees[degrees == 0] = 1
    return (found.coordinates.cpu().double() * degrees.sqrt()[:, None]).numpy()


@pytest.mark.parametrize("n", SIZES)
def test_are_leading_eigenvectors(device: torch.device, n: int) -> None:
    for dtype in (torch.float32, torch.float64):
        affinity, k = random_affinity(n, n, dtype), min(5, n)
        found = ops.spectral_embedding(affinity.to(device), k)
        matrix, vectors = normalized(affinity), unit_vectors(found, affinity)
        values = found.eigenvalues.cpu().double().numpy()
        assert found.coordinates.shape == (n, k)
        assert found.coordinates.dtype == found.eigenvalues.dtype == dtype
        assert found.residual <= 1e-4
        # The residual promised, and rounding of sums over n items.
        slack = 1e-4 + n * torch.finfo(dtype).eps
        assert np.linalg.norm(matrix @ vectors - vectors * values, axis=0).max() <= slack
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(k), atol=slack)
        # A residual bounds the distance to an eigenvalue (Parlett 1998, thm 4.5.1).
        np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix)[::-1][:k], atol=slack)


@pytest.mark.parametrize("n", [65, 700])
def test_agrees_with_scikit_learn(n: int) -> None:
    x, _ = blobs(n, 4, seed=1, spread=1.0)
    affinity = affinity_of(x, 4.0, torch.float64)
    found = ops.spectral_embedding(affinity, 4, tolerance=1e-9)
    theirs = sklearn_embedding(affinity.numpy(), n_components=4, drop_first=False, random_state=0)
    # Signs: theirs make the largest entry of the unit vectors positive, as ours.
    np.testing.assert_allclose(found.coordinates, theirs, atol=1e-6 * np.abs(theirs).max())


@pytest.mark.parametrize("n", [40, 600])
def test_the_diagonal_plays_no_part(n: int) -> None:
    affinity = random_affinity(n, 2)
    plain = ops.spectral_embedding(affinity, 3, tolerance=1e-9)
    heavy = ops.spectral_embedding(affinity + 5 * torch.eye(n, dtype=torch.float64), 3, tolerance=1e-9)
    torch.testing.assert_close(heavy.coordinates, plain.coordinates, rtol=0, atol=1e-6)
    torch.testing.assert_close(heavy.eigenvalues, plain.eigenvalues, rtol=0, atol=1e-9)


@pytest.mark.parametrize("n", [40, 600])
def test_first_vector_is_constant_and_signs_are_fixed(n: int) -> None:
    affinity = random_affinity(n, 3)
    found = ops.spectral_embedding(affinity, 4, tolerance=1e-9)
    first = found.coordinates[:, 0]
    torch.testing.assert_close(first, first[:1].expand(n), rtol=1e-8, atol=0)
    assert float(found.eigenvalues[0]) == pytest.approx(1, abs=1e-12)
    vectors = unit_vectors(found, affinity)
    assert (vectors[np.abs(vectors).argmax(0), np.arange(4)] > 0).all()


@pytest.mark.parametrize("n", [60, 600])
def test_scale_and_item_order(n: int) -> None:
    affinity = random_affinity(n, 4)
    plain = ops.spectral_embedding(affinity, 3, tolerance=1e-9)
    scaled = ops.spectral_embedding(affinity * 16, 3, tolerance=1e-9)
    torch.testing.assert_close(scaled.coordinates * 4, plain.coordinates, rtol=0, atol=1e-6)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    shuffled = ops.spectral_embedding(affinity[order][:, order], 3, tolerance=1e-9)
    torch.testing.assert_close(shuffled.coordinates, plain.coordinates[order], rtol=0, atol=1e-6)


@pytest.mark.parametrize("n", [60, 700])
def test_components_give_eigenvalue_one_each(n: int) -> None:
    groups = torch.arange(n) % 20
    affinity = (groups[:, None] == groups).float()
    found = ops.spectral_embedding(affinity, 21)
    np.testing.assert_allclose(found.eigenvalues[:20], 1, atol=1e-4)
    assert float(found.eigenvalues[20]) < 0.5


@pytest.mark.parametrize("n", [30, 600])
def test_isolated_items_are_components(n: int) -> None:
    affinity = random_affinity(n, 5)
    affinity[:4] = 0
    affinity[:, :4] = 0
    found = ops.spectral_embedding(affinity, 6)
    assert torch.isfinite(found.coordinates).all()
    np.testing.assert_allclose(found.eigenvalues[:5], 1, atol=1e-4)
    values = np.linalg.eigvalsh(normalized(affinity))[::-1][:6]
    np.testing.assert_allclose(found.eigenvalues, values, atol=1e-4)


@pytest.mark.parametrize("n", [1, 9, 600])
def test_no_affinity_at_all(n: int) -> None:
    found = ops.spectral_embedding(torch.zeros(n, n), 1)
    assert found.eigenvalues.tolist() == pytest.approx([1])
    assert torch.isfinite(found.coordinates).all()


@pytest.mark.parametrize(("n", "k"), [(9, 9), (700, 17), (700, 87), (700, 88), (700, 300)])
def test_many_components(n: int, k: int) -> None:
    affinity = random_affinity(n, 6)
    found = ops.spectral_embedding(affinity, k)
    values = np.linalg.eigvalsh(normalized(affinity))[::-1][:k]
    np.testing.assert_allclose(found.eigenvalues, values, atol=1e-4)


def test_a_difference_affinity_of_ranks() -> None:
    affinity, _ = ops.difference_affinity(rank_matrix(700, 1), rank_matrix(700, 2))
    found = ops.spectral_embedding(affinity, 6)
    values = np.linalg.eigvalsh(normalized(affinity))[::-1][:6]
    np.testing.assert_allclose(found.eigenvalues, values, atol=1e-4)


def test_a_seed_gives_one_answer() -> None:
    affinity = random_affinity(600, 7, torch.float32)
    first, second = (ops.spectral_embedding(affinity, 4, seed=3) for _ in range(2))
    assert torch.equal(first.coordinates, second.coordinates)
    assert first.passes == second.passes


def test_reference_is_the_dense_decomposition() -> None:
    affinity = random_affinity(40, 8)
    coordinates, values = reference(affinity, 40)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(normalized(affinity))[::-1], atol=1e-13)
    root = (affinity.sum(1) - affinity.diagonal()).sqrt()
    torch.testing.assert_close(
        (coordinates * root[:, None]) @ (coordinates * root[:, None]).T,
        torch.eye(40, dtype=torch.float64),
        rtol=0,
        atol=1e-12,
    )


def test_says_when_it_does_not_converge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(reference.__globals__, "_MAX_RESTARTS", 1)
    affinity = torch.rand(600, 600, generator=torch.Generator().manual_seed(0))
    with pytest.raises(RuntimeError, match=r"no convergence after \d+ passes, residual .* tolerance 1e-12"):
        ops.spectral_embedding(affinity + affinity.T, 3, tolerance=1e-12)


square = torch.ones(3, 3)
lopsided = torch.ones(700, 700)
lopsided[650, 690] = 2


@pytest.mark.parametrize(
    ("affinity", "k", "options", "message"),
    [
        (torch.ones(3, 4), 1, {}, r"affinity: expected a square \(n, n\) matrix"),
        (square, 0, {}, "n_components: expected 1 to 3, found 0"),
        (square, 4, {}, "n_components: expected 1 to 3, found 4"),
        (square, 1, {"tolerance": 0.0}, "tolerance: expected a number above 0"),
        (square, 1, {"seed": -1}, "seed: expected 0 to"),
        (square * torch.nan, 1, {}, "affinity: expected finite numbers"),
        (-square, 1, {}, "affinity: expected entries >= 0, found -1.0"),
        (torch.ones(3, 3).triu(), 1, {}, "affinity: expected a symmetric matrix, entries differ by 1"),
        (lopsided, 1, {}, "affinity: expected a symmetric matrix, entries differ by 1"),
        (square, 1, {"backend": "cuda"}, "spectral_embedding has no 'cuda', it has cpu, torch"),
    ],
)
def test_refuses_by_name(affinity: torch.Tensor, k: int, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.spectral_embedding(affinity, k, **options)


def test_refuses_what_is_no_number() -> None:
    with pytest.raises(TypeError, match=r"n_components: expected an integer, found 1\.0"):
        ops.spectral_embedding(square, 1.0)
    with pytest.raises(TypeError, match="tolerance: expected a number, found None"):
        ops.spectral_embedding(square, 1, tolerance=None)
    with pytest.raises(TypeError, match=r"seed: expected an integer, found 0\.5"):
        ops.spectral_embedding(square, 1, seed=0.5)
