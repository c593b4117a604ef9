"""The toy-concept experiment: how the square is found, what is claimed, and small runs of it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from diptych.rsvc.color_models import ColorCNN
from diptych.rsvc.color_training import Recipe, trained
from diptych.rsvc.toy import (
    GRID,
    ToyRun,
    ToySettings,
    square_correlations,
    top_patches,
    top_shares,
    toy_experiment,
)
from diptych.rsvc.toy_claims import ClaimRow, ConceptRow, claims
from diptych.rsvc.toy_tables import ToyTables
from diptych.rsvc.variations import (
    VARIATIONS,
    VariationRow,
    mean_similarities,
    variation_experiment,
    variation_summary,
)

TINY = ToySettings(epochs=1, per_digit=30, held_out=15, k=4)


@pytest.fixture(scope="module")
def one_thread_for_all() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module")
def run(weights: Path, one_thread_for_all: None) -> ToyRun:
    pytest.importorskip("mlxtend")
    return toy_experiment(TINY, seed=1, weights=weights, progress=False)


def test_planted_squares_are_found_by_their_top_patches_and_correlation() -> None:
    rng = np.random.default_rng(0)
    shares = np.where(rng.random(400) < 0.2, rng.uniform(0.5, 1, 400), 0)
    coefficients = np.stack(
        [
            shares + 0.01 * rng.random(400),  # the square itself
            rng.random(400),  # chance
            np.where(np.arange(400) == shares.argmax(), 5, 0) + rng.random(400),  # one patch alone
            np.zeros(400),  # dead
        ],
        1,
    )
    assert top_shares(coefficients, shares)[0] == 1
    assert top_shares(coefficients, shares)[1] < 0.8
    found = square_correlations(coefficients, shares)
    assert np.allclose(found[:3], [np.corrcoef(each, shares)[0, 1] for each in coefficients.T[:3]])
    assert found[0] > 0.99
    assert found[2] < 0.5
    assert np.isnan(found[3])


def test_top_patches_are_the_largest_first() -> None:
    coefficients = np.array([[0.0, 3], [2, 3], [1, 5]])
    assert top_patches(coefficients, 2).tolist() == [[1, 2], [2, 0]]


@pytest.mark.parametrize(
    ("top_share", "correlation", "square"),
    [(0.8, 0.5, True), (0.75, 0.9, False), (1.0, 0.49, False), (1.0, float("nan"), False)],
)
def test_a_square_needs_both_signs(top_share: float, correlation: float, square: bool) -> None:
    assert concept(top_share=top_share, correlation=correlation).is_square is square


def concept(model: str = "M_ps", number: int = 0, **known: float) -> ConceptRow:
    row = ConceptRow(0, 4, 12, model, number, 0.9, 0.95, 0.8, 0.1, 0.0)
    return replace(row, **known)


def planted(
    square: float = 0.5, self_: float = 0.95, others: float = 0.85, nc: float = 0.8
) -> list[ConceptRow]:
    own = [concept(cmcs=square, smcs=self_, top_share=1.0, correlation=0.9)]
    own += [concept(number=number, cmcs=others + 0.02 * number) for number in range(3)]
    return own + [concept("M_nc", number, cmcs=nc if number == 0 else 0.9) for number in range(3)]


def met(rows: list[ConceptRow]) -> list[bool]:
    return [row.met for row in claims(rows)]


def test_claims_hold_where_they_are_planted() -> None:
    found = claims(planted())
    assert [row.met for row in found] == [True] * 6
    assert np.allclose([row.value for row in found], [1, 0.35, 0.37, 0.85, 0.45, 0.1])


@pytest.mark.parametrize(
    ("changed", "broken"),
    [
        ({"square": 0.86, "others": 0.85, "self_": 1.2}, [1, 2]),
        ({"square": 0.63}, [2]),
        ({"others": 0.79, "square": 0.4}, [3]),
        ({"self_": 0.79}, [4]),
        ({"nc": 0.64}, [5]),
    ],
)
def test_each_claim_breaks_alone(changed: dict[str, float], broken: list[int]) -> None:
    assert [number for number, holds in enumerate(met(planted(**changed))) if not holds] == broken


def test_every_square_concept_counts() -> None:
    second = concept(number=9, cmcs=0.8, smcs=0.9, top_share=1.0, correlation=0.6)
    assert met([*planted(), second]) == [True, True, False, True, False, True]


def test_without_a_square_only_the_claim_about_the_other_network_holds() -> None:
    rows = [replace(row, top_share=0.0) for row in planted()]
    # What was the square is one of the others now, at 0.5.
    assert met(rows) == [False] * 5 + [True]
    found = claims(rows)
    assert found[0].value == 0
    assert np.isnan([found[1].value, found[2].value, found[4].value]).all()


def test_dead_concepts_are_left_out() -> None:
    dead = [concept(name, 9, cmcs=float("nan"), smcs=float("nan")) for name in ("M_ps", "M_nc")]
    assert str(claims([*planted(), *dead])) == str(claims(planted()))


def test_claims_are_of_one_run() -> None:
    with pytest.raises(ValueError, match="rows: expected the concepts of one run, found those of 2"):
        claims([concept(), concept(seed=1)])
    with pytest.raises(ValueError, match="found those of 0"):
        claims([])


def test_a_small_run_end_to_end(run: ToyRun, weights: Path) -> None:
    assert [row.model for row in run.models] == ["M_ps", "M_nc"]
    assert len(run.images) == 5
    assert (run.images.labels == TINY.digit).all()
    assert run.images.with_square.all()
    assert run.result.coefficients_1.shape == (5 * len(GRID), 4)
    assert run.shares.shape == (5 * len(GRID),)
    assert run.shares.max() == 1
    assert [(row.model, row.concept) for row in run.concepts] == [
        (name, number) for name in ("M_ps", "M_nc") for number in range(4)
    ]
    assert [row.cmcs for row in run.concepts[:4]] == run.result.cmcs_2to1.tolist()
    assert [row.cmcs for row in run.concepts[4:]] == run.result.cmcs_1to2.tolist()
    assert [row.smcs for row in run.concepts[4:]] == run.result.smcs_2.tolist()
    # As words: NaN equals nothing.
    assert str(run.claims) == str(claims(run.concepts))
    assert sorted(path.name for path in weights.glob("M_*")) == [
        f"{name}-seed1-depth4-epochs1.safetensors" for name in ("M_nc", "M_ps")
    ]


def test_a_resumed_run_gives_the_same(run: ToyRun, weights: Path) -> None:
    (weights / "M_nc-seed1-depth4-epochs1.safetensors").unlink()
    before = (weights / "M_ps-seed1-depth4-epochs1.safetensors").stat().st_mtime_ns
    again = toy_experiment(TINY, seed=1, weights=weights, progress=False)
    assert str(again.concepts) == str(run.concepts)
    assert again.models == run.models
    assert (weights / "M_ps-seed1-depth4-epochs1.safetensors").stat().st_mtime_ns == before


def test_weights_of_another_recipe_and_damaged_ones_are_refused(run: ToyRun, tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    recipe = Recipe(epochs=1)
    model = trained(run.images, recipe, name="some", path=path, progress=False)
    again = trained(run.images, recipe, name="some", path=path, progress=False)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    with pytest.raises(ValueError, match=r"some.safetensors: expected weights of .*'epochs': 2.*, found"):
        trained(run.images, Recipe(epochs=2), name="some", path=path, progress=False)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"some.safetensors: damaged, remove it"):
        trained(run.images, recipe, name="some", path=path, progress=False)


def test_training_leaves_the_global_random_state(run: ToyRun) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    trained(run.images, Recipe(epochs=1), name="some", progress=False)
    assert torch.equal(torch.rand(2), expected)


def test_a_network_starts_with_the_convolutions_it_is_given(
    run: ToyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diptych.rsvc.color_training.fit_classifier", lambda *_, **__: None)
    start = ColorCNN(20)
    model = trained(run.images, Recipe(), name="some", start=start, progress=False)
    assert torch.equal(model.features[0][0].weight, start.features[0][0].weight)
    assert model.head.out_features == 10


@pytest.mark.parametrize("depth", [4, 6])
def test_the_network_has_as_many_convolutions_and_activations_above_zero(depth: int) -> None:
    model = ColorCNN(depth=depth).eval()
    assert sum(isinstance(module, torch.nn.Conv2d) for module in model.modules()) == depth
    activations = model.embed(torch.rand(2, 3, 64, 64))
    assert activations.shape == (2, 128)
    assert activations.min() >= 0
    assert model(torch.rand(2, 3, 64, 64)).shape == (2, 10)


def test_tables_survive_the_disk(run: ToyRun, tmp_path: Path) -> None:
    tables = ToyTables()
    tables.add(run)
    assert [path.name for path in tables.save(tmp_path)] == [
        "rsvc_toy.csv",
        "rsvc_toy_claims.csv",
        "rsvc_toy_models.csv",
    ]
    loaded = ToyTables.load(tmp_path)
    assert loaded.variations == []
    assert [row.met for row in loaded.claims] == [row.met for row in run.claims]
    # Six digits are written.
    assert np.allclose(
        [row.smcs for row in loaded.concepts], [row.smcs for row in run.concepts], rtol=1e-5, equal_nan=True
    )
    assert "4 convolutions, 1 epochs, 1 seeds" in loaded.summary()
    (tmp_path / "rsvc_toy_claims.csv").write_text("seed\n1\n")
    with pytest.raises(ValueError, match=r"rsvc_toy_claims.csv: not a table of ClaimRow"):
        ToyTables.load(tmp_path)


def test_the_summary_counts_what_was_met() -> None:
    rows = [
        ClaimRow(seed, 4, 12, "a claim", value, ">= 1", value >= 1) for seed, value in ((0, 2.0), (1, 0.5))
    ]
    found = ToyTables(concepts=planted(), claims=rows).summary()
    assert "a claim: 2.00, 0.50; wanted >= 1; met 1 of 2" in found
    assert "square concepts of M_ps: CMCS 0.50 to 0.50 (mean 0.50, 1 concepts)" in found
    assert "CMCS none" in ToyTables(concepts=[concept()]).summary()


def test_variations_are_compared_digit_by_digit(
    weights: Path, one_thread_for_all: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlxtend")
    monkeypatch.setattr("diptych.rsvc.variations.COMPARED", (0, 3))
    rows = variation_experiment(TINY, seed=1, weights=weights, progress=False)
    assert [(row.variation, row.digit) for row in rows] == [
        (name, digit) for name in VARIATIONS for digit in (0, 3)
    ]
    for row in rows:
        assert -1 <= row.cmcs <= 1
        assert 0 <= row.accuracy <= 1
    assert len(list(weights.glob("*-seed1-*"))) == 8


def test_the_order_of_variations_is_told() -> None:
    levels = dict(zip(VARIATIONS, (0.9, 0.8, 0.85, 0.7), strict=True))
    rows = [
        VariationRow(seed, 4, 12, name, digit, level + 0.01 * digit, 1.0, 0.5, 0.9)
        for name, level in levels.items()
        for seed in (0, 1)
        for digit in (0, 2)
    ]
    assert np.allclose(mean_similarities(rows)["missing classes"], [0.81, 0.81])
    found = variation_summary(rows)
    assert "another seed above missing classes: by +0.100, met, in 2 of 2 seeds" in found
    assert "missing classes above extra data set: by -0.050, not met, in 0 of 2 seeds" in found


@pytest.mark.parametrize(
    ("changed", "error", "found"),
    [
        ({"digit": 10}, ValueError, "digit: expected 0 to 9, found 10"),
        ({"digit": "3"}, TypeError, "digit: expected an integer"),
        ({"probability_one": 1.5}, ValueError, "probability_one: expected 0 to 1, found 1.5"),
        ({"probability_any": -0.1}, ValueError, "probability_any: expected 0 to 1, found -0.1"),
        ({"epochs": 0}, ValueError, "epochs: .* found 0"),
        ({"depth": 3}, ValueError, "depth: .* found 3"),
        ({"k": 1}, ValueError, "k: .* found 1"),
        ({"held_out": 14}, ValueError, "held_out: .* found 14"),
        ({"per_digit": 150}, ValueError, "per_digit: .* found 150"),
    ],
)
def test_bad_settings_are_refused(changed: dict[str, Any], error: type[Exception], found: str) -> None:
    with pytest.raises(error, match=found):
        ToySettings(**changed)
