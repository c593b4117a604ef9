"""Covariates: what judgements go by."""

import numpy as np
import pandas
import pytest
from planted_line import covariates, planted
from scipy.stats import pearsonr

from diptych.numerosity import (
    COVARIATES,
    analyze_covariates,
    covariate_errors,
    partial_correlations,
    perceived_number,
)
from diptych.numerosity.covariates import EDGES, QUANTITIES
from diptych.stats import beta_interval

COUNTS = np.repeat(np.arange(31), 12)


@pytest.fixture(scope="module")
def estimate() -> np.ndarray:
    z, counts = planted(noise=2.0, each=12)
    return perceived_number(z, counts)


def test_errors_by_definition(estimate) -> None:
    estimate = np.round(estimate)  # with ties, which are half wrong
    table = covariates(COUNTS)
    found = covariate_errors(estimate, COUNTS, table, 9)
    own, others = np.flatnonzero(COUNTS == 9), np.flatnonzero(COUNTS != 9)
    values = {"count": COUNTS.astype(float), **table}
    ahead = estimate[others] - estimate[own][:, None]
    wrong = np.where(ahead == 0, 0.5, (ahead > 0) != (COUNTS[others] > 9))
    for row, name in enumerate(QUANTITIES):
        change = values[name][others] / values[name][own][:, None] - 1
        for place in range(len(EDGES) - 1):
            there = (change >= EDGES[place]) & (change < EDGES[place + 1])
            assert found.comparisons[row, place] == there.sum()
            if not there.any():
                assert np.isnan(
                    [found.error[row, place], found.low[row, place], found.change[row, place]]
                ).all()
                continue
            assert found.error[row, place] == pytest.approx(wrong[there].mean())
            assert found.change[row, place] == pytest.approx(change[there].mean())
            items = min(there.any(0).sum(), there.any(1).sum())
            low, high = beta_interval(items * wrong[there].mean(), items)
            assert (found.low[row, place], found.high[row, place]) == pytest.approx((low, high))
    np.testing.assert_array_equal(found.comparisons.sum(1), np.full(4, ahead.size))
    np.testing.assert_array_equal(found.left_out, np.zeros(4))


def test_number_is_judged_by_number(estimate) -> None:
    """Errors by the change of count fall away from no change on both sides, and are one half there."""
    found = covariate_errors(estimate, COUNTS, covariates(COUNTS), 16)
    error = found.error[0]
    near = np.abs(found.change[0]) < 0.1
    far = np.abs(found.change[0]) > 0.5
    assert np.nanmin(error[near]) > 0.15
    assert np.nanmax(error[far]) < 0.02


def test_a_judge_of_hull_errs_where_hull_goes_against_number() -> None:
    generator = np.random.default_rng(0)
    table = covariates(COUNTS)
    table["hull_area"] = 1500 * COUNTS * np.exp(generator.standard_normal(len(COUNTS)))
    found = covariate_errors(table["hull_area"], COUNTS, table, 9)
    hull = QUANTITIES.index("hull_area")
    more = COUNTS[COUNTS != 9] > 9
    change = table["hull_area"][COUNTS != 9] / table["hull_area"][COUNTS == 9][:, None] - 1
    for place in np.flatnonzero(found.comparisons[hull]):
        low, high = EDGES[place : place + 2]
        there = (change >= low) & (change < high)
        against = more if high <= 0 else ~more
        assert found.error[hull, place] == pytest.approx(np.broadcast_to(against, change.shape)[there].mean())


@pytest.mark.parametrize("seed", range(4))
def test_partial_correlations_are_those_at_fixed_count(seed) -> None:
    generator = np.random.default_rng(seed)
    table = covariates(COUNTS, seed)
    estimate = COUNTS + generator.standard_normal(len(COUNTS)) + 3e-4 * table["hull_area"]
    found, low, high = partial_correlations(estimate, COUNTS, pandas.DataFrame(table))
    design = (COUNTS[:, None] == np.arange(31)).astype(float)

    def rest(values: np.ndarray) -> np.ndarray:
        return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]

    for place in (0, 2):
        wanted = pearsonr(rest(estimate), rest(table[COVARIATES[place]])).statistic
        assert found[place] == pytest.approx(wanted)
        reach = 1.96 / np.sqrt(len(COUNTS) - 31 - 2)
        assert (low[place], high[place]) == pytest.approx(
            tuple(np.tanh(np.arctanh(wanted) + np.array([-reach, reach]))), rel=1e-4
        )
    assert np.isnan([found[1], low[1], high[1]]).all()  # summed area does not vary at fixed count
    assert low[0] < 0 < high[0]
    assert low[2] > 0.2


