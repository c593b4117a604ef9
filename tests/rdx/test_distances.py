"""The three distances against SciPy and the written-down definition."""

import numpy as np
import pytest
import torch
from by_definition import distance_matrix as by_definition
from by_definition import euclidean, seventh_neighbor
from numpy.typing import NDArray

from diptych.rdx.distances import DISTANCES, distance_matrix, distances_among, local_scales, safely_scaled

# Squares of coordinates near 10 by float32 products: relative 6e-8 of 10² a term, seen in d² of about 10.
ROUNDING = 1e-5

FORMS = [("neighborhood", False), ("max", False), ("local", False), ("local", True)]


def integers(n: int, d: int = 3, seed: int = 0, high: int = 9) -> NDArray[np.float64]:
    """Integer-valued embeddings, with ties and (for small ``high``) duplicates."""
    return np.random.default_rng(seed).integers(0, high, size=(n, d)).astype(np.float64)


@pytest.mark.parametrize(("distance", "published"), FORMS)
@pytest.mark.parametrize("n", [2, 3, 7, 8, 9, 33, 200])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_distance_is_its_definition(distance: str, published: bool, n: int, dtype: torch.dtype) -> None:
    x = np.random.default_rng(n).normal(size=(n, 5)).astype(np.float32)
    found = distance_matrix(torch.tensor(x, dtype=dtype), distance, published=published)
    expected = by_definition(x, distance, published)
    if distance == "neighborhood":
        assert found.dtype == torch.int32
        np.testing.assert_array_equal(found.numpy(), expected)
    else:
        assert found.dtype == torch.float32
        np.testing.assert_allclose(found.numpy(), expected, rtol=ROUNDING, atol=1e-6)


@pytest.mark.parametrize("high", [2, 9])
def test_ranks_of_integers_are_exact_ties_and_duplicates_included(high: int) -> None:
    x = integers(60, high=high)
    found = distance_matrix(torch.tensor(x, dtype=torch.float32), "neighborhood")
    np.testing.assert_array_equal(found.numpy(), by_definition(x, "neighborhood"))


def test_the_scale_is_the_seventh_neighbor_not_counting_the_item() -> None:
    line = torch.arange(20, dtype=torch.float64)[:, None]
    distances = torch.cdist(line, line)
    # From an end of the line the 7th neighbor is 7 away, from its middle 4 (4 on one side, 3 on the other).
    scales = local_scales(distances)
    assert scales[0] == 7
    assert scales[10] == 4
    np.testing.assert_array_equal(scales.numpy(), seventh_neighbor(euclidean(line)))


def test_fewer_than_eight_items_take_the_farthest() -> None:
    x = torch.arange(4, dtype=torch.float64)[:, None]
    assert local_scales(torch.cdist(x, x)).tolist() == [3, 2, 2, 3]


@pytest.mark.parametrize(("distance", "published"), FORMS)
def test_duplicates_give_no_nan(distance: str, published: bool) -> None:
    # Nine copies of a point: its 7th neighbor lies at distance zero.
    x = np.vstack([np.repeat([[1.0, 2.0]], 9, axis=0), [[4.0, 6.0], [1.0, 3.0], [0.0, 0.0]]])
    found = distance_matrix(torch.tensor(x), distance, published=published).double()
    assert bool(torch.isfinite(found).all())
    np.testing.assert_allclose(found.numpy(), by_definition(x, distance, published), rtol=ROUNDING)


def test_only_duplicates_give_no_nan() -> None:
    x = torch.ones(10, 3)
    for distance, published in FORMS[1:]:
        assert bool((distance_matrix(x, distance, published=published) == 0).all())


def test_max_normalised_distances_end_at_one_and_local_ones_are_one_at_the_seventh() -> None:
    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert float(distance_matrix(x, "max").max()) == 1
    rows = distance_matrix(x, "local").sort(dim=1).values
    np.testing.assert_allclose(rows[:, 7].numpy(), 1, rtol=1e-6)  # one float32 division


def test_the_published_local_form_is_symmetric_and_the_default_is_not() -> None:
    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    published, default = distance_matrix(x, "local", published=True), distance_matrix(x, "local")
    # Two divisions in another order: two roundings of float32.
    np.testing.assert_allclose(published.numpy(), published.T.numpy(), rtol=3e-7)
    assert float((default - default.T).abs().max()) > 0.1


@pytest.mark.parametrize("distance", DISTANCES)
def test_float64_data_far_from_the_origin_keeps_its_distances(distance: str) -> None:
    x = np.random.default_rng(0).normal(size=(60, 4))
    near = distance_matrix(torch.tensor(x), distance).double()
    far = distance_matrix(torch.tensor(x + 1e9), distance).double()
    # The offset leaves coordinates 1e9 * 2^-53 = 1e-7 of precision, and distances of about 1 likewise.
    np.testing.assert_allclose(far.numpy(), near.numpy(), atol=1e-5)


@pytest.mark.parametrize(("distance", "published"), FORMS)
def test_distances_among_a_few_items_are_those_of_the_whole_matrix(distance: str, published: bool) -> None:
    x = integers(80, high=5)
    items = torch.tensor([3, 79, 0, 41, 17])
    found = distances_among(items, torch.tensor(x), distance, published=published)
    expected = by_definition(x, distance, published)[np.ix_(items, items)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)  # float64 throughout


def test_the_largest_distance_is_found_across_row_blocks() -> None:
    # 512 rows a block: the two extremes lie in different ones.
    x = torch.zeros(1100, 2, dtype=torch.float64)
    x[:, 1] = torch.linspace(0, 1, 1100, dtype=torch.float64)
    x[5, 0], x[1090, 0] = -30, 70
    found = distances_among(torch.tensor([5, 1090]), x, "max")
    assert float(found[0, 1]) == pytest.approx(1, rel=1e-12)


def test_the_arguments_are_left_as_they_were() -> None:
    x = torch.tensor(integers(40))
    before = x.clone()
    for distance, published in FORMS:
        distance_matrix(x, distance, published=published)
        distances_among(torch.tensor([1, 2, 3]), x, distance, published=published)
    assert torch.equal(x, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("power", [-100, -30, -3, 0, 3, 30, 100])
def test_safe_scaling_is_exact_and_brings_extremes_near_one(dtype: torch.dtype, power: int) -> None:
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=dtype) * 2.0**power
    scaled = safely_scaled(x)
    ratio = scaled[0, 0] / x[0, 0]
    assert np.frexp(float(ratio))[0] == 0.5  # a power of two
    assert torch.equal(scaled, (x.double() * float(ratio)).to(dtype))
    assert 2**-10 <= float(scaled.abs().max()) <= 2**10
    if abs(power) <= 3:
        assert scaled is x


def test_safe_scaling_reaches_the_ends_of_the_range() -> None:
    tiny = torch.tensor([[1e-40], [2e-40]])  # below float32's normal numbers
    np.testing.assert_allclose(safely_scaled(tiny)[1] / safely_scaled(tiny)[0], 2, rtol=1e-4)
    huge = torch.tensor([[3e38], [-1e38]])
    assert 0.5 <= float(safely_scaled(huge).max()) <= 1
    zero = torch.zeros(3, 2)
    assert safely_scaled(zero) is zero
