"""How early learners who answer without care are told from others, by how improbable their answers are.

Tracers of a study, which were trained on learners of one kind without careless ones, score 150 other learners
of that kind on the same images, a fifth of whom answer at random in 60 to 95 % of the steps. Beside it stands
what one would look at without a model, the share of wrong answers. Areas under the ROC, a row for each kind,
seed, model and number of answers. Nothing is timed.

Run: diptych tracing reproduce --out study, then
DIPTYCH_STUDY=study pytest benchmarks/bench_careless.py -q
"""

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from conftest import RESULTS, command, machine, versions
from diptych.tracing import Tracer, carelessness, simulate

KINDS, SEEDS, MODELS = ("gradient", "prototype", "exemplar"), 5, ("cls_pred_y", "fast_weight")
CARELESS, OTHERS = 0.2, 1000


def rows_of(study: Path, kind: str, seed: int) -> list[dict[str, Any]]:
    known = simulate(kind, seed=seed)
    shown = simulate(
        kind, seed=OTHERS + seed, features=known.features, labels=known.labels, careless=CARELESS
    )
    rows = []
    for model in MODELS:
        tracer = Tracer.load(study / f"{kind}-{seed}" / model / "tracer.safetensors")
        assert not tracer.seen(shown).any()
        found = carelessness(tracer, shown)
        for answers, own in found.groupby("answers"):
            careless = own.learner.isin(shown.about["careless"])
            areas = {
                "score": roc_auc_score(careless, own.score),
                "wrong": roc_auc_score(careless, -own.right),
            }
            told = {"learners": kind, "seed": seed, "model": model, "answers": answers}
            rows.append(told | {"careless": int(careless.sum())} | {n: f"{a:.4f}" for n, a in areas.items()})
    return rows


def test_careless_learners_are_told_from_others() -> None:
    study = os.environ.get("DIPTYCH_STUDY")
    if study is None:
        pytest.skip("DIPTYCH_STUDY: the folder of a study is needed")
    rows = [row for kind in KINDS for seed in range(SEEDS) for row in rows_of(Path(study), kind, seed)]
    late = [float(row["score"]) for row in rows if row["answers"] == 30]
    assert np.mean(late) > 0.9
    made = {"machine": machine(), "versions": versions(), "command": command()}
    with open(RESULTS / "careless.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], *made], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | made for row in rows)
