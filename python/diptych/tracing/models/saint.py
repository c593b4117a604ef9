"""A transformer over exercises and answers, in the manner of SAINT."""

import torch
from torch import nn

from diptych.ops import _checks
from diptych.tracing.models.history import History, history
from diptych.tracing.models.inputs import Tally, class_accuracy, log_seconds, one_hot
from diptych.tracing.models.model import Batch, Step, TracingModel

# Images whose answers are read at once: attention takes the square of their number.
_AT_ONCE = 256


class Saint(TracingModel):
    """An encoder over what was asked, and a decoder over what was answered that looks at it.

    The encoder is told image and true class of each step up to the current one, the decoder the answers up to
    the one before, zeros at first; each token sees itself and those before it, in its own stream and in the
    other. Places are told by sines and cosines. In a test each image stands alone behind the training.

    After Choi et al., "Towards an Appropriate Query, Key, and Value Computation for Knowledge Tracing", L@S
    2020, arXiv 2002.07033, with images in place of exercise numbers and C answers in place of two; sizes are
    ours.

    Args:
        classes: C.
        dimension: d, width of the features.
        hidden: Width of the tokens, a multiple of twice the heads.
        layers: Of encoder and decoder.
        heads: Of attention.
        accuracy: Tell the decoder each class's share of right answers so far, too, -1 for one not seen.
        seconds: Tell it how long the answer before took, too, as log(1 + s).

    Raises:
        ValueError: A number below 1, or a width that the heads cannot share.
    """

    def __init__(
        self,
        classes: int,
        dimension: int,
        *,
        hidden: int = 128,
        layers: int = 2,
        heads: int = 4,
        accuracy: bool = False,
        seconds: bool = False,
    ) -> None:
        super().__init__()
        sizes = {"classes": classes, "dimension": dimension, "layers": layers, "heads": heads}
        for name, value in {**sizes, "hidden": hidden}.items():
            _checks.integer(name, value, 1)
        if hidden % (2 * heads):
            raise ValueError(f"hidden: expected a multiple of {2 * heads} for {heads} heads, found {hidden}")
        self.classes, self.accuracy, self.seconds = classes, accuracy, seconds
        self.asked_width, self.answered_width = dimension + classes, classes + seconds
        self.asked = nn.Linear(self.asked_width, hidden)
        self.answered = nn.Linear(self.answered_width + classes * accuracy, hidden)
        layer = {"dim_feedforward": 4 * hidden, "dropout": 0.0, "batch_first": True, "norm_first": True}
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(hidden, heads, **layer),  # type: ignore[arg-type]
            layers,
            nn.LayerNorm(hidden),
            enable_nested_tensor=False,
        )
        self.decoder = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(hidden, heads, **layer),  # type: ignore[arg-type]
            layers,
            nn.LayerNorm(hidden),
        )
        self.answer = nn.Linear(hidden, classes)
        self.heads = heads

    def start(self, n: int) -> History:
        """Nothing asked."""
        width = self.asked_width + self.answered_width + 2 * self.classes
        return History(self.zeros(n, 0, width), self.zeros(n).long())

    def advance(self, state: History, step: Step) -> History:
        """One exercise and its answer more."""
        return state.and_then(self._row(step))

    def respond(self, state: History, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Each image behind all that was asked, as if the others were not there."""
        parts = zip(features.split(_AT_ONCE, 1), labels.split(_AT_ONCE, 1), strict=True)
        return torch.cat([self._behind(state, *each) for each in parts], 1)

    def follow(self, batch: Batch) -> tuple[torch.Tensor, History]:
        """All steps at once, each of which sees those before it."""
        training, steps = batch.training, batch.labels.shape[1]
        row = self._row(batch)
        asked, answered, _ = row.split([self.asked_width, self.answered_width, 2 * self.classes], -1)
        told = [torch.cat([torch.zeros_like(answered[:, :1]), answered[:, :-1]], 1)]
        if self.accuracy:
            told.append(class_accuracy(batch.labels, batch.responses, training, self.classes, row))
        places = torch.arange(steps, device=row.device)
        answers = self._read(asked, torch.cat(told, -1), places, places[:, None] < places)
        return answers, history(row, training)

    def _row(self, step: Step | Batch) -> torch.Tensor:
        """(..., width) what was asked, what was answered, and what it adds to the tally."""
        like, classes = step.features, self.classes
        row = [like, one_hot(step.labels, classes, like), one_hot(step.responses, classes, like)]
        if self.seconds:
            row.append(log_seconds(step.seconds, like))
        return torch.cat([*row, Tally.of(step.labels, step.responses, classes, like).flatten(-2)], -1)

    def _behind(self, state: History, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """(n, m, C) answers to images in the step after each learner's last."""
        learners, past, images = len(labels), state.steps.shape[1], features.shape[1]
        asked, answered, counted = state.steps.split(
            [self.asked_width, self.answered_width, 2 * self.classes], -1
        )
        now = torch.cat([features, one_hot(labels, self.classes, features)], -1)
        # The answer before each step of the past, and before the next one, behind each learner's last.
        before = torch.cat([self.zeros(learners, 1, self.answered_width), answered], 1)
        if self.accuracy:
            tally = torch.cat([self.zeros(learners, 1, 2 * self.classes), counted.cumsum(1)], 1)
            before = torch.cat([before, Tally.share(tally.unflatten(-1, (2, self.classes)))], -1)
        last = before[torch.arange(learners, device=features.device), state.made]
        told = torch.cat([before[:, :past], last[:, None].expand(-1, images, -1)], 1)
        steps = torch.arange(past, device=features.device)
        places = torch.cat([steps.expand(learners, -1), state.made[:, None].expand(-1, images)], 1)
        return self._read(torch.cat([asked, now], 1), told, places, self._hidden(state, images))[:, past:]

    def _hidden(self, state: History, images: int) -> torch.Tensor:
        """(n, t + m, t + m) bool, true where a token is not to see another."""
        past = state.steps.shape[1]
        total = past + images
        places = torch.arange(total, device=state.made.device)
        later = places[:, None] < places
        alone = (places[:, None] != places) & (places >= past)
        never = (places >= state.made[:, None]) & (places < past)
        itself = places[:, None] == places
        return (later | alone | never[:, None].expand(-1, total, -1)) & ~itself

    def _read(
        self, asked: torch.Tensor, told: torch.Tensor, places: torch.Tensor, hidden: torch.Tensor
    ) -> torch.Tensor:
        """(n, S, C) answers to tokens at places (S,) or (n, S), some hidden from some."""
        if hidden.ndim == 3:
            hidden = hidden.repeat_interleave(self.heads, 0)
        where = _waves(places, self.asked.out_features, asked)
        memory = self.encoder(self.asked(asked) + where, mask=hidden)
        decoded = self.decoder(self.answered(told) + where, memory, tgt_mask=hidden, memory_mask=hidden)
        return self.answer(decoded).log_softmax(-1)


def _waves(places: torch.Tensor, width: int, like: torch.Tensor) -> torch.Tensor:
    """(..., width) sines and cosines of places (...), of wavelengths from 2 pi to 10,000 times that."""
    rates = 10_000 ** (-torch.arange(0, width, 2, dtype=like.dtype, device=like.device) / width)
    angles = places.to(like.dtype)[..., None] * rates
    return torch.cat([angles.sin(), angles.cos()], -1)
