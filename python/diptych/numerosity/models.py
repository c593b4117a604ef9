"""NumberNet: a Siamese network that names the action between two scenes."""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from diptych._files import atomic_path
from diptych.numerosity.actions import ACTIONS
from diptych.numerosity.schedule import Epoch
from diptych.numerosity.stem import imagenet_stem, random_stem
from diptych.ops import _checks

Stem = Literal["imagenet", "random", "trained"]

_FORMAT = 1
_META = "diptych.numerosity"

# Channel means and deviations of ImageNet, as torchvision's models take them.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# Scenes that the CPU embeds at once. Larger maps than those of 32, 29 MB, glibc gives back to the system each
# time, and their pages are fetched anew: a seventh of a step.
_AT_ONCE = 32


@dataclass(frozen=True)
class Architecture:
    """What a :class:`NumberNet` is made of.

    Attributes:
        dimension: Width of the embedding, 1 to 256.
        stem: Where the first two convolutions come from: ``"imagenet"``, AlexNet's as torchvision has them,
            frozen; ``"random"``, drawn and frozen; ``"trained"``, drawn and trained with the rest.
        normalize: Whether pixels are normalised by ImageNet's channel means and deviations first.
        size: Height and width of the scenes in pixels.
        seed: Of the weights.
    """

    dimension: int = 2
    stem: Stem = "random"
    normalize: bool = False
    size: int = 244
    seed: int = 0

    def __post_init__(self) -> None:
        _checks.integer("dimension", self.dimension, 1, 256)
        _checks.one_of("stem", self.stem, get_args(Stem))
        _checks.integer("size", self.size, 1)
        _checks.seed(self.seed)
        if self.map_size < 1:
            raise ValueError(f"size: expected at least 39 pixels, found {self.size}")

    @property
    def map_size(self) -> int:
        """Height and width of the last map, which the embedding is computed of: 7 for 244 pixels."""
        convolved = (self.size + 4 - 11) // 4 + 1
        pooled = (convolved - 3) // 2 + 1
        return pooled // 4


