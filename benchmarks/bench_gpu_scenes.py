"""Scenes of squares on a GPU: placed, drawn, measured, and as a training batch.

Bytes that must move: 4 size² = 238,144 written per scene as float32, size² as uint8. What a share of the
limit compares them to is the rate of copying, which reads as much as it writes: above 1 says that writing is
faster. Placing squares moves next to nothing; only its time and ratio are given.

The baseline of drawing is what one would write in torch: each pixel compared with each square, the later one
on top. That of placing is the loop in Python and the copy to the GPU that follows it, on the wall's clock as
ours then is.

Run: benchmarks/gpu.sh OUTDIR, or pytest benchmarks/bench_gpu_scenes.py
"""

import numpy as np
import pytest
import torch

from diptych import numerosity, ops
from gpu_timing import GpuRecorder, measured_limits, require_gpu, wall_time
from scene_loop import SIZE, placed_in_a_loop

require_gpu()

ACTIONS = 180
LAW = numerosity.DATASETS["B"]
LOOK = {"sides": LAW.sides, "contrasts": LAW.contrasts}
DTYPES = {torch.float32: 4, torch.uint8: 1}


@pytest.fixture(scope="module")
def gpu(recorder):
    return GpuRecorder(recorder, measured_limits())


def counts_of(n: int, highest: int) -> torch.Tensor:
    """Each count alike often, on the GPU."""
    mixed = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    return (mixed % (highest + 1)).cuda()


def looped(counts: torch.Tensor) -> torch.Tensor:
    """Placed in Python, scene by scene, and copied to the GPU."""
    rng = np.random.default_rng(0)
    scenes = [placed_in_a_loop(rng, count, LAW) for count in counts.tolist()]
    squares = np.full((len(scenes), max(map(len, scenes)), 4), -1, np.int32)
    for row, scene in zip(squares, scenes, strict=True):
        row[: len(scene)] = np.array(scene, np.int32).reshape(-1, 4)
    return torch.from_numpy(squares).cuda()


@pytest.mark.parametrize("highest", [3, 30])
@pytest.mark.parametrize("n", [181, 18_100])
def test_place_squares(gpu, n, highest):
    counts = counts_of(n, highest)
    wanted = ops.place_squares(counts.cpu(), **LOOK)
    assert torch.equal(ops.place_squares(counts, **LOOK).cpu(), wanted)
    # A hundred batches in a loop of Python would take the machine's minute.
    baselines = {"loop and copy": lambda: looped(counts)} if n == 181 else {}
    gpu.measure(
        "place_squares",
        f"n={n} counts 0 to {highest}",
        lambda: ops.place_squares(counts, **LOOK),
        baselines,
        error=0,
        dtype="int32",
        rounds=5,
        timer=wall_time,
    )


def drawn_in_torch(squares: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Later squares over earlier ones, a square of every scene at a time."""
    pixels = torch.arange(SIZE, device="cuda")
    images = torch.zeros(len(squares), 1, SIZE, SIZE, dtype=dtype, device="cuda")
    for x, y, side, contrast in (square.unbind(1) for square in squares.unbind(1)):
        across = (pixels >= x[:, None]) & (pixels < (x + side)[:, None])
        down = (pixels >= y[:, None]) & (pixels < (y + side)[:, None])
        shade = contrast / 65535 if dtype == torch.float32 else (contrast + 128) // 257
        shade = shade.to(dtype)[:, None, None, None]
        images = torch.where((down[:, :, None] & across[:, None])[:, None], shade, images)
    return images


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("highest", [3, 30])
@pytest.mark.parametrize("n", [181, 18_100])
def test_draw_squares(gpu, n, highest, dtype):
    squares = ops.place_squares(counts_of(n, highest), **LOOK)
    out = torch.full((n, 1, SIZE, SIZE), 255, dtype=dtype, device="cuda")
    ops.draw_squares(squares, dtype=dtype, out=out)
    few = slice(0, 181)
    wanted = ops.draw_squares(squares[few].cpu(), dtype=dtype)
    assert torch.equal(out[few].cpu(), wanted)
    assert torch.equal(drawn_in_torch(squares[few], dtype).cpu(), wanted)
    found = gpu.measure(
        "draw_squares",
        f"n={n} counts 0 to {highest}",
        lambda: ops.draw_squares(squares, dtype=dtype, out=out),
        {"torch, a square at a time": lambda: drawn_in_torch(squares, dtype)},
        error=0,
        dtype=str(dtype).removeprefix("torch."),
        bytes_moved=n * SIZE**2 * DTYPES[dtype],
        rounds=10,
    )
    if n > 1000 and dtype == torch.float32:
        assert found["share"] >= 0.8


def test_square_covariates(gpu):
    n = 18_100
    squares = ops.place_squares(counts_of(n, 30), **LOOK)
    wanted = ops.square_covariates(squares.cpu())
    found = ops.square_covariates(squares).cpu()
    # One rounding each: sums are of whole numbers.
    assert torch.allclose(found, wanted, rtol=1e-15, atol=0)
    gpu.measure(
        "square_covariates",
        f"n={n} counts 0 to 30",
        lambda: ops.square_covariates(squares),
        {"ours on the CPU": lambda: ops.square_covariates(squares.cpu())},
        error=float((found - wanted).abs().max()),
        dtype="float64",
        rounds=5,
        timer=wall_time,
    )


def test_a_training_batch(gpu):
    """Actions, scenes and covariates of a batch, as a training step waits for them."""
    out = torch.ones(ACTIONS + 1, 1, SIZE, SIZE, device="cuda")
    wanted = numerosity.sequences(ACTIONS, seed=3, stream=2)
    found = numerosity.sequences(ACTIONS, seed=3, stream=2, out=out)
    assert torch.equal(found.images.cpu(), wanted.images)
    assert torch.equal(found.actions.cpu(), wanted.actions)

    def copied():
        return numerosity.sequences(ACTIONS, seed=3, stream=2).images.cuda()

    gpu.measure(
        "sequences, data set B",
        f"{ACTIONS} actions limit 3",
        lambda: numerosity.sequences(ACTIONS, seed=3, stream=2, out=out),
        {"ours on the CPU and a copy": copied},
        error=0,
        bytes_moved=(ACTIONS + 1) * SIZE**2 * 4,
        timer=wall_time,
    )
