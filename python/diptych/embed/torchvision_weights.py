"""Weights that torchvision gives its networks: whether they are at hand, and how they are had."""

from pathlib import Path
from typing import Any

import torch


def at_hand(weights: Any) -> bool:
    """Whether weights lie in torch's cache, so that nothing need be downloaded for them.

    Args:
        weights: A member of one of torchvision's enumerations of weights.
    """
    return (Path(torch.hub.get_dir()) / "checkpoints" / str(weights.url).rpartition("/")[2]).is_file()


def fetched(weights: Any, asked: str) -> dict[str, torch.Tensor]:
    """Weights by name, from torch's cache or, failing that, from where torchvision has them.

    Args:
        weights: A member of one of torchvision's enumerations of weights.
        asked: What errors say was asked for.

    Raises:
        OSError: They are neither at hand nor to be had.
    """
    try:
        return dict(weights.get_state_dict(progress=True, check_hash=True, weights_only=True))
    except OSError as error:
        raise OSError(f"{asked} could not be had: {error}") from error
