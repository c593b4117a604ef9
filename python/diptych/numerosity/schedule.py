"""What a training sees and how it learns, and what its epochs come to."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from diptych.numerosity.laws import Renderer, described

#: How convolutions are computed, in lightning's words.
Precision = Literal["32-true", "bf16-mixed"]

#: The checkpoint of the epoch whose validation's loss is least.
BEST = "best.ckpt"


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to.

    Attributes:
        epoch: Its number, from 1.
        loss: Mean negative log-likelihood of its actions, in nats.
        accuracy: Share of them that was named rightly, while it went on.
        validation_loss: The loss on other sequences, at its end.
        validation_accuracy: The accuracy on these.
    """

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class Schedule:
    """How much is seen of what, and how it is learned.

    Attributes:
        dataset: The scenes, as :func:`diptych.numerosity.sequences` takes them.
        limit: Most objects in a scene.
        epochs: How many.
        batches: Steps of each.
        pairs: Actions of a step, a sequence of its own.
        learning_rate: Adam's.
        seed: Of the sequences.
    """

    dataset: str | Renderer
    limit: int
    epochs: int
    batches: int
    pairs: int
    learning_rate: float
    seed: int

    def described(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {**asdict(self), "dataset": described(self.dataset)}
