"""The sweep over gamma."""

import numpy as np
import pytest
from by_definition import gathered, success_rate

from diptych.rdx import compare, gamma_sweep
from diptych.rdx.sweep import GAMMAS

pytestmark = pytest.mark.usefixtures("one_thread")


OPTIONS = {"n_explanations": 2, "progress": False}


def test_the_best_mean_rate_of_both_directions_wins() -> None:
    a, b = gathered(120, 20)
    best, rates = gamma_sweep(a, b, [0.5, 0.02, 0.1], **OPTIONS)
    assert list(rates) == [0.02, 0.1, 0.5]
    for gamma, rate in rates.items():
        single = compare(a, b, gamma=gamma, **OPTIONS)
        expected = [
            success_rate(single.a.grids, a, b, "neighborhood"),
            success_rate(single.b.grids, b, a, "neighborhood"),
        ]
        assert rate == pytest.approx(np.mean(expected), abs=1e-12)
    assert rates[best.parameters.gamma] == max(rates.values())
    again = compare(a, b, gamma=best.parameters.gamma, **OPTIONS)
    assert [grid.tolist() for grid in best.a.grids] == [grid.tolist() for grid in again.a.grids]


def test_the_smaller_gamma_wins_a_tie_and_repeats_count_once() -> None:
    a, b = gathered(120, 20)
    near = 0.1 + 1e-12  # no different a comparison
    best, rates = gamma_sweep(a, b, [near, 0.1, near], **OPTIONS)
    assert list(rates) == [0.1, near]
    assert rates[0.1] == rates[near]
    assert best.parameters.gamma == 0.1


def test_arrays_of_gammas_and_the_default_range_are_taken(tmp_path) -> None:
    a, b = gathered(60, 12)
    best, rates = gamma_sweep(a, b, np.array([0.1, 0.3], dtype=np.float32), **OPTIONS)
    assert len(rates) == 2
    best.save(tmp_path / "best.npz")
    _, rates = gamma_sweep(a, b, **OPTIONS)
    assert tuple(rates) == GAMMAS


def test_identical_representations_have_no_rate() -> None:
    a, _ = gathered(60, 12)
    best, rates = gamma_sweep(a, a, [0.1, 0.2], **OPTIONS)
    assert best.a.grids == []
    assert all(np.isnan(rate) for rate in rates.values())


def test_bad_input_is_named() -> None:
    a, b = gathered(60, 12)
    with pytest.raises(ValueError, match="gammas: expected at least one value, found none"):
        gamma_sweep(a, b, [])
    with pytest.raises(ValueError, match="difference: expected one that depends on gamma"):
        gamma_sweep(a, b, difference="subtraction")
    with pytest.raises(ValueError, match="gamma: expected in gammas"):
        gamma_sweep(a, b, [0.1], gamma=0.2)
    with pytest.raises(ValueError, match="gamma: expected a number above 0"):
        gamma_sweep(a, b, [-0.1, 0.1], **OPTIONS)
