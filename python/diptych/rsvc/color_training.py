"""Training the networks of the color MNIST experiments; what is trained stays on disk."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from diptych._files import atomic_path
from diptych.embed.patches import PatchGrid, concept_patches
from diptych.embed.training import fit_classifier, in_batches
from diptych.ops import _checks
from diptych.rsvc.color_mnist import CLASSES, ColorDigits
from diptych.rsvc.color_models import ColorCNN, to_input

_BATCH_SIZE = 64
_LEARNING_RATE = 3e-3


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        depth: Convolutions, at least 4.
        epochs: Passes over the images, at least 1.
        n_classes: Outputs of the head.
        seed: Of the initial weights and the order of images.

    Raises:
        ValueError: A number out of range.
        TypeError: No whole number.
    """

    depth: int = 4
    epochs: int = 12
    n_classes: int = CLASSES
    seed: int = 0

    def __post_init__(self) -> None:
        _checks.integer("depth", self.depth, 4)
        _checks.integer("epochs", self.epochs, 1)
        _checks.integer("n_classes", self.n_classes, 1)
        _checks.seed(self.seed)


def trained(
    data: ColorDigits,
    recipe: Recipe,
    *,
    name: str,
    start: ColorCNN | None = None,
    path: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> ColorCNN:
    """Train a network, or read it where it has been trained before.

    Deterministic for a recipe on one machine with one number of torch threads; torch's global random state
    is as before afterwards.

    Args:
        data: Images and their classes.
        recipe: How to train.
        name: What to call the network in the progress bar.
        start: Begin with the convolutions of this network; the head is always new.
        path: A .safetensors file of weights: read if it is there, else written when training is done.
        progress: Show a progress bar with the expected end once two seconds have passed.

    Returns:
        The network, in evaluation mode.

    Raises:
        ValueError: The file holds weights of another recipe, or is damaged.
    """
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        model = ColorCNN(recipe.n_classes, recipe.depth)
    # Also for weights that are read: sums in another order would give other activations, in the last bits.
    model = model.to(memory_format=torch.channels_last)
    if path is not None and Path(path).exists():
        return _read(Path(path), recipe, model)
    if start is not None:
        model.features.load_state_dict(start.features.state_dict())
    inputs = to_input(data.images).contiguous(memory_format=torch.channels_last)
    fit_classifier(
        model,
        inputs,
        torch.from_numpy(data.labels),
        epochs=recipe.epochs,
        batch_size=_BATCH_SIZE,
        learning_rate=_LEARNING_RATE,
        seed=recipe.seed,
        description=f"training {name}",
        progress=progress,
    )
    if path is not None:
        _write(Path(path), recipe, model)
    return model.eval()


def patch_activations(model: ColorCNN, data: ColorDigits, grid: PatchGrid) -> NDArray[np.float32]:
    """Activations of the patches of each image, (n · grid², 128), at least 0, image by image."""

    def embed(images: torch.Tensor) -> torch.Tensor:
        return model.embed(concept_patches(images, grid))

    return in_batches(model, embed, to_input(data.images), batch_size=32).numpy()


def predicted(model: ColorCNN, data: ColorDigits) -> NDArray[np.int64]:
    """The class of the largest logit of each image, (n,)."""
    return in_batches(model, model.forward, to_input(data.images)).argmax(1).numpy()


def _write(path: Path, recipe: Recipe, model: ColorCNN) -> None:
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(state, temporary, {"recipe": json.dumps(asdict(recipe))})


def _read(path: Path, recipe: Recipe, model: ColorCNN) -> ColorCNN:
    try:
        with safe_open(path, framework="pt") as file:
            found: dict[str, Any] = json.loads((file.metadata() or {}).get("recipe", "{}"))
            if found != asdict(recipe):
                raise ValueError(
                    f"{path}: expected weights of {asdict(recipe)}, found {found or 'no recipe'}"
                )
            model.load_state_dict({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
    except (SafetensorError, RuntimeError, OSError) as error:
        raise ValueError(f"{path}: damaged, remove it to have the network trained again: {error}") from error
    return model.eval()
