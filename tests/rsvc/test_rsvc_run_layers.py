"""A run over all pairs of layers, on timm's smallest networks, taught to tell two colors apart."""

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from made_images import COLORS, folder_of_images, small_model, taught

from diptych import rsvc
from diptych.embed import ImageModel, PatchGrid, Preprocess, activations, layer_set, load_model, open_images

pytestmark = pytest.mark.usefixtures("one_thread")

PER_CLASS = 7
OPTIONS: dict[str, Any] = {"images_per_class": 6, "k": 3, "classes": ["0-red", "2-blue"], "progress": False}
MODULE = sys.modules["diptych.rsvc.run_layers"]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of_images(tmp_path_factory.mktemp("images") / "folder", PER_CLASS)


@pytest.fixture(scope="module")
def models(images: Path) -> tuple[ImageModel, ImageModel]:
    torch.set_num_threads(1)
    found = []
    for name, options in (("test_resnet", {}), ("test_vit", {"img_size": 32})):
        torch.manual_seed(0)
        module = timm.create_model(name, num_classes=len(COLORS), **options)
        found.append(taught(load_model(module, preprocess=Preprocess(32), name=name), open_images(images)))
    return found[0], found[1]


@pytest.fixture(scope="module")
def finished(
    images: Path, models: tuple[ImageModel, ImageModel], tmp_path_factory: pytest.TempPathFactory
) -> rsvc.LayersResult:
    torch.set_num_threads(1)
    return rsvc.run_layers(*models, images, out=tmp_path_factory.mktemp("run") / "out", **OPTIONS)


def assert_same(found: rsvc.LayersResult, expected: rsvc.LayersResult) -> None:
    for key, value in vars(expected).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(found, key), value)
        elif key != "folder":
            # As text: NaN is not equal to itself.
            assert repr(getattr(found, key)) == repr(value)


def test_a_class_is_what_its_layers_give_one_by_one(
    finished: rsvc.LayersResult, images: Path, models: tuple[ImageModel, ImageModel]
) -> None:
    assert finished.compared == ["0-red", "2-blue"]
    source = open_images(images)
    assert source.labels is not None
    # Both networks take all of a class' images for the class, so both have the same ones.
    order = np.random.default_rng([0, 2]).permutation(np.flatnonzero(source.labels == 2))
    chosen = source.take(np.sort(order[:6]))
    lists = []
    for side, model in enumerate(models):
        layers = layer_set(model, "rsvc")
        acts = activations(model, chosen, layers, proposals=PatchGrid(), progress=False)
        concepts = rsvc.extract_many([acts[layer] for layer in layers], k=3)
        lists.append([rsvc.refit(acts[x], each.basis) for x, each in zip(layers, concepts, strict=True)])
        assert (finished.layers_1, finished.layers_2)[side] == layers
        errors = (finished.errors_1, finished.errors_2)[side]
        np.testing.assert_allclose(errors[1], [each.error for each in concepts], rtol=1e-5)
    np.testing.assert_allclose(finished.matrices[1], rsvc.layerwise(*lists), atol=1e-5)
    for direction in ("1to2", "2to1"):
        expected = rsvc.layerwise(*lists, direction=direction)
        np.testing.assert_allclose(getattr(finished, f"mmcs_{direction}")[1], expected, atol=1e-5)
    np.testing.assert_allclose(finished.matrix, finished.matrices.mean(0))


def test_networks_that_disagree_have_concepts_of_their_own_images(
    images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path
) -> None:
    source = open_images(images)
    assert source.labels is not None
    blind = taught(small_model(24, 0, 32), source, np.where(source.labels == 2, 0, source.labels))
    found = rsvc.run_layers(
        blind, models[0], source, out=tmp_path, layers_1="relu", layers_2="layer4", **OPTIONS
    )
    assert found.skipped == {"2-blue": "small-24-32 never predicts it"}
    red = found.classes[0]
    assert (red.predicted_1, red.predicted_2) == (2 * PER_CLASS, PER_CLASS)
    order = np.random.default_rng([0, 0]).permutation(np.flatnonzero(source.labels % 2 == 0))
    own = [np.sort(order[:6]), np.sort(order[source.labels[order] == 0][:6])]
    union = np.union1d(*own)
    assert red.images == len(union) > 6
    lists = []
    for model, layer, items in ((blind, "relu", own[0]), (models[0], "layer4", own[1])):
        acts = activations(model, source.take(union), layer, proposals=PatchGrid(), progress=False)[layer]
        concepts = rsvc.extract(acts[np.repeat(np.isin(union, items), 16)], k=3)
        lists.append([rsvc.refit(acts, concepts.basis)])
    np.testing.assert_allclose(found.matrix, rsvc.layerwise(*lists), atol=1e-3)
    assert red.mmcs == found.matrix[0, 0]


