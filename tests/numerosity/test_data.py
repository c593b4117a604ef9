"""Scenes, sequences of actions and test sets of numerosity."""

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from diptych import numerosity, ops
from diptych.numerosity import ACTIONS, COVARIATES, DATASETS, SceneLaw
from diptych.numerosity.laws import described

SEEDS = range(3)
PUT, TAKE, SHAKE = range(3)
# What chance alone exceeds once in 10^4 tests; seeds are fixed, so a failure is a change of the law.
RARE = 1e-4


def dots(counts: torch.Tensor, size: int, seed: int, first: int) -> tuple[torch.Tensor, pd.DataFrame]:
    """A made-up renderer in colour: as many bright pixels as objects, anywhere."""
    images = torch.zeros(len(counts), 3, size, size)
    for scene, (image, count) in enumerate(zip(images, counts.tolist(), strict=True)):
        random = np.random.default_rng([seed, first + scene])
        places = random.permutation(size * size)[:count]
        image.view(3, -1)[:, places] = 1.0
    light = images.mean((1, 2, 3)).double().numpy()
    area = counts.double().numpy()
    return images, pd.DataFrame({"mean_intensity": light, "summed_area": area, "hull_area": area, "more": 0})


def test_the_names() -> None:
    assert ACTIONS == ("put", "take", "shake")
    assert list(DATASETS) == ["A", "B", "jitter", "jitter-as-printed", "imprecise"]


@pytest.mark.parametrize("dataset", DATASETS)
def test_scenes_show_their_counts(dataset: str) -> None:
    counts = np.arange(31)
    images, covariates = numerosity.scenes(counts, dataset, seed=3)
    assert images.shape == (31, 1, 244, 244)
    assert images.dtype == torch.float32
    law = DATASETS[dataset]
    squares = law.squares(counts, 244, 3, 0, "cpu")
    assert torch.equal(images, torch.from_numpy(ops.draw_squares(squares.numpy())))
    assert list(covariates) == list(COVARIATES)
    np.testing.assert_array_equal(covariates, ops.square_covariates(squares.numpy()))
    assert (squares[:, :, 2] > 0).sum(1).tolist() == counts.tolist()
    sides, contrasts = (squares[:, :, column][squares[:, :, 2] > 0] for column in (2, 3))
    if dataset in ("A", "imprecise"):
        assert sides.unique().tolist() == [15]
        assert contrasts.unique().tolist() == [65535]
    else:
        # Of 65535 steps 0.02 are 1311, and 0.0002 are 13.
        jitter, off = {"B": (0, 0), "jitter": (3, 1311), "jitter-as-printed": (3, 13)}[dataset]
        assert 10 - jitter <= sides.min() < sides.max() <= 30 + jitter
        assert 25 * 257 - off <= contrasts.min() < contrasts.max() <= 65535
        alike = all(len(scene[scene[:, 2] > 0, 2].unique()) == 1 for scene in squares[2:])
        assert alike == (dataset == "B")


def test_a_renderer_is_called_the_same_in_every_process() -> None:
    """A training is resumed by what its data set is called: no address may be in it."""

    class Plain:
        pass

    assert described("B") == "B"
    assert described(dots) == "dots"
    assert described(Plain()).endswith("Plain")
    assert described(SceneLaw(sides=(3, 4))) != described(SceneLaw())


def test_the_laws_of_the_data_sets() -> None:
    assert DATASETS["B"].contrasts[0] == 25 / 255
    assert [law.amounts for law in DATASETS.values()] == [(1, 1), (1, 1), (1, 1), (1, 1), (0, 3)]
    assert {law.clearance for law in DATASETS.values()} == {3}
    squares = DATASETS["jitter-as-printed"].squares(np.full(50, 5), 244, 0, 0, "cpu")
    spread = squares[:, :, 3].amax(1) - squares[:, :, 3].amin(1)
    assert 13 < spread.max() <= 26  # 0.0002 of 65535 is 13 steps


@pytest.mark.parametrize("seed", SEEDS)
def test_batches_continue_each_other(seed: int) -> None:
    counts = np.array([3, 0, 5, 1, 2, 8])
    whole = numerosity.scenes(counts, seed=seed, first=7)
    parts = [numerosity.scenes(counts[at : at + 2], seed=seed, first=7 + at) for at in (0, 2, 4)]
    assert torch.equal(torch.cat([part.images for part in parts]), whole.images)
    joined = pd.concat([part.covariates for part in parts], ignore_index=True)
    pd.testing.assert_frame_equal(joined, whole.covariates)
    assert not torch.equal(numerosity.scenes(counts, seed=seed + 1, first=7).images, whole.images)


