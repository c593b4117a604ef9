"""Fine-tuning on a folder of small pictures in four classes: what is learnt, kept, resumed and refused."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from made_images import COLORS, folder_of_images, small_model
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from diptych import rsvc
from diptych.embed import ImageModel, Preprocess, activations, finetuning, load_model, open_images

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = {"epochs": 3, "batch_size": 8, "workers": 2, "progress": False}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of_images(tmp_path_factory.mktemp("images") / "images", 6)


def resnet(drop_rate: float = 0.0) -> ImageModel:
    """timm's smallest, on pictures as they are; BatchNorm, and dropout before the classifier."""
    torch.manual_seed(0)
    module = timm.create_model("test_resnet", num_classes=7, drop_rate=drop_rate)
    return load_model(module, preprocess=Preprocess(32), name="test_resnet")


def logits(model: ImageModel, images: Path) -> np.ndarray:
    return activations(model, images, "logits", progress=False)["logits"]


def same_weights(one: ImageModel, other: ImageModel) -> bool:
    pairs = zip(one.module.state_dict().items(), other.module.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


def stopped_in(epoch: int, error: BaseException | None = None) -> Callable[..., float]:
    """A pass over the images that is interrupted in one epoch, counted from 0."""
    run = finetuning._Pass.run

    def passes(self: Any, *rest: Any) -> float:
        if self.number == epoch:
            raise error or KeyboardInterrupt
        return run(self, *rest)

    return passes


def test_a_frozen_backbone_is_fitted_as_scikit_learn_does(images: Path, tmp_path: Path) -> None:
    model = resnet()
    before = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}
    found = rsvc.finetune(
        model, images, out=tmp_path, frozen=True, validation=images, weight_decay=0.01, progress=False
    )
    features = activations(model, images, "embedding", progress=False)
    wanted = LogisticRegression(C=1 / (24 * 0.01), tol=1e-8, max_iter=10_000)
    scaled = StandardScaler().fit_transform(features["embedding"].astype(float))
    shares = wanted.fit(scaled, features.labels).predict_proba(scaled)
    got = torch.from_numpy(logits(found.model, images)).softmax(1).numpy()
    np.testing.assert_allclose(got, shares, atol=1e-3)
    assert found.accuracy == pytest.approx((got.argmax(1) == features.labels).mean())
    assert found.classes == tuple(COLORS)
    losses = [each.loss for each in found.history]
    assert losses[-1] == pytest.approx(-np.log(shares[np.arange(24), features.labels]).mean(), abs=1e-3)
    assert losses[-1] < losses[0] < np.log(4)
    # Neither the model nor the copy's backbone have changed.
    after = found.model.module.state_dict()
    for name, tensor in model.module.state_dict().items():
        assert torch.equal(tensor, before[name])
        if not name.startswith("fc."):
            assert torch.equal(tensor, after[name])
    assert {path.name for path in tmp_path.iterdir()} == {
        "activations",
        "finetuned.json",
        "job.json",
        "weights.safetensors",
    }


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_the_file_of_the_weights_is_a_checkpoint(
    images: Path, tmp_path: Path, name: str, frozen: bool
) -> None:
    torch.manual_seed(0)
    model = load_model(f"timm:{name}", pretrained=False)
    found = rsvc.finetune(model, images, out=tmp_path, frozen=frozen, **(QUICK | {"epochs": 1}))
    assert found.weights == tmp_path / "weights.safetensors"
    again = load_model(f"timm:{name}", checkpoint=found.weights)
    assert not found.model.module.training
    np.testing.assert_array_equal(logits(again, images), logits(found.model, images))
    assert json.loads((tmp_path / "finetuned.json").read_text())["classes"] == list(COLORS)


