"""The space in which prototypes and exemplars are compared, and what evidence amounts to."""

import torch
from torch import nn

from diptych.ops import _checks
from diptych.tracing.models.model import TracingModel

# Evidence for a class of which nothing was seen, before any training.
_FLOOR = 0.1


class Similarity(TracingModel):
    """Classes have evidence by how near the image is to what was seen of them.

    Images are compared in a learned linear embedding φ of their features, at first these divided by the root
    of their number; their similarity is exp(-|φ(z) - φ(z')|²). Each class's evidence is raised by a
    floor that is learned too, so that a class of which nothing was seen has some, and an image that is
    like nothing is a guess. The answers' probabilities are the evidence, raised to a learned power, over
    its sum; the floor is ours.

    Args:
        classes: C.
        dimension: d, width of the features.

    Raises:
        ValueError: A number below 1.
    """

    labelled = False

    def __init__(self, classes: int, dimension: int) -> None:
        super().__init__()
        _checks.integer("classes", classes, 1)
        _checks.integer("dimension", dimension, 1)
        self.classes, self.dimension = classes, dimension
        self.embedding = nn.Linear(dimension, dimension, bias=False)
        nn.init.eye_(self.embedding.weight)
        with torch.no_grad():
            self.embedding.weight /= dimension**0.5
        self.log_floor = nn.Parameter(torch.tensor(_FLOOR).log())
        self.log_power = nn.Parameter(torch.zeros(()))

    def nearness(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """Similarities of features (..., d), of any shapes that broadcast."""
        return (-(self.embedding(one) - self.embedding(other)).square().sum(-1)).exp()

    def shared_out(self, evidence: torch.Tensor) -> torch.Tensor:
        """(..., C) log-probabilities from the evidence (..., C)."""
        raised = (evidence + self.log_floor.exp()).log()
        return (raised * self.log_power.exp()).log_softmax(-1)
