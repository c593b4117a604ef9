"""The store: nothing is computed twice, files are whole and say what they are."""

import importlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from counted_activations import (
    PIXELS,
    Counting,
    assert_same,
    compute,
    counting,
    expected,
    only_folder,
    visible,
)
from PIL import Image
from torch import nn

from diptych.embed import PatchGrid, Preprocess, activations, load_model, open_embedding, open_images

store_module = importlib.import_module("diptych.embed.activation_store")


def test_a_second_call_computes_nothing() -> None:
    model = counting()
    assert_same(compute(model), expected())
    assert model.module.seen == 9
    again = compute(model)
    assert_same(again, expected())
    assert model.module.seen == 9
    assert isinstance(again["conv"], np.memmap) or isinstance(again["conv"].base, np.memmap)
    assert not again["conv"].flags.writeable
    other = counting()
    assert_same(compute(other), expected())
    assert other.module.seen == 0


def test_only_missing_layers_are_computed() -> None:
    model = counting()
    compute(model, "conv")
    before = (only_folder() / "conv.auto.npy").stat()
    assert_same(compute(model, ["act", "conv", "embedding"]), expected(["act", "conv", "embedding"]))
    assert model.module.seen == 18
    assert (only_folder() / "conv.auto.npy").stat() == before
    compute(model, "conv", pooling="flatten")
    assert model.module.seen == 27


def test_the_folder_says_what_it_is_and_open_embedding_reads_it() -> None:
    found = compute(counting(), ["conv", "logits"])
    folder = only_folder()
    assert folder.name.startswith("Counting-")
    assert visible() == {
        folder.name, "about.json", "conv.auto.json", "conv.auto.npy", "logits.auto.json", "logits.auto.npy"
    }  # fmt: skip
    about = json.loads((folder / "about.json").read_text())
    assert about["model"] == "Counting"
    assert about["images"] == open_images(PIXELS).fingerprint()
    assert about["preprocessing"] == str(Preprocess(16))
    described = json.loads((folder / "conv.auto.json").read_text())
    assert described == {
        "layer": "conv",
        "pooling": "auto",
        "applied": "mean",
        "per_row": [4],
        "rows": 9,
        "unreadable": {},
    }
    assert found.paths["conv"] == folder / "conv.auto.npy"
    assert torch.equal(open_embedding(folder / "conv.auto.npy").read(), torch.tensor(found["conv"]))
    assert found.stored("").shape == (9, 5)
    np.testing.assert_array_equal(np.load(folder / "logits.auto.npy"), found["logits"])
    with pytest.raises(KeyError):
        expected().stored("conv")


def test_patch_tokens_are_lines_of_the_file() -> None:
    found = compute(counting(), "conv", pooling="patches")
    assert_same(found, expected("conv", pooling="patches"))
    assert found["conv"].shape == (9, 196, 4)
    assert found.stored("conv").shape == (9 * 196, 4)
    assert_same(compute(counting(), "conv", pooling="patches"), found)


@pytest.mark.parametrize(
    "change",
    ["weights", "images", "order", "preprocessing", "precision", "proposals", "conventions", "tokens"],
)
def test_whatever_changes_the_activations_changes_the_key(change: str) -> None:
    model = counting()
    small = PatchGrid(size=56)
    compute(model, "conv", proposals=small if change == "conventions" else None)
    options: dict[str, Any] = {}
    if change == "weights":
        model.module.get_parameter("conv.bias").data[0] += 1
    elif change == "images":
        options["images"] = 255 - PIXELS
    elif change == "order":
        options["images"] = PIXELS[::-1]
    elif change == "preprocessing":
        model = load_model(Counting(), preprocess=Preprocess(16, mean=(0.5, 0.5, 0.5)), classifier="fc")
    elif change == "precision":
        options["precision"] = "bfloat16"
    elif change == "proposals":
        options["proposals"] = PatchGrid()
    elif change == "conventions":
        options["proposals"] = replace(small, conventions="published-code")
    else:
        model = counting(prefix_tokens=1, class_token=True)
    model.module.seen = 0  # type: ignore[assignment]
    compute(model, "conv", **options)
    assert model.module.seen >= 9
    assert len(list(Path("store").iterdir())) == 2


