"""Comparisons in one byte a pair against those in float32, and rows of distances against the matrix."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from by_definition import (
    DISTANCES,
    VARIANTS,
    Matrix,
    affinity,
    gathered,
    integer_pair,
    normalized_cut,
    pairs_sum,
    planted,
    sets,
    sides,
)
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import adjusted_rand_score

from diptych.rdx import RDXResult, compare
from diptych.rdx.data import balanced, load_mnist
from diptych.rdx.distances import DistanceRows, distance_matrix
from diptych.rdx.sampling import pagerank

pytestmark = pytest.mark.usefixtures("one_thread")

BETA = 5.0
# How far a packed log-affinity may be off: a step and a quarter of 1/127 (ops.PackedAffinity).
LOG_ERROR = 1.25 * BETA / 127

FORMS = [("neighborhood", False), ("max", False), ("local", False), ("local", True)]


def both(a: Matrix, b: Matrix, **options) -> tuple[RDXResult, RDXResult]:
    """The comparison in float32 and in bytes."""
    whole, packed = (
        compare(a, b, precision=precision, progress=False, **options) for precision in ("float32", "int8")
    )
    return whole, packed


def log_density(f: Matrix, grid: NDArray[np.int64]) -> float:
    """Mean logarithm of the affinities in a grid."""
    return pairs_sum(np.log(f), grid) / (len(grid) * (len(grid) - 1))


@pytest.fixture(scope="module", params=["gathered", "planted", "integers"])
def pair(request: pytest.FixtureRequest) -> tuple[Matrix, Matrix]:
    if request.param == "gathered":
        return gathered(130, 20)
    return planted(20)[:2] if request.param == "planted" else integer_pair()


@pytest.mark.parametrize(("distance", "difference", "conventions"), VARIANTS)
def test_every_spectral_variant(
    pair: tuple[Matrix, Matrix], distance: str, difference: str, conventions: str
) -> None:
    a, b = pair
    variant = {"distance": distance, "difference": difference, "conventions": conventions}
    whole, packed = both(a, b, n_explanations=3, grid_size=6, **variant)
    assert packed.cka == whole.cka
    # Neighbors at equal distances but for rounding may change places.
    assert packed.mutual_knn == pytest.approx(whole.mutual_knn, abs=1e-2)
    for (side, source, other), (twin, _, _) in zip(sides(whole, a, b), sides(packed, a, b), strict=True):
        f = affinity(source, other, **variant)
        # Every affinity, and so every cut and every volume, is off by a factor within exp(+-LOG_ERROR), and
        # what cuts the rounded graph best is worse on the exact one by at most four times that, 22 %. But
        # sums over thousands of pairs average those factors out: a tenth of it is asked.
        cuts = normalized_cut(f, twin.labels), normalized_cut(f, side.labels)
        assert cuts[0] <= cuts[1] * np.exp(0.4 * LOG_ERROR)
        for number, grid in enumerate(twin.grids):
            members = np.flatnonzero(twin.labels == number)
            assert len(grid) == min(6, len(members))
            assert set(grid) <= set(members)
            assert len(set(grid)) == len(grid)
            mean = pairs_sum(f, members) / max(1, len(members) * (len(members) - 1))
            # Means of affinities, each off by that factor; an item alone counts as 1.
            expected = mean if len(members) > 1 else 1
            np.testing.assert_allclose(twin.mean_affinity[number], expected, rtol=np.expm1(LOG_ERROR))
            # Where float32 found the same cluster, its grid is no better.
            for known, rival in enumerate(side.grids):
                if set(members) != set(np.flatnonzero(side.labels == known)) or len(grid) < 2:
                    continue
                if conventions == "default":
                    # A cluster of up to 64 items is looked at again in float32 as a whole; swaps stop where
                    # they gain less than 1e-5 an item, and distances carry up to 2e-3 (test_method.py).
                    error = 4e-3 if len(members) <= 64 else LOG_ERROR
                    assert log_density(f, grid) >= log_density(f, rival) - error
                elif conventions == "paper":
                    # The best lead may miss the 64 only if those seem better, and neighbors likewise.
                    found, best = (f[items[0], items[1:]].sum() for items in (grid, rival))
                    assert found >= best * np.exp(-2 * LOG_ERROR)
                else:
                    assert pairs_sum(f, grid) >= pairs_sum(f, rival) * np.exp(-2 * LOG_ERROR)


@pytest.mark.parametrize(("distance", "difference", "conventions"), VARIANTS)
def test_every_pagerank_variant(
    pair: tuple[Matrix, Matrix], distance: str, difference: str, conventions: str
) -> None:
    a, b = pair
    variant = {"distance": distance, "difference": difference, "conventions": conventions}
    options = {"n_explanations": 2, "grid_size": 5, "sampling": "pagerank", "precision": "int8"}
    packed = compare(a, b, progress=False, **options, **variant)
    for side, source, other in sides(packed, a, b):
        f = affinity(source, other, **variant)
        exact = torch.from_numpy(f)
        alive = torch.ones(len(f), dtype=torch.bool)
        for number, grid in enumerate(side.grids):
            assert len(grid) == 5
            scores = pagerank(exact, alive, torch.full((len(f),), 1 / len(f), dtype=torch.float64))
            # An item's score is a sum over the affinities of others, over their sums: two such factors.
            assert scores[grid[0]] >= scores.max() * np.exp(-4 * LOG_ERROR)
            edges = exact[grid[0]].masked_fill(~alive, 0)
            edges[grid[0]] = 0
            largest = edges.sort(descending=True).values[:4].numpy()
            shown = np.sort(f[grid[0], grid[1:]])[::-1]
            # The edges shown seemed the largest, and are so but for the rounding of both.
            assert (shown >= largest * np.exp(-2 * LOG_ERROR)).all()
            assert bool(alive[grid].all())
            alive[grid] = False
            assert set(np.flatnonzero(side.labels == number)) == set(grid)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("conventions", ["default", "published-code"])
def test_the_largest_edges_are_exact(distance: str, conventions: str) -> None:
    a, b = integer_pair(60)
    variant = {"distance": distance, "conventions": conventions}
    options = {"n_explanations": 3, "grid_size": 5, "sampling": "pagerank", "precision": "int8"}
    packed = compare(a, b, progress=False, **options, **variant)
    for side, source, other in sides(packed, a, b):
        f = affinity(source, other, **variant)
        for grid in side.grids:
            edges = np.delete(f[grid[0]], grid[0])
            # 60 items are all looked at again, in float32; distances of integers are good to 1e-6, which an
            # exponent of at most 5 and the larger differences of close items magnify.
            np.testing.assert_allclose(f[grid[0], grid[1:]], np.sort(edges)[::-1][:4], rtol=1e-4)
            f[grid], f[:, grid] = 0, 0


@pytest.mark.parametrize("sampling", ["spectral", "pagerank"])
def test_the_sharpest_affinities_stay_finite(sampling: str) -> None:
    a, b = gathered(130, 20)
    options = {"beta": 80.0, "gamma": 5.0, "sampling": sampling, "n_explanations": 2}
    found = compare(a, b, precision="int8", progress=False, **options)
    for side in (found.a, found.b):
        assert len(side.grids) == 2
        assert np.isfinite(side.mean_affinity).all()


def assert_alike(whole: RDXResult, packed: RDXResult) -> None:
    """What is asked of the whole method: labels' ARI, most grids the same, binary success rates."""
    for side, twin in ((whole.a, packed.a), (whole.b, packed.b)):
        assert adjusted_rand_score(side.labels, twin.labels) >= 0.98
        assert abs(side.bsr - twin.bsr) <= 0.02
    grids = [*sets(whole.a), *sets(whole.b)]
    others = [*sets(packed.a), *sets(packed.b)]
    assert sum(grid in others for grid in grids) >= 0.7 * len(grids)


