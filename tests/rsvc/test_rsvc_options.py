"""What the commands of RSVC have in common: which folders they read, and what they say of them."""

from pathlib import Path
from typing import Any, get_args

import pytest
from command_line import diptych
from made_images import pixels
from PIL import Image

from diptych import rsvc
from diptych.cli import _options, _rsvc_options
from diptych.embed import ImageSet, layouts
from diptych.embed.activations import Precision
from diptych.embed.splits import Split

TWO = ("--model-1", "timm:test_resnet", "--model-2", "timm:test_vit")


@pytest.fixture
def maples(tmp_path: Path) -> Path:
    """An export of iNaturalist with two species, and an observation without a licence."""
    root = tmp_path / "maples"
    root.mkdir()
    species = ("Acer rubrum", "Acer negundo")
    lines = [f"{item},{species[item % 2]},CC-BY,ann" for item in range(4)]
    (root / "o.csv").write_text("\n".join(["id,taxon,license,user_login", *lines, "4,Acer rubrum,,bob"]))
    for item in range(5):
        Image.fromarray(pixels((200, 40, 40), item)).save(root / f"{item}.png")
    return root


@pytest.mark.parametrize(
    ("command", "function", "models"),
    [
        ("run", "run", TWO),
        ("layers", "run_layers", TWO),
        ("finetune", "finetune", ("--model", "timm:test_resnet")),
    ],
)
def test_an_export_of_inaturalist_is_read_and_what_it_leaves_out_is_told(
    command: str,
    function: str,
    models: tuple[str, ...],
    maples: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown: list[ImageSet] = []

    def instead(*given: Any, **_: Any) -> None:
        shown.append(given[-1])
        raise ValueError("enough")

    monkeypatch.setattr(rsvc, function, instead)
    arguments = [*models, "--no-pretrained", "--images", maples, "--layout", "inaturalist"]
    assert diptych("rsvc", command, *arguments, "--out", tmp_path / "out", monkeypatch=monkeypatch) == 2
    (images,) = shown
    assert images.classes == ("Acer negundo", "Acer rubrum")
    assert len(images) == 4
    told = capsys.readouterr().err.splitlines()
    assert told == [*images.notes, "error: enough"]
    assert len(images.notes) == 1


def test_names_of_options_are_those_of_the_library() -> None:
    assert get_args(_options.LayoutName) == get_args(layouts.Layout)
    assert get_args(_rsvc_options.SplitName) == get_args(Split)
    assert get_args(get_args(_rsvc_options.Precision)[0]) == get_args(Precision)
    assert set(get_args(layouts.Layout)) > layouts.SPLIT_LAYOUTS
