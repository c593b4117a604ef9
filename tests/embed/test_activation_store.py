"""The store: nothing is computed twice, killed runs go on, files are whole or not there."""

import importlib
import json
import multiprocessing
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from diptych.embed import (
    Activations,
    ImageModel,
    PatchGrid,
    Preprocess,
    activations,
    load_model,
    open_embedding,
    open_images,
)

store_module = importlib.import_module("diptych.embed.activation_store")
PIXELS = np.random.default_rng(0).integers(0, 256, (9, 20, 20, 3), dtype=np.uint8)


class Counting(nn.Module):
    """A small network that counts the images it has seen, and can be told to fail at one."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3)
        self.act = nn.ReLU()
        self.fc = nn.Linear(4, 5)
        self.seen, self.fail_after = 0, 10**9

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.seen >= self.fail_after:
            raise KeyboardInterrupt
        self.seen += len(x)
        return self.fc(self.act(self.conv(x)).mean((2, 3)))


def counting(**options: Any) -> ImageModel:
    return load_model(Counting(), preprocess=Preprocess(16), classifier="fc", **options)


def compute(model: ImageModel, layers: Any = ("conv", "act", "logits"), **options: Any) -> Activations:
    return activations(
        model, options.pop("images", PIXELS), layers, store="store", **({"batch_size": 2} | options)
    )


def expected(layers: Any = ("conv", "act", "logits"), **options: Any) -> Activations:
    """Without a store, in the same batches: the same bits."""
    return activations(counting(), PIXELS, layers, **({"batch_size": 2} | options))


def assert_same(found: Activations, wanted: Activations) -> None:
    assert list(found) == list(wanted)
    for layer in wanted:
        np.testing.assert_array_equal(found[layer], wanted[layer])
    assert found.pooling == wanted.pooling
    assert found.ids.tolist() == wanted.ids.tolist()


def visible() -> set[str]:
    """Names of files and folders that are neither hidden nor in hidden folders."""
    paths = [path.relative_to("store") for path in Path("store").rglob("*")]
    return {path.name for path in paths if not any(part.startswith(".") for part in path.parts)}


def only_folder() -> Path:
    (folder,) = Path("store").iterdir()
    return folder


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


@pytest.mark.parametrize("seconds", [0.0, 1e9])
@pytest.mark.parametrize("fail_after", [1, 4, 8])
def test_an_interrupted_run_goes_on_and_leaves_no_half_file(
    monkeypatch: pytest.MonkeyPatch, seconds: float, fail_after: int
) -> None:
    monkeypatch.setattr(store_module, "_NOTE_SECONDS", seconds)
    model = counting()
    model.module.fail_after = fail_after  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        compute(model)
    assert visible() == {only_folder().name, "about.json"}
    resumed = counting()
    assert_same(compute(resumed), expected())
    assert resumed.module.seen == 9 - model.module.seen
    assert not list(only_folder().glob(".partial*"))


def test_a_run_killed_between_notes_goes_on_from_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a power cut: rows after the note are there, torn, or not there at all."""
    monkeypatch.setattr(store_module, "_NOTE_SECONDS", 0.0)
    for damage in ("torn", "missing", "no state", "no json"):
        shutil.rmtree("store", ignore_errors=True)
        model = counting()
        model.module.fail_after = 4  # type: ignore[assignment]
        with pytest.raises(KeyboardInterrupt):
            compute(model)
        (partial,) = only_folder().glob(".partial*")
        rows = partial / "1.rows"
        if damage == "torn":
            rows.write_bytes(rows.read_bytes() + b"half a row")
        elif damage == "missing":
            rows.write_bytes(rows.read_bytes()[:-1])
        elif damage == "no state":
            (partial / "state.json").unlink()
        else:
            (partial / "state.json").write_text('{"done": 4')
        resumed = counting()
        assert_same(compute(resumed), expected())
        assert resumed.module.seen == (5 if damage == "torn" else 9)


@pytest.mark.parametrize("at", ["0.rows", "2.rows"])
def test_a_run_that_dies_while_its_files_get_their_names(monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    replaced = os.replace

    def dying(source: Any, target: Any) -> None:
        if Path(source).name == at:
            raise OSError("died")
        replaced(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dying)
        with pytest.raises(OSError, match="died"):
            compute(counting())
    model = counting()
    assert_same(compute(model), expected())
    # The rows of all layers were there still, or two layers were and the third had to be made again.
    assert model.module.seen == (0 if at == "0.rows" else 9)
    assert not list(only_folder().glob(".partial*"))


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


class Slow(Counting):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        Path("started").touch()
        time.sleep(0.1)
        return super().forward(x)


def fill(log: str) -> None:
    model = load_model(Slow(), preprocess=Preprocess(16), classifier="fc", name="Counting")
    compute(model, progress=False)
    Path(log).write_text(str(model.module.seen))


def test_two_processes_compute_once(one_thread: None) -> None:
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=fill, args=(f"{number}.log",)) for number in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    assert sorted(int(Path(f"{number}.log").read_text()) for number in range(2)) == [0, 9]


def test_a_killed_process_is_succeeded(one_thread: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_NOTE_SECONDS", 0.0)
    process = multiprocessing.get_context("fork").Process(target=fill, args=("0.log",))
    process.start()
    while not list(Path().glob("store/*/.partial*/state.json")):
        assert process.is_alive()
        time.sleep(0.01)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert visible() == {only_folder().name, "about.json"}
    model = load_model(Slow(), preprocess=Preprocess(16), classifier="fc", name="Counting")
    found = compute(model)
    assert model.module.seen < 9
    assert_same(found, expected())


def test_waiting_for_another_process_is_told(
    impatient: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import fcntl

    monkeypatch.setenv("FORCE_COLOR", "1")
    place = store_module.ActivationStore("store", "mine", {"key": 1})
    flock, calls = fcntl.flock, []

    def busy(file: Any, how: int) -> None:
        calls.append(how)
        if how & fcntl.LOCK_NB:
            raise BlockingIOError
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", busy)
    with place.writing():
        pass
    assert calls == [fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_EX]
    assert "waiting for another process that fills mine-" in capsys.readouterr().err
