import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from diptych.numerosity.models import Architecture, NumberNet
from diptych.numerosity.schedule import Epoch
from diptych.numerosity.stem import imagenet_at_hand, random_stem

SMALL = Architecture(size=76)


@pytest.fixture(scope="module")
def net() -> NumberNet:
    return NumberNet(SMALL).eval()


@pytest.fixture
def scenes() -> torch.Tensor:
    return torch.rand(5, 1, 76, 76, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of torch's with made-up weights of AlexNet."""
    torchvision = pytest.importorskip("torchvision")
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    torch.manual_seed(3)
    weights = {
        f"features.{i}.{kind}": torch.randn(getattr(torchvision.models.alexnet().features[i], kind).shape)
        for i in (0, 3)
        for kind in ("weight", "bias")
    }
    name = torchvision.models.AlexNet_Weights.IMAGENET1K_V1.url.rpartition("/")[2]
    torch.save(weights, folder / name)
    return folder / name


def test_maps_are_of_the_sizes_that_the_study_gives() -> None:
    net = NumberNet()
    maps = net.stem(torch.zeros(1, 3, 244, 244))
    assert net.stem[0](torch.zeros(1, 3, 244, 244)).shape[-1] == 60
    assert maps.shape == (1, 192, 29, 29)
    assert [net.embedding[:i](maps).shape[1:] for i in (1, 3, 6)] == [
        (256, 29, 29),
        (256, 14, 14),
        (128, 7, 7),
    ]
    assert net.position[0].in_features == 6272
    assert net(torch.zeros(3, 1, 244, 244)).shape == (2, 3)


def test_the_stem_is_alexnets() -> None:
    torchvision = pytest.importorskip("torchvision")
    features = torchvision.models.alexnet().features[:5]
    stem = random_stem()
    stem.load_state_dict(features.state_dict())
    x = torch.rand(2, 3, 100, 100)
    torch.testing.assert_close(stem(x), features(x), rtol=0, atol=0)


def test_a_drawn_stem_keeps_the_scale_of_what_passes() -> None:
    for layer in (random_stem()[0], random_stem()[3]):
        fan_in = layer.weight[0].numel()
        # 23,232 weights and more: their variance is off by a hundredth.
        assert layer.weight.var().item() * fan_in == pytest.approx(2, rel=0.05)
        assert not layer.bias.any()


@pytest.mark.parametrize("dimension", [1, 2, 256])
def test_embeddings_have_the_asked_width(dimension: int) -> None:
    net = NumberNet(Architecture(dimension, size=39))
    scenes = torch.rand(3, 1, 39, 39)
    assert net.embed(scenes).shape == (3, dimension)
    named = net(scenes)
    torch.testing.assert_close(named.exp().sum(1), torch.ones(2))


def test_a_sequence_is_named_as_its_pairs_are(net: NumberNet, scenes: torch.Tensor) -> None:
    pairs = [net.classify(net.embed(scenes[i : i + 1]), net.embed(scenes[i + 1 : i + 2])) for i in range(4)]
    # Batches of other sizes are summed in another order.
    torch.testing.assert_close(net(scenes), torch.cat(pairs), rtol=1e-4, atol=1e-5)


def test_one_channel_stands_for_three_alike(net: NumberNet, scenes: torch.Tensor) -> None:
    torch.testing.assert_close(net.embed(scenes), net.embed(scenes.repeat(1, 3, 1, 1)), rtol=0, atol=0)
    colored = torch.cat([scenes, scenes.flip(2), scenes], 1)
    assert not torch.allclose(net.embed(scenes), net.embed(colored))


def test_bytes_are_levels_of_one(net: NumberNet) -> None:
    levels = torch.randint(0, 256, (2, 1, 76, 76), dtype=torch.uint8)
    torch.testing.assert_close(net.embed(levels), net.embed(levels.float() / 255), rtol=0, atol=0)


def test_normalized_pixels_are_those_of_imagenet(scenes: torch.Tensor) -> None:
    plain = NumberNet(SMALL)
    normalized = NumberNet(Architecture(size=76, normalize=True))
    by_hand = (
        scenes.expand(-1, 3, -1, -1) - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    ) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    torch.testing.assert_close(normalized.embed(scenes), plain.embed(by_hand))


@pytest.mark.parametrize(("stem", "learned"), [("random", False), ("trained", True)])
def test_gradients_reach_what_is_learned(stem: str, learned: bool, scenes: torch.Tensor) -> None:
    net = NumberNet(Architecture(stem=stem, size=76))
    torch.nn.functional.nll_loss(net(scenes), torch.tensor([0, 1, 2, 0])).backward()
    assert all((each.grad is not None) == learned for each in net.stem.parameters())
    for part in (net.embedding, net.position, net.classifier):
        assert all(each.grad is not None and torch.isfinite(each.grad).all() for each in part.parameters())
    assert net.embedding[0].weight.grad.abs().max() > 0


def test_gradients_are_the_derivatives(scenes: torch.Tensor) -> None:
    """Of the loss along the gradient, by central differences in float64."""
    net = NumberNet(Architecture(size=39)).double()
    actions = torch.tensor([0, 1, 2])

    def loss() -> torch.Tensor:
        maps = net.embedding(net.stem(x))
        positions = net.position(maps)
        named = net.classifier(torch.cat([positions[:-1], positions[1:]], 1))
        return torch.nn.functional.nll_loss(named, actions)

    x = scenes[:4, :, :39, :39].double().expand(-1, 3, -1, -1)
    learned = [each for each in net.parameters() if each.requires_grad]
    gradients = torch.autograd.grad(loss(), learned)
    slope = sum((each**2).sum() for each in gradients)
    values = []
    for step in (1e-6, -1e-6):
        with torch.no_grad():
            for each, gradient in zip(learned, gradients, strict=True):
                each += step * gradient
            values.append(loss())
            for each, gradient in zip(learned, gradients, strict=True):
                each -= step * gradient
    # The third derivative times 1e-12, and float64's rounding over 1e-6.
    torch.testing.assert_close((values[0] - values[1]) / 2e-6, slope, rtol=1e-5, atol=1e-8)


def test_weights_are_the_seeds(scenes: torch.Tensor) -> None:
    state = torch.get_rng_state()
    one, same, other = (NumberNet(Architecture(size=76, seed=seed)).embed(scenes) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_convolutions_in_bfloat16_leave_numbers_in_full_precision(
    net: NumberNet, scenes: torch.Tensor
) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        positions = net.embed(scenes)
        named = net(scenes)
    assert positions.dtype == named.dtype == torch.float32
    # Numbers of bfloat16 have eight significant bits; these have more.
    assert not torch.equal(positions, positions.bfloat16().float())


def test_imagenets_weights_are_taken_from_the_cache(hub: Path) -> None:
    assert imagenet_at_hand()
    net = NumberNet(Architecture(stem="imagenet", size=76))
    torch.testing.assert_close(net.stem[3].weight, torch.load(hub)["features.3.weight"], rtol=0, atol=0)
    assert not any(each.requires_grad for each in net.stem.parameters())


def test_weights_that_are_not_to_be_had_are_missed_in_words(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.unlink()
    assert not imagenet_at_hand()

    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(OSError, match=r'stem="imagenet": AlexNet.*no network'):
        NumberNet(Architecture(stem="imagenet", size=76))


def test_a_network_comes_back_from_its_file(tmp_path: Path, scenes: torch.Tensor) -> None:
    net = NumberNet(Architecture(3, "trained", True, 76, 5)).eval()
    net.schedule, net.history = {"dataset": "A"}, (Epoch(1, 1.0, 0.5, 1.1, 0.4),)
    path = net.save(tmp_path / "net.safetensors")
    back = NumberNet.load(path)
    assert torch.equal(back.embed(scenes), net.embed(scenes))
    assert (back.architecture, back.schedule, back.history) == (net.architecture, net.schedule, net.history)
    assert all(each.requires_grad for each in back.parameters())
    assert not back.training


def test_a_network_on_imagenets_stem_is_read_without_them(hub: Path, tmp_path: Path) -> None:
    net = NumberNet(Architecture(stem="imagenet", size=76))
    path = net.save(tmp_path / "net.safetensors")
    hub.unlink()
    back = NumberNet.load(path)
    assert torch.equal(back.stem[0].weight, net.stem[0].weight)
    assert back.architecture.stem == "imagenet"
    assert not any(each.requires_grad for each in back.stem.parameters())


def test_files_of_something_else_are_refused(tmp_path: Path, net: NumberNet) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.safetensors: no such file"):
        NumberNet.load(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("not weights")
    with pytest.raises(ValueError, match=r"text\.safetensors: not a saved NumberNet"):
        NumberNet.load(tmp_path / "text.safetensors")
    save_file({"x": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"other\.safetensors: not a saved NumberNet"):
        NumberNet.load(tmp_path / "other.safetensors")
    said = {"format": 99, "architecture": {}, "history": []}
    save_file({"x": torch.zeros(2)}, tmp_path / "later.safetensors", {"diptych.numerosity": json.dumps(said)})
    with pytest.raises(ValueError, match="format 99"):
        NumberNet.load(tmp_path / "later.safetensors")
    path = net.save(tmp_path / "net.safetensors")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"net\.safetensors: not a saved NumberNet"):
        NumberNet.load(path)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path, net: NumberNet) -> None:
    path = net.save(tmp_path / "net.safetensors")
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    save_file({"position.0.weight": torch.zeros(2, 3)}, path, metadata)
    with pytest.raises(ValueError, match="not the weights of a NumberNet"):
        NumberNet.load(path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dimension": 0}, "dimension: expected 1 to 256, found 0"),
        ({"dimension": 257}, "dimension: expected 1 to 256, found 257"),
        ({"stem": "alexnet"}, "stem: expected one of 'imagenet', 'random', 'trained', found 'alexnet'"),
        ({"size": 38}, "size: expected at least 39 pixels, found 38"),
    ],
)
def test_architectures_that_cannot_be_are_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Architecture(**changed)


def test_no_whole_number_of_dimensions_is_refused() -> None:
    with pytest.raises(TypeError, match="dimension: expected an integer"):
        Architecture(dimension=2.5)


@pytest.mark.parametrize("shape", [(5, 76, 76), (5, 2, 76, 76), (5, 1, 75, 76)])
def test_scenes_of_another_shape_are_refused(net: NumberNet, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"scenes: expected \(n, 1, 76, 76\)"):
        net.embed(torch.zeros(shape))


@pytest.mark.parametrize("dtype", [torch.float64, torch.int32])
def test_scenes_of_another_dtype_are_refused(net: NumberNet, dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match="scenes: expected float32 or uint8, found"):
        net.embed(torch.zeros(1, 1, 76, 76, dtype=dtype))


def test_many_scenes_are_embedded_as_few_are(net: NumberNet) -> None:
    scenes = torch.rand(67, 1, 76, 76, generator=torch.Generator().manual_seed(1))
    parts = torch.cat([net.embed(each) for each in scenes.split(5)])
    # Batches of other sizes are summed in another order.
    torch.testing.assert_close(net.embed(scenes), parts, rtol=1e-4, atol=1e-5)


def test_positions_stand_still_when_scenes_do(net: NumberNet) -> None:
    scenes = torch.zeros(3, 1, 76, 76)
    positions = net.embed(scenes).detach().numpy()
    np.testing.assert_array_equal(positions, positions[[0, 0, 0]])
