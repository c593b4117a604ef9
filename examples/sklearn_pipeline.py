"""An op inside a scikit-learn pipeline: affinities to landmarks as features of a linear classifier.

The transformer describes an item by its Gaussian affinities to a few items of the training data, which it
takes from ``ops.pairwise_distances``: numpy in, numpy out, so that nothing around it notices. It is
cross-validated beside the pixels themselves, on the 1,797 digits that ship with scikit-learn.

Run: python examples/sklearn_pipeline.py
"""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

from diptych import ops


class LandmarkAffinity(TransformerMixin, BaseEstimator):
    """Gaussian affinities exp(-d² / s²) of every item to landmarks, s² the median squared distance.

    Attributes:
        landmarks_: (n_landmarks, d) rows of the training data.
        scale_: The median squared distance of the training data to them.
    """

    def __init__(self, n_landmarks: int = 100, seed: int = 0) -> None:
        self.n_landmarks = n_landmarks
        self.seed = seed

    def fit(self, X, y=None) -> "LandmarkAffinity":
        X = validate_data(self, X, dtype=np.float64)
        count = min(self.n_landmarks, len(X))
        chosen = np.random.default_rng(self.seed).choice(len(X), count, replace=False)
        self.landmarks_ = X[chosen]
        self.scale_ = float(np.median(ops.pairwise_distances(X, self.landmarks_, metric="sqeuclidean")))
        return self

    def transform(self, X) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        # Instead of sklearn.metrics.pairwise_distances(X, self.landmarks_, metric="sqeuclidean").
        squares = ops.pairwise_distances(X, self.landmarks_, metric="sqeuclidean")
        return np.exp(-squares / self.scale_)


def pipeline(n_landmarks: int = 100) -> Pipeline:
    """The affinities, standardised, and a linear classifier."""
    return make_pipeline(
        LandmarkAffinity(n_landmarks), StandardScaler(), LogisticRegression(max_iter=200, C=0.1)
    )


def main() -> None:
    """Cross-validate a linear classifier of the pixels and of the affinities; then choose their number."""
    X, y = load_digits(return_X_y=True)
    plain = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200, C=0.1))
    for name, model in (("pixels", plain), ("affinities to 100 landmarks", pipeline())):
        scores = cross_val_score(model, X, y, cv=5)
        print(f"{name}: accuracy {scores.mean():.3f} ± {scores.std():.3f} over 5 folds")
    search = GridSearchCV(pipeline(), {"landmarkaffinity__n_landmarks": [30, 300]}, cv=3).fit(X, y)
    print(f"chosen by 3 folds: {search.best_params_}, accuracy {search.best_score_:.3f}")


if __name__ == "__main__":
    main()
