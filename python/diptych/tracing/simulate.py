"""Sequences of simulated learners, whose true response probabilities are known."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.ops import _checks
from diptych.ops._arrays import Array, to_tensor
from diptych.ops._counter import derived_seed
from diptych.tracing.learners import KINDS, Laws, Learners, Pool, Range, Traits, draw_learners
from diptych.tracing.sequences import Sequences

# A seed makes images, learners, and what they are shown and answer: none of them tells of another.
_IMAGES, _LEARNERS, _SESSIONS = range(3)


def simulate(
    kind: str,
    n_learners: int = 150,
    n_train: int = 30,
    n_test: int = 15,
    seed: int = 0,
    *,
    features: Array | None = None,
    labels: Array | None = None,
    n_classes: int = 5,
    dimension: int = 8,
    n_images: int = 300,
    separation: float = 1.5,
    ability: Range | None = None,
    learning_rate: Range | None = None,
    forgetting: Range | None = None,
    lapse: Range | None = None,
    gamma: Range | None = None,
    spread: float | None = None,
    careless: float | None = None,
    careless_lapse: Range | None = None,
) -> Sequences:
    """Let learners of a known kind learn and be tested.

    Each is shown images of a common pool, none twice, in an order of its own, and answers by its kind's law
    (:data:`~diptych.tracing.learners.KINDS`), with traits of its own. Learner i depends on the seed and on i,
    not on how many there are. Its ranking is drawn without replacement by the same probabilities.

    Args:
        kind: ``"static"``, ``"prototype"``, ``"exemplar"`` or ``"gradient"``.
        n_learners: L, at least 1.
        n_train: Steps with feedback, at least 1.
        n_test: Steps without, at least 0; two steps in all, at least.
        seed: 0 to 2^63 - 1.
        features: (m, d) known features of the images. Default: Gaussian clusters, standard normal about class
            means that are normal themselves.
        labels: (m,) with ``features``: true classes 0 to C - 1, each of some image.
        n_classes: C of the clusters, at least 2.
        dimension: d of the clusters.
        n_images: m of the clusters, as many of each class as can be.
        separation: Standard deviation of the clusters' means.
        ability: As all that follow, what the traits are drawn from, instead of the kind's own ``LAWS``; see
            :class:`~diptych.tracing.learners.Laws`.
        learning_rate: 0 for learners who learn nothing.
        forgetting: See there.
        lapse: See there.
        gamma: See there.
        spread: See there.
        careless: See there.
        careless_lapse: See there.

    Returns:
        Sequences with the true response probabilities as ``truth``; ``about`` holds the kind, the seed, the
        laws, the traits of each learner by its name, and the names of the careless ones.

    Complexity:
        Time O(L T C d), for exemplar learners O(L T² (C + d)); memory O(L C (T + d)), for exemplar learners
        O(L T (C + d)).

    Raises:
        ValueError: An unknown kind, a number out of range, fewer images than steps, features and labels that
            do not fit each other, a class without images.
        TypeError: Numbers of another type.
    """
    _checks.one_of("kind", kind, KINDS)
    _checks.integer("n_train", n_train, 1)
    _checks.integer("n_test", n_test, 0 if n_train > 1 else 1)
    _checks.seed(seed)
    if (features is None) != (labels is None):
        raise ValueError("features, labels: expected both or neither, found one of them")
    if features is None:
        shown, true = _clusters(n_classes, dimension, n_images, separation, derived_seed(seed, _IMAGES))
    else:
        shown, true = _images(features, labels)
    steps = n_train + n_test
    if len(shown) < steps:
        raise ValueError(f"features: expected an image for each of {steps} steps, found {len(shown)}")
    asked: dict[str, Any] = {
        "ability": ability,
        "learning_rate": learning_rate,
        "forgetting": forgetting,
        "lapse": lapse,
        "gamma": gamma,
        "spread": spread,
        "careless": careless,
        "careless_lapse": careless_lapse,
    }
    laws = replace(KINDS[kind].LAWS, **{name: law for name, law in asked.items() if law is not None})
    pool = Pool.of(shown, true)
    learners = draw_learners(kind, n_learners, pool, derived_seed(seed, _LEARNERS), laws)
    item, noise = _sessions(n_learners, steps, pool, derived_seed(seed, _SESSIONS))
    truth = _answered(learners, pool, item, n_train)
    # The largest sum with Gumbel noise is a draw; the next largest are draws from what is left.
    tiny = np.finfo(float).tiny
    ranking = np.argsort(-(np.log(np.maximum(truth, tiny)) + noise), 2).reshape(n_learners * steps, -1)
    names = _numbered(n_learners)
    return Sequences(
        classes=_numbered(pool.n_classes),
        items=_numbered(len(shown)),
        labels=true,
        learners=names,
        learner=np.repeat(np.arange(n_learners), steps),
        item=item.ravel(),
        response=ranking[:, 0].copy(),
        test=np.tile(np.arange(steps) >= n_train, n_learners),
        rankings=ranking[:, :3].copy() if pool.n_classes > 2 else None,
        truth=truth.reshape(n_learners * steps, -1),
        features=shown,
        about={"simulated": kind, "seed": int(seed), "laws": _listed(laws), **_known(names, learners)},
    )


def _clusters(
    n_classes: int, dimension: int, n_images: int, separation: float, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images (m, d) of Gaussian classes, and their classes (m,)."""
    _checks.integer("n_classes", n_classes, 2)
    _checks.integer("dimension", dimension, 1)
    _checks.integer("n_images", n_images, n_classes)
    _checks.not_negative("separation", separation)
    random = np.random.default_rng(seed)
    means = separation * random.normal(size=(n_classes, dimension))
    labels = np.arange(n_images) % n_classes
    features = means[labels] + random.normal(size=(n_images, dimension))
    return features.astype(np.float32), labels


