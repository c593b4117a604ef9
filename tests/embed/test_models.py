"""Models by name or as modules, and their weights from local files."""

import functools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from PIL import Image
from torch import nn

from diptych.embed import Preprocess, load_model
from diptych.embed.checkpoints import read_checkpoint, weights_hash

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 80, 3), dtype=np.uint8))


class Tiny(nn.Module):
    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.body(x).relu().mean((2, 3)))


@functools.cache
def resnet() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("resnet10t", num_classes=7)


def test_a_timm_model_brings_its_own_preprocessing() -> None:
    model = load_model("timm:resnet10t", pretrained=False)
    config = timm.data.resolve_model_data_config(model.module)
    transform = timm.data.create_transform(**config, is_training=False)
    assert torch.equal(model.preprocess(PICTURE), transform(PICTURE))
    assert model.input_size == tuple(config["input_size"][1:])
    assert model.name == "timm:resnet10t"
    assert model.preprocess_name == str(transform)
    assert (model.classifier, model.prefix_tokens, model.class_token) == ("fc", None, False)
    assert model.head() is model.module.get_submodule("fc")
    assert not model.module.training


@pytest.mark.parametrize(
    ("name", "prefix", "class_token"),
    [
        ("vit_tiny_patch16_224", 1, True),
        ("deit_tiny_distilled_patch16_224", 2, True),
        ("vit_medium_patch16_reg4_gap_256", 4, False),
        ("vit_base_patch14_reg4_dinov2", 5, True),
        ("vit_base_patch16_siglip_224", 0, False),
    ],
)
def test_prefix_tokens_are_read_from_the_model(name: str, prefix: int, class_token: bool) -> None:
    with torch.device("meta"):
        module = timm.create_model(name)
    model = load_model(module)
    assert (model.prefix_tokens, model.class_token) == (prefix, class_token)


def test_input_size_of_convolutions_and_of_fixed_positions() -> None:
    convolutional = load_model("timm:resnet10t", pretrained=False, input_size=64)
    fixed = load_model("timm:vit_tiny_patch16_224", pretrained=False, input_size=32)
    assert convolutional.preprocess(PICTURE).shape == (3, 64, 64)
    assert fixed.preprocess(PICTURE).shape == (3, 32, 32)
    assert fixed.input_size == (32, 32)
    assert fixed.module(fixed.preprocess(PICTURE)[None]).shape == (1, 1000)


def test_swin_has_its_channels_last() -> None:
    with torch.device("meta"):
        module = timm.create_model("swin_tiny_patch4_window7_224")
    assert load_model(module).channels_last
    assert load_model(module).classifier == "head.fc"


def test_any_module_with_a_preprocessing() -> None:
    model = load_model(Tiny(), preprocess=Preprocess(32), classifier="fc", name="mine", prefix_tokens=0)
    assert (model.name, model.classifier, model.prefix_tokens) == ("mine", "fc", 0)
    assert model.preprocess_name == str(Preprocess(32))
    assert load_model(Tiny(), preprocess=lambda image: torch.ones(3, 8, 8)).preprocess_name is None
    assert load_model(Tiny(), preprocess=Preprocess(32)).name == "Tiny"


def test_preprocess_scales_and_normalises() -> None:
    pixels = torch.tensor(np.asarray(PICTURE)).permute(2, 0, 1).double() / 255
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    expected = (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    found = Preprocess(mean=mean, std=std)(PICTURE)
    assert found.dtype == torch.float32
    # float32 of numbers below 4: a few units in the last place.
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-6)
    assert Preprocess(16)(PICTURE).shape == (3, 16, 16)
    # A constant picture stays constant under any resizing.
    assert Preprocess(16)(Image.new("RGB", (40, 50), (51, 51, 51))).unique().tolist() == [pytest.approx(0.2)]
    bad: Any = (1.0, 1.0)
    with pytest.raises(ValueError, match="size: expected at least 1, found 0"):
        Preprocess(0)
    with pytest.raises(ValueError, match="mean: expected three numbers"):
        Preprocess(mean=bad)
    with pytest.raises(ValueError, match="std: expected positive numbers"):
        Preprocess(std=(1.0, 0.0, 1.0))


@pytest.mark.parametrize("kind", ["pt", "pth", "safetensors", "nested", "parallel", "ema"])
def test_local_checkpoints_and_the_number_of_their_classes(kind: str) -> None:
    weights = resnet().state_dict()
    other = {name: torch.zeros_like(tensor) for name, tensor in weights.items()}
    path = {"pth": "w.pth", "safetensors": "w.safetensors"}.get(kind, "w.pt")
    content: dict[str, Any] = {
        "nested": {"epoch": 3, "state_dict": weights},
        "parallel": {f"module.{name}": tensor for name, tensor in weights.items()},
        "ema": {"state_dict": other, "state_dict_ema": weights},
    }.get(kind, weights)
    safetensors.torch.save_file(weights, path) if kind == "safetensors" else torch.save(content, path)
    model = load_model("timm:resnet10t", checkpoint=path)
    assert model.head().out_features == 7
    assert weights_hash(model.module) == weights_hash(resnet().eval())


