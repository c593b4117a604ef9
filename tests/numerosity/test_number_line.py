"""The whole analysis: what it finds in planted number lines, and what it refuses."""

import numpy as np
import pandas
import pytest
import torch
from planted_line import covariates, planted, rotation, walk

from diptych import numerosity
from diptych.numerosity import analyze
from diptych.numerosity.covariates import REFERENCES

pytestmark = pytest.mark.usefixtures("one_thread")

FEW = {"min_cluster_size": 20, "bootstrap": 15, "sweep": (10, 20, 500), "progress": False}


def given(d: int = 3, seed: int = 0, noise: float = 0.15) -> dict:
    """A line with exponent 0.8, islands at its beginning, and everything that goes with it."""
    z, counts = planted(lambda n: n**0.8, noise=noise, each=30, d=d, seed=seed)
    pairs, actions = walk(counts, 500, seed=seed)
    predicted = np.where(np.arange(len(actions)) % 10 == 0, (actions + 1) % 3, actions)
    return {
        "embeddings": z,
        "counts": counts,
        "pairs": pairs,
        "actions": actions,
        "predicted": predicted,
        "covariates": pandas.DataFrame(covariates(counts, seed)),
    }


@pytest.fixture(scope="module")
def everything() -> dict:
    return given()


@pytest.fixture(scope="module")
def line(everything) -> numerosity.NumberLine:
    return analyze(**everything, **FEW)


def test_each_part_is_what_its_function_finds(everything, line) -> None:
    z, counts = everything["embeddings"], everything["counts"]
    perceived = numerosity.perceived_number(z, counts)
    np.testing.assert_array_equal(line.perceived, perceived)
    assert line.linear_error == numerosity.linear_error(z)
    assert line.uncentered_linear_error == numerosity.linear_error(z, centered=False)
    assert line.spearman == numerosity.rank_agreement(perceived, counts)
    assert line.within_15_percent == numerosity.share_near(perceived, counts)
    islands = numerosity.find_islands(z, counts, min_cluster_size=20)
    np.testing.assert_array_equal(line.islands.labels, islands.labels)
    order = numerosity.island_order(islands.labels, everything["pairs"], everything["actions"], counts)
    np.testing.assert_array_equal(line.islands.order.sequence, order.sequence)
    assert line.subitizing_limit == islands.subitizing_limit
    assert line.weber_fraction == numerosity.relative_quantity(perceived, counts, 16).weber_fraction
    assert line.weber_interval[0] < line.weber_fraction < line.weber_interval[1]
    assert line.exponent == numerosity.absolute_quantity(perceived, counts).power.exponent
    assert line.absolute.sampling_interval == numerosity.exponent_sampling_interval(z, counts, bootstrap=15)
    before, after = counts[everything["pairs"]].T
    errors = numerosity.action_error(before, after, everything["actions"], everything["predicted"])
    assert line.action_error.overall == errors.overall
    np.testing.assert_allclose(
        line.distances.mean,
        line.distances.histogram @ np.arange(50) / line.distances.pairs * np.diff(line.distances.edges)[0],
        atol=0.1,
    )
    partial = numerosity.partial_correlations(perceived, counts, everything["covariates"])
    np.testing.assert_array_equal(line.covariates.partial, partial[0])
    assert [each.reference for each in line.covariates.errors] == list(REFERENCES)


def test_what_was_planted_is_found(line) -> None:
    assert line.linear_error < 1e-12
    assert line.uncentered_linear_error > 1e-3
    assert line.spearman > 0.99
    # A tenth of the actions is named wrongly.
    assert line.action_error.overall[0] == pytest.approx(0.1, abs=0.005)
    assert line.islands.order.sequence.tolist() == [0, 1]
    assert np.isnan(line.islands.order.agreement)
    # The zero's center is off by 0.15/√30; that moves the exponent by 0.01.
    assert line.exponent == pytest.approx(0.8, abs=0.03)
    # On a line 16^0.8 with slope 0.8 · 16^-0.2 there.
    assert line.weber_fraction == pytest.approx(np.sqrt(2) * 0.15 / (0.8 * 16**-0.2) / 16, rel=0.2)


def test_each_reference_is_judged_against(line) -> None:
    assert [each.reference for each in line.relative] == list(REFERENCES)
    assert line.against(9).reference == 9
    with pytest.raises(ValueError, match="reference: expected one of 3, 9, 16, 24, found 5"):
        line.against(5)
    other = analyze(line.embeddings, line.counts, reference=12, **FEW)
    assert [each.reference for each in other.relative] == [3, 9, 12, 16, 24]
    assert other.weber_fraction == other.against(12).weber_fraction


