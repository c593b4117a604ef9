"""How similarity depends on the weight of the lasso's penalty and on the number of concepts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from diptych._progress import Stages
from diptych._tables import load_pandas
from diptych.ops._arrays import Array
from diptych.rsvc.evaluate import regressed, similarities
from diptych.rsvc.inputs import ClassPatches, checked
from diptych.rsvc.method import checked_options, extracted

if TYPE_CHECKING:
    import pandas

ALPHAS = (0.01, 0.03, 0.1, 0.3)
KS = (5, 10, 20)

# The names of a result's fields for each direction.
_DIRECTIONS = {
    "1to1": ("smcs_1", "nonzero_1", 0),
    "2to1": ("cmcs_2to1", "nonzero_2to1", 0),
    "1to2": ("cmcs_1to2", "nonzero_1to2", 1),
    "2to2": ("smcs_2", "nonzero_2", 1),
}


def sweep(
    acts_1: Array,
    acts_2: Array,
    *,
    alphas: Sequence[float] = ALPHAS,
    ks: Sequence[int] = KS,
    groups: Array | None = None,
    eval_acts_1: Array | None = None,
    eval_acts_2: Array | None = None,
    rows_1: Array | None = None,
    rows_2: Array | None = None,
    method: str = "auto",
    folds: int = 5,
    seed: int = 0,
    progress: bool = True,
) -> "pandas.DataFrame":
    """Measure similarity, and the features it takes, at several penalties and numbers of concepts.

    Concepts are extracted once for each k.

    Args:
        acts_1: As :func:`compare`; so all that are not told of here.
        acts_2: Of network 2.
        alphas: Weights of the lasso's penalty, above 0.
        ks: Numbers of concepts.
        groups: The image each patch is of.
        eval_acts_1: Of network 1 on patches of other images.
        eval_acts_2: Of network 2 on the same.
        rows_1: The patches that network 1's concepts are extracted from.
        rows_2: The same for network 2.
        method: How concepts are extracted.
        folds: Folds of images.
        seed: Of the extraction.
        progress: Show a progress bar on stderr when it takes longer than two seconds.

    Returns:
        One row per k, alpha, direction (``"1to1"``, ``"2to1"``, ``"1to2"``, ``"2to2"``: from the network
        whose activations predict to the one whose concepts are predicted) and concept: its ``pearson`` and
        ``spearman`` correlation with the prediction, the number of ``nonzero`` weights (the mean over
        folds), and the ``error`` of the extraction, ‖A − U W‖ / ‖A‖.

    Complexity:
        An extraction for each k, and the regressions of :func:`compare` for each k and alpha.

    Raises:
        ValueError: As :func:`compare`; no alphas, no ks.
        TypeError: As :func:`compare`.
        ModuleNotFoundError: pandas is not installed.
    """
    pandas = load_pandas("sweep")
    for name, values in (("alphas", alphas), ("ks", ks)):
        if len(values) == 0:
            raise ValueError(f"{name}: expected at least one value, found none")
    patches = ClassPatches(acts_1, acts_2, groups, eval_acts_1, eval_acts_2, None, rows_1, rows_2)
    settings = [[checked_options(k, method, alpha, folds, "default", seed) for alpha in alphas] for k in ks]
    ready = checked(patches, max(ks), method, folds)
    parts = []
    with Stages({"Sweeping": 1}, enabled=progress) as stages:
        stages.enter("Sweeping")
        for of_one_k in settings:
            concepts = extracted([ready], of_one_k[0])[0]
            for options in of_one_k:
                sides = regressed(
                    ready.training, ready.evaluation, ready.groups, concepts, options.alpha, options.folds
                )
                measured = similarities(sides)
                for direction, (similarity, nonzero, predicted) in _DIRECTIONS.items():
                    columns = {
                        "k": options.k,
                        "alpha": options.alpha,
                        "direction": direction,
                        "concept": np.arange(options.k),
                        "pearson": measured[similarity],
                        "spearman": measured[f"{similarity}_spearman"],
                        "nonzero": measured[nonzero],
                        "error": concepts[predicted].error,
                    }
                    parts.append(pandas.DataFrame(columns))
                stages.advance(1 / (len(ks) * len(alphas)))
    return pandas.concat(parts, ignore_index=True)
