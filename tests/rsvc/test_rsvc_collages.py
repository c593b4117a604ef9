"""Which patches and which concepts are shown: against the rules, spelled out item by item."""

import numpy as np
import pytest
import torch

from diptych.rsvc import chosen_concepts, collages, lacking, top_patches


def one_per_image_by_loop(scores, groups, n, barred=()):
    """The rule, patch by patch: best first, ties in order, one of an image, none that is not above 0."""
    shown: list[int] = []
    for patch in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        fresh = groups[patch] not in [groups[i] for i in shown]
        if scores[patch] > 0 and patch not in barred and fresh:
            shown.append(patch)
    return shown[:n]


@pytest.mark.parametrize("m", [1, 2, 3, 8, 31, 257])
@pytest.mark.parametrize("n", [1, 4, 9])
def test_collages_are_those_of_the_rule(m: int, n: int) -> None:
    rng = np.random.default_rng(m)
    # Integers, so that many patches tie.
    real, predicted = rng.integers(0, 6, m).astype(float), rng.integers(0, 6, m).astype(float)
    groups = rng.integers(0, max(1, m // 3), m)
    found = collages(real, predicted, groups, n=n, excluded=3)
    barred = one_per_image_by_loop(real, groups, 3)
    assert found.top.tolist() == one_per_image_by_loop(real, groups, n)
    assert found.under.tolist() == one_per_image_by_loop(real - predicted, groups, n, barred)
    assert found.over.tolist() == one_per_image_by_loop(predicted - real, groups, n, barred)
    assert {part.dtype for part in found} == {np.dtype(np.int64)}


def test_the_ten_real_patches_are_not_shown_as_errors() -> None:
    real = np.arange(30.0)
    found = collages(real, np.zeros(30), n=9)
    assert found.top.tolist() == list(range(29, 20, -1))
    assert found.under.tolist() == list(range(19, 10, -1))
    assert found.over.tolist() == []
    assert collages(real, real + 1, n=30).over.tolist() == list(range(20))
    assert collages(real, np.zeros(30), n=2, excluded=0).under.tolist() == [29, 28]


def test_another_patch_of_a_top_image_may_be_an_error() -> None:
    real = np.array([5.0, 3.0, 1.0])
    found = collages(real, np.array([5.0, 0.0, 1.0]), np.array(["cat", "cat", "dog"]), excluded=1)
    assert found.top.tolist() == [0, 2]
    assert found.under.tolist() == [1]


def test_there_are_no_more_patches_than_images() -> None:
    found = collages(np.ones(6), np.zeros(6), np.zeros(6, int), n=9, excluded=0)
    assert [part.tolist() for part in found] == [[0], [0], []]


def test_patches_without_the_concept_are_not_its_best() -> None:
    assert top_patches([0.0, 2.0, 0.0, 1.0], n=4).tolist() == [1, 3]
    assert top_patches(torch.tensor([1.0, 3.0, 2.0]), ["a", "b", "b"], n=4).tolist() == [1, 0]


def test_concepts_are_those_above_the_percentile_with_the_largest_fall() -> None:
    rng = np.random.default_rng(0)
    harm, fall = rng.random(100), -rng.random(100)
    above = [i for i in range(100) if harm[i] > np.quantile(harm, 0.75)]
    assert len(above) == 25
    expected = sorted(above, key=lambda i: fall[i])
    assert chosen_concepts(fall, harm).tolist() == expected[:15]
    assert chosen_concepts(fall, harm, count=40).tolist() == expected
    assert chosen_concepts(torch.from_numpy(fall), torch.from_numpy(harm)).tolist() == expected[:15]


def test_dead_concepts_are_never_chosen() -> None:
    nan = float("nan")
    fall = np.array([nan, -0.2, -0.1, nan, -0.3, -0.4])
    # Dead concepts with a large delta KL would move the percentile.
    harm = np.array([9.0, 1.0, 2.0, nan, 3.0, 0.5])
    assert chosen_concepts(fall, harm, percentile=50).tolist() == [4, 2]
    assert chosen_concepts(fall, count=9).tolist() == [5, 4, 1, 2]
    assert chosen_concepts([nan, nan], [1.0, 2.0]).tolist() == []
    assert chosen_concepts([nan]).tolist() == []


def test_ties_are_chosen_in_order() -> None:
    assert chosen_concepts([-0.1] * 4, [0.0, 1.0, 1.0, 1.0], percentile=25).tolist() == [1, 2, 3]
    # All tie for the largest: none is above the percentile, those that reach it count.
    assert chosen_concepts([-0.1, -0.2, -0.2], [1.0, 1.0, 1.0]).tolist() == [1, 2, 0]
    assert chosen_concepts([-0.1], [0.4]).tolist() == [0]


def test_nothing_is_chosen_where_nothing_matters() -> None:
    assert chosen_concepts([-0.1, 0.0, 0.1], [0.0, 0.0, 0.0]).tolist() == []
    assert chosen_concepts([-0.1], [-0.4]).tolist() == []


def test_lacking_is_a_gap_between_both_similarities() -> None:
    cross, same = [0.2, 0.9, float("nan"), 0.5, 0.1], [0.9, 0.95, float("nan"), 0.75, 0.2]
    assert lacking(cross, same).tolist() == [True, False, False, False, False]
    assert lacking(cross, same, gap=0.25).tolist() == [True, False, False, True, False]


@pytest.mark.parametrize(
    ("call", "error", "found"),
    [
        (lambda: collages([1.0, 2.0], [1.0]), ValueError, r"predicted: expected shape \(2,\), found \(1,\)"),
        (lambda: collages([[1.0]], [1.0]), ValueError, r"real: expected shape \(m,\), found \(1, 1\)"),
        (lambda: collages([], []), ValueError, "real: expected shape"),
        (lambda: collages([1.0, np.nan], [1.0, 2.0]), ValueError, "real: .*found nan in row 1"),
        (lambda: collages([1.0], [np.inf]), ValueError, "predicted: .*found inf in row 0"),
        (lambda: collages([1.0], [1.0], [1, 2]), ValueError, "groups: .*shape"),
        (lambda: collages([1.0], [1.0], [0.5]), TypeError, "groups: expected integers or strings"),
        (lambda: collages([1.0], [1.0], n=0), ValueError, "n: expected 1"),
        (lambda: collages([1.0], [1.0], excluded=-1), ValueError, "excluded: expected 0"),
        (lambda: collages(["a"], [1.0]), TypeError, "real: expected an array of real numbers"),
        (lambda: top_patches([1.0], n=1.5), TypeError, "n: expected an integer"),
        (lambda: top_patches([1.0], [0.5]), TypeError, "groups: expected integers or strings"),
        (lambda: chosen_concepts([0.1], [0.1, 0.2]), ValueError, r"delta_kl: expected shape \(1,\)"),
        (lambda: chosen_concepts([np.inf]), ValueError, "delta_pearson: .*found inf"),
        (lambda: chosen_concepts([np.nan, 0.1], [0.1, np.nan]), ValueError, "delta_kl: .*NaN in row 1"),
        (lambda: chosen_concepts([0.1], count=0), ValueError, "count: expected 1"),
        (lambda: chosen_concepts([0.1], percentile=101), ValueError, "percentile: expected 0"),
        (lambda: lacking([0.1], [0.2, 0.3]), ValueError, r"cross: expected shape \(2,\)"),
    ],
)
def test_bad_input_is_named(call, error: type[Exception], found: str) -> None:
    with pytest.raises(error, match=found):
        call()
