"""Normalised-cut clusters of an affinity."""

from functools import partial

import torch

from diptych.ops import _checks
from diptych.ops._arrays import Array, returner, to_tensor
from diptych.ops._dispatch import choose
from diptych.ops._thin_product import thin_product
from diptych.ops.kmeans import kmeans
from diptych.ops.spectral_embedding import checked_affinity, row_sums, spectral_embedding
from diptych.ops.spectral_embedding import reference as embedding_reference


def spectral_clusters(
    affinity: Array,
    n_clusters: int,
    *,
    seed: int = 0,
    n_init: int = 10,
    tolerance: float = 1e-4,
    backend: str | None = None,
    check: bool | None = None,
) -> Array:
    """Cut the graph of an affinity into clusters of small normalised cut.

    k-means with restarts on the spectral embedding (Shi & Malik 2000; von Luxburg 2007, sec. 4): what
    ``sklearn.cluster.SpectralClustering(affinity="precomputed")`` computes, without factorising a matrix.

    Args:
        affinity: (n, n) symmetric, entries >= 0; its diagonal plays no part. Or an operator, as in
            :func:`diptych.ops.spectral_embedding`.
        n_clusters: 1 to n.
        seed: Of the eigensolver's start and of the k-means restarts; the result is the same for a seed.
        n_init: k-means restarts.
        tolerance: Residual of the eigenvectors.
        backend: ``"cpu"``, ``"cuda"`` (k-means in CUDA, eigenvectors as in torch), ``"torch"``, or None to
            choose by device.
        check: As in :func:`diptych.ops.spectral_embedding`.

    Returns:
        (n,) int64 labels, clusters numbered by size, largest first.

    Complexity:
        That of :func:`diptych.ops.spectral_embedding`; the k-means part is O(n k² n_init) per step.

    Raises:
        ValueError: As :func:`diptych.ops.spectral_embedding`; n_clusters or n_init out of range.
        RuntimeError: The eigensolver did not converge.
        TypeError: Not an array of real numbers, or parameters that are not numbers.
    """
    tensor = checked_affinity(affinity, check)
    _checks.integer("n_clusters", n_clusters, 1, tensor.shape[0])
    _checks.integer("n_init", n_init, 1)
    _checks.positive("tolerance", tolerance)
    _checks.seed(seed)

    def run(backend: str) -> torch.Tensor:
        products = "torch" if backend == "cuda" else backend
        embedding = spectral_embedding(
            tensor, n_clusters, seed=seed, tolerance=tolerance, backend=products, check=False
        )
        points = embedding.coordinates
        return kmeans(points, n_clusters, n_init=n_init, seed=seed, backend=backend, check=False).labels

    offered = {name: partial(run, name) for name in ("cpu", "cuda", "torch")}
    labels = choose("spectral_clusters", tensor.device, backend, offered)()
    return returner(affinity)(labels)


def reference(affinity: torch.Tensor, n_clusters: int, seed: int = 0) -> torch.Tensor:
    """The definition: k-means on the dense float64 eigenvectors."""
    coordinates, _ = embedding_reference(affinity, n_clusters)
    return kmeans(coordinates, n_clusters, seed=seed, check=False).labels


def normalized_cut(affinity: Array, labels: Array) -> float:
    """Normalised cut of a clustering: the sum over clusters of cut(C, rest) / volume(C).

    Shi & Malik 2000, eq. 2, for any number of clusters; the diagonal of the affinity plays no part.

    Args:
        affinity: (n, n) symmetric, or an operator.
        labels: (n,) integers >= 0.

    Returns:
        The value, between 0 and the number of clusters. A cluster without volume adds nothing.

    Complexity:
        O(n² k) time, O(n k) memory.

    Raises:
        ValueError: Not square, on different devices, or labels of another length or negative.
        TypeError: Not an array of real numbers, or labels that are not integers.
    """
    tensor = checked_affinity(affinity, check=False)
    tags = to_tensor("labels", labels)
    if tags.is_floating_point() or tags.dtype == torch.bool:
        raise TypeError(f"labels: expected integers, found {tags.dtype}")
    _checks.same_device(affinity=tensor, labels=tags)
    tags = tags.long()
    n = tensor.shape[0]
    if tags.shape != (n,) or bool((tags < 0).any()):
        raise ValueError(f"labels: expected {n} integers >= 0, found shape {tuple(tags.shape)}")
    members = torch.nn.functional.one_hot(tags).to(tensor.dtype)
    within = (members * thin_product(tensor, members)).sum(0) - members.T @ tensor.diagonal()
    volume = members.T @ (row_sums(tensor) - tensor.diagonal())
    share = torch.where(volume > 0, within / volume, torch.ones_like(volume))
    return float((1 - share.double()).sum())
