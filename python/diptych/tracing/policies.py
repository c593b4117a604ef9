"""How a teacher chooses what to show next, by what a model knows of the learners."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.tracing.models import State, Step, TracingModel
from diptych.tracing.models.states import size, taken

# Numbers held at once while states are tried out, and how many a model may hold for one image beside its
# state: a layer of a transformer.
_NUMBERS, _INSIDE = 2**25, 512


class Choice(NamedTuple):
    """What n learners could be shown next, and by what it is judged.

    Attributes:
        model: In evaluation mode.
        state: What it knows of the learners.
        candidates: (n, m, d) features of each learner's candidates.
        labels: (n, m) int64 their true classes.
        pool: (p, d) features of the images that the learners are to get right.
        pool_labels: (p,) int64 their true classes.
    """

    model: TracingModel
    state: State
    candidates: torch.Tensor
    labels: torch.Tensor
    pool: torch.Tensor
    pool_labels: torch.Tensor


#: What a choice is worth, (n, m), the more the better; the generator is for those who leave it to chance.
Policy = Callable[[Choice, np.random.Generator], NDArray[np.floating]]


def random(choice: Choice, draw: np.random.Generator) -> NDArray[np.floating]:
    """Any of the candidates."""
    return draw.random(choice.labels.shape)


def hardest(choice: Choice, draw: np.random.Generator) -> NDArray[np.floating]:
    """What the learner would most probably get wrong."""
    chances = choice.model.respond(choice.state, choice.candidates, choice.labels)
    return -_of_labels(chances, choice.labels).double().numpy()


def expected_improvement(choice: Choice, draw: np.random.Generator) -> NDArray[np.floating]:
    """What the mean probability of the right answer to the pool's images is expected to gain.

    Each candidate is tried out: the state after the learner gave an answer and was told the true class, for
    each answer, weighted with the answer's probability before.

    Complexity:
        n m C states are advanced, as one batch, and asked about p images each: for a recurrent model with
        true classes n m C (1 + C) steps of its LSTM. No more than some 2^25 numbers are held at once, by the
        numbers of a state for each image of the pool.
    """
    model = choice.model
    chances = model.respond(choice.state, choice.candidates, choice.labels).exp()
    learners, _, classes = chances.shape
    # Each row is a learner who was shown a candidate and gave an answer.
    rows = torch.cartesian_prod(*(torch.arange(each) for each in chances.shape))
    after = []
    for who, which, answer in (part.unbind(1) for part in rows.split(_at_once(choice, classes))):
        shown, true = choice.candidates[who, which], choice.labels[who, which]
        # Nobody knows yet how long the answer will take.
        step = Step(shown, true, answer, shown.new_zeros(len(shown)))
        after.append(_right(choice, model.advance(taken(choice.state, who), step), len(who)))
    now = [
        _right(choice, taken(choice.state, who), len(who))
        for who in torch.arange(learners).split(_at_once(choice, classes))
    ]
    gains = (chances * torch.cat(after).view_as(chances)).sum(2) - torch.cat(now)[:, None]
    return gains.double().numpy()


#: How a teacher may choose, by name.
POLICIES: dict[str, Policy] = {
    "random": random,
    "hardest": hardest,
    "expected_improvement": expected_improvement,
}


def _at_once(choice: Choice, classes: int) -> int:
    """How many states can be asked about the pool at once."""
    pool, dimension = choice.pool.shape
    inside = max(size(choice.state) + classes * classes + dimension, _INSIDE)
    return max(1, _NUMBERS // (pool * inside))


def _right(choice: Choice, state: State, learners: int) -> torch.Tensor:
    """(k,) mean probability of the right answer to the pool's images, of k learners' states."""
    images = choice.pool.expand(learners, -1, -1)
    labels = choice.pool_labels.expand(learners, -1)
    return _of_labels(choice.model.respond(state, images, labels), labels).mean(1)


def _of_labels(answers: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """(n, m) probabilities of the classes (n, m), of log-probabilities (n, m, C)."""
    return answers.gather(2, labels[..., None])[..., 0].exp()
