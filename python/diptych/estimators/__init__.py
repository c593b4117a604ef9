"""Learners of concepts, in scikit-learn's style: numpy in, numpy out."""

from diptych.estimators.convex_nmf import ConvexNMF
from diptych.estimators.maximum_sampling import maximum_sampling
from diptych.estimators.semi_nmf import SemiNMF
from diptych.estimators.sparse_autoencoder import SparseAutoencoder

__all__ = ["ConvexNMF", "SemiNMF", "SparseAutoencoder", "maximum_sampling"]