def test_bytes_outputs_and_inputs() -> None:
    counts = [2, 1]
    bright = numerosity.scenes(counts, seed=1).images
    in_bytes = numerosity.scenes(torch.tensor(counts), seed=1, dtype=torch.uint8).images
    # Both are rounded from steps of 1/65535: a byte by half of itself, a float32 by far less.
    assert (in_bytes / 255 - bright).abs().max() <= 0.5 / 255 + 1e-6
    out = torch.full((2, 1, 244, 244), float("nan"))
    assert numerosity.scenes(counts, seed=1, out=out).images.data_ptr() == out.data_ptr()
    assert torch.equal(out, bright)
    small = numerosity.scenes(counts, size=60, seed=1)
    assert small.images.shape == (2, 1, 60, 60)


def test_on_the_device(device: torch.device) -> None:
    for draw in (
        lambda **options: numerosity.scenes([1, 2, 3], **options),
        lambda **options: numerosity.sequences(5, **options),
    ):
        here, there = draw(), draw(device=device)
        assert there.images.device.type == device.type
        assert torch.equal(there.images.cpu(), here.images)
        pd.testing.assert_frame_equal(there.covariates, here.covariates)


@pytest.mark.parametrize("limit", [1, 3, 8])
@pytest.mark.parametrize("amounts", [(1, 1), (0, 3), (2, 3)])
@pytest.mark.parametrize("seed", SEEDS)
def test_actions_are_legal(limit: int, amounts: tuple[int, int], seed: int) -> None:
    drawn = numerosity.sequences(300, limit, "A", seed, size=90, amounts=amounts, dtype=torch.uint8)
    assert drawn.images.shape == (301, 1, 90, 90)
    counts, actions = drawn.counts.numpy(), drawn.actions.numpy()
    assert counts.dtype == actions.dtype == np.int64
    assert counts[0] == 0
    assert counts.min() == 0
    assert counts.max() == (0 if amounts[0] > limit else limit)
    moved, before = np.diff(counts), counts[:-1]
    for action, sign, room in ((PUT, 1, limit - before), (TAKE, -1, before), (SHAKE, 0, before * 0)):
        own = actions == action
        least, most = amounts if sign else (0, 0)
        assert (sign * moved[own] >= least).all()
        assert (sign * moved[own] <= np.minimum(most, room[own])).all()
        assert (moved[own] == 0).all() or sign
        # With nothing to put or take, a put or a take is not named.
        assert (room[own] > 0).all() or not sign
    assert drawn.pairs.tolist() == [[t, t + 1] for t in range(300)]


@pytest.mark.parametrize("seed", SEEDS)
def test_actions_and_amounts_are_uniform_over_what_is_legal(seed: int) -> None:
    limit = 5
    drawn = numerosity.sequences(
        6000, limit, SceneLaw(sides=(1, 1), amounts=(0, 3)), seed, size=22, dtype=torch.uint8
    )
    counts, actions = drawn.counts.numpy(), drawn.actions.numpy()
    for count in range(limit + 1):
        here = counts[:-1] == count
        legal = [PUT] * (count < limit) + [TAKE] * (count > 0) + [SHAKE]
        seen = np.bincount(actions[here], minlength=3)
        assert seen[legal].sum() == here.sum()
        assert stats.chisquare(seen[legal]).pvalue > RARE
        for action, room in ((PUT, limit - count), (TAKE, count)):
            moved = np.abs(np.diff(counts))[here & (actions == action)]
            if room > 0:
                amounts = np.bincount(moved)
                assert len(amounts) == min(3, room) + 1
                assert stats.chisquare(amounts).pvalue > RARE


@pytest.mark.parametrize("seed", SEEDS)
def test_scenes_of_a_sequence_are_drawn_afresh(seed: int) -> None:
    drawn = numerosity.sequences(120, 3, "B", seed, stream=5)
    images, counts = drawn.images, drawn.counts
    shown = images[counts > 0]
    assert len({image.numpy().tobytes() for image in shown}) == len(shown)
    brightness = [float(image.max()) for image in shown]
    assert len(set(brightness)) > 0.9 * len(shown)
    # As chance has it, what one scene is like tells nothing of the next.
    assert stats.pearsonr(brightness[:-1], brightness[1:]).pvalue > RARE
    alone = numerosity.scenes(counts, "B", seed=seed).images
    assert not any(torch.equal(a, b) for a, b in zip(alone[counts > 0], shown, strict=True))


