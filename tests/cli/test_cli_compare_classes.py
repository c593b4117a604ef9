"""``diptych compare`` of two models on the study's groups of classes, aligned and not."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import diptych
from PIL import Image

from diptych import embed, rdx
from diptych.cli._aligned import check_reports
from diptych.rdx import RDXResult

pytestmark = pytest.mark.usefixtures("one_thread")

run = partial(diptych, "compare")

RNG = np.random.default_rng(0)


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, (5, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((40, 32), Image.Resampling.BICUBIC).save(path)


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images of each of the three classes of "mittens", and of another."""
    root = tmp_path_factory.mktemp("imagenet")
    for synset in (*rdx.CLASS_GROUPS["mittens"].classes, "n01440764"):
        for item in range(12):
            picture(root / synset / f"{item}.png")
    return root


@pytest.fixture(scope="module")
def maples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of iNaturalist with two species of maple, a crow, and an observation without a licence."""
    root = tmp_path_factory.mktemp("inaturalist")
    species = ("Acer rubrum", "Acer negundo", "Corvus corax")
    lines = [f"{item},{species[item % 3]},CC-BY,ann" for item in range(36)]
    (root / "o.csv").write_text("\n".join(["id,taxon,license,user_login", *lines, "36,Acer rubrum,,bob"]))
    for item in range(37):
        picture(root / f"{item}.png")
    return root


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Small networks with random weights stand in for the models that are named; their names as loaded."""
    names: list[str] = []
    load = embed.load_model

    def small(name: str, **_: Any) -> embed.ImageModel:
        names.append(name)
        return load(("timm:test_resnet", "timm:test_vit")[len(names) % 2], pretrained=False, name=name)

    monkeypatch.setattr("diptych.embed.load_model", small)
    return names


def test_a_preset_on_a_group_is_the_study_s_comparison(
    imagenet: Path,
    loaded: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    written: list[tuple[RDXResult, list[str]]] = []

    def keep(result: RDXResult, out: Path, *, labels: list[str], **_: object) -> None:
        assert out == tmp_path / "report"
        written.append((result, labels))

    monkeypatch.setattr("diptych.cli.compare.write_report", keep)
    arguments = ["--preset", "dino-dinov2", "--classes", "mittens", "--images", imagenet]
    assert run(*arguments, "--out", tmp_path / "report", monkeypatch=monkeypatch) == 0
    message = "Fewer than 500 images of mitten (12), Christmas stocking (12), sock (12)."
    assert message in capsys.readouterr().err
    assert loaded == ["timm:vit_base_patch16_224.dino", "timm:vit_base_patch14_reg4_dinov2.lvd142m"]
    ((result, labels),) = written
    p = result.parameters
    assert (len(labels), set(labels)) == (36, {"mitten", "Christmas stocking", "sock"})
    assert (result.n, result.names) == (36, tuple(loaded))
    assert (p.gamma, p.n_explanations, p.grid_size, p.align) == (0.05, 5, 9, None)


def test_several_alignments_of_an_export_of_inaturalist(
    maples: Path,
    loaded: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, workspace = tmp_path / "out", tmp_path / "work"
    options = ["--layout", "inaturalist", "--classes", "maples", "--images-per-class", 10, "-m", 1]
    options += ["--grid-size", 3, "--align", "none", "--align", "a_to_b", "--workspace", workspace]
    arguments = ["--preset", "clip-inat", "--images", maples, *options, "--out", out]
    assert run(*arguments, monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    assert "1 of 37 observations were left out for their licence: all rights reserved (1)." in printed.err
    assert len(loaded) == 2
    assert sorted(path.name for path in out.iterdir()) == ["a_to_b", "none"]
    assert not workspace.exists()
    rows = [line for line in printed.out.splitlines() if "│" in line]
    for align in ("none", "a_to_b"):
        result = RDXResult.load(out / align / "result.npz")
        assert result.n == 20
        assert result.parameters.align == (None if align == "none" else align)
        first = result.ids[result.a.grids[0][0]]  # type: ignore[index]
        species = ("Acer rubrum", "Acer negundo")[int(Path(str(first)).stem) % 3]
        assert f"{species} — CC BY, ann" in (out / align / "index.html").read_text()
        cka = result.cka if align == "none" else result.aligned_cka
        raw = result.a.bsr if align == "none" else result.a.raw_bsr
        (row,) = [line for line in rows if f" {align} " in line]
        for value in (cka, result.a.bsr, result.b.bsr, raw):
            assert f" {value:.3f} " in row
    # The same again is refused, and may replace its own reports alone.
    assert run(*arguments, monkeypatch=monkeypatch) == 2
    assert "exists already; choose another --out, or --overwrite" in capsys.readouterr().err
    (out / "thesis.tex").write_text("years of work")
    assert run(*arguments, "--overwrite", monkeypatch=monkeypatch) == 2
    assert "(thesis.tex), and is not overwritten" in capsys.readouterr().err
    assert len(loaded) == 2
    (out / "thesis.tex").unlink()
    check_reports(out, ("none", "a_to_b"), overwrite=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--classes", "mittens,"], "the images have no n03775071 (mitten), but n01440764"),
        (["--classes", "sock,tench"], "no class 'tench' among the images"),
        (["--images-per-class", "0"], "per_class: expected 1 to"),
        (
            ["--align", "none", "--align", "all"],
            "align: expected some of 'none', 'a_to_b', 'b_to_a', or 'all'",
        ),
        (["--align", "all", "--overwrite"], "is not a folder, and is not overwritten"),
        (["--layout", "inaturalist"], "no .csv file; expected iNaturalist's export"),
    ],
)
def test_what_cannot_be_compared_is_told_before_models_are_loaded(
    arguments: list[str],
    message: str,
    loaded: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "images"
    for synset in ("n01440764", "n04254777"):
        picture(folder / synset / "1.png")
    out = tmp_path / "out"
    if "--overwrite" in arguments:
        out.write_text("a file")
    common = ["--preset", "dino-dinov2", "--images", folder, "--out", out]
    assert run(*common, *arguments, monkeypatch=monkeypatch) == 2
    assert message in capsys.readouterr().err
    assert loaded == []


@pytest.mark.parametrize(
    "option", [("--classes", "mittens"), ("--images-per-class", 3), ("--layout", "inaturalist")]
)
def test_options_of_models_images_want_models(
    option: tuple[object, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("a.npy", "b.npy", *option, "--out", tmp_path / "out", monkeypatch=monkeypatch) == 2
    assert f"{option[0]}: expected --model-a and --model-b, or --preset" in capsys.readouterr().err


def test_classes_and_alignments_in_python(imagenet: Path) -> None:
    network = embed.load_model("timm:test_resnet", pretrained=False)
    both = (network, network, imagenet)
    pair = rdx.image_pair(*both, classes=["sock", "n03775071"], layer_a="layer1", progress=False)
    assert (len(pair.a), sorted(set(pair.labels or ()))) == (24, ["mitten", "sock"])
    assert (pair.item_names, pair.notes) == (None, ("Fewer than 500 images of sock (12), mitten (12).",))
    found = pair.compare_aligned(["b_to_a", "none"], n_explanations=1, grid_size=3, progress=False)
    assert list(found) == ["b_to_a", "none"]
    assert {(each.names, each.parameters.gamma) for each in found.values()} == {(pair.names, 0.05)}
    some = rdx.image_pair(*both, images_per_class=2, seed=1, layer_a="layer1", progress=False)
    assert sorted(some.labels or ()) == sorted(2 * ["n01440764", "mitten", "Christmas stocking", "sock"])
