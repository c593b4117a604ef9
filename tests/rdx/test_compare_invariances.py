"""What must not change the result: order, place, scale, threads, and which comes first."""

import numpy as np
import pytest
import torch
from by_definition import DISTANCES, gathered, integer_pair, lists, sets
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from diptych.rdx import compare

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("sampling", ["spectral", "pagerank"])
def test_swapping_the_two_swaps_the_result(distance: str, sampling: str) -> None:
    a, b = gathered(150, 25)
    options = {"distance": distance, "sampling": sampling, "n_explanations": 1, "progress": False}
    forth, back = compare(a, b, **options), compare(b, a, **options)
    for side, other in ((forth.a, back.b), (forth.b, back.a)):
        np.testing.assert_array_equal(side.labels, other.labels)
        assert sets(side) == sets(other)
        assert side.bsr == other.bsr
        np.testing.assert_allclose(side.mean_affinity, other.mean_affinity, rtol=1e-5)  # 1/exp(x) for exp(-x)
    assert forth.mutual_knn == back.mutual_knn
    assert forth.cka == pytest.approx(back.cka, rel=1e-12)


@pytest.mark.parametrize("distance", ["neighborhood", "max"])
def test_permuting_the_items_permutes_the_result(distance: str) -> None:
    a, b = gathered(150, 25)
    order = np.random.default_rng(3).permutation(len(a))
    options = {"distance": distance, "n_explanations": 1, "progress": False}
    plain, shuffled = compare(a, b, **options), compare(a[order], b[order], **options)
    for side, other in ((plain.a, shuffled.a), (plain.b, shuffled.b)):
        np.testing.assert_array_equal(side.labels[order], other.labels)
        assert [sorted(order[grid].tolist()) for grid in other.grids] == sets(side)
        assert side.bsr == other.bsr


def test_moving_scaling_and_mirroring_integers_changes_nothing() -> None:
    a, b = integer_pair()
    plain = compare(a, b, n_explanations=3, progress=False)
    signs, order = np.array([1, -1, -1, 1]), [2, 0, 3, 1]
    moved = compare(8 * (a * signs)[:, order] + 5, b[:, ::-1] / 4 - 2, n_explanations=3, progress=False)
    for side, other in ((plain.a, moved.a), (plain.b, moved.b)):
        np.testing.assert_array_equal(side.labels, other.labels)
        assert lists(side) == lists(other)
        assert side.bsr == other.bsr


def test_rotating_an_embedding_changes_nothing() -> None:
    a, b = gathered(150, 25)  # float64: no two distances agree to 1e-12
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))
    plain = compare(a, b, n_explanations=2, progress=False)
    turned = compare(3.7 * a @ turn, b @ turn + 100, n_explanations=2, progress=False)
    for side, other in ((plain.a, turned.a), (plain.b, turned.b)):
        np.testing.assert_array_equal(side.labels, other.labels)
        assert lists(side) == lists(other)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("power", [-80, 80])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_scales_neither_over_nor_underflow(distance: str, power: int, dtype: type) -> None:
    a, b = (array.astype(dtype) for array in gathered(80, 15))
    options = {"distance": distance, "n_explanations": 2, "progress": False}
    plain = compare(a, b, **options)
    scaled = compare(a * dtype(2.0**power), b * dtype(2.0**power), **options)
    assert lists(scaled.a) == lists(plain.a)
    assert lists(scaled.b) == lists(plain.b)
    assert scaled.a.bsr == plain.a.bsr
    assert scaled.cka == pytest.approx(plain.cka, rel=1e-5)  # float32 sums
    assert scaled.mutual_knn == plain.mutual_knn
    assert scaled.embeddings is not None
    np.testing.assert_array_equal(scaled.embeddings[0], a * dtype(2.0**power))


@pytest.mark.parametrize("distance", DISTANCES)
def test_float64_far_from_the_origin_is_as_near_it(distance: str) -> None:
    a, b = integer_pair()
    options = {"distance": distance, "n_explanations": 2, "progress": False}
    plain, far = compare(a, b, **options), compare(a + 2.0**40, b - 2.0**40, **options)
    assert lists(far.a) == lists(plain.a)
    assert lists(far.b) == lists(plain.b)


def test_the_same_seed_gives_the_same_result_on_one_and_two_threads() -> None:
    digits = load_digits()
    a, b = digits.data[:700], PCA(8).fit_transform(digits.data[:700])
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            results.append(compare(a, b, n_explanations=3, seed=5, progress=False))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        for side, twin in ((results[0].a, other.a), (results[0].b, other.b)):
            np.testing.assert_array_equal(side.labels, twin.labels)
            assert lists(side) == lists(twin)
            assert side.bsr == twin.bsr