def test_a_model_without_a_classifier_gets_one(images: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = load_model(timm.create_model("test_vit", num_classes=0), name="headless")
    found = rsvc.finetune(model, images, out=tmp_path, frozen=True, **(QUICK | {"epochs": 20}))
    again = load_model("timm:test_vit", checkpoint=found.weights)
    assert again.head().out_features == 4
    np.testing.assert_array_equal(logits(again, images), logits(found.model, images))


def test_all_weights_learn(images: Path) -> None:
    model = small_model(8)
    options = QUICK | {"epochs": 12, "learning_rate": 0.1, "backbone_rate": 0.5}
    drawn = torch.random.get_rng_state()
    found = rsvc.finetune(model, images, validation=images, **options)
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert [each.epoch for each in found.history] == list(range(1, 13))
    assert found.history[-1].loss < 0.7 * found.history[0].loss
    assert found.accuracy is not None
    assert found.accuracy > 0.7
    predicted = logits(found.model, images).argmax(1)
    assert found.accuracy == pytest.approx((predicted == open_images(images).labels).mean())
    assert "4 classes, all 24 images were read" in found.summary()
    assert f"validation accuracy {found.accuracy:.2%}" in found.summary()
    assert found.weights is None
    assert not found.model.module.training
    conv = found.model.module.conv  # type: ignore[union-attr]
    assert not torch.equal(conv.weight, model.module.conv.weight)  # type: ignore[union-attr]


def test_a_stopped_one_goes_on_to_the_very_same_weights(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = resnet(drop_rate=0.5)
    whole = rsvc.finetune(model, images, validation=images, **QUICK)
    with monkeypatch.context() as patch:
        patch.setattr(finetuning._Pass, "run", stopped_in(2))
        with pytest.raises(KeyboardInterrupt):
            rsvc.finetune(model, images, validation=images, out=tmp_path, **QUICK)
    assert (tmp_path / "training.safetensors").is_file()
    with pytest.raises(FileExistsError, match="holds an unfinished fine-tuning; go on with it"):
        rsvc.finetune(model, images, validation=images, out=tmp_path, **QUICK)
    torch.rand(3)
    options = QUICK | {"workers": 1, "resume": True, "out": tmp_path}
    found = rsvc.finetune(model, images, validation=images, **options)
    assert same_weights(found.model, whole.model)
    assert found.history == whole.history
    assert not (tmp_path / "training.safetensors").exists()
    other = rsvc.finetune(model, images, validation=images, **QUICK, seed=1)
    assert not same_weights(found.model, other.model)


def test_an_image_that_cannot_be_read_any_more_costs_no_finished_epoch(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rsvc.finetune(small_model(8), images, **QUICK)
    with monkeypatch.context() as patch:
        patch.setattr(finetuning._Pass, "run", stopped_in(1, ValueError("images: one is gone")))
        with pytest.raises(ValueError, match="one is gone"):
            rsvc.finetune(small_model(8), images, out=tmp_path, **QUICK)
    found = rsvc.finetune(small_model(8), images, out=tmp_path, resume=True, **QUICK)
    assert same_weights(found.model, whole.model)


def test_a_damaged_checkpoint_is_named(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(finetuning._Pass, "run", stopped_in(1))
        with pytest.raises(KeyboardInterrupt):
            rsvc.finetune(small_model(8), images, out=tmp_path, **QUICK)
    path = tmp_path / "training.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"training\.safetensors: a damaged checkpoint, remove it"):
        rsvc.finetune(small_model(8), images, out=tmp_path, resume=True, **QUICK)
    assert path.exists()


@pytest.mark.parametrize("frozen", [True, False])
def test_a_finished_one_is_read_again_and_another_refused(
    images: Path, tmp_path: Path, frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, options = tmp_path / "out", QUICK | {"epochs": 2, "frozen": frozen}
    first = rsvc.finetune(small_model(8), images, out=out, **options)

    def never(*_: object, **__: object) -> None:
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr("diptych.rsvc.finetune_jobs.train_network", never)
        patch.setattr("diptych.rsvc.finetune_jobs.fit_linear_classifier", never)
        again = rsvc.finetune(small_model(8), images, out=out, resume=True, **options)
    assert same_weights(again.model, first.model)
    assert again.summary() == first.summary()
    assert (again.weights, again.classes, again.accuracy) == (first.weights, first.classes, None)
    assert not again.model.module.training
    with pytest.raises(FileExistsError, match="holds a finished fine-tuning; read it again"):
        rsvc.finetune(small_model(8), images, out=out, **options)
    with pytest.raises(ValueError, match="holds another fine-tuning, epochs is 2 there and 3 here"):
        rsvc.finetune(small_model(8), images, out=out, resume=True, **(options | {"epochs": 3}))
    with pytest.raises(ValueError, match="holds another fine-tuning, weights is '"):
        rsvc.finetune(small_model(8, seed=1), images, out=out, resume=True, **options)
    with pytest.raises(ValueError, match="holds another fine-tuning, validation is None there and '"):
        rsvc.finetune(small_model(8), images, out=out, resume=True, validation=images, **options)
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(FileExistsError, match="holds something else than a fine-tuning"):
        rsvc.finetune(small_model(8), images, out=tmp_path, **options)
    (out / "finetuned.json").write_text("{}")
    with pytest.raises(ValueError, match=r"finetuned\.json: damaged: "):
        rsvc.finetune(small_model(8), images, out=out, resume=True, **options)


def test_embeddings_are_computed_once(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    def never(*_: object, **__: object) -> None:
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr("diptych.rsvc.finetune_jobs.fit_linear_classifier", interrupted)
        with pytest.raises(KeyboardInterrupt):
            rsvc.finetune(small_model(8), images, out=tmp_path, frozen=True, progress=False)
    monkeypatch.setattr(sys.modules["diptych.embed.activations"], "compute", never)
    found = rsvc.finetune(small_model(8), images, out=tmp_path, frozen=True, resume=True, progress=False)
    assert found.history[-1].loss < np.log(4)


@pytest.mark.parametrize("frozen", [True, False])
def test_unreadable_images_are_named_skipped_and_counted(images: Path, tmp_path: Path, frozen: bool) -> None:
    damaged = folder_of_images(tmp_path / "damaged", 6)
    (damaged / "0-red" / "0.png").write_bytes(b"no picture")
    (damaged / "3-grey" / "5.png").write_bytes(b"no picture")
    options = QUICK | {"epochs": 2, "frozen": frozen, "flip": False, "crop_area": 1.0}
    options |= {"weight_decay": 0.1}
    found = rsvc.finetune(small_model(8), damaged, validation=damaged, **options)
    assert list(found.unreadable.reasons) == ["0-red/0.png", "3-grey/5.png"]
    assert found.validation_unreadable == found.unreadable
    assert "2 of 24 images could not be read and were skipped: 0-red/0.png (" in found.summary()
    assert "validation: 2 of 24 images" in found.summary()
    left = open_images(images).take([item for item in range(24) if item not in (0, 23)])
    without = rsvc.finetune(small_model(8), left, validation=left, **options)
    assert found.history == without.history
    saved = rsvc.finetune(small_model(8), damaged, validation=damaged, out=tmp_path / "out", **options)
    options |= {"out": tmp_path / "out", "resume": True}
    again = rsvc.finetune(small_model(8), damaged, validation=damaged, **options)
    assert (again.unreadable, again.validation_unreadable) == (saved.unreadable, found.unreadable)


class Pairs:
    """A data set of pictures and labels, one of which it cannot give."""

    def __len__(self) -> int:
        return 7

    def __getitem__(self, item: int) -> tuple[np.ndarray, int]:
        if item == 5:
            raise ValueError("torn")
        return np.full((32, 32, 3), 30 * item, np.uint8), item % 3


@pytest.mark.parametrize("frozen", [True, False])
def test_what_a_data_set_cannot_read_is_counted(frozen: bool) -> None:
    found = rsvc.finetune(small_model(8), open_images(Pairs()), frozen=frozen, **QUICK)
    assert found.unreadable.reasons == {"5": "torn"}
    assert found.classes == ("0", "1", "2")


@pytest.mark.parametrize("frozen", [True, False])
def test_classes_that_are_left_out_keep_their_logits(images: Path, frozen: bool) -> None:
    found = rsvc.finetune(
        small_model(8),
        images,
        classes=["2-blue", 0],
        validation=images,
        frozen=frozen,
        **(QUICK | {"epochs": 6}),
    )
    assert found.classes == tuple(COLORS)
    assert found.unreadable.n == 12
    assert found.validation_unreadable is not None
    assert found.validation_unreadable.n == 12
    assert logits(found.model, images).shape == (24, 4)
    assert set(logits(found.model, images).argmax(1).tolist()) <= {0, 2}


def test_labels_of_an_array_are_classes_by_number() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3)).astype(np.uint8)
    found = rsvc.finetune(
        small_model(8),
        open_images(pixels, labels=[0, 1, 2, 0, 1, 2]),
        validation=open_images(pixels[:2], labels=[2, 2]),
        **QUICK,
    )
    assert found.classes == ("0", "1", "2")
    assert found.accuracy in (0, 0.5, 1)


def test_mixed_precision_trains_float32_weights(images: Path) -> None:
    found = rsvc.finetune(small_model(8), images, precision="bfloat16", **QUICK)
    plain = rsvc.finetune(small_model(8), images, **QUICK)
    assert found.model.head().weight.dtype == torch.float32
    assert not same_weights(found.model, plain.model)
    assert found.history[-1].loss == pytest.approx(plain.history[-1].loss, rel=0.05)


def test_networks_in_half_precision_are_trained_in_float32(images: Path) -> None:
    model = small_model(8)
    model.module.to(torch.bfloat16)
    found = rsvc.finetune(model, images, **QUICK)
    assert found.model.head().weight.dtype == torch.float32
    assert model.head().weight.dtype == torch.bfloat16


def test_what_is_trained_is_compared(images: Path, tmp_path: Path) -> None:
    """The two experiments: fine-tuned networks, whose logits are the same classes, go into a run."""
    models = [
        rsvc.finetune(small_model(width, seed), images, frozen=True, weight_decay=1e-4, progress=False).model
        for width, seed in ((16, 0), (20, 1))
    ]
    found = rsvc.run(*models, images, out=tmp_path, k=2, images_per_class=5, progress=False)
    assert list(found)
    assert set(found) <= set(COLORS)


@pytest.mark.parametrize("frozen", [True, False])
def test_where_it_is_trained(images: Path, device: torch.device, frozen: bool) -> None:
    found = rsvc.finetune(small_model(8), images, validation=images, frozen=frozen, device=device, **QUICK)
    assert found.model.head().weight.device.type == device.type
    assert found.history[-1].loss < np.log(4)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("frozen", "shown"), [(True, "fitting the classifier"), (False, "epoch 2 of 2")])
def test_progress_is_shown(
    images: Path,
    tmp_path: Path,
    frozen: bool,
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    options = {"out": tmp_path, "validation": images, "frozen": frozen, "epochs": 2, "workers": 1}
    rsvc.finetune(small_model(8), images, **options)
    told = capsys.readouterr().err
    assert shown in told
    assert "ETA" in told


def test_an_image_that_goes_away_meanwhile_is_named(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of_images(tmp_path / "images", 2)
    check = sys.modules["diptych.rsvc.finetune_jobs"].check_images

    def then_remove(*arguments: Any, **options: Any) -> Any:
        found = check(*arguments, **options)
        (folder / "0-red" / "1.png").unlink()
        return found

    monkeypatch.setattr("diptych.rsvc.finetune_jobs.check_images", then_remove)
    with pytest.raises(ValueError, match=r"images: 0-red/1\.png could be read before and cannot be now"):
        rsvc.finetune(small_model(8), folder, **QUICK)
