"""Training small image classifiers, the same way in every experiment."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diptych._progress import track

_EVALUATION_BATCH = 500


def fit_classifier(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    description: str = "training",
    progress: bool = True,
    after_step: Callable[[int], None] | None = None,
) -> NDArray[np.float64]:
    """Train a classifier with cross-entropy and Adam under a one-cycle learning rate.

    Deterministic for a seed on one machine with one number of torch threads. Two sets of equal length are
    seen in the same order under the same seed.

    Args:
        model: From inputs to (n, classes) logits; trained where it is, left in training mode.
        inputs: (n, ...) what the model takes, on its device.
        labels: (n,) int64 classes, on the same device.
        epochs: Passes over the inputs, at least 1.
        batch_size: Inputs per step, at least 1; the last batch of an epoch is shorter.
        learning_rate: The highest of the cycle, above 0.
        seed: Of the order of the inputs.
        description: Of the progress bar.
        progress: Show a progress bar with the expected end once two seconds have passed.
        after_step: Called with the number of each step, from 1, after it.

    Returns:
        (steps,) the cross-entropy of each batch in nats.

    Raises:
        ValueError: A number is out of range, or a loss is not finite.
    """
    check_training(epochs, batch_size, learning_rate)
    steps = epochs * -(-len(inputs) // batch_size)
    optimiser = torch.optim.Adam(model.parameters(), learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=steps)
    batches = _batches(len(inputs), batch_size, epochs, seed)
    losses: list[float] = []
    for step in track(range(1, steps + 1), description, shown=progress):
        batch = next(batches)
        model.train()
        loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if not np.isfinite(losses[-1]):
            raise ValueError(f"learning_rate: {learning_rate} made the loss {losses[-1]}")
        if after_step is not None:
            after_step(step)
    return np.array(losses)


def check_training(epochs: int, batch_size: int, learning_rate: float) -> None:
    """Refuse numbers that :func:`fit_classifier` cannot train with."""
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, found {value}")
    if not (np.isfinite(learning_rate) and learning_rate > 0):
        raise ValueError(f"learning_rate: expected a number above 0, found {learning_rate}")


def accuracy(model: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """The share of inputs whose largest logit is their label's, in evaluation mode."""
    predicted = in_batches(model, model.forward, inputs).argmax(1)
    return float((predicted == labels).double().mean())


@torch.no_grad()
def in_batches(
    model: nn.Module,
    function: Callable[[Tensor], Tensor],
    inputs: Tensor,
    *,
    batch_size: int = _EVALUATION_BATCH,
) -> Tensor:
    """What a function of the model gives for inputs, in evaluation mode, batch by batch."""
    model.eval()
    return torch.cat([function(batch) for batch in inputs.split(batch_size)])


def _batches(n: int, batch_size: int, epochs: int, seed: int) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        yield from torch.randperm(n, generator=generator).split(batch_size)
