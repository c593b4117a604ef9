import csv
import math
from pathlib import Path

import numpy as np
import pytest
from planted_line import planted, walk

pytest.importorskip("lightning")

from diptych.numerosity import BUDGETS, NumberLine, Run, analyze, reproduce
from diptych.numerosity.claims import claims, worst_estimate
from diptych.numerosity.reproduce import Budget

TINY = Budget((Run("A", epochs=1),), batches=1, pairs=3, validation=1, each=4)


@pytest.fixture(scope="module")
def straight() -> NumberLine:
    """A line with islands, on which every action is named rightly."""
    embeddings, counts = planted(each=20, noise=0.02)
    pairs, actions = walk(counts, 200)
    return analyze(
        embeddings,
        counts,
        pairs=pairs,
        actions=actions,
        predicted=actions,
        min_cluster_size=10,
        sweep=(),
        progress=False,
    )


@pytest.fixture(scope="module")
def noise() -> NumberLine:
    """No line at all, and every action named wrongly."""
    embeddings = np.random.default_rng(0).standard_normal((31 * 20, 2))
    counts = np.repeat(np.arange(31), 20)
    pairs, actions = walk(counts, 200)
    return analyze(
        embeddings,
        counts,
        pairs=pairs,
        actions=actions,
        predicted=(actions + 1) % 3,
        min_cluster_size=10,
        sweep=(),
        progress=False,
    )


def test_a_line_shows_all_that_the_thesis_claims_but_for_the_exponent(straight: NumberLine) -> None:
    run = Run("A")
    found = {each.claim: each for each in claims([run], {run.name: straight})}
    assert len(found) == 6
    for claim, each in found.items():
        # Estimates on a straight line grow as the number itself: 1, give or take the noise.
        wanted = "exponent" not in claim
        assert (each.holds, each.reached, each.seeds) == (wanted, int(wanted), 1) or not wanted
        assert math.isnan(each.spread)
    assert found["exponent of the power law"].found == pytest.approx(1, abs=0.01)
    assert found["action error, 0-3 objects"].found == 0
    assert worst_estimate(straight) < 0.05


def test_noise_shows_none_of_it(noise: NumberLine) -> None:
    run = Run("A")
    held = {each.claim: each.holds for each in claims([run], {run.name: noise})}
    assert [claim for claim, holds in held.items() if holds] == ["exponent of the power law"]


def test_seeds_are_taken_together(straight: NumberLine, noise: NumberLine) -> None:
    runs = [Run("A", 0), Run("A", 1), Run("B", 0), Run("A", 0, limit=5), Run("A", 0, dimension=8)]
    lines = dict(zip((run.name for run in runs), (straight, noise, noise, noise, noise), strict=True))
    found = {(each.claim, each.runs): each for each in claims(runs, lines)}
    error = found["action error, 0-3 objects", "A"]
    assert (error.found, error.seeds, error.reached, error.holds) == (0.5, 2, 1, False)
    assert error.spread == pytest.approx(np.std([0, 1], ddof=1))
    best = found["largest relative error of mean estimates, 1-30, at best", "A"]
    assert (best.seeds, best.reached, best.holds) == (2, 1, True)
    assert best.found == pytest.approx(worst_estimate(straight))
    # Of data set B the thesis' error is not among the claims.
    assert ("action error, 0-3 objects", "B") not in found


def test_a_study_is_made_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUDGETS, "small", TINY)
    out = tmp_path / "study"
    study = reproduce(out, stem="random", progress=False)
    name = Run("A").name
    assert list(study.lines) == [name]
    assert study.stem == "random"
    assert len(study.lines[name].counts) == 31 * 4
    with open(out / "claims.csv", newline="") as file:
        assert [row["claim"] for row in csv.DictReader(file)] == [each.claim for each in study.claims]
    assert "'random'" in study.summary()
    assert all(each.claim in study.summary() for each in study.claims)
    with pytest.raises(FileExistsError, match="holds a finished study"):
        reproduce(out, stem="random", progress=False)
    with pytest.raises(ValueError, match="holds another study of numerosity, stem is 'random' there"):
        reproduce(out, stem="trained", resume=True, progress=False)
    # Only what is missing is made again.
    trained = (out / name / "net" / "net.safetensors").stat().st_mtime_ns
    for gone in ("claims.csv", f"{name}/number_line.npz"):
        (out / gone).unlink()
    again = reproduce(out, stem="random", resume=True, progress=False)
    assert (out / name / "net" / "net.safetensors").stat().st_mtime_ns == trained
    assert again.lines[name].figures() == pytest.approx(study.lines[name].figures(), nan_ok=True)


def test_a_study_keeps_its_stem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that turn up between two starts do not change what the study stands on."""
    monkeypatch.setitem(BUDGETS, "small", Budget((), batches=1))
    monkeypatch.setattr("diptych.numerosity.stem.imagenet_at_hand", lambda: False)
    assert reproduce(tmp_path / "study").stem == "random"
    (tmp_path / "study" / "claims.csv").unlink()
    monkeypatch.setattr("diptych.numerosity.stem.imagenet_at_hand", lambda: True)
    with pytest.raises(ValueError, match="stem is 'random' there and 'imagenet' here"):
        reproduce(tmp_path / "study", resume=True)


def test_the_full_budget_is_the_thesis() -> None:
    full = BUDGETS["full"]
    single = BUDGETS["single"]
    assert [run.epochs * single.batches * single.pairs for run in single.runs] == [162_000, 162_000]
    assert set(single.runs) < set(full.runs)
    assert all(run.epochs * full.batches * full.pairs == 162_000 for run in full.runs)
    for dataset in ("A", "B"):
        seeds = [run.seed for run in full.runs if (run.dataset, run.limit, run.dimension) == (dataset, 3, 2)]
        assert sorted(seeds) == list(range(30))
    assert {run.limit for run in full.runs} == {3, 5, 8}
    assert {run.dataset for run in full.runs} == {"A", "B", "jitter", "imprecise"}
    assert len({run.name for run in full.runs}) == len(full.runs)


def test_an_unknown_budget_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="budget: expected one of 'small', 'single', 'full', found 'large'"):
        reproduce(tmp_path / "study", budget="large")