@pytest.fixture(scope="module")
def digits() -> dict[str, Matrix]:
    """Representations of 1,797 digits; the raw ones are integers from 0 to 16."""
    data = load_digits()
    return {
        "raw": data.data,
        "pca": PCA(2, random_state=0).fit_transform(data.data),
        "lda": LinearDiscriminantAnalysis().fit_transform(data.data, data.target),
    }


@pytest.mark.parametrize("other", ["lda", "raw"])
def test_digits(digits: dict[str, Matrix], other: str) -> None:
    assert_alike(*both(digits["pca"], digits[other]))


def test_integers_on_both_sides(digits: dict[str, Matrix]) -> None:
    # The upper and the lower half of each image.
    assert_alike(*both(digits["raw"][:, :32].copy(), digits["raw"][:, 32:].copy()))


def test_mnist() -> None:
    images = balanced(load_mnist(), 80).images.reshape(800, -1).astype(np.float32)
    assert_alike(*both(PCA(2, random_state=0).fit_transform(images), images))


@pytest.mark.parametrize("sampling", ["spectral", "pagerank"])
@pytest.mark.parametrize("distance", DISTANCES)
def test_row_blocks_make_no_difference(
    distance: str, sampling: str, monkeypatch: pytest.MonkeyPatch, digits: dict[str, Matrix]
) -> None:
    a, b = digits["pca"][:900], digits["raw"][:900]
    options = {"distance": distance, "sampling": sampling, "precision": "int8", "progress": False}
    expected = compare(a, b, **options)
    monkeypatch.setattr("diptych.rdx.planning._BLOCK_BYTES", 1)  # 384 rows at a time: 384, 384 and 132
    monkeypatch.setattr("diptych.ops.packed_affinity._SCRATCH", 1)
    found = compare(a, b, **options)
    for side, twin in ((found.a, expected.a), (found.b, expected.b)):
        # A GEMM of fewer rows may sum in another order, a code may then round to the other side.
        assert adjusted_rand_score(side.labels, twin.labels) >= 0.98
        assert abs(side.bsr - twin.bsr) <= 0.02
    assert found.mutual_knn == pytest.approx(expected.mutual_knn, abs=1e-3)


