"""The page of a run: patches cut from its images, neurons from its store, what was left out."""

import base64
import io
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_images import folder_of_images, two_models
from PIL import Image

from diptych import report, rsvc
from diptych.embed import ImageModel, PatchGrid, Seen, activations, open_images
from diptych.rsvc import words

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of_images(tmp_path_factory.mktemp("images") / "folder", 12)


@pytest.fixture(scope="module")
def models(images: Path) -> tuple[ImageModel, ImageModel]:
    return two_models(images)


@pytest.fixture(scope="module")
def run(
    images: Path, models: tuple[ImageModel, ImageModel], tmp_path_factory: pytest.TempPathFactory
) -> rsvc.RunResult:
    torch.set_num_threads(1)
    (images / "0-red" / "broken <b>.png").write_bytes(b"no picture")
    out = tmp_path_factory.mktemp("run") / "out"
    classes = ["0-red", "3-grey"]
    options = {"images_per_class": 7, "eval_images_per_class": 5, "k": 2, "progress": False}
    return rsvc.run(*models, images, out=out, classes=classes, **options)  # type: ignore[arg-type]


def page_of(folder: Path) -> str:
    return (folder / "index.html").read_text(encoding="utf-8")


def test_a_class_patches_have_their_activations(
    run: rsvc.RunResult, images: Path, models: tuple[ImageModel, ImageModel]
) -> None:
    result = run["3-grey"]
    found = run.activations(result)
    assert found is not None
    source = open_images(images)
    places = {name: item for item, name in enumerate(source.ids.tolist())}
    measured = source.take([places[name] for name in result.groups[::16].tolist()])
    for model, mine in zip(models, found, strict=True):
        computed = activations(model, measured, "embedding", proposals=PatchGrid(), progress=False)
        # Other batches differ by rounding.
        np.testing.assert_allclose(mine, computed["embedding"], rtol=1e-4, atol=1e-5)


def test_the_page_shows_patches_neurons_and_what_was_left_out(
    run: rsvc.RunResult, images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path
) -> None:
    options = {"images": images, "model": models[0], "command": "diptych rsvc run ...", "progress": False}
    page = page_of(report.write(run, tmp_path / "page", **options))
    assert "Left out of the images: 0-red/broken &lt;b&gt;.png (" in page
    assert "<b>.png" not in page
    assert "The neurons it is told from" in page
    assert "0-red," in page
    assert "3-grey," in page
    # The first tile of a card is the patch it names, cut from what network 1 was shown.
    tile = re.search(
        r'title="patch (\d+), image ([^:"]+)[^"]*"><img src="data:image/(\w+);base64,([^"]+)"', page
    )
    assert tile is not None
    patch, name = int(tile[1]), tile[2]
    source = open_images(images)
    seen = Seen(models[0], source)[source.ids.tolist().index(name)]
    left, top, right, bottom = PatchGrid().boxes(*seen.shape[:2])[patch % 16]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(tile[4]))).convert("RGB"), float)
    wanted = seen[top:bottom, left:right].astype(float)
    small = Image.fromarray(shown.astype(np.uint8)).resize(wanted.shape[1::-1], Image.Resampling.BOX)
    # JPEG and resizing change single pixels, not the mean colour of the patch.
    np.testing.assert_allclose(np.asarray(small).mean((0, 1)), wanted.mean((0, 1)), atol=6)


def test_without_images_or_store_the_numbers_remain(run: rsvc.RunResult, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(run.folder, moved)
    again = rsvc.RunResult.load(moved)
    assert again.stores is not None
    assert all(store.is_relative_to(moved) for store in again.stores)
    assert again.stored
    shutil.rmtree(moved / "activations")
    assert not again.stored
    assert again.activations(again["0-red"]) is None
    page = page_of(report.write_rsvc_run(again, tmp_path / "page", progress=False))
    assert re.search(r'<figure class="tile"[^>]*><span', page)
    assert not re.search(r'<figure class="tile"[^>]*><img', page)
    assert "The neurons it is told from" not in page
    assert "0-red," in page


def test_the_concepts_of_a_run_in_words(
    run: rsvc.RunResult, images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path
) -> None:
    class Answering:
        def ask(self, prompt: str, images: Sequence[Any] = ()) -> str:
            return "IC1: a\nIC2: b\nSimilarity: c\nDifference: d\nSemantic difference: No"

    patches = report.run_patches(run, images, models[0])
    found = words.describe_concepts(Answering(), run, patches, count=2, shown=False)
    assert {key.label for key in found} <= set(run)
    assert {each.error for each in found.values()} == {None}
    options = {"images": images, "model": models[0], "shown": 2, "progress": False}
    folder = report.write_rsvc_run(run, tmp_path / "page", descriptions=found, **options)
    assert page_of(folder).count("A model’s guess</p>") == page_of(folder).count("<article") == len(found)


def test_what_does_not_fit_is_refused(
    run: rsvc.RunResult, images: Path, models: tuple[ImageModel, ImageModel], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="images, model: expected both or neither"):
        report.write_rsvc_run(run, tmp_path / "page", images=images)
    other = np.zeros((3, 32, 32, 3), np.uint8)
    with pytest.raises(ValueError, match="images: expected those of the run, found no '0-red/"):
        report.write_rsvc_run(run, tmp_path / "page", images=other, model=models[0], progress=False)
    empty = rsvc.RunResult(tmp_path, ("a", "b"), [], run.concepts.iloc[:0], 0)
    with pytest.raises(ValueError, match="a run with a class that was compared, found none"):
        report.write_rsvc_run(empty, tmp_path / "page")
    assert not (tmp_path / "page").exists()
