"""Learners of concepts, in scikit-learn's style: numpy in, numpy out."""

from diptych.estimators.convex_nmf import ConvexNMF
from diptych.estimators.factorize_many import Factors, factorize_many
from diptych.estimators.maximum_sampling import maximum_sampling
from diptych.estimators.nmf import NMF
from diptych.estimators.semi_nmf import SemiNMF
from diptych.estimators.sparse_autoencoder import SparseAutoencoder

__all__ = [
    "NMF",
    "ConvexNMF",
    "Factors",
    "SemiNMF",
    "SparseAutoencoder",
    "factorize_many",
    "maximum_sampling",
]