def test_a_checkpoint_without_a_head_gives_the_embedding() -> None:
    weights = {name: each for name, each in resnet().state_dict().items() if not name.startswith("fc.")}
    torch.save(weights, "w.pt")
    model = load_model("timm:resnet10t", checkpoint="w.pt", input_size=64)
    assert model.module(torch.zeros(1, 3, 64, 64)).shape == (1, 512)
    with pytest.raises(
        ValueError, match="classifier: expected a linear layer in timm:resnet10t, found Identity"
    ):
        model.head()


def test_positions_of_another_input_size_are_resampled_as_timm_does() -> None:
    source = load_model("timm:vit_tiny_patch16_224", pretrained=False, input_size=32)
    torch.save(source.module.state_dict(), "w.pt")
    found = load_model("timm:vit_tiny_patch16_224", checkpoint="w.pt", input_size=64)
    assert found.module.get_parameter("pos_embed").shape == (1, 17, 192)
    assert torch.equal(found.module.get_parameter("head.weight"), source.module.get_parameter("head.weight"))


def test_a_checkpoint_into_a_module() -> None:
    torch.manual_seed(1)
    source = Tiny()
    torch.save(source.state_dict(), "w.pt")
    model = load_model(Tiny(), preprocess=Preprocess(), checkpoint=Path("w.pt"))
    assert torch.equal(model.module.get_parameter("fc.weight"), source.fc.weight)


def test_a_checkpoint_that_does_not_fit_is_told_by_names() -> None:
    torch.save(Tiny(5).state_dict() | {"extra": torch.ones(1)}, "w.pt")
    with pytest.raises(
        ValueError, match=r"w\.pt: does not fit Tiny: not in the model: extra; of another shape"
    ) as e:
        load_model(Tiny(3), preprocess=Preprocess(), checkpoint="w.pt")
    assert "fc.weight (5, 4) for (3, 4)" in str(e.value)
    with pytest.raises(ValueError, match=r"w\.pt: does not fit ResNet: missing: .* and \d+ more"):
        load_model("timm:resnet10t", checkpoint="w.pt")


class Trap:
    def __reduce__(self) -> Any:
        return Path("trapped").touch, ()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_pickles_are_refused_and_not_run() -> None:
    torch.save(Tiny(), "module.pt")
    torch.save({"state_dict": Trap()}, "trap.pt")
    Path("raw.pt").write_bytes(pickle.dumps(Trap()))
    for name in ("module.pt", "trap.pt", "raw.pt"):
        with pytest.raises(ValueError, match=rf"^{name}: holds pickled objects, which could run code"):
            read_checkpoint(name)
    assert not Path("trapped").exists()


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("keep", [0, 10, 1000])
def test_truncated_checkpoints_are_named(name: str, keep: int) -> None:
    weights = {"x": torch.ones(1000)}
    torch.save(weights, name) if name.endswith("pt") else safetensors.torch.save_file(weights, name)
    Path(name).write_bytes(Path(name).read_bytes()[:keep])
    with pytest.raises(
        ValueError, match=f"^{name}: (not a readable checkpoint|holds pickled objects.*damaged)"
    ):
        read_checkpoint(name)


def test_other_files_are_no_checkpoints() -> None:
    torch.save([torch.ones(1)], "list.pt")
    torch.save({}, "empty.pt")
    torch.save({"epoch": 1, "best": 0.5}, "dict.pt")
    for name, found in (("list", "list"), ("empty", "an empty dict"), ("dict", "a dict of epoch, best")):
        with pytest.raises(
            ValueError, match=f"{name}.pt: expected a state dict, tensors by name, found {found}"
        ):
            read_checkpoint(f"{name}.pt")
    with pytest.raises(FileNotFoundError, match=r"absent\.pt: no such checkpoint"):
        read_checkpoint("absent.pt")
    with pytest.raises(ValueError, match=r"x\.txt: expected a checkpoint ending in"):
        read_checkpoint("x.txt")


def test_weights_that_cannot_be_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise OSError("Name or service not known\nand much more")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(ConnectionError) as raised:
        load_model("timm:resnet18")
    assert str(raised.value) == (
        "timm:resnet18: its weights could not be loaded (Name or service not known); give a local file "
        "of them by checkpoint=, or pretrained=False for random ones"
    )
    without = next(name for name in timm.list_models() if not timm.list_pretrained(name))
    with pytest.raises(ValueError, match=f"timm has no weights for {without}; give a local file"):
        load_model(f"timm:{without}")


