"""Activations against forward passes made by hand, pooling against torch."""

from typing import Any

import numpy as np
import pytest
import timm
import torch
from shown_networks import PIXELS, Fixed, batch, random_resnet, resnet, small, vit
from torch import nn

from diptych.embed import PatchGrid, Preprocess, activations, concept_patches, load_model

# Batches of other sizes take other paths through BLAS and convolutions.
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.mark.parametrize("batch_size", [1, 3, 7, 64])
def test_feature_maps_are_those_of_a_forward_pass_by_hand(batch_size: int) -> None:
    model = resnet()
    with torch.inference_mode():
        module: Any = model.module
        x = module.maxpool(module.act1(module.bn1(module.conv1(batch(model)))))
        first = module.layer1[0]
        before = first.bn2(first.conv2(first.act1(first.bn1(first.conv1(x)))))
        block = torch.relu(before + x)
        last = module.layer4(module.layer3(module.layer2(module.layer1[1](block))))
        vector = last.mean((2, 3))
        logits = module.fc(vector)
    layers = ["layer1.0.bn2", "layer1.0.act2", "layer4.1.act2", "embedding", "logits"]
    found = activations(model, PIXELS, layers, batch_size=batch_size)
    assert list(found) == layers
    # The normalisation's own output, not what the sum and the ReLU in place make of it.
    expected = [before.mean((2, 3)), block.mean((2, 3)), vector, vector, logits]
    for layer, wanted in zip(layers, expected, strict=True):
        assert found[layer].dtype == np.float32
        torch.testing.assert_close(torch.tensor(found[layer]), wanted, **CLOSE)
    assert (before.mean((2, 3)) < 0).any()
    assert np.array_equal(found.predicted(), found[""].argmax(1))
    assert found.pooling["layer1.0.bn2"] == "mean"
    assert found.pooling["logits"] == "none"


def test_outputs_that_stay_whole_are_not_changed_in_place_either() -> None:
    found = activations(resnet(), PIXELS, ["layer1.0.bn1", "layer1.0.act1"], pooling="flatten")
    assert (found["layer1.0.bn1"] < 0).any()
    np.testing.assert_array_equal(np.maximum(found["layer1.0.bn1"], 0), found["layer1.0.act1"])


def test_the_relus_of_a_resnet_are_not_negative_and_in_one_pass() -> None:
    calls = []
    hook = resnet().module.register_forward_hook(lambda *_: calls.append(1))
    found = activations(resnet(), PIXELS, "rsvc", batch_size=7)
    hook.remove()
    assert len(found) == 17
    assert len(calls) == 1
    assert all((found[layer] >= 0).all() for layer in found)
    assert not any(each._forward_hooks for each in resnet().module.modules())


def test_poolings_of_feature_maps() -> None:
    maps = torch.rand(7, 5, 3, 2)
    model = small(Fixed(maps))
    expected = {
        "auto": maps.mean((2, 3)),
        "mean": maps.mean((2, 3)),
        "patches": maps.permute(0, 2, 3, 1).reshape(7, 6, 5),
        "flatten": maps.flatten(1),
    }
    for pooling, wanted in expected.items():
        name: Any = pooling
        found = activations(model, PIXELS, "0", pooling=name, batch_size=7)["0"]
        torch.testing.assert_close(torch.tensor(found), wanted)
    with pytest.raises(
        ValueError, match=r"layer '0': feature maps of shape \(7, 5, 3, 2\) have no class token"
    ):
        activations(model, PIXELS, "0", pooling="cls", batch_size=7)


def test_channels_last_maps() -> None:
    maps = torch.rand(7, 3, 2, 5)
    model = small(Fixed(maps, output_fmt="NHWC"))
    found = activations(model, PIXELS, "0", batch_size=7)["0"]
    torch.testing.assert_close(torch.tensor(found), maps.mean((1, 2)))
    found = activations(model, PIXELS, "0", pooling="patches", batch_size=7)["0"]
    assert np.array_equal(found, maps.reshape(7, 6, 5))


@pytest.mark.parametrize(("prefix", "class_token"), [(0, False), (1, True), (5, True), (4, False)])
def test_poolings_of_tokens(prefix: int, class_token: bool) -> None:
    tokens = torch.rand(7, 9, 5)
    model = small(Fixed(tokens), prefix_tokens=prefix, class_token=class_token)
    mean, first = tokens[:, prefix:].mean(1), tokens[:, 0]
    expected = {
        "auto": first if class_token else mean,
        "mean": mean,
        "patches": tokens[:, prefix:],
        "flatten": tokens.flatten(1),
    }
    if class_token:
        expected["cls"] = first
    for pooling, wanted in expected.items():
        name: Any = pooling
        found = activations(model, PIXELS, "0", pooling=name, batch_size=7)
        torch.testing.assert_close(torch.tensor(found["0"]), wanted)
        assert found.pooling["0"] == ({True: "cls", False: "mean"}[class_token] if name == "auto" else name)
    if not class_token:
        with pytest.raises(ValueError, match="layer '0' of Fixed has no class token"):
            activations(model, PIXELS, "0", pooling="cls", batch_size=7)


