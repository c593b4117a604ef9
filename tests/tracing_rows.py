"""Studies of tracing whose figures are known."""

from pathlib import Path

import numpy as np

from diptych.tracing.results import ORACLE
from diptych.tracing.study import ClassRow, Row, TracingStudy

# Micro average precision in training of each model, the test's is 0.1 above it.
MODELS = {"static": 0.4, "cls_pred_y": 0.5, "exemplar": 0.52, "dkt": 0.45, "fast_weight": 0.65, ORACLE: 0.8}


def study(
    models: dict[str, float] = MODELS,
    kinds: tuple[str, ...] = ("gradient", "exemplar"),
    seeds: int = 3,
    folder: Path = Path("study"),
) -> TracingStudy:
    """Every model at its figure, give or take what all models of a seed have in common."""
    luck = np.random.default_rng(0).normal(0, 0.02, seeds)
    rows, classes = [], []
    for kind in kinds:
        for seed in range(seeds):
            for model, ap in models.items():
                for phase, more in (("train", 0.0), ("test", 0.1)):
                    own = ap + more + float(luck[seed])
                    rows.append(Row(kind, seed, model, phase, 75, own, own - 0.01, 0.5, 1.1, 0.05, 7))
                    classes += [ClassRow(kind, seed, model, phase, each, own) for each in ("moth", "bee")]
    return TracingStudy(folder, tuple(rows), tuple(classes))
