"""Training all weights: its steps against torch's own, its schedule, and what is drawn at random."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import nn

from diptych.embed import ImageModel, ImageSet, Preprocess, load_model, open_images
from diptych.embed.augmentation import RandomCrop
from diptych.embed.finetuning import Recipe, _optimiser, _Pass, train_network
from diptych.embed.new_classifier import with_new_classifier

pytestmark = pytest.mark.usefixtures("one_thread")


def recipe(**options: Any) -> Recipe:
    given: dict[str, Any] = {
        "epochs": 5,
        "batch_size": 4,
        "learning_rate": 0.01,
        "backbone_rate": 0.1,
        "weight_decay": 0.3,
        "warmup": 0.0,
        "label_smoothing": 0.1,
        "crop": RandomCrop(1.0, flip=False),
        "seed": 0,
    }
    return Recipe(**(given | options))


def network() -> ImageModel:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2)
    )
    model = load_model(module, preprocess=Preprocess(), classifier="4", name="network")
    return with_new_classifier(model, 3)


def pictures(n: int = 9) -> ImageSet:
    pixels = np.random.default_rng(0).integers(0, 256, (n, 8, 8, 3)).astype(np.uint8)
    return open_images(pixels, labels=np.arange(n) % 3)


def labels_of(images: ImageSet) -> np.ndarray:
    assert images.labels is not None
    return images.labels


def test_the_steps_are_those_of_torch() -> None:
    """All images in one batch, in the order of each pass; the schedule is torch's as well."""
    model, images = network(), pictures()
    other = copy.deepcopy(model.module)
    passes = [replace(a_pass(number), recipe=recipe(batch_size=9))._batches() for number in range(5)]
    found = train_network(model, images, labels_of(images), recipe(batch_size=9), progress=False)
    inputs = torch.stack([model.preprocess(images.read(item)) for item in range(9)])
    conv, head = other[0], other[4]  # type: ignore[index]
    groups = [
        {"params": [conv.weight], "lr": 0.001},
        {"params": [conv.bias], "lr": 0.001, "weight_decay": 0.0},
        {"params": [head.weight], "lr": 0.01},
        {"params": [head.bias], "lr": 0.01, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 5)
    losses = []
    for [order] in passes:
        labels = torch.from_numpy(labels_of(images)[order])
        loss = nn.functional.cross_entropy(other(inputs[order]), labels, label_smoothing=0.1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    np.testing.assert_allclose([epoch.loss for epoch in found], losses, rtol=1e-6)
    for own, wanted in zip(model.module.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(own, wanted)


def test_learning_rates_rise_and_fall() -> None:
    rates = np.array([recipe(warmup=0.2).rate(step, 50) for step in range(50)])
    np.testing.assert_allclose(rates[:10], np.arange(1, 11) / 11)
    assert rates[10] == 1
    assert (np.diff(rates[10:]) < 0).all()
    assert 0 < rates[-1] < 0.01
    assert recipe(warmup=0.0).rate(0, 1) == 1


def test_what_decays_and_how_fast_it_learns() -> None:
    model = with_new_classifier(load_model(timm.create_model("test_resnet"), name="test_resnet"), 3)
    groups = _optimiser(model, recipe()).param_groups
    weight, bias = model.head().parameters()
    found = {
        (group["highest"], group["weight_decay"]): {id(each) for each in group["params"]} for group in groups
    }
    assert found[0.01, 0.3] == {id(weight)}
    assert found[0.01, 0.0] == {id(bias)}
    body = [each for each in model.module.parameters() if each is not weight and each is not bias]
    assert found[0.001, 0.3] == {id(each) for each in body if each.ndim == 4}
    assert found[0.001, 0.0] == {id(each) for each in body if each.ndim == 1}


def test_weights_that_require_no_gradient_stay() -> None:
    model, images = network(), pictures()
    conv = model.module.get_submodule("0")
    conv.requires_grad_(False)
    before = conv.weight.clone()  # type: ignore[operator, union-attr]
    train_network(model, images, labels_of(images), recipe(), progress=False)
    assert torch.equal(conv.weight, before)  # type: ignore[arg-type]
    assert model.head().weight.abs().max() > 0


def a_pass(number: int, seed: int = 0) -> _Pass:
    images = pictures()
    options = recipe(crop=RandomCrop(), seed=seed)
    device = torch.device("cpu")
    return _Pass(network(), images, labels_of(images), options, device, "float32", 1, number)


def test_every_pass_has_its_own_order_and_crops() -> None:
    batches = a_pass(0)._batches()
    assert [len(batch) for batch in batches] == [3, 3, 3]
    assert sorted(item for batch in batches for item in batch) == list(range(9))
    assert batches == a_pass(0)._batches()
    assert batches != a_pass(1)._batches() != a_pass(1, seed=1)._batches()
    picture = pictures().read(0)
    shown = [each._prepare(picture, item) for each, item in ((a_pass(0), 0), (a_pass(0), 1), (a_pass(1), 0))]
    assert torch.equal(shown[0], a_pass(0)._prepare(picture, 0))
    assert not torch.equal(shown[0], shown[1])
    assert not torch.equal(shown[0], shown[2])


def test_images_of_different_sizes_are_named(tmp_path: Path) -> None:
    from PIL import Image

    files = []
    for side in (8, 9):
        files.append(tmp_path / f"{side}.png")
        Image.new("RGB", (side, side)).save(files[-1])
    images = open_images(files, labels=[0, 1])
    with pytest.raises(ValueError, match="preprocess: expected images of one size, found"):
        train_network(network(), images, labels_of(images), recipe(), progress=False)
