"""The stem: AlexNet's first two convolutions, drawn or as ImageNet taught them."""

from typing import Any, Literal

from torch import nn

from diptych.embed._extras import require
from diptych.embed.torchvision_weights import at_hand, fetched


def empty_stem() -> nn.Sequential:
    """The layers with weights drawn from torch's generator: (n, 3, 244, 244) to (n, 192, 29, 29)."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
    )


def imagenet_stem() -> nn.Sequential:
    """The layers with torchvision's weights, from its cache or, failing that, from where it has them.

    Raises:
        ModuleNotFoundError: torchvision is not installed.
        OSError: The weights are neither at hand nor to be had.
    """
    weights = fetched(_weights(), 'stem="imagenet": AlexNet\'s weights')
    stem = empty_stem()
    stem.load_state_dict({f"{i}.{kind}": weights[f"features.{i}.{kind}"] for i, kind in _CONVOLUTIONS})
    return stem


def imagenet_at_hand() -> bool:
    """Whether torchvision's weights lie in torch's cache, so that nothing need be downloaded for them."""
    try:
        return at_hand(_weights())
    except ModuleNotFoundError:
        return False


def stem_at_hand() -> Literal["imagenet", "random"]:
    """What a network stands on where nothing is asked for."""
    return "imagenet" if imagenet_at_hand() else "random"


_CONVOLUTIONS = [(layer, kind) for layer in (0, 3) for kind in ("weight", "bias")]


def _weights() -> Any:
    return require("torchvision.models").AlexNet_Weights.IMAGENET1K_V1
