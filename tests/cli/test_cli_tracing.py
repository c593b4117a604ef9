"""``diptych tracing``, from simulated learners to what tracers make of them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pandas
import pytest
from command_line import diptych
from PIL import Image

from diptych import tracing
from diptych.cli import tracing_simulate
from diptych.cli.tracing_fit import ModelName
from diptych.tracing.results import TracingResult

pytest.importorskip("lightning")
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answers of nine learners, and three tracers that learned for an epoch."""
    folder = tmp_path_factory.mktemp("tracing")
    answers = tracing.simulate("gradient", 9, 5, 3, n_classes=3, dimension=4, n_images=12)
    tracing.save(answers, folder / "answers.jsonl")
    for name, model, options in (
        ("static", "static", {}),
        ("first", "cls_pred_y", {"hidden": 4, "layers": 1}),
        ("second", "cls_pred_y", {"hidden": 4, "layers": 1, "seed": 1}),
    ):
        tracing.fit(answers, model, epochs=1, out=folder / name, progress=False, **options)
    return folder


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[tuple[TracingResult, Path, dict[str, Any]]]:
    """What pages are asked for: their pictures are tested elsewhere, and take longer than all else here."""
    asked: list[tuple[TracingResult, Path, dict[str, Any]]] = []

    def write(result: TracingResult, path: Path, **options: Any) -> Path:
        asked.append((result, path, options))
        return path

    monkeypatch.setattr("diptych.report.write", write)
    return asked


def test_answers_are_simulated_checked_fitted_and_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers, net = tmp_path / "answers.jsonl", tmp_path / "net"
    sizes = "--learners", 8, "--train", 4, "--test", 2, "--classes", 3, "--dimension", 2, "--pool", 9
    simulate = "tracing", "simulate", "--kind", "static", "--out", answers, *sizes, "--careless", 0.5
    assert diptych(*simulate, "--seed", 3, monkeypatch=monkeypatch) == 0
    told = capsys.readouterr().out
    assert "8 static learners, 48 answers" in told
    written = tracing.load(answers)
    assert (len(written), len(written.classes), written.about["seed"]) == (8, 3, 3)
    assert f"careless: {len(written.about['careless'])}" in told
    assert diptych(*simulate, monkeypatch=monkeypatch) == 2
    assert "answers.jsonl: exists already; choose another --out" in capsys.readouterr().err

    assert diptych("tracing", "validate", answers, monkeypatch=monkeypatch) == 0
    told = capsys.readouterr().out
    assert "8 learners, 3 classes, 9 images; 48 steps, 32 in training and 16 in tests" in told
    assert "Beside the answers: rankings, true probabilities, features\n" in told

    fit = "tracing", "fit", answers, "--out", net, "--model", "direct", "--hidden", 4, "--accuracy"
    fit = *fit, "--epochs", 2, "--batch-size", 3, "--patience", 1, "--split", 1, "--seed", 2
    assert diptych(*fit, monkeypatch=monkeypatch) == 0
    told = capsys.readouterr().out
    assert "direct: least validation loss" in told
    assert "1 learners are left for the test" in told
    assert str(net / "tracer.safetensors") in told
    tracer = tracing.Tracer.load(net / "tracer.safetensors")
    assert tracer.options == {"hidden": 4, "accuracy": True}
    assert tracer.about["split"] == 1
    assert (
        tracer.about["schedule"] | {"epochs": 2, "batch_size": 3, "patience": 1, "seed": 2}
        == (tracer.about["schedule"])
    )
    assert diptych(*fit, monkeypatch=monkeypatch) == 2
    assert "holds a finished training" in capsys.readouterr().err
    assert diptych(*fit, "--resume", monkeypatch=monkeypatch) == 0
    assert diptych("tracing", "evaluate", answers, "--tracer", net, monkeypatch=monkeypatch) == 0
    told = capsys.readouterr().out
    assert "training: 4 answers of 1 learners" in told
    assert "oracle" in told


