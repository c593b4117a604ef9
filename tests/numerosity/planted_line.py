"""Number lines whose every figure is known."""

from collections.abc import Callable

import numpy as np


def planted(
    law: Callable[[np.ndarray], np.ndarray] = lambda n: 1.0 * n,
    *,
    highest: int = 30,
    each: int = 60,
    noise: float = 0.0,
    d: int = 2,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings along a line through d dimensions, and counts 0 to ``highest``, ``each`` of every count.

    Noise of this standard deviation moves items along the line alone, so that comparisons of perceived
    numbers are those of law(n) + noise · N(0, 1).
    """
    generator = np.random.default_rng(seed)
    counts = np.repeat(np.arange(highest + 1), each)
    direction = generator.standard_normal(d)
    direction /= np.linalg.norm(direction)
    place = law(counts.astype(float)) + noise * generator.standard_normal(len(counts))
    return place[:, None] * direction + generator.standard_normal(d), counts


def walk(counts: np.ndarray, n: int, *, largest: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of items that differ by one action, and the actions; counts of at most ``largest``."""
    generator = np.random.default_rng(seed)
    of = [np.flatnonzero(counts == number) for number in range(largest + 1)]
    before = generator.integers(0, largest + 1, n)
    actions = generator.integers(0, 3, n)
    after = before + np.array([1, -1, 0])[actions]
    legal = (after >= 0) & (after <= largest)
    pairs = [
        (generator.choice(of[a]), generator.choice(of[b]))
        for a, b in zip(before[legal], after[legal], strict=True)
    ]
    return np.array(pairs), actions[legal]


def covariates(counts: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """Areas of 15 px squares, and brightness and hull that vary at fixed count."""
    generator = np.random.default_rng(seed)
    n = len(counts)
    return {
        "mean_intensity": 0.003 * counts * generator.uniform(0.1, 1, n),
        "summed_area": 225.0 * counts,
        "hull_area": 1500.0 * counts * generator.uniform(0.5, 1, n),
    }


def rotation(d: int, seed: int = 0) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]