@pytest.mark.parametrize(("distance", "published"), FORMS)
@pytest.mark.parametrize("n", [2, 3, 9, 33, 500])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_of_distances_are_those_of_the_matrix(
    device: torch.device, distance: str, published: bool, n: int, dtype: torch.dtype
) -> None:
    x = torch.from_numpy(np.random.default_rng(n).normal(size=(n, 5)).astype(np.float32)).to(device, dtype)
    matrix = distance_matrix(x, distance, published=published)
    rows = DistanceRows(x, distance, published=published)
    assert rows.n == n
    generator = torch.Generator().manual_seed(n)
    few = torch.randperm(n, generator=generator)[: min(n, 7)].to(device)
    for items in (slice(0, n), slice(n // 2, n), slice(n - 1, n), few):
        found = rows(items)
        assert found.dtype == matrix.dtype
        if distance == "neighborhood":
            assert torch.equal(found, matrix[items])
        else:
            # Products of coordinates near 3, rounded, seen in squares of about 1 (test_distances.py).
            torch.testing.assert_close(found, matrix[items], rtol=1e-5, atol=1e-5)
            own = torch.arange(n, device=device)[items]
            assert not found[torch.arange(len(own)), own].any()
    torch.testing.assert_close(rows.among(few), matrix[few][:, few], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("distance", "published"), FORMS)
def test_rows_of_integers_are_exact(distance: str, published: bool) -> None:
    # Ties, and duplicates: some seventh neighbor lies at distance zero.
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 2, size=(150, 4)).astype(np.float32))
    matrix = distance_matrix(x, distance, published=published)
    rows = DistanceRows(x, distance, published=published)
    for items in (slice(0, 150), slice(37, 90), torch.tensor([3, 149, 0])):
        # Square roots and divisions of the same integers.
        torch.testing.assert_close(rows(items), matrix[items], rtol=3e-7, atol=0)
    among = torch.tensor([5, 2, 77])
    torch.testing.assert_close(rows.among(among), matrix[among][:, among], rtol=3e-7, atol=0)


@pytest.mark.parametrize("published", [False, True])
def test_rows_far_from_the_origin(published: bool) -> None:
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(60, 3)) + 1e8)
    for distance in DISTANCES:
        matrix = distance_matrix(x, distance, published=published)
        found = DistanceRows(x, distance, published=published)(slice(0, 60))
        # Coordinates of 1e8 in float64 are rounded at 1.5e-8.
        torch.testing.assert_close(found, matrix, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sampling", ["spectral", "pagerank"])
@pytest.mark.parametrize(("distance", "difference", "conventions"), VARIANTS)
def test_no_difference_is_said(distance: str, difference: str, conventions: str, sampling: str) -> None:
    a, _ = integer_pair()
    variant = {"distance": distance, "difference": difference, "conventions": conventions}
    found = compare(a, a, precision="int8", sampling=sampling, progress=False, **variant)
    for side in (found.a, found.b):
        assert side.grids == []
        assert (side.labels == -1).all()
        assert side.notes == [
            "The two representations order all neighbors alike: there is no difference to explain."
        ]


def test_differences_below_half_a_step_are_said() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(200, 5))
    near = compare(a, a + 0.02 * rng.normal(size=(200, 5)), distance="max", precision="int8", progress=False)
    far = compare(a, a + 5 * rng.normal(size=(200, 5)), distance="max", precision="int8", progress=False)
    note = "below half a step of precision='int8' (3.9e-03): these groups may show no more than rounding"
    for side in (near.a, near.b):
        assert sum(note in sentence for sentence in side.notes) == 1
    for side in (far.a, far.b):
        assert not any("half a step" in sentence for sentence in side.notes)
    whole = compare(a, a + 0.02 * rng.normal(size=(200, 5)), distance="max", progress=False)
    assert not any("half a step" in sentence for sentence in whole.a.notes)


