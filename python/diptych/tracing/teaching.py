"""Teaching with a tracer: what to show next, and what comes of it with simulated learners."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from diptych._progress import Stages
from diptych.ops import _checks
from diptych.ops._counter import derived_seed
from diptych.tracing.extractor import inputs_of
from diptych.tracing.learners import KINDS, Laws, Pool, draw_learners
from diptych.tracing.lessons import Lessons
from diptych.tracing.models import Step
from diptych.tracing.policies import POLICIES, Choice
from diptych.tracing.sequences import Sequences
from diptych.tracing.tracer import Tracer

# The teacher that others are compared with.
_BASELINE = "random"
# Of a seed: apart from those that simulated sequences are made with.
_IMAGES, _LEARNERS, _ORDER, _CHANCE = range(100, 104)


@torch.no_grad()
def next_image(
    tracer: Tracer,
    candidates: Any,
    labels: ArrayLike,
    policy: str = "expected_improvement",
    *,
    learner: str | None = None,
    pool: Any = None,
    pool_labels: ArrayLike | None = None,
    seed: int | np.random.Generator = 0,
    embedded: bool = False,
) -> int:
    """Choose what a learner is shown next.

    - ``"random"``: any candidate.
    - ``"hardest"``: the one that the learner would most probably get wrong.
    - ``"expected_improvement"``: the one after which the mean probability of the right answer to the pool's
      images is expected to be highest. What the learner will answer is not known, so each answer is tried,
      and counts by its probability.

    Of equals the first is chosen: a model that does not move on with its learner expects no improvement.

    Args:
        tracer: Follows the learner.
        candidates: m images, as for :meth:`Tracer.predict`.
        labels: (m,) int their true classes.
        policy: One of ``POLICIES``.
        learner: Who, by default who was started last.
        pool: p images that the learner is to get right, as the candidates; by default the candidates.
        pool_labels: (p,) int their true classes.
        seed: Of the random policy: a generator gives others each time.
        embedded: Candidates and pool are what :meth:`Tracer.embed` gave.

    Returns:
        The number of the candidate, from 0.

    Complexity:
        For ``"expected_improvement"`` m C states, each asked about p images
        (:func:`~diptych.tracing.policies.expected_improvement`).

    Raises:
        KeyError: The learner was never started.
        TypeError: Labels or a seed of another type.
        ValueError: No candidates, images that the tracer cannot take, labels of another number or outside the
            classes, an unknown policy, one of ``pool`` and ``pool_labels`` alone.
    """
    _checks.one_of("policy", policy, tuple(POLICIES))
    if (pool is None) != (pool_labels is None):
        raise ValueError("pool, pool_labels: expected both or neither, found one of them")
    if not isinstance(seed, np.random.Generator):
        _checks.seed(seed)
    state = tracer.state(learner)
    shown, true = _images("candidates", tracer, candidates, labels, embedded)
    if pool is None or pool_labels is None:
        wanted = shown, true
    else:
        wanted = _images("pool", tracer, pool, pool_labels, embedded)
    choice = Choice(tracer.model, state, shown[None], true[None], *wanted)
    return int(POLICIES[policy](choice, np.random.default_rng(seed))[0].argmax())


@torch.no_grad()
def evaluate(
    tracer: Tracer,
    sequences: Sequences,
    kind: str | None = None,
    policies: Sequence[str] = tuple(POLICIES),
    n_learners: int = 30,
    n_steps: int = 30,
    seeds: Iterable[int] = range(5),
    *,
    n_candidates: int = 20,
    n_pool: int = 50,
    n_held_out: int = 100,
    laws: Laws | None = None,
    progress: bool = False,
) -> Lessons:
    """Teach simulated learners, and see what they have learned.

    In each step a teacher is offered candidates for each learner, none of which the learner has seen, and
    shows one. The learner answers by its own law, learns the true class, and the tracer takes note. What the
    learner would answer to images held out from teaching is known, and what is recorded; the tracer never
    sees it. All teachers have the same learners, images, order of candidates and luck of the answers; each
    seed draws others.

    Args:
        tracer: What teachers know of their learners.
        sequences: Whose images are shown; their learners take no part.
        kind: Of the learners, one of ``KINDS``; by default that of simulated sequences, with their laws.
        policies: Of the teachers, from ``POLICIES``; the random one is always among them, and first.
        n_learners: L, at least 1.
        n_steps: T, at least 1.
        seeds: S of them, each 0 to 2^63 - 1.
        n_candidates: What is offered in a step, at least 1.
        n_pool: p, images for teaching by which improvement is judged.
        n_held_out: Images by which the learners are.
        laws: What their traits are drawn from, by default the kind's own.
        progress: Show a bar on stderr.

    Returns:
        Lessons; ``frame()`` compares the teachers step by step.

    Complexity:
        S T times :func:`~diptych.tracing.policies.expected_improvement` for L learners is what most of it is.

    Raises:
        TypeError: Not whole numbers.
        ValueError: Unknown kinds and policies, or none; numbers out of range, the same seed twice; other
            classes than the tracer's; images without known features, which simulated learners see, or fewer
            of them than are wanted.
    """
    school = _school(tracer, sequences, kind, laws, progress)
    taught = tuple(dict.fromkeys((_BASELINE, *policies)))
    given = tuple(seeds)
    sizes = _Sizes(n_learners, n_steps, n_candidates, n_pool, n_held_out)
    _check(policies, given, sizes, len(sequences.items))
    right = np.empty((len(taught), len(given), n_learners, n_steps + 1))
    with Stages(dict.fromkeys(taught, 1.0), enabled=progress) as stages:
        for row, policy in enumerate(taught):
            stages.enter(policy)
            for column, seed in enumerate(given):
                right[row, column] = _lesson(school, policy, seed, sizes)
                stages.advance(1 / len(given))
    about = {"model": tracer.name, "kind": school.kind, "laws": asdict(school.laws), **sizes._asdict()}
    return Lessons(taught, given, right, about)


class _School(NamedTuple):
    """Who is taught what, with which tracer."""

    tracer: Tracer
    kind: str
    laws: Laws
    images: Pool  #: as learners see them
    features: torch.Tensor  #: as the tracer does
    labels: torch.Tensor


class _Sizes(NamedTuple):
    """The numbers of an evaluation."""

    n_learners: int
    n_steps: int
    n_candidates: int
    n_pool: int
    n_held_out: int


def _school(
    tracer: Tracer, sequences: Sequences, kind: str | None, laws: Laws | None, progress: bool
) -> _School:
    simulated: str | None = sequences.about.get("simulated")
    chosen = simulated if kind is None else kind
    if chosen is None:
        raise ValueError("kind: expected a kind of learners, for the sequences are not simulated, found None")
    _checks.one_of("kind", chosen, tuple(KINDS))
    if laws is None and chosen == simulated and "laws" in sequences.about:
        saved = sequences.about["laws"].items()
        said: dict[str, Any] = {name: tuple(law) if isinstance(law, list) else law for name, law in saved}
        laws = Laws(**said)
    tracer.check_classes(sequences)
    if sequences.features is None:
        raise ValueError("sequences: expected known features, which simulated learners see, found none")
    embedded = tracer.extractor.embed(inputs_of(sequences, tracer.extractor, progress))
    images = Pool.of(sequences.features, sequences.labels)
    labels = torch.from_numpy(sequences.labels)
    return _School(tracer, chosen, laws or KINDS[chosen].LAWS, images, embedded.cpu(), labels)


def _check(policies: Sequence[str], seeds: tuple[int, ...], sizes: _Sizes, images: int) -> None:
    if isinstance(policies, str) or not policies:
        raise ValueError(f"policies: expected some of {', '.join(POLICIES)}, found {policies!r}")
    for policy in policies:
        _checks.one_of("policies", policy, tuple(POLICIES))
    for seed in seeds:
        _checks.seed(seed)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds: expected one or more, each once, found {list(seeds)}")
    for name, value in sizes._asdict().items():
        _checks.integer(name, value, 1)
    # In the last step as many candidates are wanted of what was not shown yet.
    wanted = sizes.n_held_out + max(sizes.n_pool, sizes.n_steps + sizes.n_candidates - 1)
    if images < wanted:
        raise ValueError(
            f"sequences: expected {wanted} images or more, {sizes.n_held_out} to hold out and the others to "
            f"teach with, found {images}"
        )


def _lesson(school: _School, policy: str, seed: int, sizes: _Sizes) -> NDArray[np.float64]:
    """(L, T + 1) what learners would get right, before and after each step."""
    images, model = school.images, school.tracer.model
    learners = draw_learners(
        school.kind, sizes.n_learners, images, derived_seed(seed, _LEARNERS), school.laws
    )
    mixed = np.random.default_rng(derived_seed(seed, _IMAGES)).permutation(len(images.labels))
    held_out, taught = mixed[: sizes.n_held_out], mixed[sizes.n_held_out :]
    pool = torch.from_numpy(taught[: sizes.n_pool])
    # The teachers' own chance is apart, so that all are offered the same candidates and have the same luck.
    order = np.random.default_rng(derived_seed(seed, _ORDER))
    chance = np.random.default_rng(derived_seed(seed, _CHANCE))
    who = np.arange(sizes.n_learners)
    shown = np.zeros((sizes.n_learners, len(taught)), bool)
    tests = np.broadcast_to(images.features[held_out], (len(who), *images.features[held_out].shape))

    def known() -> NDArray[np.float64]:
        return learners.probabilities(tests)[:, np.arange(len(held_out)), images.labels[held_out]].mean(1)

    state, right = model.start(len(who)), [known()]
    for _ in range(sizes.n_steps):
        offered = np.argsort(order.random(shown.shape) + shown, 1)[:, : sizes.n_candidates]
        candidates = torch.from_numpy(taught[offered])
        wanted = school.features[pool], school.labels[pool]
        choice = Choice(model, state, school.features[candidates], school.labels[candidates], *wanted)
        picked = offered[who, POLICIES[policy](choice, chance).argmax(1)]
        shown[who, picked] = True
        item = taught[picked]
        chances = learners.probabilities(images.features[item][:, None])[:, 0]
        luck = order.random((len(who), 1))
        # Rounding may leave the sum a little below 1.
        response = (chances.cumsum(1)[:, :-1] <= luck).sum(1)
        features, labels = school.features[item], school.labels[item]
        step = Step(features, labels, torch.from_numpy(response), features.new_zeros(len(who)))
        state = model.advance(state, step)
        learners.learn(images.features[item], images.labels[item])
        right.append(known())
    return np.stack(right, 1)


def _images(
    name: str, tracer: Tracer, images: Any, labels: ArrayLike, embedded: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (m, d) and classes (m,) of one image or more."""
    if len(images) == 0:
        raise ValueError(f"{name}: expected at least one image, found none")
    features = torch.as_tensor(np.asarray(images) if embedded else tracer.embed(images)).float()
    width = tracer.extractor.dimension
    if features.ndim != 2 or features.shape[1] != width:
        raise ValueError(f"{name}: expected features (m, {width}), found shape {tuple(features.shape)}")
    true = np.asarray(labels)
    if true.dtype.kind not in "iu":
        raise TypeError(f"labels of {name}: expected whole numbers, found {true.dtype}")
    if true.shape != (len(features),):
        raise ValueError(
            f"labels of {name}: expected one an image, {len(features)}, found shape {true.shape}"
        )
    if true.min() < 0 or true.max() >= len(tracer.classes):
        raise ValueError(
            f"labels of {name}: expected 0 to {len(tracer.classes) - 1}, found {true.min()} to {true.max()}"
        )
    return features, torch.from_numpy(true.astype(np.int64))
