"""Layers by path, and the sets of them by name."""

from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import nn

from diptych.embed import Preprocess, layer_names, layer_set, load_model
from diptych.embed.layers import resolve_layers


def built(name: str, library: Any = timm) -> nn.Module:
    with torch.device("meta"):
        return timm.create_model(name) if library is timm else getattr(library.models, name)()


@pytest.mark.parametrize(
    ("name", "count"), [("resnet18", 17), ("resnet34", 33), ("resnet50", 49), ("resnet101", 100)]
)
@pytest.mark.parametrize("library", [timm, torchvision])
def test_a_resnets_relus(name: str, count: int, library: Any) -> None:
    module = built(name, library)
    layers = layer_set(module, "relu")
    assert len(layers) == len(set(layers)) == count
    assert layer_set(module, "rsvc") == layers
    last = "layer4.2" if name != "resnet18" else "layer4.1"
    per_block = 2 if name in ("resnet18", "resnet34") else 3
    assert layers[-1] == (f"{last}.act{per_block}" if library is timm else f"{last}.relu:{per_block - 1}")
    assert resolve_layers(module, layers) == layers


def test_833_pairs_of_the_layer_matrix() -> None:
    assert len(layer_set(built("resnet18"), "rsvc")) * len(layer_set(built("resnet50"), "rsvc")) == 833


def test_the_order_is_that_of_the_forward_pass_and_attention_does_not_count() -> None:
    module = timm.create_model("seresnet18", num_classes=0)
    called: list[str] = []
    for path, each in module.named_modules():
        if isinstance(each, nn.ReLU):
            each.register_forward_hook(lambda *_, path=path: called.append(path))
    module.eval()(torch.zeros(1, 3, 32, 32))
    assert len(called) == 17 + 8
    assert layer_set(module, "relu") == [path for path in called if ".se." not in path]


def test_a_deep_stem_counts() -> None:
    layers = layer_set(built("resnet50d"), "relu")
    assert layers[:3] == ["conv1.2", "conv1.5", "act1"]
    assert len(layers) == 51


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("vit_tiny_patch16_224", 12),
        ("vit_small_patch16_224", 12),
        ("vit_base_patch14_reg4_dinov2", 12),
        ("vit_large_patch14_clip_336", 24),
        ("deit_tiny_patch16_224", 12),
        ("beit_base_patch16_224", 12),
    ],
)
def test_a_transformers_blocks(name: str, count: int) -> None:
    module = built(name)
    expected = [f"blocks.{number}" for number in range(count)]
    assert layer_set(module, "rsvc") == layer_set(module, "blocks") == expected
    # The set, not the module that holds them.
    assert resolve_layers(module, "blocks") == expected


def test_blocks_and_stages_of_convolutional_networks() -> None:
    assert len(layer_set(built("resnet18"), "blocks")) == 8
    assert layer_set(built("resnet50"), "stages") == ["layer1", "layer2", "layer3", "layer4"]
    assert layer_set(built("convnext_tiny"), "stages") == [f"stages.{number}" for number in range(4)]
    assert layer_set(built("swin_tiny_patch4_window7_224"), "stages") == [f"layers.{i}" for i in range(4)]


def test_sets_paths_and_the_output_may_be_mixed() -> None:
    model = load_model("timm:resnet10t", pretrained=False)
    found = resolve_layers(model, ["", "stages", "layer2", "fc", "embedding", "layer1.0.act1:0"])
    assert found == ["logits", "layer1", "layer2", "layer3", "layer4", "fc", "embedding", "layer1.0.act1:0"]
    assert resolve_layers(model, "logits") == ["logits"]
    assert layer_names(model)[-2:] == ["logits", "embedding"]
    assert "layer1.0.conv1" in layer_names(model)


def test_a_module_called_logits_is_that_module() -> None:
    module = nn.Sequential()
    module.add_module("logits", nn.Linear(2, 2))
    assert layer_names(module) == ["logits"]


def test_a_layer_that_does_not_exist_offers_the_nearest() -> None:
    module = built("resnet18")
    with pytest.raises(ValueError, match=r"no layer 'layer4\.2\.act2'; the nearest are .*'layer4\.1\.act2'"):
        resolve_layers(module, "layer4.2.act2")
    with pytest.raises(ValueError, match=r"no layer 'qqq'; the nearest are 'conv1', .* lists all \d+\)"):
        resolve_layers(module, ["act1", "qqq"])
    # Without a classifier there is nothing that enters it.
    with pytest.raises(ValueError, match="no layer 'embedding'"):
        resolve_layers(load_model(nn.Sequential(nn.Linear(2, 2)), preprocess=Preprocess()), "embedding")


def test_a_set_the_architecture_has_not_tells_which_there_are() -> None:
    with pytest.raises(
        ValueError, match=r"no set 'relu' for VisionTransformer, a ViT; the sets are ResNet: rsvc, "
    ):
        resolve_layers(built("vit_tiny_patch16_224"), "relu")
    with pytest.raises(ValueError, match="no set 'rsvc' for Sequential, of no known kind; the sets are"):
        resolve_layers(nn.Sequential(nn.ReLU()), "rsvc")
    with pytest.raises(ValueError, match="no set 'relu' for ResNet, a ResNet"):
        layer_set(timm.create_model("resnet10t", act_layer=nn.SiLU), "relu")


def test_no_layers_and_no_names_are_refused() -> None:
    bad: Any = [3]
    with pytest.raises(ValueError, match="layers: expected at least one, found none"):
        resolve_layers(nn.Sequential(), [])
    with pytest.raises(TypeError, match="layers: expected names, found 3"):
        resolve_layers(nn.Sequential(), bad)
