"""How well gradient learners can be foretold at all, by an observer who knows the law of what they are like.

The oracle knows each learner's matrix; nobody who only sees answers does. The observer is the fast-weight
tracer with nothing learned: its hypotheses are the law that :func:`diptych.tracing.simulate` draws learners
from, on a grid of abilities, learning rates and lapses (forgetting at its mean), each with a belief of the
matrix that starts as the learners' own starts do. It infers the rest of each learner from its answers alone,
by Bayes' rule up to the Gaussian form of that belief. What a trained model can reach is to be judged by it: a
share of the gap from static to oracle beyond the observer's is luck of the draw.

A row is a seed and a phase: micro average precision of oracle and observer on the learners that the split of
that seed leaves for the test. Nothing is timed. A finer grid and four times the points must give the same
precision within 0.01.

Run: OMP_NUM_THREADS=1 pytest benchmarks/bench_observer.py -q
"""

import csv
from itertools import product
from math import log
from typing import Any

import numpy as np
import torch

from conftest import RESULTS, command, machine, versions
from diptych.tracing import Sequences, Tracer, simulate, split
from diptych.tracing.extractor import Known
from diptych.tracing.learners import GradientLearners
from diptych.tracing.models import FastWeight
from diptych.tracing.scores import score

SEEDS = 5
# Abilities, learning rates and lapses of the grid, and points of a belief.
GRID, POINTS = (3, 4, 2), 64
FINER, MORE = (4, 6, 3), 256


def middles(low: float, high: float, count: int) -> list[float]:
    """Middles of so many equal parts."""
    return [low + (high - low) * (part + 0.5) / count for part in range(count)]


@torch.no_grad()
def observer(sequences: Sequences, grid: tuple[int, int, int], points: int) -> Tracer:
    laws, (abilities, rates, lapses) = GradientLearners.LAWS, grid
    of_ability = [2**each for each in middles(*np.log2(laws.ability), abilities)]
    of_rate = [2**each for each in middles(*np.log2(laws.learning_rate), rates)]
    traits = torch.tensor(list(product(of_ability, of_rate, middles(*laws.lapse, lapses))))
    ability, rate, lapse = traits.T
    dimension = sequences.features.shape[1]
    model = FastWeight(
        len(sequences.classes), dimension, hypotheses=(len(traits), 0, 0, 0), rank=dimension, points=points
    )
    matrix = model.matrix
    # In logits, which are the ability times what the matrix gives; a rate is 0.2 and what is learned of it.
    matrix.log_rate.copy_((ability * rate - 0.2).log())
    matrix.log_spread.copy_((ability * laws.spread).log())
    matrix.lapse_logit.copy_(lapse.logit())
    matrix.forgetting_logit.fill_(torch.tensor(np.mean(laws.forgetting)).logit())
    matrix.log_noise.fill_(log(1e-3))
    extractor = Known(dimension)
    extractor.measure(torch.from_numpy(sequences.features))
    return Tracer("fast_weight", {}, model, extractor, sequences.classes)


def test_what_can_be_foretold() -> None:
    rows: list[dict[str, Any]] = []
    for seed in range(SEEDS):
        sequences = simulate("gradient", seed=seed)
        shown = sequences.of(split(sequences, seed).test)
        chances = observer(sequences, GRID, POINTS).probabilities(shown)
        finer = observer(sequences, FINER, MORE).probabilities(shown)
        for phase, asked in (("train", ~shown.test), ("test", shown.test)):
            found = [score(each[asked], shown.response[asked]) for each in (shown.truth, chances, finer)]
            assert found[0].nll < found[1].nll
            assert abs(found[1].micro_ap - found[2].micro_ap) < 0.01
            told = dict(zip(("oracle", "observer", "finer"), (each.micro_ap for each in found), strict=True))
            rows.append({"seed": seed, "phase": phase} | {name: f"{ap:.4f}" for name, ap in told.items()})
    made = {"machine": machine(), "versions": versions(), "command": command()}
    with open(RESULTS / "observer.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], *made], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | made for row in rows)
