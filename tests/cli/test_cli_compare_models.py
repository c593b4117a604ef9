"""``diptych compare`` of two models on a folder of images, with random weights."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from command_line import diptych
from PIL import Image

from diptych import rdx
from diptych.embed import activations, load_embedding, load_model, open_images
from diptych.rdx import RDXResult
from diptych.rdx.image_models import PRESETS

pytestmark = pytest.mark.usefixtures("one_thread")

run = partial(diptych, "compare")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty pictures in two classes, one of them grey, and a file that is none."""
    root, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for item in range(30):
        path = root / ("cat", "dog")[item % 2] / f"{item}.png"
        path.parent.mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (5, 4, 3), dtype=np.uint8)
        picture = Image.fromarray(pixels).resize((40, 32), Image.Resampling.BICUBIC)
        (picture.convert("L") if item == 3 else picture).save(path)
    (root / "cat" / "broken.png").write_bytes(b"no picture")
    return root


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root, found = tmp_path_factory.mktemp("weights"), {}
    for name in ("test_resnet", "test_vit"):
        torch.manual_seed(0)
        # Without a head, as self-supervised weights come.
        module = timm.create_model(name, num_classes=0)
        found[name] = root / f"{name}.pth"
        torch.save(module.state_dict(), found[name])
    return found


def models(checkpoints: dict[str, Path]) -> list[object]:
    return [
        *("--model-a", "timm:test_resnet", "--checkpoint-a", checkpoints["test_resnet"]),
        *("--model-b", "timm:test_vit", "--checkpoint-b", checkpoints["test_vit"]),
    ]


def test_two_models_and_a_folder_make_a_report(
    images: Path,
    checkpoints: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "report"
    arguments = [*models(checkpoints), "--images", images, "--out", out, "-m", 2, "--grid-size", 3]
    assert run(*arguments, "--cache", tmp_path / "cache", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    assert "1 of 31 images could not be read and were skipped: cat/broken.png" in printed.err
    assert "timm:test_resnet groups what timm:test_vit does not" in printed.out
    result = RDXResult.load(out / "result.npz")
    assert result.names == ("timm:test_resnet", "timm:test_vit")
    assert (result.n, result.parameters.gamma) == (30, 0.05)
    assert result.ids is not None
    assert set(result.ids.tolist()) == {f"{('cat', 'dog')[item % 2]}/{item}.png" for item in range(30)}
    page = (out / "index.html").read_text()
    assert "linear probe" in page  # the folders' names are labels
    shown = {int(item) for side in (result.a, result.b) for grid in side.grids for item in grid}
    assert page.count("data:image/") >= len(shown)
    # The same by hand, from the embeddings that the cache holds.
    files = sorted((tmp_path / "cache").rglob("embedding.auto.npy"))
    assert len(files) == 2
    by_hand = rdx.compare(*map(load_embedding, files), n_explanations=2, grid_size=3, gamma=0.05)
    for mine, theirs in ((result.a, by_hand.a), (result.b, by_hand.b)):
        assert [grid.tolist() for grid in mine.grids] == [grid.tolist() for grid in theirs.grids]


def test_options_of_models_and_of_the_comparison(
    images: Path, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "labels.csv").write_text("\n".join(["label", *(str(item % 3) for item in range(30))]))
    options = ["--layer-a", "layer4", "--layer-b", "blocks.0", "--gamma", 0.2, "--name-a", "net", "-m", 2]
    options += ["--labels", tmp_path / "labels.csv", "--grid-size", 3]
    arguments = [*models(checkpoints), "--images", images, "--out", tmp_path / "report", *options]
    assert run(*arguments, monkeypatch=monkeypatch) == 0
    result = RDXResult.load(tmp_path / "report" / "result.npz")
    assert result.parameters.gamma == 0.2
    assert result.names == ("net", "timm:test_vit")
    assert result.embeddings is not None
    network = load_model("timm:test_vit", checkpoint=checkpoints["test_vit"])
    expected = activations(network, images, "blocks.0", progress=False)["blocks.0"]
    np.testing.assert_allclose(result.embeddings[1], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "A, B: expected two files of embeddings, or --model-a and --model-b with --images"),
        (["a.npy"], "A, B: expected two files of embeddings"),
        (["--model-a", "timm:test_vit"], "--images: expected the folder of images"),
        (["--model-a", "timm:test_vit", "--images", "x"], "--model-a, --model-b: expected both, or --preset"),
        (["a.npy", "--preset", "dino-dinov2", "--images", "x"], "expected no files of embeddings or ids"),
        (
            ["--model-a", "timm:test_vit", "--model-b", "timm:test_vti", "--no-pretrained", "--images", "."],
            "has no model 'test_vti'",
        ),
        (
            ["--model-a", "timm:test_vit", "--model-b", "timm:test_vit", "--no-pretrained", "--images", "x"],
            "x: no such folder of images",
        ),
    ],
)
def test_what_is_missing_is_named(
    arguments: list[str],
    message: str,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(images)
    assert run(*arguments, "--out", tmp_path / "report", monkeypatch=monkeypatch) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_a_preset_names_both_models_and_options_override_it(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (name for pair in PRESETS.values() for name in pair):
        assert timm.is_model(name.rpartition(":")[2].rpartition("/")[2].partition(".")[0])
    asked = []

    def instead(name: str, **_: Any) -> None:
        asked.append(name)
        if len(asked) == 2:
            raise ValueError("enough")

    monkeypatch.setattr("diptych.embed.load_model", instead)
    arguments = ["--preset", "dino-dinov2", "--model-b", "timm:test_vit", "--images", images]
    assert run(*arguments, "--out", tmp_path / "report", monkeypatch=monkeypatch) == 2
    assert asked == ["timm:vit_base_patch16_224.dino", "timm:test_vit"]


def test_the_pair_in_python(images: Path, checkpoints: dict[str, Path]) -> None:
    network = load_model("timm:test_vit", checkpoint=checkpoints["test_vit"])
    pair = rdx.image_pair(network, network, images, layer_a="blocks.0", progress=False)
    assert pair.names == ("timm:test_vit blocks.0 (A)", "timm:test_vit embedding (B)")
    assert pair.files == [images / name for name in pair.ids]
    assert pair.labels == [name.split("/")[0] for name in pair.ids]
    result = pair.compare(n_explanations=2, grid_size=3, progress=False)
    assert (result.names, result.parameters.gamma) == (pair.names, 0.05)
    pixels = np.stack([np.asarray(open_images(images).read(item).resize((8, 8))) for item in (1, 2, 3)])
    array = rdx.image_pair(network, network, pixels, progress=False)
    assert (array.files, array.labels, array.ids.tolist()) == (None, None, ["0", "1", "2"])
    with pytest.raises(ValueError, match="pooling: expected one embedding per image, found 'patches'"):
        rdx.image_pair(network, network, images, pooling="patches")
    with pytest.raises(ValueError, match="layer_b: expected one layer, found the set 'rsvc' of"):
        rdx.image_pair(network, network, images, layer_b="rsvc")
