"""Prototypes: an image is answered by the class whose past images it is like in the mean."""

from typing import NamedTuple

import torch

from diptych.tracing.models.inputs import one_hot
from diptych.tracing.models.model import Batch, Step
from diptych.tracing.models.similarity import Similarity


class Seen(NamedTuple):
    """What n learners have seen: sums (n, C, d) of each class's features, and how many images (n, C)."""

    sums: torch.Tensor
    counts: torch.Tensor


class Prototype(Similarity):
    """A class's evidence is the similarity of the image to the mean of the class's past images.

    Equation 2.11, read as averaging the past images of class c; as the embedding is linear, their mean is
    embedded. A class without any has the floor alone. Arguments are those of
    :class:`~diptych.tracing.models.similarity.Similarity`.
    """

    def start(self, n: int) -> Seen:
        """Nothing seen."""
        return Seen(self.zeros(n, self.classes, self.dimension), self.zeros(n, self.classes))

    def advance(self, state: Seen, step: Step) -> Seen:
        """One image more of its class."""
        of_class = one_hot(step.labels, self.classes, step.features)
        return Seen(state.sums + of_class[..., None] * step.features[:, None], state.counts + of_class)

    def respond(self, state: Seen, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """By the distances to the means."""
        return self._among(state.sums[:, None], state.counts[:, None], features)

    def follow(self, batch: Batch) -> tuple[torch.Tensor, Seen]:
        """By running sums."""
        of_class = one_hot(batch.labels, self.classes, batch.features) * batch.training[..., None]
        single = of_class[..., None] * batch.features[:, :, None]
        sums, counts = single.cumsum(1), of_class.cumsum(1)
        return self._among(sums - single, counts - of_class, batch.features), Seen(sums[:, -1], counts[:, -1])

    def _among(self, sums: torch.Tensor, counts: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        means = sums / counts.clamp(min=1)[..., None]
        return self.shared_out(self.nearness(features[..., None, :], means) * (counts > 0))


class PrototypeSoftmax(Prototype):
    """The prototype model with a softmax of its normalised probabilities, as the authors publish it."""

    def shared_out(self, evidence: torch.Tensor) -> torch.Tensor:
        """A softmax of probabilities: no class has more than e times another's."""
        return super().shared_out(evidence).exp().log_softmax(-1)
