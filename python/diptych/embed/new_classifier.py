"""Giving a network a new classifier, for other classes than it was trained on."""

import copy
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch

from diptych.embed.models import ImageModel, classifier_path


def with_new_classifier(model: ImageModel, classes: int) -> ImageModel:
    """Copy a model, with a linear classifier of its own whose weights are zero.

    timm's models make it themselves (``reset_classifier``), also where the model had none; of others the
    linear layer at ``ImageModel.classifier`` is replaced. Starting at zero nothing is drawn at random, and
    a first step of training moves the classifier before it moves the backbone (as Dosovitskiy et al. 2021
    fine-tune, arXiv 2010.11929).

    Args:
        model: The model; it stays as it is.
        classes: Outputs, at least 1.

    Returns:
        The copy, on the device and with the preprocessing of the model.

    Raises:
        ValueError: The classifier is unknown, or it is not one linear layer with a bias.
    """
    path = model.classifier
    if path is None:
        raise ValueError(
            f"classifier: unknown in {model.name}; give load_model its module path, as classifier='fc'"
        )
    module = copy.deepcopy(model.module)
    reset = getattr(module, "reset_classifier", None)
    if callable(reset):
        with forked_rng(model.device):
            reset(classes)
        path = classifier_path(module) or path
    else:
        old = model.head()
        new = torch.nn.Linear(old.in_features, classes, device="meta", dtype=old.weight.dtype).to_empty(
            device=old.weight.device
        )
        parent, _, name = path.rpartition(".")
        setattr(module.get_submodule(parent), name, new)
    made = replace(model, module=module, classifier=path)
    head = made.head()
    if head.bias is None:
        raise ValueError(f"classifier: expected a bias in that of {model.name}, found none")
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
    return made


def forked_rng(device: torch.device) -> AbstractContextManager[Any]:
    """Put torch's random state, of the CPU and of this device, back afterwards."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])
