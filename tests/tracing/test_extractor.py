from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_up import random_sequences

from diptych.embed import torchvision_weights
from diptych.tracing.extractor import Head, Known, ResNet18, extractor_for, inputs_of, made, resized
from diptych.tracing.sequences import Sequences
from diptych.tracing.tracer import Tracer

torchvision = pytest.importorskip("torchvision")


@pytest.fixture(scope="module")
def pictured() -> Sequences:
    """Sequences whose images are pixels."""
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (12, 32, 32, 3), np.uint8)
    return replace(random_sequences([3, 2, 2], [1, 0, 0]), features=None, images=pixels)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of ResNet-18's weights, which no seed draws."""
    torch.manual_seed(99)
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), path)
    return path


def test_known_features_keep_their_geometry() -> None:
    sequences = random_sequences([2], [0])
    moved = replace(sequences, features=(3 + 7 * sequences.features).astype(np.float32))
    made_of = [extractor_for(each) for each in (sequences, moved)]
    assert all(isinstance(each, Known) and not each.learned for each in made_of)
    first, second = (
        each.embed(inputs_of(who, each)) for each, who in zip(made_of, (sequences, moved), strict=True)
    )
    # float32 of size 20 of which the mean is taken.
    torch.testing.assert_close(first, second, rtol=0, atol=1e-5)
    torch.testing.assert_close(first.mean(0), torch.zeros(4), rtol=0, atol=1e-6)
    assert float(first.square().mean()) == pytest.approx(1, abs=1e-5)
    alike = Known(2)
    alike.measure(torch.ones(3, 2))
    assert torch.equal(alike(torch.ones(1, 2)), torch.zeros(1, 2))


def test_a_head_has_the_widths_of_the_table() -> None:
    sequences = random_sequences([2], [0])
    head = extractor_for(sequences, "head", dimension=8)
    assert isinstance(head, Head)
    assert [tuple(each.weight.shape) for each in (head.head[0], head.head[2])] == [(1024, 4), (8, 1024)]
    assert head.embed(inputs_of(sequences, head)).shape == (12, 8)
    again = made(**head.described())
    again.load_state_dict(head.state_dict())
    assert torch.equal(again.known.mean, head.known.mean)


def test_the_network_is_torchvisions(pictured: Sequences, weights: Path) -> None:
    extractor = extractor_for(pictured, dimension=8, weights=weights)
    assert isinstance(extractor, ResNet18)
    theirs = torchvision.models.resnet18(weights=None)
    theirs.load_state_dict(torch.load(weights, weights_only=True))
    theirs.fc = extractor.head
    theirs.eval()
    pixels = inputs_of(pictured, extractor)
    assert pixels.dtype == torch.uint8
    normalised = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    with torch.no_grad():
        expected = theirs(normalised(pixels.float() / 255))
    # Twenty layers of float32, in another memory layout.
    torch.testing.assert_close(extractor.embed(pixels), expected, rtol=1e-4, atol=1e-4)


def test_the_last_blocks_and_the_head_learn_alone(pictured: Sequences) -> None:
    extractor = extractor_for(pictured, dimension=8, weights="random").train()
    extractor(inputs_of(pictured, extractor)).sum().backward()
    learns = {name for name, each in extractor.named_parameters() if each.grad is not None}
    assert learns == {name for name, _ in extractor.named_parameters() if not name.startswith("frozen")}
    assert extractor.learned
    statistics = extractor.learns[0][0].bn1
    assert not statistics.training
    assert torch.equal(statistics.running_mean, torch.zeros(512))


def test_a_network_is_trained_and_kept(pictured: Sequences, tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    from diptych.tracing.train import fit

    options: dict[str, Any] = {"epochs": 1, "dimension": 8, "weights": "random", "progress": False}
    tracer = fit(pictured, "static", **options, extractor_rate=1e-3)
    fresh = extractor_for(pictured, dimension=8, weights="random")
    kept = Tracer.load(tracer.save(tmp_path / "tracer.safetensors"))
    for name, each in tracer.extractor.named_parameters():
        assert torch.equal(fresh.get_parameter(name), each) == name.startswith("frozen")
    tracer.start()
    kept.start()
    assert pictured.images is not None
    tracer.update(pictured.images[0], 0, 1)
    found = tracer.predict(pictured.images)
    assert np.array_equal(kept.predict(pictured.images), found)
    assert found.shape == (12, 3)


def test_images_are_read_from_their_folder(pictured: Sequences, tmp_path: Path) -> None:
    from PIL import Image

    assert pictured.images is not None
    for name, pixels in zip(pictured.items, pictured.images, strict=True):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    names = tuple(f"{name}.png" for name in pictured.items)
    filed = replace(pictured, images=None, folder=tmp_path, items=names)
    own = extractor_for(pictured, dimension=8, weights="random")
    assert torch.equal(inputs_of(filed, own), inputs_of(pictured, own))
    assert extractor_for(filed, dimension=8, weights="random").size == 224
    assert resized([tmp_path / names[0]], 40).shape == (1, 3, 40, 40)


def test_bad_extractors_are_refused(
    pictured: Sequences, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = random_sequences([2], [0])
    refused: list[tuple[Sequences, dict[str, Any], type[Exception], str]] = [
        (pictured, {"kind": "known"}, ValueError, "expected sequences with known features, found none"),
        (known, {"kind": "vgg"}, ValueError, "extractor: expected one of 'known'"),
        (known, {"dimension": 0}, ValueError, "dimension: expected 1 to 1024"),
        (known, {"weights": "random"}, ValueError, "weights: expected none for known features"),
        (known, {"size": 64}, ValueError, "size: expected none for known features"),
        (pictured, {"size": 31}, ValueError, "size: expected 32 to"),
        (pictured, {"weights": tmp_path / "no.pth"}, FileNotFoundError, "no such checkpoint"),
    ]
    for sequences, options, kind, message in refused:
        with pytest.raises(kind, match=message):
            extractor_for(sequences, **options)
    bare = replace(known, features=None)
    with pytest.raises(ValueError, match="expected images or a folder of them, found neither"):
        inputs_of(bare, extractor_for(bare, weights="random"))
    short = torch.load(weights, weights_only=True)
    del short["conv1.weight"]
    torch.save(short, tmp_path / "short.pth")
    with pytest.raises(ValueError, match=r"short\.pth: does not fit ResNet; missing: conv1\.weight|missing"):
        extractor_for(pictured, weights=tmp_path / "short.pth")


def test_weights_that_cannot_be_had_are_missed_in_words(
    pictured: Sequences, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torchvision_weights.torch.hub, "get_dir", lambda: str(tmp_path))
    entry = torchvision.models.ResNet18_Weights.IMAGENET1K_V1

    def offline(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(type(entry), "get_state_dict", offline)
    with pytest.raises(OSError, match="ResNet-18's weights could not be had: no network"):
        extractor_for(pictured, weights="imagenet")
    assert isinstance(extractor_for(pictured), ResNet18)
