"""What simulated gradient learners gain from a teacher who chooses by what a tracer knows of them.

Tracers of a study, trained on learners who were shown images at random, teach 30 other learners of the same
kind for 30 steps, of 20 candidates each: the same learners by the same luck under each policy. A row is a
model, a policy and a step: the mean probability of the right answer to images that nobody is taught, its gain
over the random teacher in points, and the 95 % interval of that over five seeds, each of other tracers,
images and learners. Nothing is timed.

Run: diptych tracing reproduce --out study, then
DIPTYCH_STUDY=study pytest benchmarks/bench_teaching.py -q
"""

import csv
import os
from pathlib import Path

import pytest

from conftest import RESULTS, command, machine, versions
from diptych.tracing import Lessons, Tracer, simulate, teaching

SEEDS, MODELS, STEPS = 5, ("cls_pred_y", "fast_weight"), (10, 20, 30)


def lessons_of(study: Path, model: str) -> Lessons:
    """Of all seeds together."""
    parts = []
    for seed in range(SEEDS):
        tracer = Tracer.load(study / f"gradient-{seed}" / model / "tracer.safetensors")
        parts.append(teaching.evaluate(tracer, simulate("gradient", seed=seed), seeds=(seed,), progress=True))
    return Lessons.joined(parts)


def test_what_teachers_come_to() -> None:
    study = os.environ.get("DIPTYCH_STUDY")
    if study is None:
        pytest.skip("DIPTYCH_STUDY: the folder of a study is needed")
    rows = []
    for model in MODELS:
        lessons = lessons_of(Path(study), model)
        # Before the first step nobody was taught anything.
        assert (lessons.right[:, :, :, 0] == lessons.right[:1, :, :, 0]).all()
        found = lessons.frame()
        for row in found[found.step.isin(STEPS)].itertuples():
            points = {name: f"{100 * getattr(row, name):.2f}" for name in ("gain", "low", "high")}
            rows.append({"model": model, "policy": row.policy, "step": row.step, "right": f"{row.mean:.4f}"})
            rows[-1] |= points
    made = {"machine": machine(), "versions": versions(), "command": command()}
    with open(RESULTS / "teaching.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], *made], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | made for row in rows)