@pytest.mark.usefixtures("keep_threads")
@pytest.mark.parametrize("sampling", ["spectral", "pagerank"])
@pytest.mark.parametrize("distance", DISTANCES)
def test_two_threads_and_a_second_run_agree(distance: str, sampling: str, digits: dict[str, Matrix]) -> None:
    a, b = digits["raw"][:500, :32].copy(), digits["raw"][:500, 32:].copy()
    results = []
    for threads in (1, 2, 2):
        torch.set_num_threads(threads)
        results.append(compare(a, b, distance=distance, sampling=sampling, precision="int8", progress=False))
    for found in results[1:]:
        for side, twin in ((found.a, results[0].a), (found.b, results[0].b)):
            assert [grid.tolist() for grid in side.grids] == [grid.tolist() for grid in twin.grids]
            np.testing.assert_array_equal(side.labels, twin.labels)
            np.testing.assert_array_equal(side.mean_affinity, twin.mean_affinity)
            assert side.bsr == twin.bsr
            assert side.notes == twin.notes
        assert found.mutual_knn == results[0].mutual_knn


@pytest.mark.parametrize("conventions", ["default", "paper", "published-code"])
@pytest.mark.parametrize(("n", "n_explanations", "grid_size"), [(2, 1, 9), (3, 2, 2), (9, 2, 1), (12, 3, 4)])
def test_few_items(n: int, n_explanations: int, grid_size: int, conventions: str) -> None:
    a, b = integer_pair(n, 3)
    options = {"n_explanations": n_explanations, "grid_size": grid_size, "conventions": conventions}
    whole, packed = both(a, b, **options)
    for side, twin in ((whole.a, packed.a), (whole.b, packed.b)):
        assert len(twin.grids) == len(side.grids)
        for number, grid in enumerate(twin.grids):
            assert set(grid) <= set(np.flatnonzero(twin.labels == number))
    np.testing.assert_equal(packed.mutual_knn, whole.mutual_knn)


@pytest.mark.gpu
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("sampling", ["spectral", "pagerank"])
def test_on_a_gpu(sampling: str, distance: str, digits: dict[str, Matrix]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU")
    a, b = digits["pca"], digits["raw"]
    options = {"distance": distance, "sampling": sampling, "precision": "int8", "progress": False}
    here, there = compare(a, b, **options), compare(a, b, device="cuda", **options)
    assert there.mutual_knn == pytest.approx(here.mutual_knn, abs=1e-3)
    if sampling == "spectral":
        for side, twin in ((here.a, there.a), (here.b, there.b)):
            # The same method in other roundings.
            assert adjusted_rand_score(side.labels, twin.labels) >= 0.95
            assert abs(side.bsr - twin.bsr) <= 0.02
    else:
        assert [len(grid) for grid in there.a.grids] == [9] * 5


@pytest.mark.parametrize("align", ["a_to_b", "b_to_a"])
def test_aligned(align: str, digits: dict[str, Matrix]) -> None:
    assert_alike(*both(digits["pca"][:400], digits["raw"][:400].astype(np.float32), align=align))


def test_auto_takes_bytes_for_many_items_and_the_result_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    a, b = integer_pair(60)
    few = compare(a, b, n_explanations=2, progress=False)
    assert few.parameters.precision == "float32"
    monkeypatch.setattr("diptych.rdx.planning._FLOAT32_ITEMS", 59)
    many = compare(a, b, n_explanations=2, progress=False)
    assert many.parameters.precision == "int8"
    for result in (few, many):
        result.save(tmp_path / "result.npz")
        assert RDXResult.load(tmp_path / "result.npz").parameters == result.parameters


def test_files_of_before_the_choice_still_load(tmp_path: Path) -> None:
    a, b = integer_pair(60)
    compare(a, b, n_explanations=2, precision="int8", progress=False).save(tmp_path / "new.npz")
    with np.load(tmp_path / "new.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    meta = json.loads(str(arrays["meta"]))
    assert meta["parameters"].pop("precision") == "int8"
    np.savez(tmp_path / "old.npz", **arrays | {"meta": np.array(json.dumps(meta))})
    assert RDXResult.load(tmp_path / "old.npz").parameters.precision == "float32"


def test_refuses_other_precisions() -> None:
    a, b = integer_pair(60)
    for precision in ("int4", None, 8):
        expected = "precision: expected one of 'auto', 'float32', 'int8', 'sampled', found"
        with pytest.raises(ValueError, match=expected):
            compare(a, b, precision=precision, progress=False)


def test_no_matrix_of_floats_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("an n x n matrix of floats")

    monkeypatch.setattr("diptych.rdx.affinities.distance_matrix", refuse)
    a, b = integer_pair()
    found = compare(a, b, n_explanations=2, precision="int8", progress=False)
    assert len(found.a.grids) == 2