def test_a_network_is_most_like_itself(
    images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path
) -> None:
    layers = ["layer1", "layer3", "embedding"]
    found = rsvc.run_layers(
        models[0], models[0], images, out=tmp_path, layers_1=layers, layers_2=layers, **OPTIONS
    )
    assert found.names == ("test_resnet (1)", "test_resnet (2)")
    np.testing.assert_allclose(found.matrices[:, range(3), range(3)], 1, atol=1e-6)
    assert {layer: match for layer, (match, _) in found.best_matches().items()} == dict(
        zip(layers, layers, strict=True)
    )
    assert (found.matrix < 1 - 1e-6).any()


def test_swapped_networks_transpose_the_matrix(
    finished: rsvc.LayersResult, images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path
) -> None:
    found = rsvc.run_layers(*models[::-1], images, out=tmp_path, **OPTIONS)
    np.testing.assert_allclose(found.matrix, finished.matrix.T, atol=1e-6)
    np.testing.assert_allclose(found.mmcs_1to2, finished.mmcs_2to1.transpose(0, 2, 1), atol=1e-6)


def test_tables_and_a_saved_run_that_is_read_again(finished: rsvc.LayersResult) -> None:
    again = rsvc.LayersResult.load(finished.folder)
    assert_same(again, finished)
    assert again.summary() == finished.summary()
    pairs = len(finished.layers_1) * len(finished.layers_2)
    assert f"2 classes compared, 0 skipped; all {4 * PER_CLASS} images were read" in finished.summary()
    assert f"of test_vit: {pairs} pairs" in finished.summary()
    layer, (match, value) = max(finished.best_matches().items(), key=lambda item: item[1][1])
    assert value == finished.matrix.max()
    assert f"most similar: {layer} of test_resnet and {match} of test_vit" in finished.summary()
    with open(finished.folder / "matrix.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["layer", *finished.layers_2]
    assert [row[0] for row in rows] == finished.layers_1
    values = np.array([row[1:] for row in rows], float)
    np.testing.assert_allclose(values, finished.matrix, rtol=1e-5)
    with open(finished.folder / "classes.csv", newline="") as file:
        classes = list(csv.DictReader(file))
    assert [row["name"] for row in classes] == ["0-red", "2-blue"]
    assert [int(row["images"]) for row in classes] == [6, 6]
    means = finished.matrices.mean((1, 2))
    np.testing.assert_allclose([float(row["mmcs"]) for row in classes], means, rtol=1e-5)
    written = {path.name for path in finished.folder.iterdir()}
    assert written == {"activations", "classes.csv", "job.json", "layers.npz", "matrix.csv"}


def test_stopped_and_resumed_it_finds_the_same(
    finished: rsvc.LayersResult,
    images: Path,
    models: tuple[ImageModel, ImageModel],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, seen, whole = tmp_path / "out", [], MODULE._compared

    def one(job: object, chosen: Any) -> object:
        if seen:
            raise KeyboardInterrupt
        seen.append(chosen.number)
        return whole(job, chosen)

    with monkeypatch.context() as patch:
        patch.setattr(MODULE, "_compared", one)
        with pytest.raises(KeyboardInterrupt):
            rsvc.run_layers(*models, images, out=out, **OPTIONS)
    (part,) = out.glob("class-*")
    whole_part = part.read_bytes()
    part.write_bytes(whole_part[:-1])
    with pytest.raises(ValueError, match=r"class-00000\.safetensors: a damaged checkpoint, remove it"):
        rsvc.run_layers(*models, images, out=out, resume=True, **OPTIONS)
    part.write_bytes(whole_part)
    with pytest.raises(FileExistsError, match="holds an unfinished run; go on with it"):
        rsvc.run_layers(*models, images, out=out, **OPTIONS)
    with pytest.raises(FileNotFoundError, match=r"no finished run, layers\.npz is not there"):
        rsvc.LayersResult.load(out)

    def rest(job: object, chosen: Any) -> object:
        seen.append(chosen.number)
        return whole(job, chosen)

    with monkeypatch.context() as patch:
        patch.setattr(MODULE, "_compared", rest)
        found = rsvc.run_layers(*models, images, out=out, resume=True, **OPTIONS)
    assert seen == [0, 2]
    assert_same(found, finished)
    assert not list(out.glob("class-*"))


def test_a_finished_run_is_read_and_never_overwritten(
    finished: rsvc.LayersResult,
    images: Path,
    models: tuple[ImageModel, ImageModel],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(MODULE, "activations", never)
    assert_same(rsvc.run_layers(*models, images, out=finished.folder, resume=True, **OPTIONS), finished)
    with pytest.raises(FileExistsError, match=r"holds a finished run; read it again .*LayersResult\.load"):
        rsvc.run_layers(*models, images, out=finished.folder, **OPTIONS)
    with pytest.raises(ValueError, match="holds another comparison, k is 3 there and 2 here"):
        rsvc.run_layers(*models, images, out=finished.folder, resume=True, **(OPTIONS | {"k": 2}))
    with pytest.raises(ValueError, match=r"layers_2 is \['blocks\.0', .* there and \['norm'\] here"):
        rsvc.run_layers(*models, images, out=finished.folder, resume=True, layers_2="norm", **OPTIONS)
    with pytest.raises(ValueError, match="holds another comparison, model_1 is 'test_resnet' there"):
        rsvc.run_layers(
            *models[::-1],
            images,
            out=finished.folder,
            resume=True,
            **OPTIONS,
        )
    (tmp_path / "job.json").write_text('{"job": {"model_1": "test_resnet"}, "settings": {}}')
    with pytest.raises(ValueError, match="workflow is None there and 'rsvc layers' here"):
        rsvc.run_layers(*models, images, out=tmp_path, resume=True, **OPTIONS)
    (tmp_path / "job.json").rename(tmp_path / "thesis.tex")
    with pytest.raises(FileExistsError, match="holds something else than a run"):
        rsvc.run_layers(*models, images, out=tmp_path, resume=True, **OPTIONS)
    with pytest.raises(FileExistsError, match=r"thesis\.tex: expected a folder, found a file"):
        rsvc.run_layers(*models, images, out=tmp_path / "thesis.tex", **OPTIONS)


def test_no_common_class_is_told(images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path) -> None:
    source = open_images(images)
    assert source.labels is not None
    turned = taught(small_model(24, 0, 32), source, (source.labels + 2) % 4)
    few = source.take(np.flatnonzero(source.labels < 2))
    layers = {"layers_1": "layer4", "layers_2": "relu"}
    found = rsvc.run_layers(models[0], turned, few, out=tmp_path, **layers, **(OPTIONS | {"classes": None}))
    assert found.skipped == {
        "0-red": "small-24-32 never predicts it",
        "1-green": "small-24-32 never predicts it",
        "2-blue": "test_resnet never predicts it",
        "3-grey": "test_resnet never predicts it",
    }
    assert found.compared == []
    assert found.matrices.shape == (0, 1, 1)
    assert np.isnan(found.matrix).all()
    assert found.best_matches() == {}
    assert "0 classes compared, 4 skipped" in found.summary()
    assert (tmp_path / "matrix.csv").read_text() == "layer,relu\nlayer4,nan\n"
    assert_same(rsvc.LayersResult.load(tmp_path), found)


def test_classes_of_too_few_images_and_silent_ones_are_told(
    images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path
) -> None:
    source = open_images(images)
    some = source.take([*range(PER_CLASS), *range(PER_CLASS, PER_CLASS + 4)])
    layers = {"layers_1": "layer4", "layers_2": "norm"}
    found = rsvc.run_layers(*models, some, out=tmp_path, **layers, **(OPTIONS | {"classes": None}))
    assert found.skipped == {"1-green": "test_resnet predicts it for 4 images, expected at least 5"}
    assert "2 of 4 classes are predicted by neither network." in found.summary()


def test_a_layer_without_concepts_is_undefined(
    images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path
) -> None:
    dead = small_model(24, 0, 32, "dead")
    with torch.no_grad():
        dead.module.conv.bias.fill_(-9.0)  # type: ignore[union-attr]
        dead.head().bias.copy_(torch.tensor([9.0, 0, 0, 0]))
        dead.head().weight.zero_()
    layers = {"layers_1": ["conv", "relu"], "layers_2": ["layer1", "layer4"]}
    found = rsvc.run_layers(dead, models[0], images, out=tmp_path, **layers, **(OPTIONS | {"classes": [0]}))
    assert np.isfinite(found.matrix[0]).all()
    assert np.isnan(found.matrix[1]).all()
    assert np.isnan(found.errors_1).tolist() == [[False, True]]
    assert "dead: 'relu' has no concepts in 1 of 1 classes, as all patches have the same activations" in (
        found.summary()
    )
    assert list(found.best_matches()) == ["conv"]
    assert found.classes[0].mmcs == found.matrix[0].mean()
    assert "\nrelu,nan,nan\n" in (tmp_path / "matrix.csv").read_text()


def test_a_cache_spares_the_forward_passes_of_another_run(
    images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    options = {"layers_1": "layer4", "layers_2": "norm", "cache": tmp_path / "cache", **OPTIONS}
    kept = rsvc.run_layers(*models, images, out=tmp_path / "one", **options)
    monkeypatch.setattr(sys.modules["diptych.embed.activations"], "compute", never)
    assert_same(rsvc.run_layers(*models, images, out=tmp_path / "two", **options), kept)
    other = rsvc.run_layers(*models, images, out=tmp_path / "three", **(options | {"k": 2}))
    assert not np.allclose(other.matrix, kept.matrix)
    assert not (tmp_path / "two" / "activations").exists()


def test_other_conventions_show_other_patches(
    finished: rsvc.LayersResult, images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path
) -> None:
    some = {"layers_1": finished.layers_1[-1], "layers_2": finished.layers_2[-1]}
    options = OPTIONS | {"conventions": "published-code"}
    found = rsvc.run_layers(*models, images, out=tmp_path, **some, **options)
    assert found.matrix[0, 0] != pytest.approx(finished.matrix[-1, -1], abs=1e-4)


def test_an_image_that_is_gone_meanwhile_is_named(
    models: tuple[ImageModel, ImageModel], tmp_path: Path
) -> None:
    folder = folder_of_images(tmp_path / "images", 5)
    source, cache = open_images(folder), tmp_path / "cache"
    options = {"layers_1": "layer4", "layers_2": "norm", "cache": cache, **OPTIONS}
    rsvc.run_layers(*models, source, out=tmp_path / "one", **options)
    (folder / "2-blue" / "3.png").unlink()
    with pytest.raises(ValueError, match=r"cannot be now: 1 of 5 images .*: 2-blue/3\.png"):
        rsvc.run_layers(*models, source, out=tmp_path / "two", **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"layers_1": "layer5"},
            ValueError,
            "layers_1: test_resnet: layers: no layer 'layer5'; the nearest are 'layer",
        ),
        ({"layers_2": ["norm", "normm"]}, ValueError, "layers_2: test_vit: .*'normm'; the nearest are"),
        ({"layers_2": "stages"}, ValueError, "layers_2: test_vit: layers: no set 'stages' for"),
        ({"layers_1": []}, ValueError, "layers_1: test_resnet: layers: expected at least one, found none"),
        ({"layers_1": 4}, TypeError, "layers_1: expected names of layers or of a set, found 4"),
        ({"layers_1": [4]}, TypeError, "layers_1: test_resnet: layers: expected names, found 4"),
        ({"images_per_class": 4}, ValueError, "images_per_class: expected 5 to .*, found 4"),
        ({"k": 97}, ValueError, "images_per_class: expected 7 to .*, found 6"),
        ({"k": 0}, ValueError, "k: expected 1 to 256, found 0"),
        ({"seed": -1}, ValueError, "seed: expected 0 to"),
        ({"conventions": "theirs"}, ValueError, "conventions: expected one of 'default', 'published-code'"),
        ({"classes": ["rde"]}, ValueError, "classes: no class 'rde'; the nearest are '0-red'"),
        ({"class_names": ["a", "b"]}, ValueError, "class_names: expected 4, one for each logit, found 2"),
        (
            {"class_names": ["a", "b", "a", "c"]},
            ValueError,
            "class_names: expected each once, found 'a' twice",
        ),
        ({"precision": "float8"}, ValueError, "precision: expected one of"),
    ],
)
def test_options_that_are_refused(
    options: dict[str, Any],
    error: type[Exception],
    message: str,
    images: Path,
    models: tuple[ImageModel, ImageModel],
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=message):
        rsvc.run_layers(*models, images, out=tmp_path / "out", **(OPTIONS | options))
    # The folder is left to another try.
    assert not (tmp_path / "out" / "job.json").exists()


def test_models_of_other_classes_are_refused(
    images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path
) -> None:
    other = small_model(8, 0)
    other.module.head = torch.nn.Linear(8, 3)
    with pytest.raises(ValueError, match="found 4 of test_resnet and 3 of small-8-32"):
        rsvc.run_layers(models[0], other, images, out=tmp_path, layers_2="relu", **OPTIONS)


def test_a_damaged_run_is_named(finished: rsvc.LayersResult, tmp_path: Path) -> None:
    whole = (finished.folder / "layers.npz").read_bytes()
    for harm in (b"", whole[:-200]):
        (tmp_path / "layers.npz").write_bytes(harm)
        with pytest.raises(ValueError, match=r"layers\.npz: not a readable layers result"):
            rsvc.LayersResult.load(tmp_path)