def test_rotation_place_and_scale_change_nothing(everything, line) -> None:
    moved = everything | {"embeddings": 5 * everything["embeddings"] @ rotation(3) + 9}
    other = analyze(**moved, **FEW)
    np.testing.assert_allclose(other.perceived, line.perceived, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(other.islands.labels, line.islands.labels)
    np.testing.assert_allclose(other.distances.mean, line.distances.mean)
    changed = {"linear_error", "uncentered_linear_error"}  # rounding alone, and the place itself
    for name, value in line.figures().items():
        if name not in changed:
            assert other.figures()[name] == pytest.approx(value, rel=1e-6, nan_ok=True), name


def test_items_in_any_order(everything, line) -> None:
    order = np.random.default_rng(3).permutation(len(line.counts))
    place = np.argsort(order)
    other = analyze(
        line.embeddings[order],
        line.counts[order],
        pairs=place[everything["pairs"]],
        actions=everything["actions"],
        predicted=everything["predicted"],
        covariates=everything["covariates"].iloc[order],
        **FEW,
    )
    np.testing.assert_array_equal(other.islands.labels, line.islands.labels[order])
    np.testing.assert_array_equal(other.islands.order.links, line.islands.order.links)
    assert other.figures() == pytest.approx(line.figures(), rel=1e-6, abs=1e-12, nan_ok=True)
    np.testing.assert_allclose(other.covariates.partial, line.covariates.partial, rtol=1e-9)


def test_numpy_and_torch_of_any_precision(everything, line) -> None:
    single = torch.from_numpy(everything["embeddings"]).float().requires_grad_()
    other = analyze(single, torch.from_numpy(everything["counts"]), **FEW)
    assert other.embeddings.dtype == np.float32
    assert line.embeddings.dtype == np.float64
    np.testing.assert_array_equal(other.embeddings, single.detach().numpy())
    # float32 holds coordinates of size 16 to 1e-6.
    np.testing.assert_allclose(other.perceived, line.perceived, atol=1e-5)


def test_without_pairs_or_covariates_their_parts_are_none(everything) -> None:
    found = analyze(everything["embeddings"], everything["counts"], **FEW)
    assert found.action_error is None
    assert found.distances is None
    assert found.covariates is None
    assert found.islands.order is None
    assert found.pairs is None
    assert np.isnan(found.figures()["action_error"])
    unnamed = analyze(**{k: v for k, v in everything.items() if k != "predicted"}, **FEW)
    assert unnamed.action_error is None
    assert unnamed.distances is not None


def test_without_the_reference_a_note_tells_so() -> None:
    z, counts = planted(highest=4, each=25, noise=0.05)
    found = analyze(z, counts, **FEW)
    assert found.weber_fraction is None
    assert found.weber_interval is None
    assert "No item has 16 objects" in found.notes[0]
    assert [each.reference for each in found.relative] == [3]
    assert analyze(z, counts, reference=None, **FEW).notes == ()
    with pytest.raises(ValueError, match="reference: expected a count that items have, found 9"):
        analyze(z, counts, reference=9, **FEW)


def test_islands_too_large_for_any_count_are_told_of() -> None:
    """Half of an island's items must be of a count: 25 make it up of 49, never of 50."""
    z, counts = planted(highest=4, each=25, noise=0.05)
    options = {**FEW, "reference": None, "sweep": ()}
    possible, hopeless = (analyze(z, counts, **{**options, "min_cluster_size": size}) for size in (49, 50))
    assert possible.notes == ()
    assert "Islands have 50 items or more, no count has more than 25" in hopeless.notes[0]
    assert hopeless.subitizing_limit == -1


def test_two_counts_are_enough() -> None:
    z, counts = planted(highest=1, each=25, noise=0.05)
    found = analyze(z, counts, **FEW)
    assert found.exponent is None
    assert found.exponent_interval is None
    assert np.isnan(found.figures()["exponent"])
    assert found.subitizing_limit == 1
    assert "2 islands" not in found.summary()
    assert "each of 0 to 1 has its own" in found.summary()


def test_the_sweep_passes_over_sizes_above_the_items(line) -> None:
    np.testing.assert_array_equal(line.sweep.min_cluster_size, [10, 20, 500])
    z, counts = planted(highest=2, each=25, noise=0.05)
    np.testing.assert_array_equal(analyze(z, counts, **FEW).sweep.min_cluster_size, [10, 20])
    assert len(analyze(z, counts, **FEW | {"sweep": ()}).sweep.min_cluster_size) == 0


def test_the_same_seed_gives_the_same(everything, line) -> None:
    again = analyze(**everything, **FEW).figures()
    assert again == pytest.approx(line.figures(), rel=0, abs=0, nan_ok=True)
    other = analyze(**everything, **FEW | {"seed": 1})
    assert other.weber_interval != line.weber_interval
    assert other.figures() == pytest.approx(line.figures(), rel=0, abs=0, nan_ok=True)


def test_without_resamples_there_are_no_intervals(everything) -> None:
    found = analyze(everything["embeddings"], everything["counts"], **FEW | {"bootstrap": 0})
    assert np.isnan(found.weber_interval).all()
    assert np.isnan(found.absolute.sampling_interval).all()
    assert f"Weber fraction {found.weber_fraction:.3f} at 16\n" in found.summary() + "\n"


def test_progress_is_shown(everything, impatient, monkeypatch, capsys) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    analyze(everything["embeddings"], everything["counts"], **FEW | {"progress": True})
    assert "ETA" in capsys.readouterr().err
    analyze(everything["embeddings"], everything["counts"], **FEW)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"counts": np.zeros(930)}, "counts: expected several numbers of objects, found 0 alone"),
        ({"counts": np.arange(930) + 1}, "counts: expected items of count 0"),
        ({"counts": np.arange(930) * 2}, "counts: expected items of count 1"),
        ({"counts": np.arange(929)}, r"counts: expected shape \(930,\), found \(929,\)"),
        ({"counts": np.arange(930) - 1}, "counts: expected numbers of objects, at least 0, found -1"),
        ({"counts": np.arange(930) / 2}, "counts: expected whole numbers, found 0.5 in row 1"),
        (
            {"embeddings": np.full((930, 2), np.nan)},
            "embeddings: expected finite numbers, found NaN or Inf in row 0",
        ),
        ({"embeddings": np.ones((930, 2))}, "embeddings: counts 0 and 1 have the same center"),
        ({"embeddings": np.ones(930)}, "embeddings: expected a matrix"),
        (
            {"pairs": [(0, 930)], "actions": [2], "predicted": None},
            "pairs: expected items 0 to 929, found 0 to 930",
        ),
        ({"pairs": None}, "actions: expected with pairs alone, found without"),
        ({"pairs": None, "actions": None}, "predicted: expected with pairs alone, found without"),
        ({"actions": None}, "actions: expected the true action of each pair, found None"),
        ({"actions": [0, 3]}, r"actions: expected shape \(\d+,\), found \(2,\)"),
        ({"predicted": [0, 3]}, r"predicted: expected shape \(\d+,\), found \(2,\)"),
        ({"pairs": [(0, 0)], "actions": [3], "predicted": None}, "actions: expected 0 .* found 3"),
        ({"pairs": [(0, 0)], "actions": [2], "predicted": [-1]}, "predicted: expected 0 .* found -1"),
        (
            {"pairs": [(40, 0)], "actions": [0], "predicted": None},
            "pair 0 goes from 1 to 0 objects, which is no put",
        ),
        (
            {"covariates": pandas.DataFrame({"hull_area": np.ones(930)})},
            "covariates: expected columns mean_intensity",
        ),
        (
            {"covariates": pandas.DataFrame(covariates(np.arange(5)))},
            r"expected shape \(930,\), found \(5,\)",
        ),
        ({"reference": 0}, "reference: expected 1 to"),
        ({"reference": 31}, "reference: expected a count that items have, found 31"),
        ({"min_cluster_size": 1}, "min_cluster_size: expected 2 to 930, found 1"),
        ({"min_cluster_size": 931}, "min_cluster_size: expected 2 to 930, found 931"),
        ({"sweep": (5, 1)}, "sweep: expected 2 to"),
        ({"seed": -1}, "seed: expected 0 to"),
        ({"bootstrap": -1}, "bootstrap: expected 0 to"),
    ],
)
def test_bad_values(everything, change, message) -> None:
    with pytest.raises(ValueError, match=message):
        analyze(**everything | FEW | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embeddings": "z.npy"}, "embeddings: expected"),
        ({"counts": ["a"] * 930}, "counts: expected an array of real numbers"),
        ({"min_cluster_size": 20.0}, "min_cluster_size: expected an integer"),
        ({"reference": "16"}, "reference: expected an integer"),
        ({"covariates": np.ones((930, 3))}, "covariates: expected a DataFrame or a mapping, found ndarray"),
    ],
)
def test_bad_types(everything, change, message) -> None:
    with pytest.raises(TypeError, match=message):
        analyze(**everything | FEW | change)
