"""Exemplars: every past image speaks for its class, the more the more it is like the image to answer."""

import torch

from diptych.tracing.models.history import History, history
from diptych.tracing.models.inputs import one_hot
from diptych.tracing.models.model import Batch, Step
from diptych.tracing.models.similarity import Similarity


class Exemplar(Similarity):
    """A class's evidence is the sum of the similarities of the image to all its past images.

    p_c = E_c^γ / Σ E^γ, E_c = Σ exp(-|φ(z) - φ(z_i)|²) over the past images of class c (equation 2.14, which
    as printed applies the similarity twice; Nosofsky 1986). A class without any has the floor alone.
    Arguments are those of :class:`~diptych.tracing.models.similarity.Similarity`.
    """

    def start(self, n: int) -> History:
        """Nothing remembered."""
        return History(self.zeros(n, 0, self.dimension + self.classes), self.zeros(n).long())

    def advance(self, state: History, step: Step) -> History:
        """One exemplar more."""
        return state.and_then(self._exemplars(step))

    def respond(self, state: History, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """By the distances to all that is remembered; what stands for nothing is of no class."""
        return self._among(state.steps, features, None)

    def follow(self, batch: Batch) -> tuple[torch.Tensor, History]:
        """By the distances between all steps, of which the later ones do not count."""
        remembered = history(self._exemplars(batch), batch.training)
        steps = batch.labels.shape[1]
        before = torch.ones(steps, steps, dtype=torch.bool, device=batch.labels.device).tril(-1)
        return self._among(remembered.steps, batch.features, before), remembered

    def _exemplars(self, step: Step | Batch) -> torch.Tensor:
        """(..., d + C) features, and the class as one-hot."""
        return torch.cat([step.features, one_hot(step.labels, self.classes, step.features)], -1)

    def _among(
        self, remembered: torch.Tensor, features: torch.Tensor, counted: torch.Tensor | None
    ) -> torch.Tensor:
        """(n, m, C) answers to images (n, m, d) by exemplars (n, t, d + C), of which each counts some."""
        past, of_class = remembered.split([self.dimension, self.classes], -1)
        nearness = self.nearness(features[:, :, None], past[:, None])
        if counted is not None:
            nearness = nearness * counted
        return self.shared_out(nearness @ of_class)


class ExemplarSoftmax(Exemplar):
    """The exemplar model with a softmax of its normalised probabilities, as the authors publish it."""

    def shared_out(self, evidence: torch.Tensor) -> torch.Tensor:
        """A softmax of probabilities: no class has more than e times another's."""
        return super().shared_out(evidence).exp().log_softmax(-1)