def test_a_model_in_a_folder_of_its_own() -> None:
    torch.manual_seed(0)
    made = timm.create_model("test_vit", num_classes=3).eval()
    timm.models.save_for_hf(made, "folder", safe_serialization=True)
    found = load_model("timm:local-dir:folder")
    assert found.module.state_dict().keys() == made.state_dict().keys()
    for name, tensor in made.state_dict().items():
        assert torch.equal(found.module.state_dict()[name], tensor)
    assert found.name == "timm:local-dir:folder"
    assert not found.module.training
    smaller = load_model("timm:local-dir:folder", input_size=64)
    assert (found.input_size, smaller.input_size) == ((160, 160), (64, 64))
    assert smaller.module(torch.zeros(1, 3, 64, 64)).shape == (1, 3)
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such folder of a model of timm's"):
        load_model("timm:local-dir:nowhere")
    safetensors.torch.save_file(made.state_dict(), "vit.safetensors")
    with pytest.raises(ValueError, match="checkpoint: expected none beside a folder with its own weights"):
        load_model("timm:local-dir:folder", checkpoint="vit.safetensors")
    Path("folder", "model.safetensors").write_bytes(b"cut short")
    with pytest.raises(ValueError, match=r"folder: not a model that timm .* can load"):
        load_model("timm:local-dir:folder")


def test_models_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "timm:hf-hub:timm/test_vit.some_weights"
    torch.manual_seed(0)
    made = timm.create_model("test_vit", num_classes=3).eval()
    safetensors.torch.save_file(made.state_dict(), "vit.safetensors")
    # Local weights of a model of the hub are loaded without it.
    found = load_model(name, checkpoint="vit.safetensors")
    assert torch.equal(found.module.state_dict()["head.weight"], made.state_dict()["head.weight"])
    asked = []

    def offline(*arguments: Any, **options: Any) -> None:
        asked.append((arguments, options))
        raise OSError("Name or service not known")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(
        ConnectionError, match=r"timm:hf-hub:timm/test_vit\.some_weights: its weights could not"
    ):
        load_model(name)
    assert asked == [(("hf-hub:timm/test_vit.some_weights",), {"pretrained": True})]


def test_unknown_names_offer_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"has no model 'resnett18'; the nearest are .*resnet18"):
        load_model("timm:resnett18")
    with pytest.raises(ValueError, match=r"has no model 'zzzzzzzzzz'$"):
        load_model("timm:zzzzzzzzzz")
    with pytest.raises(ValueError, match=r"no weights 'a1_in2k' for resnet18; there are a1_in1k"):
        load_model("timm:resnet18.a1_in2k")
    with pytest.raises(ValueError, match=r"expected 'timm:NAME' or a torch\.nn\.Module, found 'resnet18'"):
        load_model("resnet18")


def test_other_models_are_refused() -> None:
    bad: Any = 3
    with pytest.raises(TypeError, match=r"expected 'timm:NAME' or a torch\.nn\.Module, found int"):
        load_model(bad)
    with pytest.raises(TypeError, match=r"preprocess: expected a function .* as Tiny brings none"):
        load_model(Tiny())
    with pytest.raises(ValueError, match="input_size: expected at least 1, found 0"):
        load_model("timm:resnet18", pretrained=False, input_size=0)
    with pytest.raises(ValueError, match="classifier: no module 'head' in Tiny"):
        load_model(Tiny(), preprocess=Preprocess(), classifier="head")
    with pytest.raises(ValueError, match="prefix_tokens: expected at least 1 with class_token, found 0"):
        load_model(Tiny(), preprocess=Preprocess(), prefix_tokens=0, class_token=True)
    with pytest.raises(ValueError, match="classifier: expected a linear layer in Tiny, found an unknown one"):
        load_model(Tiny(), preprocess=Preprocess()).head()


def test_a_model_is_where_its_first_weight_is() -> None:
    assert load_model(Tiny(), preprocess=Preprocess()).device == torch.device("cpu")
    assert load_model(Tiny().to("meta"), preprocess=Preprocess()).device == torch.device("meta")
    assert load_model(nn.ReLU(), preprocess=Preprocess()).device == torch.device("cpu")


def test_without_timm_the_message_has_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs timm .*: pip install 'diptych\[models\]'"):
        load_model("timm:resnet18", pretrained=False)


def test_the_weights_hash_sees_every_weight_and_the_modules() -> None:
    torch.manual_seed(0)
    first, second = Tiny(), Tiny()
    second.load_state_dict(first.state_dict())
    expected = weights_hash(first)
    assert weights_hash(second) == expected
    seen = {expected}
    for parameter in second.parameters():
        before = parameter.data.clone()
        parameter.data.view(-1)[-1] += 1e-3
        seen.add(weights_hash(second))
        parameter.data = before
    assert weights_hash(second) == expected
    second.fc = nn.Linear(4, 3).double()
    seen.add(weights_hash(second))
    third = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    fourth = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU())
    fourth.load_state_dict(third.state_dict())
    seen |= {weights_hash(third), weights_hash(fourth)}
    assert len(seen) == 8


def test_a_package_that_lacks_another_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    from diptych.embed._extras import require

    Path("broken_extra.py").write_text("import absent_dependency")
    monkeypatch.syspath_prepend(".")
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'absent_dependency'$"):
        require("broken_extra")
