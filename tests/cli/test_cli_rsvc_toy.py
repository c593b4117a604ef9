"""``diptych rsvc toy`` as a user meets it."""

import csv
from functools import partial
from pathlib import Path

import pytest
from command_line import diptych

run = partial(diptych, "rsvc", "toy")

SMALL = ("--per-digit", 40, "--epochs", 1, "--seeds", 1)


def test_a_small_run_writes_tables_figures_and_weights(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    one_thread: None,
) -> None:
    pytest.importorskip("mlxtend")
    monkeypatch.setattr("diptych.rsvc.variations.COMPARED", (3,))
    out = tmp_path / "toy"
    assert run("--out", out, *SMALL, monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "4 convolutions, 1 epochs, 1 seeds" in printed
    assert "another seed above missing classes" in printed
    assert sorted(path.name for path in out.iterdir()) == [
        "rsvc_toy.csv",
        "rsvc_toy.png",
        "rsvc_toy_claims.csv",
        "rsvc_toy_concepts-depth4-epochs1.png",
        "rsvc_toy_models.csv",
        "rsvc_variations.csv",
        "rsvc_variations.png",
        "weights",
    ]
    tables = {path.name: path.read_bytes() for path in out.glob("*.csv")}
    rows = list(csv.DictReader((out / "rsvc_toy.csv").open()))
    assert [row["model"] for row in rows] == ["M_ps"] * 10 + ["M_nc"] * 10
    # Again, with two of the eight networks to train anew.
    for name in ("M_nc", "base"):
        (out / "weights" / f"{name}-seed0-depth4-epochs1.safetensors").unlink()
    assert run("--out", out, *SMALL, "--resume", monkeypatch=monkeypatch) == 0
    assert {path.name: path.read_bytes() for path in out.glob("*.csv")} == tables


def test_an_existing_folder_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--out", tmp_path, monkeypatch=monkeypatch) == 2
    assert "exists already; --resume it or choose another --out" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("option", "found"),
    [
        (("--epochs", 0), "epochs: expected 1 to 2147483647, found 0"),
        (("--depth", 3), "depth: expected 4 to 2147483647, found 3"),
        (("--depth", 4, "--depth", 2), "depth: expected 4 to 2147483647, found 2"),
        (("--digit", 10), "digit: expected 0 to 9, found 10"),
        (("--per-digit", 20), "held_out: expected 15 to 2147483647, found 8"),
        (("--seeds", 0), "greater than or equal to 1"),
    ],
)
def test_options_out_of_range_are_refused_before_the_work(
    option: tuple[object, ...],
    found: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("--out", tmp_path / "toy", *option, monkeypatch=monkeypatch) == 2
    assert found in capsys.readouterr().err
    assert not (tmp_path / "toy").exists()


def test_further_depths_and_epochs_vary_the_first_ones_one_at_a_time() -> None:
    from diptych.cli.rsvc_toy import _settings

    made = _settings([4, 6], [12, 24, 36], 3, 500)
    assert [(each.depth, each.epochs) for each in made] == [(4, 12), (6, 12), (4, 24), (4, 36)]
    assert {each.held_out for each in made} == {200}