def test_constant_but_for_rounding_is_constant(estimate) -> None:
    table = covariates(COUNTS)
    jitter = 1 + 1e-7 * np.random.default_rng(0).choice([-1, 0, 1], len(COUNTS))
    table["summed_area"] = np.float32(table["summed_area"] * jitter)
    assert np.isnan(partial_correlations(estimate, COUNTS, table)[0][1])
    assert np.isnan(partial_correlations(COUNTS * 1.0, COUNTS, table)[0]).all()


def test_too_few_items_have_no_interval() -> None:
    table = {name: np.array([0.0, 1, 2, 3]) for name in COVARIATES}
    found, low, high = partial_correlations([0.0, 2, 1, 5], [0, 0, 1, 1], table)
    # Deviations −1, 1, −2, 2 and −½, ½, −½, ½.
    np.testing.assert_allclose(found, np.full(3, 3 / np.sqrt(10)))
    assert np.isnan([low, high]).all()


def test_references_that_nobody_has_are_passed_over(estimate) -> None:
    few = COUNTS <= 10
    table = {name: values[few] for name, values in covariates(COUNTS).items()}
    found = analyze_covariates(estimate[few], COUNTS[few], table)
    assert [each.reference for each in found.errors] == [3, 9]
    assert found.partial.shape == (3,)
    assert [each.reference for each in analyze_covariates(estimate, COUNTS, covariates(COUNTS)).errors] == [
        3,
        9,
        16,
        24,
    ]


def test_a_reference_item_without_hull_is_left_out(estimate) -> None:
    table = covariates(COUNTS)
    table["hull_area"][np.flatnonzero(COUNTS == 9)[:2]] = 0
    found = covariate_errors(estimate, COUNTS, table, 9)
    np.testing.assert_array_equal(found.left_out, [0, 0, 0, 2 * 360])
    assert found.comparisons[3].sum() == 10 * 360


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"hull_area": None},
            "covariates: expected columns mean_intensity, summed_area, hull_area, found mean_",
        ),
        ({"hull_area": np.ones(5)}, r"covariates\['hull_area'\]: expected shape \(372,\), found \(5,\)"),
        ({"hull_area": np.full(372, np.nan)}, r"covariates\['hull_area'\]: expected finite numbers"),
        ({"summed_area": np.full(372, -1.0)}, r"covariates\['summed_area'\]: expected at least 0, found -1"),
    ],
)
def test_bad_covariates(estimate, change, message) -> None:
    table = {name: values for name, values in (covariates(COUNTS) | change).items() if values is not None}
    for call in (
        lambda: analyze_covariates(estimate, COUNTS, table),
        lambda: covariate_errors(estimate, COUNTS, table, 9),
        lambda: partial_correlations(estimate, COUNTS, table),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_bad_references(estimate) -> None:
    table = covariates(COUNTS)
    with pytest.raises(ValueError, match="reference: expected a count of some items, 50: no item has it"):
        covariate_errors(estimate, COUNTS, table, 50)
    with pytest.raises(ValueError, match="reference: expected a count of some items, 4: all items have it"):
        covariate_errors(estimate, np.full(372, 4), table, 4)
    with pytest.raises(ValueError, match="reference: expected 1 to"):
        covariate_errors(estimate, COUNTS, table, 0)
    with pytest.raises(TypeError, match=r"covariates\['hull_area'\]: expected an array of real numbers"):
        covariate_errors(estimate, COUNTS, table | {"hull_area": np.array(["a"] * 372)}, 9)
