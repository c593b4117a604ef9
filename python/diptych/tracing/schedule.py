"""How a tracing model learns, and what its epochs come to."""

from dataclasses import dataclass

from diptych.ops import _checks


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to.

    Attributes:
        epoch: Its number, from 1.
        loss: Mean negative log-likelihood of the answers it learned from, in nats, while it went on.
        validation_loss: The same for the learners who are not learned from, at its end.
    """

    epoch: int
    loss: float
    validation_loss: float


@dataclass(frozen=True)
class Schedule:
    """How a model learns.

    Attributes:
        epochs: At most.
        batch_size: Learners of a step.
        learning_rate: Adam's, of the model.
        extractor_rate: Adam's, of what makes features of images.
        patience: Epochs to wait for a lower loss on the learners of the validation.
        seed: Of the weights and of the order of the learners.

    Raises:
        TypeError: Not a number, or no whole one where one is wanted.
        ValueError: A number out of range.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    extractor_rate: float
    patience: int
    seed: int

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            _checks.integer(name, getattr(self, name), 1)
        for name in ("learning_rate", "extractor_rate"):
            _checks.positive(name, getattr(self, name))
        _checks.seed(self.seed)
