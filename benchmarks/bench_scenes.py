"""Scenes of squares beside the loop that one would write: rng.integers, rejection in Python, PIL, numpy.

181 scenes of 244 × 244 pixels are what a training batch of 180 actions takes. Counted: what must be written,
4 size² = 238,144 bytes a scene as float32 and 59,536 as uint8 (43.1 MB and 10.8 MB a batch), at the rate of
copying, which reads as much as it writes: a share above 1 says that writing alone is faster. A batch of bytes
fits in the last cache, one of floats does not. Placing reads and writes next to nothing; of it only the time
is given. All arrays are written into once before, as in training. Ours is timed in runs of 20 batches, one
after the other as training has them, and divided by 20: after a pause a processor of a virtual machine takes
a millisecond to get going, which is longer than a batch. The loop takes long enough by itself.

The loop for scenes is the one that one would write: pictures that are stacked; the one for drawing alone
writes into an array that is there, too. A scene is begun anew when 1,000 tries for a square were in vain.
Both draw the same law, whose scenes are first compared with the definition, pixel by pixel, as PIL's pictures
of the same squares are.

Run: OMP_NUM_THREADS=2 pytest benchmarks/bench_scenes.py
"""

from collections.abc import Iterable

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from scipy.spatial import ConvexHull

from conftest import race, spread
from diptych import numerosity, ops
from diptych.numerosity import DATASETS
from scene_loop import SIZE, placed_in_a_loop

N, ACTIONS = 181, 180
LOOP = "numpy and PIL loop"
IN_A_ROW = 20
DTYPES = {torch.float32: 4, torch.uint8: 1}


def counts_of(highest: int) -> np.ndarray:
    """Each count alike often."""
    return np.random.default_rng(0).permutation(np.arange(N) % (highest + 1))


def pictured(squares: list[tuple[int, ...]]) -> Image.Image:
    picture = Image.new("L", (SIZE, SIZE))
    draw = ImageDraw.Draw(picture)
    for x, y, side, grey in squares:
        draw.rectangle((x, y, x + side - 1, y + side - 1), fill=grey)
    return picture


def stacked(scenes: Iterable[list[tuple[int, ...]]], dtype: str) -> np.ndarray:
    """(n, 1, size, size), as one would write it."""
    if dtype == "uint8":
        return np.stack([np.asarray(pictured(squares)) for squares in scenes])[:, None]
    return np.stack([np.asarray(pictured(squares), np.float32) / 255 for squares in scenes])[:, None]