def test_tracers_are_compared(
    folder: Path,
    tmp_path: Path,
    pages: list[tuple[TracingResult, Path, dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = folder / "static", folder / "first", folder / "second" / "tracer.safetensors"
    named = [part for file in files for part in ("--tracer", file)]
    evaluate = "tracing", "evaluate", folder / "answers.jsonl", *named
    page = tmp_path / "page"
    assert diptych(*evaluate, "--out", page, monkeypatch=monkeypatch) == 0
    told = capsys.readouterr().out
    ((result, path, options),) = pages
    assert path == page
    assert options["command"].startswith("diptych tracing evaluate")
    assert not options["overwrite"]
    assert result.models == ("static", "cls_pred_y (first)", "cls_pred_y (second)")
    unseen = ~tracing.Tracer.load(files[2]).seen(tracing.load(folder / "answers.jsonl"))
    assert len(result.answers) == unseen.sum() == 2
    assert f"Report: {page / 'index.html'}" in told
    assert "share of gap" in told
    rows = result.frame().to_dict("records")
    assert len(rows) == 8
    for row in rows:
        assert all(f"{row[name]:.3f}" in told for name in ("micro_ap", "macro_ap", "nll", "ece"))
        assert f"{row['accuracy']:.1%}" in told
        assert f"{row['share_of_gap']:.0%}" in told

    given = "--name", "nobody", "--name", "[red]one", "--name", "two", "--follow", "two", "--seen"
    assert diptych(*evaluate, *given, "--out", page, "--overwrite", monkeypatch=monkeypatch) == 0
    told = capsys.readouterr().out
    assert "[red]one" in told
    assert "share of gap" not in told
    result = pages[1][0]
    assert result.models == ("nobody", "[red]one", "two")
    assert result.paths is not None
    assert result.paths.model == "two"
    assert len(result.answers) == 9
    assert pages[1][2]["overwrite"]


def test_classes_are_in_the_tracers_order(
    folder: Path,
    tmp_path: Path,
    pages: list[tuple[TracingResult, Path, dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = tracing.load(folder / "answers.jsonl")
    turned = tracing.load(folder / "answers.jsonl", classes=answers.classes[::-1])
    tracing.save(turned, tmp_path / "answers.jsonl")
    asked = "--tracer", folder / "first", "--out", tmp_path / "page"
    for file in (tmp_path / "answers.jsonl", folder / "answers.jsonl"):
        assert diptych("tracing", "evaluate", file, *asked, monkeypatch=monkeypatch) == 0
    (own, _, _), (other, _, _) = pages
    assert own.frame().equals(other.frame())
    assert own.answers.learners == other.answers.learners


def test_a_page_is_written(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page"
    evaluate = "tracing", "evaluate", folder / "answers.jsonl", "--tracer", folder / "static", "--out", page
    assert diptych(*evaluate, monkeypatch=monkeypatch) == 0
    assert "diptych tracing evaluate" in (page / "index.html").read_text()
    assert TracingResult.load(page / "result.npz").models == ("static",)


def test_learners_are_scored_the_worst_first(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers, scores = tracing.load(folder / "answers.jsonl"), tmp_path / "scores.csv"
    # The last learner stopped after six answers.
    last = np.flatnonzero(answers.learner == 8)[:6]
    short = answers.of(np.arange(8)), answers.of(np.array([8]))
    lines = (folder / "answers.jsonl").read_text().splitlines()
    assert len(short[0].test) + len(short[1].test) == len(lines) - 1
    cut = tmp_path / "cut.jsonl"
    cut.write_text("\n".join(lines[: 1 + len(short[0].test) + len(last)]) + "\n")
    (tmp_path / "cut.features.npz").write_bytes((folder / "answers.features.npz").read_bytes())

    careless = "tracing", "careless", cut, "--tracer", folder / "first", "--after", 8, "--after", 4
    assert diptych(*careless, "--show", 8, "--out", scores, monkeypatch=monkeypatch) == 0
    told, beside = capsys.readouterr()
    assert "The tracer was trained with" in beside
    assert "8 of 9 learners" in told
    tracer = tracing.Tracer.load(folder / "first" / "tracer.safetensors")
    wanted = tracing.carelessness(tracer, tracing.load(cut), (4, 8))
    found = pandas.read_csv(scores, dtype={"learner": str})
    assert len(found) == 17
    sorted_alike = [each.sort_values(["learner", "answers"], ignore_index=True) for each in (found, wanted)]
    pandas.testing.assert_frame_equal(*sorted_alike)
    final = found.groupby("learner", sort=False).score.last()
    assert final.is_monotonic_decreasing
    shown = [line.split()[1] for line in told.splitlines() if line.startswith("│")]
    assert shown == list(final.index[:8])
    assert diptych(*careless, "--out", scores, monkeypatch=monkeypatch) == 2
    assert "scores.csv: exists already" in capsys.readouterr().err


def test_figures_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "greebles"
    draw = "tracing", "greebles", "--out", out, "--each", 2, "--size", 16, "--seed", 4
    assert diptych(*draw, monkeypatch=monkeypatch) == 0
    assert "6 figures of Agara, Bari, Cooka; " in capsys.readouterr().out
    wanted = tracing.greebles(2, 16, 4)
    for name, pixels in zip(wanted.items, wanted.images, strict=True):
        with Image.open(out / name) as image:
            assert np.array_equal(np.asarray(image), pixels)
    assert diptych(*draw, monkeypatch=monkeypatch) == 2
    assert "greebles: holds something already" in capsys.readouterr().err


def test_faults_are_told_a_line_each(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    header, first, *others = (folder / "answers.jsonl").read_text().splitlines()
    bad = tmp_path / "bad.jsonl"
    wrong = json.loads(first) | {"response": "wasp", "step": -1}
    bad.write_text("\n".join([header, json.dumps(wrong), *others]))
    assert diptych("tracing", "validate", bad, monkeypatch=monkeypatch) == 1
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.splitlines() == tracing.validate(bad)
    assert "found 'wasp'" in told.out
    assert len(tracing.validate(bad)) > 1
    good = folder / "answers.jsonl"
    assert diptych("tracing", "validate", good, "--images", tmp_path, monkeypatch=monkeypatch) == 1
    assert "no such file" in capsys.readouterr().out


def test_a_set_of_the_study_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "greebles"
    for name in ("images", "mongodb_data"):
        (root / name).mkdir(parents=True)
    urls = [f"https://example.org/{number}.png" for number in range(2)]
    pictures = {"image_urls": urls, "labels": [0, 1], "class_names": ["Agara", "Bari"]}
    (root / "greebles.json").write_text(json.dumps(pictures))
    hits = [
        {"target_label": item, "response": "[0, 1]", "feedback": feedback}
        for item, feedback in ((0, "training"), (1, "testing"))
    ]
    session = {"hit_list": hits, "shuffled_indices": [0, 1], "num_hits_per_session": 2}
    session |= {"hits_completed": 2, "num_correct_test": 5}
    sessions = root / "mongodb_data" / "db_dict.json"
    sessions.write_text(json.dumps({"amy": session}))
    assert diptych("tracing", "validate", root, monkeypatch=monkeypatch) == 1
    assert "0.png: no such file (and 1 more)" in capsys.readouterr().out
    for number in range(2):
        Image.new("RGB", (2, 2)).save(root / "images" / f"{number}.png")
    assert diptych("tracing", "validate", root, monkeypatch=monkeypatch) == 0
    told, beside = capsys.readouterr()
    assert "1 learners, 2 classes, 2 images; 2 steps, 1 in training and 1 in tests" in told
    assert "Beside the answers: rankings, files of all images" in told
    assert "Sessions left out: 0 unfinished, 0 too few correct" in beside
    assert diptych("tracing", "validate", root, "--images", root, monkeypatch=monkeypatch) == 2
    assert "--images: expected a file of answers beside it, found the folder" in capsys.readouterr().err


TRACED = "evaluate", "{folder}/answers.jsonl", "--tracer", "{folder}/static"
SCORED = "careless", "{folder}/answers.jsonl", "--tracer", "{folder}/static"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("simulate", "--out", "a.csv"), "a.csv: expected a file ending in .jsonl or .parquet"),
        (("simulate", "--out", "a.jsonl", "--learners", "0"), "n_learners: expected 1 to"),
        (("simulate", "--out", "a.jsonl", "--kind", "lazy"), "'lazy' is not one of"),
        (("greebles", "--out", "page", "--size", "3"), "size: expected 16 to 1024, found 3"),
        (("validate", "none.jsonl"), "none.jsonl: no such file"),
        (("validate", "a.csv"), "a.csv: expected a file ending in"),
        (("validate", "{folder}/answers.jsonl", "--images", "none"), "images: none: no such folder"),
        (("validate", "."), ".json: no such file; is this a set of the study?"),
        (("fit", "none.jsonl", "--out", "net"), "none.jsonl: no such file"),
        (("fit", "{folder}/answers.jsonl", "--out", "net", "--epochs", "0"), "epochs: expected 1 to"),
        (("fit", "{folder}/answers.jsonl", "--out", "net", "--seconds"), "expected sequences with response"),
        (("fit", "{folder}/answers.jsonl", "--out", "net", "--model", "best"), "'best' is not one of"),
        (
            ("fit", "{folder}/answers.jsonl", "--out", "net", "--model", "static", "--hidden", "8"),
            "options: expected those of static, found {'hidden': 8}",
        ),
        ((*TRACED, "--tracer", "none"), "none: no such file"),
        ((*TRACED, "--tracer", "{folder}/answers.jsonl"), "answers.jsonl: not a saved tracer"),
        (
            (*TRACED, "--tracer", "{folder}/static"),
            "a name of its own for each tracer, found 'static (static)'",
        ),
        ((*TRACED, "--name", "a", "--name", "b"), "--name: expected one for each of 1 tracers, found 2"),
        ((*TRACED, "--name", "oracle"), "--name: expected another name than 'oracle'"),
        ((*TRACED, "--follow", "b"), "follow: expected one of 'static', found 'b'"),
        ((*TRACED, "--overwrite"), "--overwrite: expected --out beside it"),
        ((*TRACED, "--out", "."), "exists already; choose another --out, or --overwrite"),
        ((*SCORED, "--out", "a.txt"), "--out: expected a file ending in .csv, found a.txt"),
        ((*SCORED, "--after", "0"), "after: expected 1 to 2147483647, found 0"),
        ((*SCORED, "--after", "9"), "--after: expected 8 or less, the most that a learner gave, found 9"),
    ],
)
def test_bad_input_is_told_in_a_line(
    arguments: tuple[str, ...],
    message: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [each.format(folder=folder) for each in arguments]
    assert diptych("tracing", *given, monkeypatch=monkeypatch) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told
    assert not list(tmp_path.iterdir())


def test_the_names_of_options_are_those_of_the_library() -> None:
    assert get_args(ModelName) == tuple(tracing.MODELS)
    kind = get_type_hints(tracing_simulate.simulate)["kind"]
    assert set(get_args(kind)) == set(tracing.KINDS)


def test_help_does_not_wait_for_torch() -> None:
    asked = "import sys; from diptych.cli import tracing; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
