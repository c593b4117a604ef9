"""``diptych rsvc run`` on two of timm's smallest models, their classifiers fitted to a folder of images."""

import re
from functools import partial
from pathlib import Path

import pytest
import torch
from chat_server import Reply, Server
from command_line import diptych
from made_images import two_checkpoints

from diptych import rsvc

pytestmark = pytest.mark.usefixtures("one_thread")

run = partial(diptych, "rsvc", "run")


def test_from_checkpoints_to_tables(
    files: Path,
    tmp_path: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    arguments = [*two_checkpoints(files), "--out", out, "--k", 3, "--classes", "0,2", "--classes", "3-grey"]
    assert run(*arguments, "--resume", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "3 classes compared, 0 skipped; all 32 images were read" in printed
    assert "timm:test_resnet: 9 concepts, predicted by timm:test_vit" in printed
    assert "expresses least" in printed
    assert f"Results: {out}" in printed
    assert f"Report: {out / 'report' / 'index.html'}" in printed
    page = (out / "report" / "index.html").read_text(encoding="utf-8")
    assert "diptych rsvc run --model-1 timm:test_resnet" in page
    assert re.search(r'<figure class="tile"[^>]*><img', page)
    found = rsvc.RunResult.load(out)
    assert list(found) == ["0-red", "2-blue", "3-grey"]
    # A convolutional network's activations are at least 0, a transformer's are not.
    assert (found["0-red"].concepts_1.method, found["0-red"].concepts_2.method) == ("nmf", "semi_nmf")
    assert found.concepts["importance"].notna().all()
    least = found.least_expressed(2)
    assert least["network"].tolist() == ["timm:test_resnet"] * 2 + ["timm:test_vit"] * 2
    gaps = (found.concepts["cmcs"] - found.concepts["smcs"])[found.concepts["network"] == "timm:test_vit"]
    assert (least["cmcs"] - least["smcs"])[2] == pytest.approx(gaps.min())
    assert run(*arguments, "--resume", "--no-report", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == printed.partition("Report: ")[0]
    answer = "IC1: a wall\nIC2: a <door>\nSimilarity: a house\nDifference: a handle\nSemantic difference: Yes"
    server.replies = [Reply(answer)]
    options = ["--describe-url", server.url, "--describe-model", "seer"]
    assert run(*arguments, "--resume", *options, monkeypatch=monkeypatch) == 0
    capsys.readouterr()
    page = (out / "report" / "index.html").read_text(encoding="utf-8")
    assert "a &lt;door&gt;" in page
    assert "seer" in page
    assert (out / "report" / "descriptions.csv").is_file()
    assert run(*arguments, "--resume", "--no-report", *options, monkeypatch=monkeypatch) == 2
    assert "--describe-model: expected a page to show its words" in capsys.readouterr().err
    assert run(*arguments, monkeypatch=monkeypatch) == 2
    assert "error: " in (told := capsys.readouterr().err)
    assert "holds a finished run" in told


def test_options_reach_the_run(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def instead(*models: object, **options: object) -> None:
        seen.update(options, models=[model.name for model in models[:2]])  # type: ignore[attr-defined]
        raise ValueError("enough")

    monkeypatch.setattr(rsvc, "run", instead)
    options = ["--layer-1", "layer4", "--layer-2", "blocks.1", "--images-per-class", 9, "--alpha", 0.2]
    options += ["--eval-images-per-class", 6, "--conventions", "published-code", "--seed", 4]
    options += ["--device", "cpu", "--precision", "bfloat16", "--batch-size", 7, "--format", "parquet"]
    options += ["--cache", tmp_path / "cache", "--classes", "a, b"]
    assert run(*two_checkpoints(files), "--out", tmp_path / "out", *options, monkeypatch=monkeypatch) == 2
    assert seen == {
        "models": ["timm:test_resnet", "timm:test_vit"],
        "out": tmp_path / "out",
        "layer_1": "layer4",
        "layer_2": "blocks.1",
        "classes": ["a, b"],
        "images_per_class": 9,
        "eval_images_per_class": 6,
        "k": 10,
        "alpha": 0.2,
        "conventions": "published-code",
        "seed": 4,
        "device": "cpu",
        "precision": "bfloat16",
        "batch_size": 7,
        "cache": tmp_path / "cache",
        "resume": False,
        "table_format": "parquet",
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--images", "nowhere"], "nowhere: no such folder of images"),
        (["--model-1", "timm:test_resnett"], "has no model 'test_resnett'; the nearest are test_resnet"),
        (["--layer-2", "blocks.9"], "layer_2: timm:test_vit: layers: no layer 'blocks.9'; the nearest are"),
        (["--classes", "4-pink"], "classes: no class '4-pink'; the nearest are"),
        (["--layout", "nabirds"], "images.txt: no such file; is this the folder of NABirds?"),
        (["--split", "test"], "split: expected 'all', found 'test'; a folder of images has none"),
    ],
)
def test_what_is_not_there_is_one_line_and_status_2(
    files: Path,
    tmp_path: Path,
    change: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(*two_checkpoints(files), *change, "--out", tmp_path / "out", monkeypatch=monkeypatch) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.startswith("error: ")
    assert told.count("\n") == 1


def test_random_weights_that_agree_on_nothing_are_told(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    arguments = ["--model-1", "timm:test_resnet", "--model-2", "timm:test_vit", "--no-pretrained"]
    arguments += ["--images", str(files / "images"), "--out", str(tmp_path), "--classes", "999"]
    assert run(*arguments, monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "0 classes compared, 1 skipped" in printed
    assert "skipped 999: timm:test_resnet never predicts it" in printed
