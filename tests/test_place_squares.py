"""diptych.ops.place_squares: the law of its scenes, and that a scene depends on its own number alone."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from diptych import ops
from diptych.ops import _counter
from diptych.ops.place_squares import _surely_fits, checked_law

BACKENDS = ("cpu", "torch")
SEEDS = range(3)

#: Scenes with room, and one that takes walks over the free places and new beginnings.
LAWS: dict[str, dict[str, Any]] = {
    "A": {},
    "B": {"sides": (10, 30), "contrasts": (25 / 255, 1.0)},
    "jitter": {"sides": (10, 30), "contrasts": (25 / 255, 1.0), "side_jitter": 3, "contrast_jitter": 0.02},
    "crowded": {"size": 40, "sides": (6, 7), "clearance": 1, "side_jitter": 1},
    "touching": {"size": 33, "sides": (1, 9), "clearance": 0},
}


def counts_of(law: str, n: int = 64) -> np.ndarray:
    return np.arange(n) % (13 if law == "crowded" else 8 if law == "touching" else 31)


def gaps(squares: np.ndarray) -> np.ndarray:
    """The smaller-axis-free gap of every two squares of a scene: the larger of those in x and in y."""
    x, y, side, _ = squares.T.astype(np.int64)
    i, j = np.triu_indices(len(squares), 1)
    across, down = (
        np.maximum(place[j] - place[i] - side[i], place[i] - place[j] - side[j]) for place in (x, y)
    )
    return np.maximum(across, down)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("seed", SEEDS)
def test_squares_lie_inside_and_apart(law: str, seed: int) -> None:
    counts = counts_of(law)
    squares = ops.place_squares(counts, seed=seed, **LAWS[law])
    size, clearance = LAWS[law].get("size", 244), LAWS[law].get("clearance", 3)
    assert squares.shape == (len(counts), counts.max(), 4)
    assert squares.dtype == np.int32
    nearest = []
    for count, scene in zip(counts, squares, strict=True):
        there, rest = scene[:count], scene[count:]
        assert (rest == -1).all()
        assert (there[:, :2] >= 0).all()
        assert (there[:, :2] + there[:, 2:3] <= size).all()
        nearest += gaps(there).tolist()
    # Not farther apart than asked, either.
    assert min(nearest) == clearance


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("seed", SEEDS)
def test_backends_agree_exactly(law: str, seed: int) -> None:
    counts = counts_of(law)
    index = np.random.default_rng(seed).integers(0, 2**63, len(counts))
    first = ops.place_squares(counts, index=index, seed=2**63 - 1 - seed, backend="cpu", **LAWS[law])
    second = ops.place_squares(counts, index=index, seed=2**63 - 1 - seed, backend="torch", **LAWS[law])
    assert ops.last_backend() == "torch"
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("law", LAWS)
def test_the_device_gives_what_the_definition_does(law: str, device: torch.device) -> None:
    counts = counts_of(law)
    found = ops.place_squares(counts, device=device, **LAWS[law])
    assert isinstance(found, torch.Tensor)
    assert found.device.type == device.type
    np.testing.assert_array_equal(found.cpu(), ops.place_squares(counts, backend="torch", **LAWS[law]))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_scene_depends_on_its_own_number_alone(seed: int) -> None:
    counts, index = counts_of("B", 40), np.arange(100, 140)
    whole = ops.place_squares(counts, index=index, seed=seed, **LAWS["B"])
    order = np.random.default_rng(seed).permutation(40)
    shuffled = ops.place_squares(counts[order], index=index[order], seed=seed, **LAWS["B"])
    np.testing.assert_array_equal(shuffled, whole[order])
    for scene in (3, 17):
        alone = ops.place_squares(counts[[scene]], index=index[[scene]], seed=seed, **LAWS["B"])
        np.testing.assert_array_equal(alone[0], whole[scene, : counts[scene]])
    default = ops.place_squares(counts, seed=seed)
    np.testing.assert_array_equal(default, ops.place_squares(counts, index=np.arange(40), seed=seed))


def test_seeds_and_numbers_make_other_scenes() -> None:
    counts = np.full(5, 3)
    scenes = [ops.place_squares(counts, seed=seed, **LAWS["B"]) for seed in range(4)]
    assert len({scene.tobytes() for each in scenes for scene in each}) == 20


@pytest.mark.usefixtures("keep_threads")
def test_threads_do_not_show_and_torchs_generator_rests() -> None:
    state, found = torch.get_rng_state(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(ops.place_squares(counts_of("B", 400), **LAWS["B"]))
    np.testing.assert_array_equal(*found)
    assert torch.equal(torch.get_rng_state(), state)


# What chance alone exceeds once in 10^4 tests; seeds are fixed, so a failure is a change of the law.
RARE = 1e-4


@pytest.mark.parametrize("seed", SEEDS)
def test_single_squares_are_uniform(seed: int) -> None:
    side, size, cells = 15, 244, 10  # 230 places along an axis, 23 to a cell
    squares = ops.place_squares(np.ones(20_000, int), seed=seed)[:, 0]
    places = np.histogram2d(
        squares[:, 0], squares[:, 1], bins=np.linspace(0, size - side + 1, cells + 1), density=False
    )[0]
    assert places.sum() == 20_000
    assert stats.chisquare(places.ravel()).pvalue > RARE
    for axis in (0, 1):
        exactly = np.bincount(squares[:, axis], minlength=size - side + 1)
        assert len(exactly) == size - side + 1
        assert stats.chisquare(exactly).pvalue > RARE


def sequential(count: int, size: int, side: int, clearance: int, random: np.random.Generator) -> np.ndarray:
    """Another generator of the same law: each square is drawn from the list of all free places."""
    places = size - side + 1
    grid = np.stack(np.meshgrid(np.arange(places), np.arange(places)), -1).reshape(-1, 2)
    found = []
    for _ in range(count):
        found.append(grid[random.integers(len(grid))])
        grid = grid[np.abs(grid - found[-1]).max(1) >= side + clearance]
    return np.array(found)


@pytest.mark.parametrize("seed", SEEDS)
def test_several_squares_are_as_of_another_generator(seed: int) -> None:
    # Dense enough that where a square may go depends on the others, with room always.
    n, count, size, side, clearance = 2500, 4, 40, 8, 3
    options = {"size": size, "sides": (side, side), "clearance": clearance}
    ours = ops.place_squares(np.full(n, count), seed=seed, **options)[:, :, :2]
    random = np.random.default_rng(seed)
    theirs = np.stack([sequential(count, size, side, clearance, random) for _ in range(n)])
    cells = (size - side + 1) / 3
    for last in range(1, count):
        tables = []
        for found in (ours, theirs):
            # Cell of the first square with that of a later one.
            first, later = ((found[:, which] // cells).astype(int) @ [3, 1] for which in (0, last))
            tables.append(np.bincount(9 * first + later, minlength=81))
        seen = np.array(tables)[:, np.sum(tables, 0) > 10]
        assert stats.chi2_contingency(seen).pvalue > RARE
    distances = [np.abs(found[:, 0] - found[:, 1]).max(1) for found in (ours, theirs)]
    assert stats.ks_2samp(*distances).pvalue > RARE


@pytest.mark.parametrize("seed", SEEDS)
def test_rare_free_places_are_uniform(seed: int) -> None:
    # Two squares fit only at opposite edges: the first must chance upon an edge, or the scene is begun anew;
    # the second has 239 of 239² places, which random tries find in two scenes of three, and the walk in the
    # third.
    places = 239
    options = {"size": places + 5, "sides": (6, 6), "clearance": places - 7, "tries": 10_000}
    squares = ops.place_squares(np.full(1500, 2), seed=seed, **options).astype(int)
    apart = np.abs(squares[:, 0, :2] - squares[:, 1, :2])
    assert (apart.max(1) == places - 1).all()
    along = 1 - apart.argmax(1)
    for which in (0, 1):
        free = squares[np.arange(1500), which, along]
        assert stats.kstest(free, stats.randint(0, places).cdf).pvalue > RARE
    sides = 2 * along + (squares[np.arange(1500), 0, 1 - along] > 0)
    assert stats.chisquare(np.bincount(sides, minlength=4)).pvalue > RARE


@pytest.mark.parametrize("seed", SEEDS)
def test_the_only_place_left_is_found(seed: int) -> None:
    # Four squares of 50 on 101 pixels: where one place is left for the last, it is found.
    four = ops.place_squares(np.full(3, 4), size=101, sides=(50, 50), clearance=0, seed=seed, tries=100_000)
    assert (gaps_of_all(four) >= 0).all()


def gaps_of_all(squares: np.ndarray) -> np.ndarray:
    return np.concatenate([gaps(scene) for scene in squares])


@pytest.mark.parametrize("seed", SEEDS)
def test_sides_and_contrasts_are_uniform_and_alike_in_a_scene(seed: int) -> None:
    squares = ops.place_squares(np.full(6000, 3), seed=seed, **LAWS["B"])
    assert (squares[:, :, 2:] == squares[:, :1, 2:]).all()
    sides, contrasts = squares[:, 0, 2], squares[:, 0, 3]
    assert stats.chisquare(np.bincount(sides, minlength=31)[10:]).pvalue > RARE
    low, high = 25 * 257, 65535
    assert contrasts.min() >= low
    assert contrasts.max() <= high
    assert stats.kstest(contrasts, stats.randint(low, high + 1).cdf).pvalue > RARE
    assert stats.chi2_contingency(np.histogram2d(sides, contrasts, 7)[0]).pvalue > RARE


@pytest.mark.parametrize("seed", SEEDS)
def test_jitters_are_uniform_and_each_squares_own(seed: int) -> None:
    options = {"sides": (20, 20), "contrasts": (0.5, 0.5), "side_jitter": 3, "contrast_jitter": 0.02}
    squares = ops.place_squares(np.full(4000, 3), seed=seed, **options)
    sides, contrasts = squares[:, :, 2], squares[:, :, 3] - 32768
    assert stats.chisquare(np.bincount(sides.ravel(), minlength=24)[17:]).pvalue > RARE
    assert (np.abs(contrasts) <= 1311).all()
    assert stats.kstest(contrasts.ravel(), stats.randint(-1311, 1312).cdf).pvalue > RARE
    pair = np.histogram2d(sides[:, 0], sides[:, 1], np.arange(17, 25))[0]
    assert stats.chi2_contingency(pair).pvalue > RARE


@pytest.mark.parametrize("backend", BACKENDS)
def test_jitters_end_where_there_is_nothing(backend: str) -> None:
    options = {"sides": (1, 2), "contrasts": (0.5, 0.5), "side_jitter": 3, "contrast_jitter": 1.0}
    squares = ops.place_squares(np.full(200, 2), backend=backend, **options)
    assert squares[:, :, 2].min() == 1
    assert squares[:, :, 2].max() == 5
    assert squares[:, :, 3].min() == 1
    assert squares[:, :, 3].max() == 65535


@pytest.mark.parametrize("backend", BACKENDS)
def test_sizes_do_not_give_way_to_crowding(backend: str) -> None:
    # A scene that is begun anew keeps its sides: large squares are not rarer where they hardly fit.
    one = ops.place_squares(np.full(60, 1), backend=backend, **LAWS["crowded"])
    many = ops.place_squares(np.full(60, 12), backend=backend, **LAWS["crowded"])
    np.testing.assert_array_equal(one[:, 0, 2:], many[:, 0, 2:])


def test_thirty_of_the_largest_find_room() -> None:
    squares = ops.place_squares(np.full(40, 30), sides=(30, 30))
    assert (squares[:, :, 2] == 30).all()
    assert gaps_of_all(squares).min() >= 3


@pytest.mark.parametrize("backend", BACKENDS)
def test_empty_scenes_have_one_row_of_nothing(backend: str) -> None:
    squares = ops.place_squares([0, 0], backend=backend)
    np.testing.assert_array_equal(squares, np.full((2, 1, 4), -1))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_scene_without_room_is_refused(backend: str) -> None:
    with pytest.raises(ValueError, match="counts: 5 squares do not fit on scene 1: 4 did in the best"):
        ops.place_squares([4, 5, 6], size=8, sides=(2, 2), clearance=3, tries=300, backend=backend)
    with pytest.raises(ValueError, match="counts: 2 squares do not fit on scene 0: 1 did in the best"):
        ops.place_squares([2], size=5, sides=(5, 5), tries=1, backend=backend)


def test_whether_squares_surely_fit_is_safe() -> None:
    # Where it is said so, one try is enough for the worst of scenes.
    law = checked_law(244, (10, 30), 3, (1.0, 1.0), 0.0, 3, 1, 0)
    assert _surely_fits(8, law)
    assert not _surely_fits(30, law)
    for size in range(8, 60, 4):
        law = checked_law(size, (2, 6), 1, (1.0, 1.0), 0.0, 2, 1, 0)
        most = max(count for count in range(60) if _surely_fits(count, law))
        found = ops.place_squares(
            np.full(200, most), size=size, sides=(2, 6), side_jitter=1, clearance=2, tries=1
        )
        assert found.shape == (200, max(most, 1), 4)


def test_what_comes_out_is_what_went_in() -> None:
    expected = ops.place_squares(np.array([2, 1]))
    assert isinstance(expected, np.ndarray)
    for counts in (torch.tensor([2, 1]), torch.tensor([2, 1], dtype=torch.uint8)):
        found = ops.place_squares(counts)
        assert isinstance(found, torch.Tensor)
        np.testing.assert_array_equal(found, expected)
    for counts in ([2, 1], np.array([2, 1], np.int16), np.array([2, 0, 1], np.uint64)[::2]):
        np.testing.assert_array_equal(ops.place_squares(counts), expected)


def test_counters_make_the_numbers_of_splitmix64() -> None:
    # The generator's first two numbers for the seed 1234567 (Vigna's splitmix64.c).
    step = 0x9E3779B97F4A7C15
    states = np.array([(1234567 + step * i) % 2**64 for i in (1, 2)], np.uint64)
    assert _counter.scrambled(states).tolist() == [6457827717110365317, 3203168211198807973]
    ahead = _counter.each(5, 6)
    drawn = [next(ahead) for _ in range(130)]
    assert drawn == _counter.numbers(5, 6, 130).tolist()
    assert drawn[7:9] == _counter.numbers(5, 6, 2, 7).tolist()
    seeds = {_counter.derived_seed(seed, purpose) for seed in range(9) for purpose in range(3)}
    assert len(seeds) == 27
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        (3, {}, r"counts: expected shape \(n,\), n above 0, found \(\)"),
        ([[1]], {}, r"counts: expected shape \(n,\)"),
        ([], {}, r"counts: expected shape \(n,\), n above 0, found \(0,\)"),
        ([1, -1], {}, "counts: expected 0 to 1024 squares on a scene, found -1"),
        ([1, 1025], {}, "counts: expected 0 to 1024 squares on a scene, found 1025"),
        (np.array([2**63], np.uint64), {}, r"counts: expected integers below 2\^63"),
        ([1, 2], {"index": [1]}, "index: expected 2 numbers, one per count, found 1"),
        ([1], {"index": [-1]}, "index: expected 0 to 9223372036854775807, found -1"),
        ([1], {"size": 0}, "size: expected 1 to 4096, found 0"),
        ([1], {"size": 4097}, "size: expected 1 to 4096, found 4097"),
        ([1], {"size": 10}, "sides: expected squares that fit on 10 pixels, found 15"),
        ([1], {"size": 16, "side_jitter": 2}, "on 16 pixels, found 15 and a jitter of 2"),
        ([1], {"sides": (0, 3)}, "sides: expected 1 to 2147483647, found 0"),
        ([1], {"sides": (4, 3)}, "sides: expected the least before the largest, found 4 and 3"),
        ([1], {"contrasts": (0.0, 1.0)}, "contrasts: expected .* found 0.0"),
        ([1], {"contrasts": (0.5, 1.1)}, "contrasts: expected .* found 1.1"),
        ([1], {"contrasts": (0.5, float("nan"))}, "contrasts: expected the least before the largest"),
        ([1], {"side_jitter": -1}, "side_jitter: expected 0 to 4096, found -1"),
        ([1], {"contrast_jitter": -0.1}, "contrast_jitter: expected 0 to 1, found -0.1"),
        ([1], {"clearance": -1}, "clearance: expected 0 to 4096, found -1"),
        ([1], {"tries": 0}, "tries: expected 1 to 2147483647, found 0"),
        ([1], {"seed": -1}, "seed: expected 0 to 9223372036854775807, found -1"),
        ([1], {"backend": "triton"}, "place_squares has no 'triton', it has cpu, cuda, torch"),
        ([1], {"backend": "cuda"}, "'cuda' cannot serve arrays on cpu here"),
    ],
)
def test_refuses_by_name(counts: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.place_squares(counts, **options)


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        ([1.0], {}, "counts: expected integers, found torch.float64"),
        ([True], {}, "counts: expected integers, found torch.bool"),
        (["a"], {}, "counts: expected an array of real numbers"),
        ([1], {"index": [0.5]}, "index: expected integers, found torch.float64"),
        ([1], {"sides": 15}, "sides: expected the least and the largest, found 15"),
        ([1], {"sides": (1, 2, 3)}, "sides: expected the least and the largest"),
        ([1], {"sides": (10.5, 12)}, "sides: expected an integer, found 10.5"),
        ([1], {"sides": ("a", "b")}, "sides: expected a number, found 'a'"),
        ([1], {"contrasts": 1.0}, "contrasts: expected the least and the largest, found 1.0"),
        ([1], {"clearance": 3.0}, "clearance: expected an integer, found 3.0"),
        ([1], {"contrast_jitter": "x"}, "contrast_jitter: expected a number, found 'x'"),
        ([1], {"seed": 1.5}, "seed: expected an integer, found 1.5"),
    ],
)
def test_refuses_other_types_by_name(counts: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        ops.place_squares(counts, **options)


@given(
    counts=st.lists(st.integers(-1, 6), max_size=4),
    size=st.integers(0, 40),
    sides=st.tuples(st.integers(0, 45), st.integers(0, 45)),
    side_jitter=st.integers(-1, 5),
    clearance=st.integers(-1, 50),
)
@settings(max_examples=150, deadline=None)
def test_any_input_gives_the_law_or_a_named_error(
    counts: list[int], size: int, sides: tuple[int, int], side_jitter: int, clearance: int
) -> None:
    options = {"size": size, "sides": sides, "side_jitter": side_jitter, "clearance": clearance, "tries": 3}
    try:
        squares = ops.place_squares(np.array(counts, int), **options)
    except ValueError as refused:
        error = refused
    else:
        error = None
    if error is not None:
        assert str(error).split(":")[0] in {"counts", *options}
        return
    for count, scene in zip(counts, squares, strict=True):
        there = scene[:count]
        assert (there[:, :2] >= 0).all()
        assert (there[:, :2] + there[:, 2:3] <= size).all()
        assert (gaps(there) >= clearance).all()