def _images(features: Array, labels: Array) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Given features (m, d) and classes (m,), checked."""
    shown, true = to_tensor("features", features), to_tensor("labels", labels)
    _checks.matrix("features", shown)
    _checks.finite("features", shown)
    if true.ndim != 1 or len(true) != len(shown):
        raise ValueError(f"labels: expected shape ({len(shown)},), as features, found {tuple(true.shape)}")
    if true.is_floating_point():
        raise TypeError(f"labels: expected integers, found {true.dtype}")
    classes = np.asarray(true.cpu(), np.int64)
    present = np.unique(classes)
    if len(present) < 2 or not np.array_equal(present, np.arange(len(present))):
        raise ValueError(f"labels: expected each of 0 to C - 1, two or more, found {present[:20].tolist()}")
    return shown.detach().cpu().float().numpy(), classes


def _sessions(
    n_learners: int, steps: int, pool: Pool, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Which images learners are shown (L, T), and the noise of their answers, Gumbel (L, T, C)."""
    item = np.empty((n_learners, steps), np.int64)
    noise = np.empty((n_learners, steps, pool.n_classes))
    for learner in range(n_learners):
        random = np.random.default_rng([seed, learner])
        item[learner] = random.permutation(len(pool.labels))[:steps]
        noise[learner] = random.gumbel(size=noise.shape[1:])
    return item, noise


def _answered(learners: Learners, pool: Pool, item: NDArray[np.int64], n_train: int) -> NDArray[np.float64]:
    """(L, T, C) probabilities of the answers to each image in turn."""
    truth = np.empty((*item.shape, pool.n_classes))
    for step in range(n_train):
        features = pool.features[item[:, step]]
        truth[:, step] = learners.probabilities(features[:, None])[:, 0]
        learners.learn(features, pool.labels[item[:, step]])
    truth[:, n_train:] = learners.probabilities(pool.features[item[:, n_train:]])
    return truth


def _listed(laws: Laws) -> dict[str, float | list[float]]:
    """Laws as JSON can hold them."""
    return {name: np.asarray(law, float).tolist() for name, law in asdict(laws).items()}


def _known(names: tuple[str, ...], learners: Learners) -> dict[str, Any]:
    """What is known of learners by their names, as JSON can hold it."""
    rows = np.stack(learners.traits, 1).tolist()
    return {
        "traits": {
            name: dict(zip(Traits._fields, row, strict=True)) for name, row in zip(names, rows, strict=True)
        },
        "careless": [name for name, each in zip(names, learners.careless, strict=True) if each],
    }


def _numbered(n: int) -> tuple[str, ...]:
    return tuple(f"{each:05d}" for each in range(n))
