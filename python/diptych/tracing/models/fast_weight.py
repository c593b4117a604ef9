"""Fast weights: a matrix that feedback moves, as it moves the learner's, and what kind the learner is of."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from diptych.ops import _checks
from diptych.tracing.models.history import History, history
from diptych.tracing.models.hypotheses.exemplar import ExemplarHypotheses
from diptych.tracing.models.hypotheses.hypotheses import Remembered
from diptych.tracing.models.hypotheses.matrix import Belief, MatrixHypotheses
from diptych.tracing.models.hypotheses.prototype import PrototypeHypotheses
from diptych.tracing.models.inputs import one_hot
from diptych.tracing.models.model import Batch, Step, TracingModel

# Images of a learner that are answered at once.
_AT_ONCE = 4096
# By which beliefs are told, if they tell of few classes.
_POINTS = 32


class Traced(NamedTuple):
    """What is known of n learners.

    Attributes:
        weights: (n, K) log-probabilities of the hypotheses, each but for the learner's constant.
        belief: Of the matrices of learners who descend a gradient, and of static ones.
        past: The images that were told, (r + C) numbers a step: as they are seen, and the class as one-hot.
    """

    weights: torch.Tensor
    belief: Belief
    past: History


class FastWeight(TracingModel):
    """A learner is one of K hypotheses: of a kind, with a learning rate, a forgetting and lapses of its own.

    Each hypothesis tells how the learner would answer, from what it was shown and told so far:

    - ``gradient``: by a matrix of fast weights, its own from the start, which a delta rule moves from (z, y);
      what it is now is inferred from the answers, too
      (:class:`~diptych.tracing.models.hypotheses.matrix.MatrixHypotheses`);
    - ``static``: by a matrix that stays as it is;
    - ``prototype``: by the distances to the means of the classes' past images;
    - ``exemplar``: by those to all past images.

    What the learner is like is inferred by Bayes' rule: the probability of a hypothesis is multiplied by what
    it gave to each answer of the training. Answers have the mean of the hypotheses' probabilities. All see
    images through one linear map A z; A, the hypotheses' traits, and their probabilities before any answer
    are learned from other learners. The model is ours. Its kinds are those of
    :mod:`diptych.tracing.learners`: learners simulated there are of a kind that it knows, which nobody can
    say of people.

    Args:
        classes: C, at least 2.
        dimension: d, width of the features.
        rank: r, the most that is seen of an image: where d is larger, A maps it to so many numbers.
        hypotheses: How many of each kind, in the order of ``KINDS``; they differ in their traits.
        points: By which distributions of what a learner would answer are told, even, at least 2 C; by default
            32, of more than 16 classes 2 C.

    Complexity:
        A step takes O(K C² r² + K points C²) for each learner, as much memory while it is trained, and O(K t
        (C + r)) for t past images.

    Raises:
        ValueError: A number out of range, hypotheses that are not four numbers or none at all.
        TypeError: Not integers.
    """

    #: Kinds of hypotheses.
    KINDS = ("gradient", "static", "prototype", "exemplar")

    labelled = False
    # Few numbers, most of them logarithms and log-odds, which have further to go than weights.
    learning_rate = 2e-2

    def __init__(
        self,
        classes: int,
        dimension: int,
        *,
        rank: int = 16,
        hypotheses: Sequence[int] = (4, 2, 3, 4),
        points: int | None = None,
    ) -> None:
        super().__init__()
        _checks.integer("classes", classes, 2)
        for name, value in {"dimension": dimension, "rank": rank}.items():
            _checks.integer(name, value, 1)
        points = max(_POINTS, 2 * classes) if points is None else points
        _checks.integer("points", points, 2 * classes)
        if points % 2:
            raise ValueError(f"points: expected an even number, found {points}")
        self.counts = _counts(hypotheses)
        self.classes = classes
        width = min(rank, dimension)
        self.view = nn.Linear(dimension, width, bias=False)
        # Features of mean square 1 become images of mean square norm 1.
        nn.init.eye_(self.view.weight) if width == dimension else nn.init.orthogonal_(self.view.weight)
        with torch.no_grad():
            self.view.weight /= width**0.5
        gradient, static, prototype, exemplar = self.counts
        self.matrix = MatrixHypotheses(gradient, static, classes, width, points)
        self.prototype = PrototypeHypotheses(prototype)
        self.exemplar = ExemplarHypotheses(exemplar)
        # Kinds are as likely as each other before anything is learned, hypotheses of a kind too.
        counts = torch.tensor(self.counts)
        self.prior = nn.Parameter(-counts.float().log().repeat_interleave(counts))

    def start(self, n: int) -> Traced:
        """The hypotheses' probabilities before any answer."""
        past = History(self.zeros(n, 0, self.view.out_features + self.classes), self.zeros(n).long())
        return Traced(self.prior.log_softmax(0).expand(n, -1), self.matrix.start(n), past)

    def advance(self, state: Traced, step: Step) -> Traced:
        """Weigh the hypotheses by the answer, move the matrices, remember the image."""
        choices = self._choices(state, step.features[:, None])
        weights = state.weights + _said(choices, step.responses[:, None])[..., 0]
        images = self._seen(step.features)
        outlook = self.matrix.outlook(state.belief, images)
        seen = step._replace(features=images)
        belief = self.matrix.after(self.matrix.gates(), state.belief, outlook, seen)
        return Traced(weights, belief, state.past.and_then(self._told(images, step.labels)))

    def respond(self, state: Traced, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The mean of all hypotheses."""
        weights = state.weights[:, :, None]
        parts = [_mean(weights, self._choices(state, part)) for part in features.split(_AT_ONCE, 1)]
        return torch.cat(parts, 1)

    def follow(self, batch: Batch) -> tuple[torch.Tensor, Traced]:
        """A loop over the steps for the matrices alone; the other hypotheses have all steps at once."""
        learners, steps = batch.labels.shape
        training = batch.training
        images = self._seen(batch.features)
        past = history(self._told(images, batch.labels), training)
        moments = torch.arange(steps, device=images.device)
        age = (moments[:, None] - 1 - moments)[None]
        moved, belief = self._moved(images, batch)
        choices = torch.cat([moved, *self._unmoved(images, past, age)], 1)
        start = self.prior.log_softmax(0)[:, None]
        weights = start + (_said(choices, batch.responses) * training[:, None]).cumsum(2)
        before = torch.cat([start.expand(learners, -1, 1), weights[:, :, :-1]], 2)
        return _mean(before, choices), Traced(weights[:, :, -1], belief, past)

    def classifiers(self, state: Traced) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean over the hypotheses of the matrices in force, whatever the class of the image.

        Exemplar hypotheses have none; in their stead stands the plane that touches their log-odds at the mean
        of all images. The answers' probabilities are not those of the mean's softmax: they allow for lapses
        and for what is not known of the learner, too.

        Returns:
            W (n, 1, C, d) and b (n, 1, C).
        """
        past = self._remembered(state.past, self._ages(state))
        of_each = (
            self.matrix.classifiers(state.belief),
            self.prototype.classifiers(past)[:, :, 0],
            self.exemplar.classifiers(past),
        )
        mean = (state.weights.softmax(1)[..., None, None] * torch.cat(of_each, 1)).sum(1, keepdim=True)
        return mean[..., :-1] @ self.view.weight, mean[..., -1]

    def kinds(self, state: Traced) -> torch.Tensor:
        """(n, 4) probabilities that each learner is of each of ``KINDS``."""
        return torch.stack([part.sum(1) for part in state.weights.softmax(1).split(self.counts, 1)], 1)

    def lapses(self, state: Traced) -> torch.Tensor:
        """(n,) mean over the hypotheses of the probability that a learner answers at random."""
        parts = self.matrix, self.prototype, self.exemplar
        return state.weights.softmax(1) @ torch.cat([part.lapse for part in parts])

    def _moved(self, images: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, Belief]:
        """Matrices' probabilities (B, K, T, C) in training, and what is believed of them after it."""
        belief, gates, answers = self.matrix.start(len(images)), self.matrix.gates(), []
        for t, training in enumerate(batch.training.T):
            outlook = self.matrix.outlook(belief, images[:, t])
            answers.append(outlook.choice.mean(2))
            seen = Step(images[:, t], batch.labels[:, t], batch.responses[:, t])
            after = self.matrix.after(gates, belief, outlook, seen)
            if not training.all():
                which = training[:, None, None, None]
                after = Belief(*(torch.where(which, *each) for each in zip(after, belief, strict=True)))
            belief = after
        return self.matrix.lapsing(torch.stack(answers, 2)), belief

    def _unmoved(self, images: torch.Tensor, past: History, age: torch.Tensor) -> list[torch.Tensor]:
        """The other hypotheses' probabilities (n, K, m, C) for images (n, m, r + 1) of what is remembered."""
        bare, told = images[..., :-1], self._remembered(past, age)
        return [self.prototype.answers(bare, told), self.exemplar.answers(bare, told)]

    def _choices(self, state: Traced, features: torch.Tensor) -> torch.Tensor:
        """(n, K, m, C) probabilities by all hypotheses, for features (n, m, d)."""
        images = self._seen(features)
        unmoved = self._unmoved(images, state.past, self._ages(state))
        return torch.cat([self.matrix.answers(state.belief, images), *unmoved], 1)

    def _seen(self, features: torch.Tensor) -> torch.Tensor:
        """(..., r + 1) images as they are seen, and a 1."""
        images = self.view(features)
        return torch.cat([images, torch.ones_like(images[..., :1])], -1)

    def _told(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return torch.cat([images[..., :-1], one_hot(labels, self.classes, images)], -1)

    def _ages(self, state: Traced) -> torch.Tensor:
        """(n, 1, t) of what is remembered, now."""
        steps = torch.arange(state.past.steps.shape[1], device=state.past.made.device)
        return (state.past.made[:, None] - 1 - steps)[:, None]

    def _remembered(self, past: History, age: torch.Tensor) -> Remembered:
        images, classes = past.steps.split([self.view.out_features, self.classes], -1)
        return Remembered(images, classes, age)


def _counts(hypotheses: Sequence[int]) -> list[int]:
    counts = list(hypotheses)
    if len(counts) != len(FastWeight.KINDS):
        raise ValueError(f"hypotheses: expected how many of {', '.join(FastWeight.KINDS)}, found {counts}")
    for each in counts:
        _checks.integer("hypotheses", each, 0)
    if sum(counts) == 0:
        raise ValueError("hypotheses: expected one or more, found none")
    return counts


def _said(choices: torch.Tensor, responses: torch.Tensor) -> torch.Tensor:
    """(n, K, m) log-probabilities that choices (n, K, m, C) give to responses (n, m)."""
    which = responses[:, None, :, None].expand(-1, choices.shape[1], -1, 1)
    return choices.gather(3, which)[..., 0].log()


def _mean(weights: torch.Tensor, choices: torch.Tensor) -> torch.Tensor:
    """(n, m, C) log-probabilities: choices (n, K, m, C) by log-weights (n, K, m or 1)."""
    return (weights.log_softmax(1)[..., None] + choices.log()).logsumexp(1)
