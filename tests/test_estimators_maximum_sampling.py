"""Maximum sampling against its definition, item by item."""

import numpy as np
import pytest

from diptych.estimators import maximum_sampling


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 31, 33])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8])
def test_every_column_descends_with_ties_to_the_lower_index(n, dtype):
    # Few distinct values, so that ties are the rule.
    values = np.random.default_rng(n).integers(0, 4, (n, 3)).astype(dtype)
    for size in {1, (n + 1) // 2, n}:
        grids = maximum_sampling(values, size)
        assert len(grids) == 3
        for column, grid in zip(values.T, grids, strict=True):
            wanted = sorted(range(n), key=lambda item: (-int(column[item]), item))[:size]
            assert grid.dtype == np.int64
            assert grid.tolist() == wanted


def test_signed_coefficients_are_compared_as_they_are():
    (grid,) = maximum_sampling(np.array([[-9.0], [1.0], [0.5], [-0.1]]), 3)
    assert grid.tolist() == [1, 2, 3]


def test_unsigned_and_smallest_integers_do_not_wrap():
    smallest = np.iinfo(np.int64).min
    assert maximum_sampling(np.array([[smallest], [0], [5]]), 3)[0].tolist() == [2, 1, 0]
    assert maximum_sampling(np.array([[0], [255]], np.uint8), 1)[0].tolist() == [1]


def test_permuting_the_items_permutes_the_grids():
    rng = np.random.default_rng(0)
    values = rng.permuted(np.arange(60.0).reshape(20, 3), axis=0)
    order = rng.permutation(20)
    for grid, permuted in zip(maximum_sampling(values, 6), maximum_sampling(values[order], 6), strict=True):
        assert order[permuted].tolist() == grid.tolist()


@pytest.mark.parametrize(
    ("values", "size", "error", "message"),
    [
        (np.zeros(4), 1, ValueError, r"coefficients: expected shape \(n_items, n_concepts\), found \(4,\)"),
        (np.zeros((4, 2)), 5, ValueError, "grid_size: expected 1 to 4, found 5"),
        (np.zeros((4, 2)), 0, ValueError, "grid_size: expected 1 to .*, found 0"),
        (np.zeros((4, 2)), 2.0, TypeError, "grid_size: expected an integer, found 2.0"),
        (np.zeros((4, 2)), True, TypeError, "grid_size: expected an integer, found True"),
        (
            np.array([[0.0], [np.nan]]),
            1,
            ValueError,
            "coefficients: expected finite .* row 1",
        ),
        (
            np.array([[0.0], [1.0], [-np.inf]]),
            1,
            ValueError,
            "coefficients: expected finite .* row 2",
        ),
        (np.array([["a"]]), 1, TypeError, "coefficients: expected an array of real numbers, found dtype <U1"),
    ],
)
def test_bad_input_is_named(values, size, error, message):
    with pytest.raises(error, match=message):
        maximum_sampling(values, size)
