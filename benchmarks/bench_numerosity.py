"""A training step of NumberNet: what one pass over a sequence's scenes saves, and what drawing them costs.

A sequence of 180 actions has 181 scenes, each of which but two belongs to two pairs. Counted: a scene is 2.9
GFLOP forward and, its stem being frozen, 2.3 backward, so that a step is 181 x 5.2 GFLOP = 0.93 TFLOP when
scenes are embedded once, and 360 x 5.2 = 1.9 TFLOP when a Siamese network sees both sides of every pair, the
baseline; a ratio of 1.99 is the most there is. Drawing writes 43 MB a step.

The steps are first compared: the same loss and, but for the order of sums, the same gradients. Both are
timed from the same weights. The second benchmark is the share of a step that waits for its scenes, 5 % at
most: time to draw them over that and the step's together.

Run: OMP_NUM_THREADS=2 pytest benchmarks/bench_numerosity.py
"""

import numpy as np
import pytest
import torch

from conftest import race, spread
from diptych import numerosity

ACTIONS, ROUNDS = 180, 3
PRECISIONS = {"float32": False, "bfloat16": True}

# Operations of a step: multiplications and additions of the four convolutions, forward and, of the last two,
# backward to the weights and of the last to its input.
STEM = 2 * (60**2 * 64 * 3 * 121 + 29**2 * 192 * 64 * 25)
FIRST, SECOND = 2 * 29**2 * 256 * 192 * 25, 2 * 14**2 * 128 * 256 * 9
SCENE = STEM + 2 * FIRST + 3 * SECOND


@pytest.fixture(scope="module")
def drawn() -> numerosity.Sequence:
    return numerosity.sequences(ACTIONS, seed=0)


@pytest.fixture(scope="module")
def net() -> numerosity.NumberNet:
    return numerosity.NumberNet(numerosity.Architecture(stem="random"))


def loss_of(net: numerosity.NumberNet, drawn: numerosity.Sequence, low: bool, siamese: bool) -> torch.Tensor:
    with torch.autocast("cpu", torch.bfloat16, enabled=low):
        if siamese:
            named = net.classify(net.embed(drawn.images[:-1]), net.embed(drawn.images[1:]))
        else:
            named = net(drawn.images)
        return torch.nn.functional.nll_loss(named, drawn.actions)


def step(net: numerosity.NumberNet, drawn: numerosity.Sequence, low: bool, siamese: bool) -> float:
    net.zero_grad()
    loss = loss_of(net, drawn, low, siamese)
    loss.backward()
    return float(loss)


def check(net: numerosity.NumberNet, drawn: numerosity.Sequence, low: bool) -> float:
    """Both steps are the same; returns how far their gradients are apart, relative to their size."""
    losses, gradients = [], []
    for siamese in (False, True):
        losses.append(step(net, drawn, low, siamese))
        learned = [each for each in net.parameters() if each.requires_grad]
        gradients.append(torch.cat([each.grad.flatten() for each in learned]))
    # Of bfloat16's eight bits some are lost in each of two convolutions, and in their derivatives.
    tolerance = 0.05 if low else 1e-4
    assert losses[0] == pytest.approx(losses[1], rel=tolerance)
    apart = float((gradients[0] - gradients[1]).norm() / gradients[1].norm())
    assert apart < tolerance
    return apart


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_step_embeds_each_scene_once(benchmark, recorder, limits, net, drawn, precision):
    low = PRECISIONS[precision]
    error = check(net, drawn, low)
    baselines = {"both sides of every pair": lambda: step(net, drawn, low, True)}
    times, theirs = race(benchmark, lambda: step(net, drawn, low, False), baselines, ROUNDS)
    own, baseline = spread(times), float(np.percentile(theirs["both sides of every pair"], 20))
    rate = SCENE * (ACTIONS + 1) / own["p20_s"]
    recorder.add(
        op="NumberNet training step",
        shape=f"{ACTIONS} actions, 244 x 244",
        dtype=precision,
        backend="torch",
        **own,
        rate=rate / 1e9,
        unit="GFLOP/s",
        share_of_limit=rate / limits["gemm"],
        baseline="both sides of every pair",
        baseline_p20_s=baseline,
        ratio=baseline / own["p20_s"],
        error=error,
    )
    # 360 scenes over 181.
    assert baseline / own["p20_s"] >= 1.8


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_step_does_not_wait_for_its_scenes(benchmark, recorder, net, drawn, precision):
    low = PRECISIONS[precision]
    baselines = {"a training step": lambda: step(net, drawn, low, False)}
    times, theirs = race(benchmark, lambda: numerosity.sequences(ACTIONS, seed=1), baselines, ROUNDS)
    own, whole = spread(times), float(np.percentile(theirs["a training step"], 20))
    share = own["p80_s"] / (own["p80_s"] + whole)
    recorder.add(
        op="drawing the scenes of a step",
        shape=f"{ACTIONS} actions, 244 x 244",
        dtype=precision,
        backend="cpu",
        **own,
        baseline="a training step",
        baseline_p20_s=whole,
        ratio=whole / own["p20_s"],
        error=0.0,
    )
    assert share < 0.05
