import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from tracing_rows import MODELS, study

from diptych.tracing import MODELS as KNOWN
from diptych.tracing.claims import claims, summary
from diptych.tracing.results import ORACLE
from diptych.tracing.study import TracingStudy, interval
from diptych.tracing.variants import TABLES, Variant, variants

RECURRENT = ("direct", "direct_y", "direct_yz", "cls_pred", "cls_pred_y", "cls_pred_yz")


def test_intervals_are_those_of_a_t_test() -> None:
    values = np.random.default_rng(0).normal(1, 2, 7)
    found = interval(values.tolist())
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose(found, (values.mean(), *expected))
    assert interval([3.0])[0] == 3
    assert math.isnan(interval([3.0]).low)
    assert math.isnan(interval([]).mean)


def test_models_are_compared_in_pairs() -> None:
    """What all models of a seed have in common does not widen the interval of their difference."""
    found = study().above("gradient", "fast_weight", "static", "train")
    np.testing.assert_allclose(found, [0.25] * 3, atol=1e-12)
    share, spread = study().share("gradient", "fast_weight", "test")
    np.testing.assert_allclose((*share, spread), (0.625, 0.625, 0.625, 0), atol=1e-12)


def test_where_there_is_no_gap_no_share_is_told() -> None:
    level = study({"static": 0.5, "fast_weight": 0.5, ORACLE: 0.5}, ("gradient",))
    share, spread = level.share("gradient", "fast_weight", "train")
    assert np.isnan([*share, spread]).all()
    assert level.frame().share.isna().all()
    assert not any(each.holds for each in claims(level) if "share of the gap" in each.claim)


def test_a_seed_without_a_gap_does_not_rule_the_share() -> None:
    """Gaps of 0.4, 0.4 and 0.001: the ratios of the seeds are 0.5, 0.5 and -20, the share 0.475."""
    rows = []
    for row in study(kinds=("gradient",)).rows:
        low, high = 0.4, (0.8, 0.8, 0.401)[row.seed]
        ap = {"static": low, ORACLE: high, "dkt": (0.6, 0.6, 0.38)[row.seed]}.get(row.model, row.micro_ap)
        rows.append(replace(row, micro_ap=ap))
    share, spread = replace(study(), rows=tuple(rows)).share("gradient", "dkt", "train")
    gains, gaps = np.array([0.2, 0.2, -0.02]), np.array([0.4, 0.4, 0.001])
    assert share.mean == pytest.approx(0.38 / 0.801)
    # As the spread of a ratio of means is by its linear terms.
    assert spread == pytest.approx(np.std(gains - gaps * 0.38 / 0.801, ddof=1) / gaps.mean())
    assert share.low < share.mean < share.high


def test_the_frame_has_means_over_seeds() -> None:
    made = study()
    frame = made.frame()
    assert len(frame) == 2 * len(MODELS) * 2
    row = frame[(frame.learners == "exemplar") & (frame.model == "dkt") & (frame.phase == "test")].iloc[0]
    own = list(made.micro_ap("exemplar", "dkt", "test").values())
    assert (row.seeds, row.micro_ap) == (3, pytest.approx(np.mean(own)))
    assert row.micro_ap_sd == pytest.approx(np.std(own, ddof=1))
    assert (row.gain, row.gain_low, row.gain_high) == pytest.approx((0.05, 0.05, 0.05))
    assert row.share == pytest.approx(0.125)
    classes = made.of_classes()
    assert len(classes) == 2 * len(frame)
    assert set(classes.answer) == {"moth", "bee"}
    with pytest.raises(ValueError, match="table: expected one of models, inputs, widths, found 'all'"):
        made.frame("all")


def test_a_table_has_its_models_where_they_were_varied() -> None:
    varied = {**MODELS, "cls_pred_y, accuracy": 0.51}
    both = study(varied, ("gradient",)), study(MODELS, ("static",))
    made = replace(both[0], rows=both[0].rows + both[1].rows)
    frame = made.frame("inputs")
    assert set(frame.learners) == {"gradient"}
    assert set(frame.model) == {"cls_pred_y", "cls_pred_y, accuracy", ORACLE}
    assert "cls_pred_y, accuracy" not in set(made.frame("models").model)
    assert made.compared("static", "inputs") == made.compared("gradient", "widths") == ()


def test_a_study_is_read_again(tmp_path: Path) -> None:
    made = study(folder=tmp_path)
    made.save()
    again = TracingStudy.load(tmp_path)
    assert [(row.model, row.seed) for row in again.rows] == [(row.model, row.seed) for row in made.rows]
    # Tables have six digits.
    found, expected = ([row.micro_ap for row in each.rows] for each in (again, made))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert again.classes[3].answer == made.classes[3].answer
    (tmp_path / "rows.csv").write_text("learners,seed\ngradient,zero\n")
    with pytest.raises(ValueError, match=r"rows\.csv: not a table of Row"):
        TracingStudy.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        TracingStudy.load(tmp_path / "nothing")


def test_claims_are_held_by_what_was_found() -> None:
    found = {(each.claim.split(" (")[0], each.learners): each for each in claims(study())}
    share = found["share of the gap that fast_weight closes", "gradient"]
    assert (share.found, share.holds, share.seeds) == (pytest.approx(0.625), True, 3)
    assert found["fast_weight above every published model", "exemplar"].found == pytest.approx(0.13)
    assert found["fast_weight not below cls_pred_y", "gradient"].holds
    trailing = found["DKT, which sees no image, below cls_pred_y", "gradient"]
    assert (trailing.found, trailing.holds) == (pytest.approx(-0.05), True)
    near = found["the exemplar model near the best", "exemplar"]
    assert (near.found, near.holds) == (pytest.approx(0.13), False)
    # The recurrent models were not all trained.
    assert not any("recurrent" in each.claim for each in claims(study()))
    assert "not reached" in summary(claims(study()))


def test_claims_that_are_not_so_are_told() -> None:
    worse = {**MODELS, "fast_weight": 0.48, "dkt": 0.51, **dict.fromkeys(RECURRENT, 0.5), "direct": 0.39}
    found = {each.claim.split(" (")[0]: each for each in claims(study(worse, ("gradient",)))}
    assert [each.holds for each in found.values()] == [False] * 5
    assert found["every recurrent model above static"].found == pytest.approx(-0.01)
    assert found["every recurrent model above static"].claim.endswith("(least sure: direct)")
    known = study({"static": 0.5, "cls_pred_y": 0.505, ORACLE: 0.6}, ("static",))
    (train, test) = claims(known)
    assert (train.holds, test.holds, train.found) == (True, True, pytest.approx(0.005))


def test_nothing_is_claimed_of_one_seed_or_of_people() -> None:
    assert claims(study(seeds=1)) == ()
    people = {name: ap for name, ap in MODELS.items() if name != ORACLE}
    assert claims(study(people, ("answers",))) == ()


def test_variants_differ_in_name_and_in_what_they_are_told() -> None:
    every = [each for table in TABLES for each in variants(table, timed=True)]
    assert len({each.folder for each in every}) == len(set(every)) == len({each.name for each in every})
    assert {each.model for each in variants("models", False)} == set(KNOWN)
    assert not any(each.seconds for each in variants("inputs", timed=False))
    assert Variant("dkt", accuracy=True, seconds=True).options(known=True) == {
        "accuracy": True,
        "seconds": True,
    }
    assert Variant("dkt", width=8).options(known=True) == {"extractor": "head", "dimension": 8}
    assert Variant("dkt", width=8).options(known=False) == {"extractor": "resnet18", "dimension": 8}
