"""The linear classifier, against scikit-learn's and its own gradient."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from diptych.embed import linear_classifier
from diptych.embed.linear_classifier import LinearClassifier, fit_linear_classifier

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def iris() -> tuple[torch.Tensor, torch.Tensor]:
    """150 flowers; columns differ in scale, and one is constant."""
    data = load_iris()
    columns = np.column_stack([data.data * [1, 10, 0.1, 100], np.full(150, 3.7)])
    return torch.from_numpy(columns.astype(np.float32)), torch.from_numpy(data.target)


@pytest.mark.parametrize("penalty", [1.0, 1e-2, 1e-4])
def test_it_is_scikit_learns(
    iris: tuple[torch.Tensor, torch.Tensor], penalty: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear_classifier, "_BLOCK", 64)
    features, labels = iris
    found = fit_linear_classifier(features, labels, 3, penalty=penalty)
    varying, n = features[:, :4].double().numpy(), len(features)
    other = make_pipeline(
        StandardScaler(), LogisticRegression(C=1 / (n * penalty), tol=1e-8, max_iter=10_000)
    ).fit(varying, labels.numpy())
    logits = features.double() @ found.weight.T + found.bias
    assert found.weight[:, 4].abs().max() == 0
    # Both stop where the gradient is about 1e-6; the least curvature of the problem is the penalty.
    np.testing.assert_allclose(
        logits.softmax(1).numpy(), other.predict_proba(varying), atol=1e-3 if penalty < 1e-3 else 1e-4
    )
    np.testing.assert_array_equal(found.predict(features).numpy(), other.predict(varying))


def test_label_smoothing_is_torchs(iris: tuple[torch.Tensor, torch.Tensor]) -> None:
    """At the minimum, torch's own gradient of its own loss vanishes."""
    features, labels = iris
    scaled = torch.from_numpy(StandardScaler().fit_transform(features[:, :4].double().numpy()))
    found = fit_linear_classifier(scaled, labels, 3, penalty=0.01, label_smoothing=0.2)
    weight, bias = found.weight.requires_grad_(), found.bias.requires_grad_()
    loss = torch.nn.functional.cross_entropy(scaled @ weight.T + bias, labels, label_smoothing=0.2)
    (loss + 0.005 * weight.square().sum()).backward()
    assert weight.grad is not None
    assert bias.grad is not None
    assert max(weight.grad.abs().max(), bias.grad.abs().max()) < 1e-5


def test_each_iteration_is_told(iris: tuple[torch.Tensor, torch.Tensor]) -> None:
    features, labels = iris
    told: list[tuple[LinearClassifier, float]] = []
    found = fit_linear_classifier(
        features, labels, 3, penalty=0.01, iterations=5, after_iteration=lambda *each: told.append(each)
    )
    assert len(told) == 5
    assert told[-1][1] < told[0][1] < np.log(3)
    last, loss = told[-1]
    torch.testing.assert_close(last.weight, found.weight)
    logits = features.double() @ found.weight.T + found.bias
    assert loss == pytest.approx(float(torch.nn.functional.cross_entropy(logits, labels)), abs=1e-9)


def test_features_that_tell_nothing() -> None:
    told: list[float] = []
    found = fit_linear_classifier(
        torch.ones(4, 2),
        torch.tensor([0, 1, 0, 1]),
        2,
        penalty=0.1,
        after_iteration=lambda _, loss: told.append(loss),
    )
    assert told == [pytest.approx(np.log(2))]
    assert found.weight.abs().max() == 0


def test_the_unit_of_a_feature_does_not_matter(iris: tuple[torch.Tensor, torch.Tensor]) -> None:
    features, labels = iris
    one = fit_linear_classifier(features, labels, 3, penalty=0.01)
    other = fit_linear_classifier(features.double() * 1000 + 5, labels, 3, penalty=0.01)
    torch.testing.assert_close(one.weight, other.weight * 1000, rtol=1e-3, atol=1e-3)
