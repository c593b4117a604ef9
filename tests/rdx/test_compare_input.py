"""Little to explain, all kinds of arrays, and bad input named."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from by_definition import CONVENTIONS, DIFFERENCES, DISTANCES, VARIANTS, gathered, integer_pair, lists, sets
from numpy.typing import NDArray

from diptych.rdx import compare

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("sampling", ["spectral", "pagerank"])
def test_identical_representations_have_no_differences(distance: str, sampling: str) -> None:
    a, _ = integer_pair()
    for difference, conventions in itertools.product(DIFFERENCES, CONVENTIONS):
        result = compare(
            a,
            4 * a,
            distance=distance,
            sampling=sampling,
            difference=difference,
            conventions=conventions,
            progress=False,
        )
        for side in (result.a, result.b):
            assert side.grids == []
            assert np.isnan(side.bsr)
            assert side.raw_bsr is None
            assert side.labels.dtype == np.int64
            np.testing.assert_array_equal(side.labels, np.full(90, -1))
            assert side.bsr_per_grid.shape == side.mean_affinity.shape == (0,)
            assert "no difference to explain" in side.notes[0]
        assert "no differences found" in result.summary()
        assert result.cka == pytest.approx(1, abs=1e-12)
        assert result.mutual_knn == 1


@pytest.mark.parametrize("conventions", CONVENTIONS)
@pytest.mark.parametrize("sampling", ["spectral", "pagerank"])
@pytest.mark.parametrize("n", [2, 3, 4, 8, 9])
def test_few_items_give_short_grids_in_words(conventions: str, sampling: str, n: int) -> None:
    a, b = integer_pair(n, seed=n)
    for distance, difference, m in itertools.product(DISTANCES, DIFFERENCES, sorted({1, n - 1})):
        result = compare(
            a,
            b,
            n_explanations=m,
            distance=distance,
            difference=difference,
            sampling=sampling,
            conventions=conventions,
            progress=False,
        )
        for side in (result.a, result.b):
            assert len(side.labels) == n
            assert len(side.grids) <= m
            assert np.isfinite(side.mean_affinity).all()
            for number, grid in enumerate(side.grids):
                assert 1 <= len(set(grid)) == len(grid) <= 9
                if len(grid) < 9:
                    words = f"Explanation {number + 1} has {len(grid)} items"
                    assert any(note.startswith(words) for note in side.notes)


@pytest.mark.parametrize("conventions", CONVENTIONS)
@pytest.mark.parametrize("sampling", ["spectral", "pagerank"])
def test_grids_of_one_item_have_no_rate(conventions: str, sampling: str) -> None:
    a, b = integer_pair()
    result = compare(
        a, b, n_explanations=2, grid_size=1, sampling=sampling, conventions=conventions, progress=False
    )
    for side in (result.a, result.b):
        assert [len(grid) for grid in side.grids] == [1, 1]
        assert np.isnan(side.bsr)
        assert np.isnan(side.bsr_per_grid).all()


def test_a_grid_larger_than_its_cluster_shows_the_cluster() -> None:
    a, b = gathered(100, 12)
    result = compare(a, b, n_explanations=1, grid_size=60, distance="max", progress=False)
    members = np.flatnonzero(result.a.labels == 0)
    assert len(members) < 60
    assert sets(result.a) == [members.tolist()]
    assert result.a.notes == [f"Explanation 1 has {len(members)} items: its cluster holds no more."]


def test_many_clusters_of_many_items_converge() -> None:
    rng = np.random.default_rng(0)
    result = compare(
        rng.normal(size=(600, 5)), rng.normal(size=(600, 5)), n_explanations=40, grid_size=4, progress=False
    )
    assert len(result.a.grids) == len(result.b.grids) == 40
    assert set(result.a.labels) == set(range(-1, 40))


def test_duplicated_items_do_no_harm() -> None:
    a, b = integer_pair(20)
    a, b = np.repeat(a, 4, axis=0), np.repeat(b, 4, axis=0)
    for distance, difference, conventions in VARIANTS:
        result = compare(
            a,
            b,
            n_explanations=2,
            distance=distance,
            difference=difference,
            conventions=conventions,
            progress=False,
        )
        for side in (result.a, result.b):
            assert np.isfinite(side.mean_affinity).all()
            assert len(side.grids) == 2


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.int32, np.int64, ">f8"])
def test_dtypes_of_integers_agree(dtype: Any) -> None:
    a, b = integer_pair()
    expected = compare(a, b, n_explanations=2, progress=False)
    found = compare(a.astype(dtype), b.astype(dtype), n_explanations=2, progress=False)
    assert lists(found.a) == lists(expected.a)
    assert lists(found.b) == lists(expected.b)


def test_kinds_of_containers_agree(tmp_path: Any) -> None:
    a, b = integer_pair()
    np.save(tmp_path / "a.npy", a)
    torch.save(torch.tensor(b), tmp_path / "b.pt")
    expected = compare(a, b, n_explanations=2, progress=False)
    wide = np.zeros((180, 8))
    wide[::2, ::2] = a
    pairs: list[tuple[Any, Any]] = [
        (torch.tensor(a), torch.tensor(b, requires_grad=True)),
        (str(tmp_path / "a.npy"), tmp_path / "b.pt"),
        (np.load(tmp_path / "a.npy", mmap_mode="r"), b.tolist()),
        (np.asfortranarray(a), b[::-1][::-1]),
        (wide[::2, ::2], torch.tensor(b).bfloat16()),
        (torch.tensor(a, dtype=torch.int16), b.astype(np.float16)),
    ]
    for first, second in pairs:
        found = compare(first, second, n_explanations=2, progress=False, device="cpu")
        assert lists(found.a) == lists(expected.a)
        assert lists(found.b) == lists(expected.b)
        assert found.embeddings is not None
        np.testing.assert_array_equal(found.embeddings[0], a)
        np.testing.assert_array_equal(found.embeddings[1], b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_are_never_modified(dtype: type) -> None:
    a, b = (array.astype(dtype) for array in gathered(60, 12))
    copies = a.copy(), b.copy()
    for distance, difference, conventions in VARIANTS[::2]:
        for align, sampling in ((None, "spectral"), ("a_to_b", "pagerank")):
            compare(
                a,
                b,
                n_explanations=1,
                distance=distance,
                difference=difference,
                conventions=conventions,
                align=align,
                sampling=sampling,
                progress=False,
            )
    np.testing.assert_array_equal(a, copies[0])
    np.testing.assert_array_equal(b, copies[1])


def test_the_result_tells_how_it_was_made(capsys: pytest.CaptureFixture[str]) -> None:
    a, b = integer_pair()
    result = compare(
        a, b, n_explanations=2, grid_size=4, gamma=0.2, beta=3, seed=9, align="b_to_a", progress=False
    )
    p = result.parameters
    assert (p.n_explanations, p.grid_size, p.gamma, p.beta, p.seed, p.align) == (2, 4, 0.2, 3.0, 9, "b_to_a")
    assert list(result.seconds) == ["align", "distances", "affinity", "explain A", "explain B", "score"]
    assert all(seconds >= 0 for seconds in result.seconds.values())
    assert result.versions["torch"] == torch.__version__
    assert capsys.readouterr() == ("", "")


def with_value(value: float, row: int) -> NDArray[np.float64]:
    a, _ = integer_pair()
    a[row, 2] = value
    return a


GOOD, OTHER = integer_pair()


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (GOOD, OTHER[:-1], "a and b: expected the same items, found 90 and 89 rows"),
        (GOOD[:, 0], OTHER, r"a: expected a matrix \(n, d\), found shape \(90,\)"),
        (GOOD, OTHER[None], r"b: expected a matrix \(n, d\), found shape \(1, 90, 3\)"),
        (GOOD[:0], OTHER[:0], "a: expected at least one row and column"),
        (GOOD[:, :0], OTHER, "a: expected at least one row and column"),
        (with_value(np.nan, 17), OTHER, "a: expected finite numbers, found NaN or Inf in row 17"),
        (OTHER, with_value(np.inf, 0), "b: expected finite numbers, found NaN or Inf in row 0"),
        (np.ones((90, 3)), OTHER, "a: all items have the same embedding"),
        (GOOD, np.tile(OTHER[:1], (90, 1)), "b: all items have the same embedding"),
        (GOOD[:1], OTHER[:1], "a: all items have the same embedding"),
        (
            GOOD[:5],
            OTHER[:5],
            "n_explanations: 5 explanations and one discarded cluster need at least 6 items",
        ),
    ],
)
def test_bad_embeddings_are_named(a: Any, b: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compare(a, b, progress=False)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (
            {"n_explanations": 90},
            ValueError,
            "n_explanations: 90 explanations .* need at least 91 items",
        ),
        ({"n_explanations": 0}, ValueError, "n_explanations: expected 1"),
        ({"n_explanations": 2.0}, TypeError, "n_explanations: expected an integer, found 2.0"),
        ({"n_explanations": None}, TypeError, "n_explanations: expected an integer, found None"),
        ({"grid_size": 0}, ValueError, "grid_size: expected 1 to 257, found 0"),
        ({"grid_size": 258}, ValueError, "grid_size: expected 1 to 257, found 258"),
        ({"grid_size": "9"}, TypeError, "grid_size: expected an integer, found '9'"),
        ({"gamma": 0}, ValueError, "gamma: expected a number above 0"),
        ({"gamma": -0.1}, ValueError, "gamma: expected a number above 0"),
        ({"gamma": np.nan}, ValueError, "gamma: expected a number above 0"),
        ({"gamma": np.inf}, ValueError, "gamma: expected a number above 0"),
        ({"gamma": "0.1"}, TypeError, "gamma: expected a number, found '0.1'"),
        ({"beta": 0}, ValueError, "beta: expected a number above 0"),
        ({"beta": 80.5}, ValueError, "beta: .*found 80.5"),
        ({"beta": None}, TypeError, "beta: expected a number, found None"),
        ({"seed": -1}, ValueError, "seed: expected 0 to"),
        ({"seed": 2**63}, ValueError, "seed: expected 0 to"),
        ({"seed": 0.5}, TypeError, "seed: expected an integer, found 0.5"),
        ({"distance": "cosine"}, ValueError, "distance: expected one of 'neighborhood', 'max', 'local'"),
        ({"difference": "ratio"}, ValueError, "difference: expected one of 'locally_biased', 'subtraction'"),
        ({"sampling": "random"}, ValueError, "sampling: expected one of 'spectral', 'pagerank'"),
        ({"align": "both"}, ValueError, "align: expected one of None, 'a_to_b', 'b_to_a'"),
        ({"align": True}, ValueError, "align: expected one of None"),
        ({"conventions": "thesis"}, ValueError, "conventions: expected one of 'default', 'paper'"),
        ({"device": "abacus"}, ValueError, "device: cannot compute on 'abacus'"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        compare(GOOD, OTHER, progress=False, **options)


def test_the_ends_of_the_ranges_work() -> None:
    for options in ({"beta": 80}, {"gamma": 1e-6}, {"gamma": 1e6}, {"grid_size": 257}, {"seed": 2**63 - 1}):
        result = compare(GOOD, OTHER, n_explanations=2, progress=False, **options)
        for side in (result.a, result.b):
            assert np.isfinite(side.mean_affinity).all()


@pytest.mark.parametrize("value", [GOOD.astype(complex), GOOD.astype(str), [[object()]], GOOD.astype("O")])
def test_what_is_no_number_is_named(value: Any) -> None:
    with pytest.raises(TypeError, match="a: expected"):
        compare(value, OTHER, progress=False)
    with pytest.raises(TypeError, match="b: expected"):
        compare(GOOD, value, progress=False)


def test_bad_files_are_named(tmp_path: Any) -> None:
    np.save(tmp_path / "a.npy", GOOD)
    np.save(tmp_path / "flat.npy", GOOD[0])
    np.savez(tmp_path / "two.npz", one=GOOD, other=OTHER)
    (tmp_path / "damaged.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(FileNotFoundError, match=r"absent\.npy: no such file"):
        compare(tmp_path / "absent.npy", OTHER, progress=False)
    for name, message in (
        ("a.csv", r"a\.csv: expected a file ending in"),
        ("flat.npy", r"flat\.npy: expected a matrix \(n, d\), found shape \(4,\)"),
        ("two.npz", r"two\.npz: expected exactly one matrix, the file holds one, other"),
        ("damaged.npy", r"damaged\.npy: not a readable \.npy file"),
    ):
        with pytest.raises(ValueError, match=message):
            compare(tmp_path / "a.npy", str(tmp_path / name), progress=False)