def test_a_vits_class_and_patch_tokens() -> None:
    model = vit()
    with torch.inference_mode():
        module: Any = model.module
        tokens = module.forward_intermediates(
            batch(model), indices=[3], intermediates_only=True, output_fmt="NLC"
        )
        features = module.forward_features(batch(model))
    found = activations(model, PIXELS, ["blocks.3", "norm", "embedding"])
    torch.testing.assert_close(torch.tensor(found["norm"]), features[:, 0], **CLOSE)
    torch.testing.assert_close(torch.tensor(found["embedding"]), features[:, 0], **CLOSE)
    assert found.pooling == {"blocks.3": "cls", "norm": "cls", "embedding": "none"}
    patches = activations(model, PIXELS, "blocks.3", pooling="patches")["blocks.3"]
    torch.testing.assert_close(torch.tensor(patches), tokens[0], **CLOSE)


def test_a_layer_before_the_class_token_joins_has_patches_only() -> None:
    model = load_model(timm.create_model("cait_xxs24_224", img_size=32, depth=2), input_size=32)
    found = activations(model, PIXELS[:2], ["blocks.0", "norm"])
    assert (model.prefix_tokens, model.class_token) == (1, True)
    assert found.pooling == {"blocks.0": "mean", "norm": "cls"}
    assert activations(model, PIXELS[:2], "blocks.0", pooling="patches")["blocks.0"].shape == (2, 4, 192)


def test_proposals_are_patches_of_the_preprocessed_images() -> None:
    model, grid = resnet(), PatchGrid()
    with torch.inference_mode():
        expected = model.module(concept_patches(batch(model), grid))
    found = activations(model, PIXELS, "logits", proposals=grid, batch_size=40)
    assert found.rows_per_image == 16
    assert found["logits"].shape == (112, 1000)
    assert len(found.ids) == 7
    torch.testing.assert_close(torch.tensor(found["logits"]), expected, **CLOSE)


def test_torchvisions_resnet_has_the_same_relus_as_timms() -> None:
    import torchvision

    theirs = torchvision.models.resnet18(num_classes=10)
    ours = timm.create_model("resnet18", num_classes=10)
    ours.load_state_dict(theirs.state_dict())
    first = activations(load_model(theirs, preprocess=Preprocess(32)), PIXELS, "rsvc")
    second = activations(load_model(ours, preprocess=Preprocess(32)), PIXELS, "rsvc")
    assert len(first) == len(second) == 17
    for a, b in zip(first.values(), second.values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_the_mode_and_the_gradients_of_the_model_are_left_alone() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)).train()
    module[0].eval()
    model = small(module)
    first = activations(model, PIXELS, "2")["2"]
    np.testing.assert_array_equal(first, activations(model, PIXELS, "2")["2"])
    assert [each.training for each in module.modules()] == [True, False, True, True]
    assert isinstance(module[1].num_batches_tracked, torch.Tensor)
    assert module[1].num_batches_tracked == 0


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_is_close_and_kept_in_float32(precision: Any) -> None:
    full = activations(resnet(), PIXELS, ["layer1", "embedding"])
    half = activations(resnet(), PIXELS, ["layer1", "embedding"], precision=precision)
    for layer in full:
        assert half[layer].dtype == np.float32
        assert not np.array_equal(half[layer], full[layer])
        # Eighteen layers of rounding to 8 bits (bfloat16) or 11: a few hundredths of the norm.
        assert np.linalg.norm(half[layer] - full[layer]) < 0.05 * np.linalg.norm(full[layer])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_network_in_another_precision_takes_images_in_it(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3))
    expected = activations(small(module), PIXELS, "0")["0"]
    found = activations(small(module.to(dtype)), PIXELS, "0", proposals=None)["0"]
    assert found.dtype == np.float32
    # Eight bits of mantissa, averaged over places.
    np.testing.assert_allclose(found, expected, atol=0.02 if dtype == torch.bfloat16 else 1e-6)


def test_proposals_in_mixed_precision() -> None:
    found = activations(resnet(), PIXELS[:2], "embedding", proposals=PatchGrid(), precision="bfloat16")
    full = activations(resnet(), PIXELS[:2], "embedding", proposals=PatchGrid())
    assert np.linalg.norm(found["embedding"] - full["embedding"]) < 0.05 * np.linalg.norm(full["embedding"])


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_gpu_agrees(precision: Any) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU")
    expected = activations(resnet(), PIXELS, ["layer1", "logits"])
    found = activations(random_resnet(), PIXELS, ["layer1", "logits"], device="cuda", precision=precision)
    for layer in expected:
        # tf32 in float32 convolutions has 11 bits, as float16.
        assert np.linalg.norm(found[layer] - expected[layer]) < 0.05 * np.linalg.norm(expected[layer])


def test_models_with_different_input_sizes_see_the_same_images() -> None:
    first = activations(resnet(), PIXELS, "embedding", proposals=PatchGrid())
    second = activations(vit(), PIXELS, "embedding", proposals=PatchGrid())
    assert first["embedding"].shape == (112, 512)
    assert second["embedding"].shape == (112, 192)


def test_a_bar_appears_for_long_work(
    impatient: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    activations(resnet(), PIXELS, "fc", batch_size=2)
    assert "activations of timm:resnet18" in capsys.readouterr().err
    activations(resnet(), PIXELS, "fc", batch_size=2, progress=False)
    assert capsys.readouterr().err == ""