class NumberNet(nn.Module):
    """A frozen stem, an embedding of one scene, and a classifier of the action between two.

    The stem is AlexNet's first two convolutions with their ReLUs and the pool between them (Krizhevsky 2014,
    arXiv 1404.5997, the network of torchvision), ending before the second pool: 244 x 244 pixels become 192
    maps of 29 x 29. The embedding is convolution 5 x 5 to 256 maps, PReLU, pool; 3 x 3 to 128 maps, PReLU,
    pool; a linear map to d numbers, PReLU, and another. The classifier sees both embeddings side by side:
    PReLU, a linear map to 256 numbers, one to the three actions, log-softmax. It is no more than that, so
    the embedding itself must hold numbers in a way from which their difference can be read (Kondapaneni &
    Perona, Scientific Reports 14:6858, 2024).

    Args:
        architecture: What it is made of.

    Attributes:
        schedule: What it was trained on and how, as JSON can hold it; None before.
        history: What each epoch of its training came to.

    Raises:
        ModuleNotFoundError: ``stem="imagenet"`` without torchvision.
        OSError: ``stem="imagenet"``, and its weights are neither at hand nor to be had.

    Complexity:
        2.9 GFLOP a scene forward at 244 pixels, 72 % of them in the convolution to 256 maps; 2.3 more to
        train on a frozen stem.
    """

    def __init__(self, architecture: Architecture = Architecture()) -> None:
        super().__init__()
        self.architecture = architecture
        self.mean: torch.Tensor
        self.deviation: torch.Tensor
        self.schedule: dict[str, Any] | None = None
        self.history: tuple[Epoch, ...] = ()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(architecture.seed)
            self.stem = imagenet_stem() if architecture.stem == "imagenet" else random_stem()
            self.embedding = nn.Sequential(
                nn.Conv2d(192, 256, 5, padding=2),
                nn.PReLU(),
                nn.MaxPool2d(2),
                nn.Conv2d(256, 128, 3, padding=1),
                nn.PReLU(),
                nn.MaxPool2d(2),
                nn.Flatten(),
            )
            d = architecture.dimension
            self.position = nn.Sequential(
                nn.Linear(128 * architecture.map_size**2, d), nn.PReLU(), nn.Linear(d, d)
            )
            self.classifier = nn.Sequential(
                nn.PReLU(), nn.Linear(2 * d, 256), nn.Linear(256, len(ACTIONS)), nn.LogSoftmax(dim=1)
            )
        self.stem.requires_grad_(architecture.stem == "trained")
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(_DEVIATION).view(1, 3, 1, 1), persistent=False)
        # Channels last is what convolutions on the CPU and tensor cores read.
        self.to(memory_format=torch.channels_last)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.mean.device

    def embed(self, scenes: torch.Tensor) -> torch.Tensor:
        """Embed scenes.

        Args:
            scenes: (n, 1, size, size) or (n, 3, size, size), float32 in 0..1 or uint8; one channel is
                repeated.

        Returns:
            (n, d) float32, differentiable.

        Raises:
            TypeError: Another dtype.
            ValueError: Another shape.
        """
        if scenes.dtype not in (torch.float32, torch.uint8):
            raise TypeError(f"scenes: expected float32 or uint8, found {scenes.dtype}")
        size = self.architecture.size
        if scenes.ndim != 4 or scenes.shape[1] not in (1, 3) or scenes.shape[2:] != (size, size):
            raise ValueError(
                f"scenes: expected (n, 1, {size}, {size}) or (n, 3, {size}, {size}), "
                f"found {tuple(scenes.shape)}"
            )
        if scenes.device.type != "cpu":
            return self._positions(scenes)
        return torch.cat([self._positions(each) for each in scenes.split(_AT_ONCE)])

    def _positions(self, scenes: torch.Tensor) -> torch.Tensor:
        if scenes.dtype == torch.uint8:
            scenes = scenes.float() / 255
        scenes = scenes.expand(-1, 3, -1, -1)
        if self.architecture.normalize:
            scenes = (scenes - self.mean) / self.deviation
        scenes = scenes.contiguous(memory_format=torch.channels_last)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.architecture.stem == "trained"):
            maps = self.stem(scenes)
        flat = self.embedding(maps)
        # Few numbers that must be told apart finely: in full precision also where convolutions are not.
        with torch.autocast(flat.device.type, enabled=False):
            return self.position(flat.float())

    def classify(self, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of put, take and shake between two embeddings.

        Args:
            before: (n, d) embeddings.
            after: (n, d) embeddings.

        Returns:
            (n, 3) float32.
        """
        with torch.autocast(before.device.type, enabled=False):
            return self.classifier(torch.cat([before.float(), after.float()], dim=1))

    def forward(self, scenes: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of the actions between each scene of a sequence and the next.

        Every scene is embedded once, though all but the first and the last belong to two pairs.

        Args:
            scenes: (n + 1, 1 or 3, size, size), as :meth:`embed` takes them.

        Returns:
            (n, 3) float32.
        """
        positions = self.embed(scenes)
        return self.classify(positions[:-1], positions[1:])

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write weights, architecture and history to a .safetensors file, whole or not at all."""
        said = {
            "format": _FORMAT,
            "architecture": asdict(self.architecture),
            "schedule": self.schedule,
            "history": [asdict(each) for each in self.history],
        }
        state = {
            name: each.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, each in self.state_dict().items()
        }
        with atomic_path(path) as temporary:
            save_file(state, temporary, {_META: json.dumps(said)})
        return Path(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "NumberNet":
        """Read what :meth:`save` wrote, in evaluation mode; nothing is unpickled.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is damaged, or holds something else.
        """
        said = _said(path)
        architecture = Architecture(**said["architecture"])
        # The weights of ImageNet need not be found anew to be read.
        net = cls(replace(architecture, stem="random"))
        net.architecture, net.schedule = architecture, said["schedule"]
        net.history = tuple(Epoch(**each) for each in said["history"])
        net.stem.requires_grad_(architecture.stem == "trained")
        try:
            net.load_state_dict(load_file(path))
        except (RuntimeError, SafetensorError) as error:
            raise ValueError(f"{path}: not the weights of a NumberNet: {error}") from error
        return net.eval()


def _said(path: str | os.PathLike[str]) -> dict[str, Any]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            said = json.loads((file.metadata() or {})[_META])
        if said["format"] > _FORMAT:
            raise ValueError(f"it has format {said['format']}, this version reads {_FORMAT}")
        Architecture(**said["architecture"])
        [Epoch(**each) for each in said["history"]]
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a saved NumberNet: {error}") from error
    return said
