"""Number lines that are known: embeddings planted on a line, with noise."""

from typing import Any

import numpy as np
import pandas

from diptych import numerosity

#: Counts of a planted line: those of all references among them.
COUNTS = (*range(10), 16, 24)
EXPONENT = 0.8


def embeddings(counts: Any, d: int = 2, noise: float = 0.04, seed: int = 0) -> Any:
    """(N, d) on a line in a random direction, count^0.8 from the origin; noise that grows with count."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=d)
    places = np.asarray(counts, float) ** EXPONENT
    planted = np.outer(places, direction / np.linalg.norm(direction))
    spread = noise * (1 + np.asarray(counts, float)[:, None] / 2)
    return (planted + spread * rng.normal(size=planted.shape)).astype(np.float32)


def covariates(counts: Any, seed: int = 0) -> pandas.DataFrame:
    """Area and hull grow with number, mean intensity besides with contrast."""
    rng = np.random.default_rng(seed)
    number, n = np.asarray(counts, float), len(counts)
    area = number * rng.integers(10, 31, n) ** 2
    hull = np.where(number > 0, 2000 * np.sqrt(number) * rng.uniform(0.7, 1.3, n), 0)
    intensity = area / 244**2 * rng.uniform(0.1, 1, n)
    return pandas.DataFrame({"mean_intensity": intensity, "summed_area": area, "hull_area": hull})


def moves(counts: Any, n: int = 300, seed: int = 0, wrong: float = 0.2) -> Any:
    """Pairs of items one put, take or shake apart, what was done and what was named; up to 8 objects."""
    rng = np.random.default_rng(seed)
    highest = next(each for each in range(8, 0, -1) if set(range(each + 1)) <= set(counts.tolist()))
    pairs, actions = [], []
    for action in rng.integers(0, 3, n):
        step = (1, -1, 0)[action]
        before = rng.integers(max(0, -step), highest + 1 - max(0, step))
        pairs.append([rng.choice(np.flatnonzero(counts == each)) for each in (before, before + step)])
        actions.append(action)
    true = np.array(actions)
    beyond = counts[np.array(pairs)].max(1) > 3
    named = np.where(beyond & (rng.random(n) < wrong), (true + 1) % 3, true)
    return np.array(pairs), true, named


def planted(
    seed: int = 0,
    *,
    d: int = 2,
    each: int = 12,
    counts: Any = COUNTS,
    noise: float = 0.04,
    pairs: bool = True,
    seen: bool = True,
    min_cluster_size: int = 8,
    name: str = "planted",
) -> numerosity.NumberLine:
    """The analysis of a planted line, with pairs and covariates unless told otherwise."""
    number = np.repeat(np.asarray(counts, np.int64), each)
    done = dict(zip(("pairs", "actions", "predicted"), moves(number, seed=seed), strict=True))
    return numerosity.analyze(
        embeddings(number, d, noise, seed),
        number,
        **(done if pairs else {}),
        covariates=covariates(number, seed) if seen else None,
        min_cluster_size=min_cluster_size,
        seed=seed,
        sweep=(5, 10, 15),
        name=name,
        progress=False,
    )
