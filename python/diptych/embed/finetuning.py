"""Training all weights of an image model with a new classifier, resumed after any epoch."""

import math
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from diptych._checkpoint import Checkpoint
from diptych._progress import Stages
from diptych.embed.augmentation import RandomCrop
from diptych.embed.forward import autocast
from diptych.embed.images import ImageSet
from diptych.embed.models import ImageModel
from diptych.embed.new_classifier import forked_rng
from diptych.embed.reading import read_ahead, stacked
from diptych.ops import _checks

if TYPE_CHECKING:
    from PIL.Image import Image

#: The part of a checkpoint that training keeps.
TRAINING = "training"


@dataclass(frozen=True)
class Recipe:
    """How a network is fine-tuned.

    AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101); learning rates rise linearly over the first steps and
    fall along a half cosine to 0. Biases and normalisations, of one dimension, do not decay.

    Attributes:
        epochs: Passes over the images, at least 1.
        batch_size: Images of a step. Batches of an epoch are as equal as can be, and none is larger.
        learning_rate: The highest of the classifier, above 0.
        backbone_rate: Of all other weights, as a share of the classifier's; above 0.
        weight_decay: Decoupled, at least 0.
        warmup: Share of the steps over which learning rates rise, below 1.
        label_smoothing: Share of each label's weight that is spread over all classes, below 1.
        crop: What is done to an image before the model's own preprocessing.
        seed: Of the order of images, what is done to them, and dropout.

    Raises:
        TypeError: No number.
        ValueError: A number out of range.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    backbone_rate: float
    weight_decay: float
    warmup: float
    label_smoothing: float
    crop: RandomCrop
    seed: int

    def __post_init__(self) -> None:
        _checks.integer("epochs", self.epochs, 1)
        _checks.integer("batch_size", self.batch_size, 1)
        _checks.positive("learning_rate", self.learning_rate)
        _checks.positive("backbone_rate", self.backbone_rate)
        _checks.not_negative("weight_decay", self.weight_decay)
        for name in ("warmup", "label_smoothing"):
            _checks.not_negative(name, value := getattr(self, name))
            if value >= 1:
                raise ValueError(f"{name}: expected a share below 1, found {value}")
        _checks.seed(self.seed)

    def rate(self, step: int, steps: int) -> float:
        """The factor of the learning rates at a step, of 0 to steps - 1."""
        rising = round(self.warmup * steps)
        if step < rising:
            return (step + 1) / (rising + 1)
        return (1 + math.cos(math.pi * (step - rising) / (steps - rising))) / 2


@dataclass(frozen=True)
class Epoch:
    """What a pass over the images came to.

    Attributes:
        epoch: Its number, from 1.
        loss: Mean cross-entropy of the images trained on, in nats, while it was trained.
        accuracy: Share of the validation images classified rightly after it; NaN without any.
    """

    epoch: int
    loss: float
    accuracy: float


def train_network(
    model: ImageModel,
    images: ImageSet,
    labels: NDArray[np.int64],
    recipe: Recipe,
    *,
    precision: str = "float32",
    workers: int = 1,
    validate: Callable[[], float] | None = None,
    saved: Checkpoint | None = None,
    progress: bool = True,
) -> list[Epoch]:
    """Train the weights of a model that require gradients, with cross-entropy, where the model is.

    What is drawn at random depends on the seed, the epoch and the image alone, so that neither threads
    nor a stop between epochs change it: on one machine, with one number of torch threads, the weights are the
    same to the last bit, resumed or not. torch's random state is as before afterwards.

    Args:
        model: In float32; left in training mode.
        images: All readable.
        labels: (n,) classes, below the number of the classifier's outputs.
        recipe: How.
        precision: "float32", or "bfloat16" for autocast.
        workers: Threads that read images.
        validate: Gives the accuracy after an epoch.
        saved: Where each epoch's end is kept, and taken up.
        progress: Show a bar with the expected end once two seconds have passed.

    Returns:
        What each epoch came to.

    Raises:
        ValueError: The loss is not finite, an image cannot be read any more, preprocessed images of
            different sizes, or a damaged checkpoint.
    """
    device, optimiser = model.device, _optimiser(model, recipe)
    history: list[Epoch] = []
    kept = None if saved is None else saved.load(TRAINING)
    if kept is not None:
        history = _restore(kept, model.module, optimiser)
    names = {number: f"epoch {number + 1} of {recipe.epochs}" for number in range(recipe.epochs)}
    left = range(len(history), recipe.epochs)
    with Stages({names[number]: 1.0 for number in left}, enabled=progress) as bar, forked_rng(device):
        for number in left:
            bar.enter(names[number])
            one = _Pass(model, images, labels, recipe, device, precision, workers, number)
            loss = one.run(optimiser, bar)
            history.append(Epoch(number + 1, loss, math.nan if validate is None else validate()))
            if saved is not None:
                saved.save(TRAINING, **_state(model.module, optimiser, history))
    return history


@dataclass(frozen=True)
class _Pass:
    """One pass over the images."""

    model: ImageModel
    images: ImageSet
    labels: NDArray[np.int64]
    recipe: Recipe
    device: torch.device
    precision: str
    workers: int
    number: int

    def run(self, optimiser: torch.optim.Optimizer, bar: Stages) -> float:
        """Take the steps of this pass; returns the mean loss."""
        # Dropout draws from torch's own generators.
        torch.manual_seed(int(self._drawn().integers(2**63)))
        batches = self._batches()
        self.model.module.train()
        total = 0.0
        with closing(read_ahead(self.images, self._prepare, batches, self.workers)) as loads:
            for step, (batch, loaded) in enumerate(zip(batches, loads, strict=True)):
                rate = self.recipe.rate(self.number * len(batches) + step, self.recipe.epochs * len(batches))
                for group in optimiser.param_groups:
                    group["lr"] = rate * group["highest"]
                total += len(batch) * self._step(batch, loaded, optimiser)
                bar.advance(1 / len(batches))
        return total / len(self.images)

    def _step(
        self, batch: list[int], loaded: list[torch.Tensor | str], optimiser: torch.optim.Optimizer
    ) -> float:
        module = self.model.module
        inputs = stacked(self.images, self._tensors(batch, loaded), module, self.device)
        wanted = torch.from_numpy(self.labels[batch]).to(self.device)
        with autocast(self.device, self.precision):
            logits = module(inputs)
        loss = cross_entropy(logits.float(), wanted, label_smoothing=self.recipe.label_smoothing)
        value = loss.item()
        if not math.isfinite(value):
            raise ValueError(f"learning_rate: {self.recipe.learning_rate} made the loss {value}")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return value

    def _batches(self) -> list[list[int]]:
        """Random batches of equal length, or one less: a last one of a single image would stop BatchNorm."""
        n = len(self.images)
        order = self._drawn().permutation(n)
        return [part.tolist() for part in np.array_split(order, -(-n // self.recipe.batch_size))]

    def _prepare(self, image: "Image", item: int) -> torch.Tensor:
        return self.model.preprocess(self.recipe.crop(image, self._drawn(item)))

    def _drawn(self, *item: int) -> np.random.Generator:
        """A generator of this pass, or of an image in it."""
        return np.random.default_rng([self.recipe.seed, self.number, *(each + 1 for each in item)])

    def _tensors(self, batch: list[int], loaded: list[torch.Tensor | str]) -> dict[int, torch.Tensor]:
        tensors = {}
        for item, got in zip(batch, loaded, strict=True):
            if isinstance(got, str):
                raise ValueError(
                    f"images: {self.images.ids[item]} could be read before and cannot be now: {got}"
                )
            tensors[item] = got
        return tensors


def _optimiser(model: ImageModel, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW with four groups: the classifier and the rest, what decays and what does not."""
    head = {id(parameter) for parameter in model.head().parameters()}
    groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
    for parameter in model.module.parameters():
        if parameter.requires_grad:
            groups.setdefault((id(parameter) in head, parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "highest": recipe.learning_rate * (1.0 if in_head else recipe.backbone_rate),
                "weight_decay": recipe.weight_decay if decays else 0.0,
            }
            for (in_head, decays), parameters in groups.items()
        ],
        recipe.learning_rate,
    )


def _state(
    module: torch.nn.Module, optimiser: torch.optim.Optimizer, history: list[Epoch]
) -> dict[str, NDArray[Any]]:
    """All that the next epoch depends on."""
    arrays = {f"weights.{name}": tensor.numpy(force=True) for name, tensor in module.state_dict().items()}
    for number, values in optimiser.state_dict()["state"].items():
        arrays |= {f"optimiser.{number}.{name}": value.numpy(force=True) for name, value in values.items()}
    return arrays | {"history": np.array([astuple(each) for each in history], np.float64)}


def _restore(
    kept: Mapping[str, NDArray[Any]], module: torch.nn.Module, optimiser: torch.optim.Optimizer
) -> list[Epoch]:
    """Take up what :func:`_state` made."""
    weights: dict[str, torch.Tensor] = {}
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, array in kept.items():
        kind, _, name = key.partition(".")
        if kind == "weights":
            weights[name] = torch.tensor(array)
        elif kind == "optimiser":
            number, _, value = name.partition(".")
            state.setdefault(int(number), {})[value] = torch.tensor(array)
    module.load_state_dict(weights)
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return [Epoch(int(number), loss, accuracy) for number, loss, accuracy in kept["history"].tolist()]
