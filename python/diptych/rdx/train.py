"""Training the digit networks, and embedding images with them."""

import time
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diptych.embed.training import accuracy, check_training, fit_classifier, in_batches
from diptych.rdx.data import Digits, held_out
from diptych.rdx.models import DigitCNN, to_input


@dataclass(frozen=True)
class Checkpoint:
    """A network in the middle of its training.

    Attributes:
        step: Optimiser steps taken, counted from 1.
        accuracy: Share of training images classified rightly, in evaluation mode.
        state: The network's parameters and buffers, for ``load_state_dict``.
    """

    step: int
    accuracy: float
    state: dict[str, Tensor]


@dataclass(frozen=True)
class Training:
    """A trained network and how it came to be.

    Attributes:
        model: The network after the last step, in evaluation mode.
        accuracy: Share of the images trained on that it classifies rightly.
        held_out_accuracy: The same on held-out images; None where none were held out.
        losses: (steps,) float64, the cross-entropy of each batch in nats.
        checkpoints: Oldest first; the last one is ``model``. Empty unless asked for.
        seconds: Wall time.
    """

    model: DigitCNN
    accuracy: float
    held_out_accuracy: float | None
    losses: NDArray[np.float64]
    checkpoints: list[Checkpoint] = field(default_factory=list)
    seconds: float = 0.0


def train(
    data: Digits,
    *,
    embedding_dim: int = 64,
    epochs: int = 5,
    batch_size: int = 128,
    learning_rate: float = 1e-2,
    share_held_out: float = 0.0,
    checkpoint_every: int = 0,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: bool = True,
) -> Training:
    """Train a :class:`DigitCNN` with cross-entropy and Adam under a one-cycle learning rate.

    Deterministic for a seed on one machine with one number of torch threads, which the function
    leaves as it is; torch's global random state is as before afterwards. Two sets of equal length
    are seen with the same initial weights and in the same order under the same seed, so that models
    of relabelled images differ by their labels alone.

    5,000 images and 5 epochs take seconds on two cores.

    Args:
        data: Images and labels.
        embedding_dim: Length of the embedding.
        epochs: Passes over the images.
        batch_size: Images per step; the last batch of an epoch is shorter.
        learning_rate: The highest of the cycle.
        share_held_out: Share of images not trained on, see :func:`diptych.rdx.data.held_out`.
        checkpoint_every: Keep the state and accuracy every so many steps, and after the last;
            0 for never.
        seed: Of the initial weights, the order of images and the held-out part.
        device: Where to train.
        progress: Show a progress bar once two seconds have passed.

    Raises:
        ValueError: There are no images, a number is out of range, or a loss is not finite.
    """
    _check(data, epochs, batch_size, learning_rate, share_held_out, checkpoint_every)
    began = time.perf_counter()
    rest = None
    if share_held_out:
        data, rest = held_out(data, share_held_out, seed=seed)
    images, labels = to_input(data.images, device), torch.tensor(data.labels, device=device)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = DigitCNN(len(data.classes), embedding_dim).to(device)
    steps = epochs * -(-len(data) // batch_size)
    checkpoints: list[Checkpoint] = []

    def keep(step: int) -> None:
        if checkpoint_every and (step % checkpoint_every == 0 or step == steps):
            checkpoints.append(_checkpoint(model, step, images, labels))

    losses = fit_classifier(
        model,
        images,
        labels,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        progress=progress,
        after_step=keep,
    )
    unseen = None
    if rest is not None:
        unseen = accuracy(model, to_input(rest.images, device), torch.tensor(rest.labels, device=device))
    return Training(
        model=model.eval(),
        accuracy=checkpoints[-1].accuracy if checkpoints else accuracy(model, images, labels),
        held_out_accuracy=unseen,
        losses=losses,
        checkpoints=checkpoints,
        seconds=time.perf_counter() - began,
    )


def nearest_checkpoint(training: Training, accuracy: float) -> Checkpoint:
    """The checkpoint whose accuracy is nearest; of equally near ones the latest.

    Raises:
        ValueError: The training kept no checkpoints.
    """
    if not training.checkpoints:
        raise ValueError("training: expected checkpoints, found none; train with checkpoint_every=1")
    return min(training.checkpoints, key=lambda point: (abs(point.accuracy - accuracy), -point.step))


def restored(training: Training, checkpoint: Checkpoint) -> DigitCNN:
    """A network of the training's shape with the checkpoint's state, in evaluation mode."""
    head = training.model.head
    first = training.model.features[0]
    assert isinstance(first, nn.Conv2d)
    model = DigitCNN(head.out_features, head.in_features, first.out_channels).to(head.weight.device)
    model.load_state_dict(checkpoint.state)
    return model.eval()


def embed(model: DigitCNN, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, 28, 28) uint8 images to (n, embedding_dim) float32, in evaluation mode, batch by batch.

    Raises:
        ValueError: The images have another shape.
        TypeError: The images are not uint8.
    """
    inputs = to_input(images, model.head.weight.device)
    return in_batches(model, model.embed, inputs).cpu().numpy()


def _check(
    data: Digits,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    share_held_out: float,
    checkpoint_every: int,
) -> None:
    if not len(data):
        raise ValueError("data: expected at least one image, found none")
    check_training(epochs, batch_size, learning_rate)
    if checkpoint_every < 0:
        raise ValueError(f"checkpoint_every: expected at least 0, found {checkpoint_every}")
    if not 0 <= share_held_out < 1:
        raise ValueError(f"share_held_out: expected 0 or more and below 1, found {share_held_out}")


def _checkpoint(model: DigitCNN, step: int, images: Tensor, labels: Tensor) -> Checkpoint:
    state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    return Checkpoint(step, accuracy(model, images, labels), state)
