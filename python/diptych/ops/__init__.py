"""Fast, exact functions on arrays: numpy, torch or cupy in, the same kind out, on the same device."""

import torch  # noqa: F401  (first: the C++ module shares the OpenMP runtime that torch loads)

from diptych.ops._dispatch import last_backend
from diptych.ops.correlation import correlation
from diptych.ops.difference_affinity import difference_affinity
from diptych.ops.draw_squares import draw_squares
from diptych.ops.kmeans import KMeansResult, kmeans
from diptych.ops.knn import Neighbors, knn
from diptych.ops.knn_affinity import KnnAffinity, knn_affinity
from diptych.ops.lasso import LassoResult, lasso
from diptych.ops.linear_cka import linear_cka
from diptych.ops.locally_biased_difference import locally_biased_difference
from diptych.ops.minibatch_cka import MinibatchCKA, minibatch_cka
from diptych.ops.mutual_knn import mutual_knn
from diptych.ops.neighbor_ranks import neighbor_ranks
from diptych.ops.nnls import NnlsFit, nnls
from diptych.ops.packed_affinity import PackedAffinity, PackedDirection
from diptych.ops.packed_shard import PackedShard
from diptych.ops.pairwise_distances import pairwise_distances
from diptych.ops.place_squares import place_squares
from diptych.ops.rbf_cka import rbf_cka
from diptych.ops.sampled_affinity import SampledAffinity, SampledDirection
from diptych.ops.sampled_shard import SampledShard
from diptych.ops.spectral_clusters import normalized_cut, spectral_clusters
from diptych.ops.spectral_embedding import SpectralEmbedding, spectral_embedding
from diptych.ops.square_covariates import square_covariates

__all__ = [
    "KMeansResult",
    "KnnAffinity",
    "LassoResult",
    "MinibatchCKA",
    "Neighbors",
    "NnlsFit",
    "PackedAffinity",
    "PackedDirection",
    "PackedShard",
    "SampledAffinity",
    "SampledDirection",
    "SampledShard",
    "SpectralEmbedding",
    "correlation",
    "difference_affinity",
    "draw_squares",
    "kmeans",
    "knn",
    "knn_affinity",
    "lasso",
    "last_backend",
    "linear_cka",
    "locally_biased_difference",
    "minibatch_cka",
    "mutual_knn",
    "neighbor_ranks",
    "nnls",
    "normalized_cut",
    "pairwise_distances",
    "place_squares",
    "rbf_cka",
    "spectral_clusters",
    "spectral_embedding",
    "square_covariates",
]
