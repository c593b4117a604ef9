"""Models with a new classifier."""

import pytest
import timm
import torch
from torch import nn

from diptych.embed import ImageModel, Preprocess, load_model
from diptych.embed.new_classifier import with_new_classifier


class Nested(nn.Module):
    """A network whose classifier lies deeper, and is what it is given."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), classifier)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.body(images)


def nested(classifier: nn.Module, path: str | None = "body.1") -> ImageModel:
    return load_model(Nested(classifier), preprocess=Preprocess(2), classifier=path, name="nested")


@pytest.mark.parametrize(("name", "classifier"), [("test_resnet", "fc"), ("test_vit", "head")])
@pytest.mark.parametrize("classes", [0, 1000])
def test_timms_models_make_it_themselves(name: str, classifier: str, classes: int) -> None:
    module = timm.create_model(name, num_classes=classes)
    model = load_model(module, name=name)
    drawn = torch.random.get_rng_state()
    made = with_new_classifier(model, 5)
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert (made.classifier, made.head().out_features, made.module.num_classes) == (classifier, 5, 5)
    assert made.head().weight.abs().max() == 0
    assert made.preprocess is model.preprocess
    # The model stays as it was, and the backbone is a copy.
    assert module.num_classes == classes
    for (path, own), other in zip(module.named_parameters(), made.module.parameters(), strict=False):
        if not path.startswith(classifier):
            assert own is not other
            torch.testing.assert_close(own, other)
    assert made.module(torch.rand(2, 3, 160, 160)).shape == (2, 5)


def test_others_have_their_linear_layer_replaced() -> None:
    model = nested(nn.Linear(12, 3).double())
    made = with_new_classifier(model, 4)
    head = made.head()
    assert (head.in_features, head.out_features, head.weight.dtype) == (12, 4, torch.float64)
    assert made.module(torch.rand(2, 3, 2, 2).double()).shape == (2, 4)
    assert model.head().out_features == 3


def test_classifiers_that_cannot_be_replaced() -> None:
    with pytest.raises(ValueError, match="classifier: unknown in nested; give load_model its module path"):
        with_new_classifier(nested(nn.Linear(12, 3), None), 4)
    with pytest.raises(ValueError, match="classifier: expected a linear layer in nested, found Identity"):
        with_new_classifier(nested(nn.Identity()), 4)


def test_a_model_that_makes_one_without_a_bias() -> None:
    model = nested(nn.Linear(12, 3))

    def reset(classes: int) -> None:
        made.body[1] = nn.Linear(12, classes, bias=False)

    made = model.module
    made.reset_classifier = reset  # type: ignore[assignment]
    made.__deepcopy__ = lambda _: made  # type: ignore[assignment]
    with pytest.raises(ValueError, match="classifier: expected a bias in that of nested, found none"):
        with_new_classifier(model, 4)