def as_lists(squares: np.ndarray) -> list[list[tuple[int, ...]]]:
    """The squares of each scene with their shade in 255."""
    return [[(x, y, s, (c + 128) // 257) for x, y, s, c in scene if s > 0] for scene in squares.tolist()]


def check(squares: np.ndarray, counts: np.ndarray, dataset: str) -> None:
    """Ours is the definition, and PIL draws the same."""
    law = DATASETS[dataset]
    few = np.arange(0, N, 9)
    wanted = ops.place_squares(
        counts[few], index=few, sides=law.sides, contrasts=law.contrasts, backend="torch"
    )
    np.testing.assert_array_equal(squares[few, : wanted.shape[1]], wanted)
    for dtype in DTYPES:
        drawn = ops.draw_squares(squares, dtype=dtype)
        np.testing.assert_array_equal(drawn, ops.draw_squares(squares, dtype=dtype, backend="torch"))
    theirs = stacked(as_lists(squares), "uint8")
    np.testing.assert_array_equal(ops.draw_squares(squares, dtype=torch.uint8), theirs)


def raced(benchmark, ours, baselines, rounds):
    """Seconds of one call of ours, of many in a row, and of the baselines."""

    def row():
        for _ in range(IN_A_ROW):
            ours()

    times, theirs = race(benchmark, row, baselines, rounds)
    return [each / IN_A_ROW for each in times], theirs


def add(recorder, times, baselines, *, op, dtype, shape, limits=None, moved=None) -> float:
    """A row per baseline; returns how many times faster than the first we are."""
    own, ratios = spread(times), []
    for name, theirs in baselines.items():
        ratios.append(float(np.percentile(theirs, 20)) / own["p20_s"])
        told = {"op": op, "shape": shape, "dtype": dtype, "backend": "cpu", **own, "baseline": name}
        if moved is not None:
            rate = moved / own["p20_s"]
            told |= {"rate": rate / 1e9, "unit": "GB/s", "share_of_limit": rate / limits["copy"]}
        recorder.add(**told, baseline_p20_s=float(np.percentile(theirs, 20)), ratio=ratios[-1], error=0.0)
    return ratios[0]


@pytest.mark.parametrize("highest", [3, 30])
@pytest.mark.parametrize("dataset", ["A", "B"])
def test_place_squares(benchmark, recorder, dataset, highest):
    counts, law = counts_of(highest), DATASETS[dataset]
    options = {"sides": law.sides, "contrasts": law.contrasts}
    check(ops.place_squares(counts, **options), counts, dataset)

    def loop():
        rng = np.random.default_rng(0)
        return [placed_in_a_loop(rng, count, law) for count in counts]

    times, theirs = raced(benchmark, lambda: ops.place_squares(counts, **options), {LOOP: loop}, 9)
    shape = f"n={N} counts 0 to {highest}"
    add(recorder, times, theirs, op=f"place_squares, data set {dataset}", dtype="int32", shape=shape)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("highest", [3, 30])
def test_draw_squares(benchmark, recorder, limits, highest, dtype):
    law = DATASETS["B"]
    squares = ops.place_squares(counts_of(highest), sides=law.sides, contrasts=law.contrasts)
    check(squares, counts_of(highest), "B")
    name = str(dtype).removeprefix("torch.")
    out, other = (np.ones((N, 1, SIZE, SIZE), name) for _ in range(2))
    scenes = as_lists(squares)

    def loop():
        for scene, image in zip(scenes, other, strict=True):
            if dtype == torch.uint8:
                image[0] = np.asarray(pictured(scene))
            else:
                np.divide(np.asarray(pictured(scene)), np.float32(255), out=image[0])

    times, theirs = raced(
        benchmark, lambda: ops.draw_squares(squares, dtype=dtype, out=out), {"PIL loop": loop}, 15
    )
    shape, moved = f"n={N} counts 0 to {highest}", N * SIZE**2 * DTYPES[dtype]
    add(recorder, times, theirs, op="draw_squares", dtype=name, shape=shape, limits=limits, moved=moved)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("highest", [3, 30])
@pytest.mark.parametrize("dataset", ["A", "B"])
def test_scenes(benchmark, recorder, limits, dataset, highest, dtype):
    """Placing and drawing: what the loop does from counts to images."""
    counts, law = counts_of(highest), DATASETS[dataset]
    options = {"sides": law.sides, "contrasts": law.contrasts}
    check(ops.place_squares(counts, **options), counts, dataset)
    name = str(dtype).removeprefix("torch.")
    out = np.ones((N, 1, SIZE, SIZE), name)

    def loop():
        rng = np.random.default_rng(0)
        return stacked((placed_in_a_loop(rng, count, law) for count in counts), name)

    def ours():
        ops.draw_squares(ops.place_squares(counts, **options), dtype=dtype, out=out)

    times, theirs = raced(benchmark, ours, {LOOP: loop}, 9)
    shape, moved = f"n={N} counts 0 to {highest}", N * SIZE**2 * DTYPES[dtype]
    op = f"scenes, data set {dataset}"
    add(recorder, times, theirs, op=op, dtype=name, shape=shape, limits=limits, moved=moved)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sequences(benchmark, recorder, limits, dtype):
    """A training batch, actions and all."""
    name = str(dtype).removeprefix("torch.")
    out = torch.ones(N, 1, SIZE, SIZE, dtype=dtype)
    drawn = numerosity.sequences(ACTIONS, seed=3, stream=2, dtype=dtype, out=out)
    squares = drawn.covariates["summed_area"].to_numpy() > 0
    assert (squares == (drawn.counts.numpy() > 0)).all()
    law = DATASETS["B"]

    def loop():
        rng, counts = np.random.default_rng(0), [0]
        for _ in range(ACTIONS):
            legal = [move for move in (1, -1, 0) if 0 <= counts[-1] + move <= 3]
            counts.append(counts[-1] + legal[rng.integers(len(legal))])
        return stacked((placed_in_a_loop(rng, count, law) for count in counts), name)

    def ours():
        numerosity.sequences(ACTIONS, seed=3, stream=2, dtype=dtype, out=out)

    times, theirs = raced(benchmark, ours, {LOOP: loop}, 15)
    shape, moved = f"{ACTIONS} actions limit 3", N * SIZE**2 * DTYPES[dtype]
    op = "sequences, data set B"
    add(recorder, times, theirs, op=op, dtype=name, shape=shape, limits=limits, moved=moved)


@pytest.mark.parametrize("highest", [3, 30])
def test_square_covariates(benchmark, recorder, highest):
    squares = ops.place_squares(counts_of(highest), sides=(10, 30), contrasts=(25 / 255, 1.0))
    scenes = [scene[scene[:, 2] > 0].astype(np.int64) for scene in squares]
    shifts = np.array([(0, 0), (0, 1), (1, 0), (1, 1)])

    def loop():
        rows = np.zeros((N, 3))
        for row, scene in zip(rows, scenes, strict=True):
            if len(scene) == 0:
                continue
            areas = scene[:, 2] ** 2
            corners = (scene[:, None, :2] + scene[:, None, 2:3] * shifts).reshape(-1, 2)
            row[:] = (areas * scene[:, 3]).sum() / (65535 * SIZE**2), areas.sum(), ConvexHull(corners).volume
        return rows

    # Qhull works in floats: some hundred roundings.
    np.testing.assert_allclose(ops.square_covariates(squares), loop(), rtol=1e-12)
    times, theirs = raced(
        benchmark, lambda: ops.square_covariates(squares), {"numpy and scipy loop": loop}, 9
    )
    shape = f"n={N} counts 0 to {highest}"
    add(recorder, times, theirs, op="square_covariates", dtype="float64", shape=shape)


def test_threads_are_two():
    assert torch.get_num_threads() == 2, "the figures are for two threads: set OMP_NUM_THREADS=2"