def test_streams_are_other_sequences_each_to_be_had_alone() -> None:
    first = [numerosity.sequences(20, seed=1, stream=stream) for stream in range(4)]
    assert len({tuple(each.actions.tolist()) for each in first}) == 4
    shown = [image.numpy().tobytes() for each in first for image in each.images[each.counts > 0]]
    assert len(set(shown)) == len(shown)
    again = numerosity.sequences(20, seed=1, stream=2)
    assert torch.equal(again.images, first[2].images)
    assert torch.equal(again.actions, first[2].actions)
    assert not torch.equal(numerosity.sequences(20, seed=2, stream=2).actions, again.actions)
    numerosity.sequences(1, stream=2**39 - 1, seed=2**63 - 1)


def test_covariates_of_a_sequence_come_when_asked() -> None:
    drawn = numerosity.sequences(30, seed=4)
    images = drawn.images.double().mean((1, 2, 3)).numpy()
    # float32 pixels are off by half an eps, whose mean is no larger.
    np.testing.assert_allclose(drawn.covariates["mean_intensity"], images, rtol=2**-24)
    assert drawn.covariates is drawn.covariates
    assert list(drawn.covariates) == list(COVARIATES)


def test_training_needs_no_pandas() -> None:
    program = (
        "import sys; from diptych import numerosity; numerosity.sequences(3); "
        "print([name for name in ('pandas', 'PIL', 'lightning', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_any_renderer_plugs_in(dtype: torch.dtype) -> None:
    counts = np.array([0, 4, 9])
    images, covariates = numerosity.scenes(counts, dots, size=20, seed=5, first=3, dtype=dtype)
    assert images.shape == (3, 3, 20, 20)
    assert images.dtype == dtype
    assert ((images > 0).sum((1, 2, 3)) == torch.from_numpy(3 * counts)).all()
    assert images.max() == (1 if dtype == torch.float32 else 255)
    assert covariates["more"].tolist() == [0, 0, 0]
    parts = [
        numerosity.scenes([n], dots, 20, 5, first=3 + i, dtype=dtype).images for i, n in enumerate(counts)
    ]
    assert torch.equal(torch.cat(parts), images)
    out = torch.zeros(3, 3, 20, 20, dtype=dtype)
    into = numerosity.scenes(counts, dots, 20, 5, first=3, dtype=dtype, out=out)
    assert into.images.data_ptr() == out.data_ptr()
    assert torch.equal(out, images)
    drawn = numerosity.sequences(25, 4, dots, seed=6, size=20, dtype=dtype)
    assert ((drawn.images[:, 0] > 0).sum((1, 2)) == drawn.counts).all()
    assert drawn.covariates["summed_area"].tolist() == drawn.counts.tolist()
    assert numerosity.sequences(25, 4, dots, size=20, amounts=(2, 2)).counts.max() == 4


def test_bytes_of_a_renderer_become_intensities() -> None:
    def grey(counts: torch.Tensor, size: int, seed: int, first: int) -> tuple[torch.Tensor, pd.DataFrame]:
        images = (25 * counts.to(torch.uint8)).view(-1, 1, 1, 1).repeat(1, 1, size, size)
        return images, pd.DataFrame({name: counts.double() for name in COVARIATES})

    images = numerosity.scenes([0, 1, 2], grey, 4).images
    assert images.dtype == torch.float32
    assert torch.equal(images[:, 0, 0, 0], torch.tensor([0, 25, 50]) / 255)


def test_a_balanced_test_set() -> None:
    counts = numerosity.balanced()
    assert counts.shape == (4650,)
    assert counts.dtype == np.int64
    assert np.bincount(counts).tolist() == [150] * 31
    assert numerosity.balanced(2, 1).tolist() == [0, 1, 2]
    assert numerosity.balanced(0, 2).tolist() == [0, 0]


@pytest.mark.parametrize("amounts", [(1, 1), (0, 3)])
@pytest.mark.parametrize("seed", SEEDS)
def test_pairs_of_a_pool(seed: int, amounts: tuple[int, int]) -> None:
    random = np.random.default_rng(seed)
    counts = random.permutation(np.repeat(np.arange(12), random.integers(2, 9, 12)))
    pairs, actions = numerosity.pair_up(counts, 4000, 8, seed, amounts=amounts)
    assert pairs.shape == (4000, 2)
    assert pairs.dtype == actions.dtype == np.int64
    before, after = counts[pairs].T
    assert before[0] == 0
    assert after.max() == 8
    assert (pairs[1:, 0] == pairs[:-1, 1]).all()
    assert (pairs[:, 0] != pairs[:, 1]).all()
    moved = after - before
    for action, sign in ((PUT, 1), (TAKE, -1), (SHAKE, 0)):
        least, most = amounts if sign else (0, 0)
        assert (sign * moved[actions == action] >= least).all()
        assert (np.abs(moved[actions == action]) <= most).all()
    for count in range(9):
        pool = np.flatnonzero(counts == count)
        # Items that come again at once are avoided, which evens them out: the test is on the safe side.
        shown = pairs[after == count, 1]
        assert stats.chisquare(np.bincount(shown, minlength=len(counts))[pool]).pvalue > RARE
    again = numerosity.pair_up(counts, 4000, 8, seed, amounts=amounts)
    np.testing.assert_array_equal(again.pairs, pairs)
    other = numerosity.pair_up(counts, 4000, 8, seed + 100, amounts=amounts)
    assert not np.array_equal(other.actions, actions)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: numerosity.scenes([1], "C"),
            "dataset: expected one of 'A', 'B', 'jitter', 'jitter-as-printed', 'imprecise', found",
        ),
        (lambda: numerosity.scenes([1, -1]), "counts: expected none below 0, found -1"),
        (lambda: numerosity.scenes([[1]]), r"counts: expected shape \(N,\), N above 0, found \(1, 1\)"),
        (lambda: numerosity.scenes([]), r"counts: expected shape \(N,\), N above 0, found \(0,\)"),
        (lambda: numerosity.scenes([1], size=29), "sides: expected squares that fit on 29 pixels, found 30"),
        (lambda: numerosity.scenes([40], "A", 60), "counts: 40 squares do not fit on scene 0: "),
        (lambda: numerosity.scenes([1], first=-1), "first: expected 0 to"),
        (lambda: numerosity.scenes([1], first=2**63 - 1), "first: expected 0 to"),
        (lambda: numerosity.scenes([1], seed=-1), "seed: expected 0 to"),
        (lambda: numerosity.scenes([1], dots, seed=-1), "seed: expected 0 to"),
        (lambda: numerosity.scenes([1], dots, size=0), "size: expected 1 to"),
        (lambda: numerosity.scenes([1], out=torch.zeros(1, 1, 9, 9)), "out: expected shape"),
        (lambda: numerosity.scenes([1], dots, 9, out=torch.zeros(1, 1, 9, 9)), "out: expected shape"),
        (
            lambda: numerosity.scenes([1], out=torch.zeros(1, 1, 244, 244), device="meta"),
            "out: expected device meta, found cpu",
        ),
        (lambda: numerosity.sequences(0), "n_actions: expected 1 to 16777215, found 0"),
        (lambda: numerosity.sequences(2**24), "n_actions: expected 1 to 16777215"),
        (lambda: numerosity.sequences(5, 0), "limit: expected 1 to .*, found 0"),
        (lambda: numerosity.sequences(5, dataset="b"), "dataset: expected one of"),
        (lambda: numerosity.sequences(5, seed=-1), "seed: expected 0 to"),
        (lambda: numerosity.sequences(5, stream=-1), "stream: expected 0 to 549755813887, found -1"),
        (lambda: numerosity.sequences(5, stream=2**39), "stream: expected 0 to 549755813887"),
        (lambda: numerosity.sequences(5, amounts=(3, 2)), "amounts: expected the least before the largest"),
        (lambda: numerosity.sequences(5, amounts=(0, 0)), "amounts: expected 1 to .*, found 0"),
        (lambda: SceneLaw(amounts=(-1, 1)), "amounts: expected 0 to .*, found -1"),
        (lambda: SceneLaw(sides=(30, 10)), "sides: expected the least before the largest, found 30 and 10"),
        (lambda: SceneLaw(sides=(0, 10)), "sides: expected 1 to .*, found 0"),
        (lambda: SceneLaw(contrasts=(0, 1)), "contrasts: expected .* to 1, found 0"),
        (lambda: SceneLaw(clearance=-1), "clearance: expected 0 to .*, found -1"),
        (lambda: numerosity.balanced(-1), "highest: expected 0 to .*, found -1"),
        (lambda: numerosity.balanced(3, 0), "each: expected 1 to .*, found 0"),
        (
            lambda: numerosity.pair_up([0, 0, 1], 3, 1),
            "two items of each count from 0 to limit 1, found 1 of 1",
        ),
        (lambda: numerosity.pair_up([0, 0, 2, 2], 3, 2), "from 0 to limit 2, found 0 of 1"),
        (lambda: numerosity.pair_up([0, -1], 3, 1), "counts: expected none below 0, found -1"),
        (lambda: numerosity.pair_up([0, 0, 1, 1], 0, 1), "n_actions: expected 1 to"),
        (lambda: numerosity.pair_up([0, 0, 1, 1], 3, 0), "limit: expected 1 to"),
        (lambda: numerosity.pair_up([0, 0, 1, 1], 3, 1, -1), "seed: expected 0 to"),
        (lambda: numerosity.pair_up([0, 0, 1, 1], 3, 1, amounts=(2, 1)), "amounts: expected the least"),
    ],
)
def test_refuses_by_name(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: numerosity.scenes([1.5]), r"counts: expected integers, found torch\.float64"),
        (lambda: numerosity.scenes([1], 3), "dataset: expected a name, a SceneLaw or a renderer, found 3"),
        (
            lambda: numerosity.scenes([1], dtype=torch.float64),
            r"dtype: expected torch\.float32 or torch\.uint8",
        ),
        (lambda: numerosity.scenes([1], dots, dtype=torch.float64), r"dtype: expected torch\.float32 or"),
        (lambda: numerosity.scenes([1], first=0.0), r"first: expected an integer, found 0\.0"),
        (lambda: numerosity.sequences(2.0), r"n_actions: expected an integer, found 2\.0"),
        (lambda: numerosity.sequences(5, 2.5), r"limit: expected an integer, found 2\.5"),
        (lambda: numerosity.sequences(5, amounts=2), "amounts: expected the least and the largest, found 2"),
        (lambda: SceneLaw(sides="ab"), "sides: expected the least and the largest, found 'ab'"),
        (lambda: SceneLaw(amounts=(1, 1.5)), r"amounts: expected an integer, found 1\.5"),
        (lambda: numerosity.pair_up([0.0, 1.0], 3, 1), "counts: expected integers"),
        (lambda: numerosity.balanced("3"), "highest: expected an integer, found '3'"),
    ],
)
def test_refuses_other_types_by_name(call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


frame = pd.DataFrame({name: [0.0] for name in COVARIATES})


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ((np.zeros((1, 1, 4, 4)), frame), TypeError, "renderer of float32 or uint8 tensors, found float64"),
        ((torch.zeros(1, 1, 4, 4).double(), frame), TypeError, r"found torch\.float64"),
        ((None, frame), TypeError, "found NoneType"),
        (7, TypeError, r"renderer of \(images, covariates\), found int"),
        ((torch.full((1, 1, 4, 4), torch.nan), frame), ValueError, r"images in 0\.\.1, found numbers beyond"),
        ((torch.full((1, 1, 4, 4), 1.5), frame), ValueError, r"images in 0\.\.1, found numbers beyond"),
        ((torch.zeros(1, 4, 4), frame), ValueError, r"images \(1, C, 4, 4\), found \(1, 4, 4\)"),
        ((torch.zeros(2, 1, 4, 4), frame), ValueError, r"found \(2, 1, 4, 4\)"),
        ((torch.zeros(1, 1, 4, 5), frame), ValueError, r"found \(1, 1, 4, 5\)"),
        ((torch.zeros(1, 1, 4, 4), frame[["hull_area"]]), ValueError, "found 1 rows of hull_area"),
        ((torch.zeros(1, 1, 4, 4), pd.concat([frame, frame])), ValueError, "renderer of 1 rows .* found 2"),
    ],
)
def test_refuses_what_a_renderer_should_not_give(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"dataset: expected .*{message}"):
        numerosity.scenes([1], lambda *_: given, size=4)
