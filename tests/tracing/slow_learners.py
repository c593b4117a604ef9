"""The laws of simulated learners once more, one learner and one number at a time."""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def seen(features: NDArray[np.float32]) -> Floats:
    """Features as learners see them: mean 0, mean square norm 1."""
    centred = features.astype(float) - features.astype(float).mean(0)
    return centred / math.sqrt(sum(float(row @ row) for row in centred) / len(centred))


def normalised(values: list[float]) -> list[float]:
    return [value / sum(values) for value in values]


def static(
    trait: dict[str, float], start: Floats, pool: Floats, classes: Floats, past: list, z: Floats
) -> list[float]:
    n = len(start)
    means = [pool[classes == c].mean(0) for c in range(n)]
    deviations = [x - means[y] for x, y in zip(pool, classes, strict=True)]
    variance = sum(float(e @ e) for e in deviations) / pool.size
    logits = []
    for c in range(n):
        offset = -float(means[c] @ means[c]) / (2 * variance)
        logits.append(float(means[c] @ z) / variance + offset + float(start[c, :-1] @ z) + start[c, -1])
    return normalised([math.exp(trait["ability"] * each) for each in logits])


def gradient(
    trait: dict[str, float], start: Floats, pool: Floats, classes: Floats, past: list, z: Floats
) -> list[float]:
    w = start.copy()

    def answer(image: Floats) -> list[float]:
        logits = [float(row[:-1] @ image) + row[-1] for row in w]
        return normalised([math.exp(trait["ability"] * each) for each in logits])

    for image, label in past:
        p = answer(image)
        step = np.zeros_like(w)
        for c in range(len(w)):
            error = (c == label) - p[c]
            step[c] = trait["learning_rate"] * error * np.append(image, 1.0)
        w = w + step - trait["forgetting"] * (w - start)
    return answer(z)


def prototype(
    trait: dict[str, float], start: Floats, pool: Floats, classes: Floats, past: list, z: Floats
) -> list[float]:
    powers = []
    for c in range(len(start)):
        total, weight = start[c, :-1].copy(), 1.0
        for age, (image, label) in enumerate(reversed(past)):
            if label == c:
                counted = trait["learning_rate"] * (1 - trait["forgetting"]) ** age
                total, weight = total + counted * image, weight + counted
        away = z - total / weight
        powers.append(math.exp(-trait["ability"] * float(away @ away)))
    return normalised(powers)


def exemplar(
    trait: dict[str, float], start: Floats, pool: Floats, classes: Floats, past: list, z: Floats
) -> list[float]:
    evidence = [1.0] * len(start)
    for age, (image, label) in enumerate(reversed(past)):
        near = math.exp(-trait["ability"] * float((z - image) @ (z - image)))
        evidence[label] += trait["learning_rate"] * (1 - trait["forgetting"]) ** age * near
    return normalised([each ** trait["gamma"] for each in evidence])


LAWS = {"static": static, "prototype": prototype, "exemplar": exemplar, "gradient": gradient}


def answer(
    kind: str, trait: dict[str, float], start: Floats, pool: Floats, classes: Floats, past: list, z: Floats
) -> list[float]:
    """(C,) probabilities of the answer to z of a learner who was told (image, label) of all in past."""
    choice = LAWS[kind](trait, start, pool, classes, past, z)
    return [(1 - trait["lapse"]) * each + trait["lapse"] / len(choice) for each in choice]