def test_names_of_layers_that_no_file_can_have() -> None:
    module = nn.Sequential()
    for name in ("a/b", "a b", "é"):
        module.add_module(name, nn.Conv2d(3, 3, 1))
    model = load_model(module, preprocess=Preprocess(8), name="../up:x")
    found = compute(model, ["a/b", "a b", "é", "a b:0"])
    assert {path.parent for path in found.paths.values()} == {only_folder()}
    assert len(set(found.paths.values())) == 4
    assert_same(compute(model, list(found)), found)


def test_layers_of_different_images_are_not_mixed() -> None:
    compute(counting(), ["conv", "act"])
    path = only_folder() / "act.auto.json"
    path.write_text(path.read_text().replace('"unreadable": {}', '"unreadable": {"3": "no such plugin"}'))
    with pytest.raises(
        ValueError, match=r"store: 'act' was computed for other images than 'conv', as 1 and 0 .*remove"
    ):
        compute(counting(), ["conv", "act"])


def test_unreadable_images_have_no_rows_in_any_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_NOTE_SECONDS", 0.0)
    Path("x").mkdir()
    for item, pixels in enumerate(PIXELS):
        Image.fromarray(pixels).save(f"x/{item}.png")
    for item in (0, 1, 6):
        Path(f"x/{item}.png").write_bytes(b"damaged")
    model = counting()
    model.module.fail_after = 4  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        compute(model, "conv", images="x")
    found = compute(counting(), "conv", images="x")
    assert found.indices.tolist() == [2, 3, 4, 5, 7, 8]
    assert list(found.unreadable.reasons) == ["0.png", "1.png", "6.png"]
    np.testing.assert_array_equal(found["conv"][:4], expected("conv")["conv"][2:6])
    other = counting()
    both = compute(other, ["conv", "act"], images="x")
    assert other.module.seen == 6
    assert both.unreadable == found.unreadable
    assert both["conv"].shape == both["act"].shape == (6, 4)
    np.testing.assert_array_equal(both["conv"], found["conv"])


def test_nothing_readable_is_an_error_and_leaves_no_files() -> None:
    Path("x").mkdir()
    for item in range(3):
        Path(f"x/{item}.png").write_bytes(b"damaged")
    for _ in range(2):
        with pytest.raises(ValueError, match="images: none could be read: 3 of 3"):
            compute(counting(), "conv", images="x")
    assert visible() == {only_folder().name, "about.json"}


def test_preprocessing_without_a_name_is_refused_with_a_store_only() -> None:
    def preprocess(image: Any) -> torch.Tensor:
        return Preprocess(16)(image)

    model = load_model(Counting(), preprocess=preprocess)
    with pytest.raises(
        ValueError, match="preprocess_name: a store needs words for the preprocessing of Counting"
    ):
        compute(model, "conv")
    named = load_model(Counting(), preprocess=preprocess, preprocess_name="16 pixels")
    np.testing.assert_array_equal(compute(named, "conv")["conv"], expected("conv")["conv"])
    np.testing.assert_array_equal(
        activations(model, PIXELS, "conv", batch_size=2)["conv"], expected("conv")["conv"]
    )


@pytest.mark.parametrize("damage", ["cut", "json", "gone"])
def test_damaged_files_are_named(damage: str) -> None:
    compute(counting(), "conv")
    path = only_folder() / "conv.auto.npy"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-4])
    elif damage == "json":
        path.with_suffix(".json").write_text('{"layer": "conv"}')
    else:
        path.unlink()
    with pytest.raises(
        ValueError, match=r"conv\.auto\.npy: damaged, remove conv\.auto\.json to have it made again"
    ):
        compute(counting(), "conv")
    path.with_suffix(".json").unlink()
    assert_same(compute(counting(), "conv"), expected("conv"))


def test_too_little_room_is_told_before_it_is_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(store_module.shutil, "disk_usage", lambda _: usage._replace(free=100))
    with pytest.raises(
        OSError, match=r"store: .*Counting-\w+ would need 0\.0 GiB more for a layer, found 0\.0 GiB"
    ):
        compute(counting(), "conv", pooling="flatten")


def test_files_have_the_permissions_of_other_files() -> None:
    before = os.umask(0o027)
    try:
        compute(counting(), "conv")
    finally:
        os.umask(before)
    assert {(only_folder() / name).stat().st_mode & 0o777 for name in ("about.json", "conv.auto.npy")} == {
        0o640
    }
