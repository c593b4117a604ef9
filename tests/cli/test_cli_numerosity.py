from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import diptych
from PIL import Image

from diptych.numerosity import Architecture, Evaluation, NumberLine, NumberNet, Study, reproduce

pytest.importorskip("lightning")


@pytest.fixture(scope="module")
def line() -> tuple[np.ndarray, np.ndarray]:
    """Embeddings along a line, and their counts."""
    counts = np.repeat(np.arange(31), 6)
    noise = np.random.default_rng(0).standard_normal((len(counts), 3))
    return counts[:, None] * np.array([1.0, 2.0, 0.5]) + 0.05 * noise, counts


@pytest.fixture
def plain_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of a line: their two dozen pictures are tested elsewhere, and take longer than all else here."""

    def write(result: NumberLine | Study, path: Path, *, command: str, **options: Any) -> Path:
        path.mkdir(exist_ok=options["overwrite"])
        (path / "index.html").write_text(command)
        if isinstance(result, NumberLine):
            result.save(path / "result.npz")
        return path

    monkeypatch.setattr("diptych.report.write", write)


@pytest.fixture
def files(line: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "embeddings.npy", tmp_path / "counts.npy"
    for path, array in zip(paths, line, strict=True):
        np.save(path, array)
    return paths


def test_a_network_is_trained_tested_and_analyzed(
    plain_pages: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    net, tested, page = tmp_path / "net", tmp_path / "test.npz", tmp_path / "page"
    small = ("--epochs", "1", "--batches", "1", "--pairs", "2", "--stem", "random", "--device", "cpu")
    train = ("numerosity", "train", "--dataset", "A", "--out", net, *small)
    assert diptych(*train, monkeypatch=monkeypatch) == 0
    told = capsys.readouterr().out
    assert "stem random; after 1 epochs" in told
    assert str(net / "net.safetensors") in told
    assert diptych(*train, monkeypatch=monkeypatch) == 2
    assert "holds a finished training" in capsys.readouterr().err
    assert diptych(*train, "--resume", monkeypatch=monkeypatch) == 0

    shown = ("--dataset", "A", "--highest", "4", "--each", "4", "--limit", "4", "--actions", "20")
    examine = ("numerosity", "test", net, "--out", tested, *shown)
    assert diptych(*examine, monkeypatch=monkeypatch) == 0
    assert "of 20 actions on up to 4 objects named rightly" in capsys.readouterr().out
    assert Evaluation.load(tested).counts.max() == 4
    assert Evaluation.load(tested).taught == 3
    assert diptych(*examine, monkeypatch=monkeypatch) == 2
    assert "exists already" in capsys.readouterr().err

    analyze = ("numerosity", "analyze", tested, "--out", page, "--reference", "3", "--min-cluster-size", "3")
    assert diptych(*analyze, monkeypatch=monkeypatch) == 0
    assert str(page / "index.html") in capsys.readouterr().out
    assert "diptych numerosity analyze" in (page / "index.html").read_text()
    assert NumberLine.load(page / "result.npz").parameters.reference == 3
    assert diptych(*analyze, monkeypatch=monkeypatch) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize("ending", [".npy", ".txt"])
def test_embeddings_are_probed(
    files: tuple[Path, Path],
    line: tuple[np.ndarray, np.ndarray],
    tmp_path: Path,
    ending: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    counts = files[1].with_suffix(ending)
    if ending == ".txt":
        np.savetxt(counts, line[1], fmt="%d")
    page = tmp_path / "page"
    probe = ("numerosity", "probe", files[0], "--counts", counts, "--out", page, "--min-cluster-size", "4")
    if ending == ".txt":
        request.getfixturevalue("plain_pages")
    assert diptych(*probe, monkeypatch=monkeypatch) == 0
    assert "items of 0 to 30 objects" in capsys.readouterr().out
    assert NumberLine.load(page / "result.npz").spearman > 0.99
    found = Evaluation.load(page / "evaluation.npz")
    assert found.about == {"embeddings": str(files[0]), "taught": 3}
    assert found.taught == 3
    if ending == ".npy":
        assert diptych(*probe, "--overwrite", monkeypatch=monkeypatch) == 0


def test_a_model_of_timm_and_a_trained_network_are_probed(
    plain_pages: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("timm")
    shown = ("--dataset", "A", "--highest", "3", "--each", "4", "--limit", "3", "--actions", "20")
    options = (*shown, "--min-cluster-size", "3")
    model = ("numerosity", "probe", "timm:test_resnet", "--no-pretrained", "--layer", "logits")
    assert diptych(*model, "--out", tmp_path / "model", *options, monkeypatch=monkeypatch) == 0
    assert Evaluation.load(tmp_path / "model" / "evaluation.npz").embeddings.shape == (16, 1000)
    (tmp_path / "net").mkdir()
    NumberNet(Architecture(3)).save(tmp_path / "net" / "net.safetensors")
    for i, net in enumerate((tmp_path / "net", tmp_path / "net" / "net.safetensors")):
        page = tmp_path / f"page{i}"
        assert diptych("numerosity", "probe", net, "--out", page, *options, monkeypatch=monkeypatch) == 0
        assert Evaluation.load(page / "evaluation.npz").embeddings.shape == (16, 3)


def test_photographs_are_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = tmp_path / "objects"
    objects.mkdir()
    Image.new("RGB", (30, 20), (200, 50, 0)).save(objects / "brick.png")
    NumberNet(Architecture()).save(tmp_path / "net.safetensors")
    shown = ("--objects", objects, "--highest", "2", "--each", "2", "--limit", "2", "--actions", "6")
    examine = ("numerosity", "test", tmp_path / "net.safetensors", "--out", tmp_path / "test.npz", *shown)
    assert diptych(*examine, monkeypatch=monkeypatch) == 0
    assert Evaluation.load(tmp_path / "test.npz").about["dataset"].startswith("Photographs(1 objects")


def test_a_study_is_made(
    plain_pages: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from diptych.numerosity import BUDGETS, Run
    from diptych.numerosity.reproduce import Budget

    tiny = Budget((Run("A", epochs=1),), batches=1, pairs=2, validation=1, each=3)
    monkeypatch.setitem(BUDGETS, "small", tiny)
    out = tmp_path / "study"
    command = ("numerosity", "reproduce", "--out", out, "--stem", "random")
    assert diptych(*command, monkeypatch=monkeypatch) == 0
    told = capsys.readouterr().out
    assert "stem of all networks: random" in told
    assert "Beside the thesis" in told
    assert (out / "report" / "index.html").is_file()
    assert diptych(*command, monkeypatch=monkeypatch) == 2
    assert diptych(*command, "--resume", monkeypatch=monkeypatch) == 0
    assert reproduce(out, stem="random", resume=True, progress=False).claims


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("test", "none", "--out", "x.npz"), "none: no such file"),
        (("test", "none", "--out", "x.csv"), "--out: expected a file ending in .npz"),
        (("analyze", "none.npz", "--out", "page"), "none.npz"),
        (("probe", "none.npy", "--out", "page"), "counts: expected the number of objects"),
        (("probe", "z.npy", "--checkpoint", "w", "--out", "page"), "--checkpoint: expected a timm:NAME"),
        (("probe", "z.npy", "--counts", "none.npy", "--out", "page"), "none.npy: no such file"),
        (("probe", "z.npy", "--counts", "words.txt", "--out", "page"), "words.txt: not a file of counts"),
        (("probe", "z.npy", "--counts", "half.npy", "--out", "page"), "half.npy: not a file of counts"),
        (("train", "--out", "net", "--epochs", "0"), "epochs: expected 1 to"),
        (("train", "--out", "net", "--backgrounds", "."), "--backgrounds: expected --objects beside it"),
    ],
)
def test_bad_input_is_told_in_a_line(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("z.npy", np.zeros((4, 2)))
    np.save("half.npy", np.array([0, 0.5, 1, 1]))
    Path("words.txt").write_text("none\none\n")
    assert diptych("numerosity", *arguments, monkeypatch=monkeypatch) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told
    assert not (tmp_path / "page").exists()
