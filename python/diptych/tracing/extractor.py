"""From what is known of images to the features that learners' classifiers are of (Table 2.8)."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from diptych.embed._extras import require
from diptych.embed.checkpoints import load_weights, read_checkpoint
from diptych.embed.torchvision_weights import at_hand, fetched
from diptych.ops import _checks
from diptych.tracing.sequences import Sequences

#: Where features come from: known ones as they are or through a head that is learned, or a network.
Kind = Literal["known", "head", "resnet18"]

# Width of the head: Table 2.8 has 1204, a misprint of this.
_HEAD = 1024
# Side in pixels of images that are files, ImageNet's.
_SIDE = 224
# Channel means and deviations of ImageNet, as torchvision's models take them.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# What is embedded at once where no gradient is wanted.
_AT_ONCE = 64


class Extractor(nn.Module, ABC):
    """What every extractor is.

    Attributes:
        dimension: d, width of the features.
    """

    dimension: int

    @abstractmethod
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(k, d) features of k images."""

    @abstractmethod
    def described(self) -> dict[str, Any]:
        """What it is made of, as JSON can hold it: the arguments of :func:`made`."""

    @property
    def learned(self) -> bool:
        """Whether anything in it is learned."""
        return any(each.requires_grad for each in self.parameters())

    @torch.no_grad()
    def embed(self, inputs: torch.Tensor) -> torch.Tensor:
        """(k, d) features of any number of images, some at a time, where the weights are."""
        where = next(iter(self.state_dict().values())).device
        return torch.cat([self(each.to(where)) for each in inputs.split(_AT_ONCE)])


class Known(Extractor):
    """Known features, shifted and scaled to mean 0 and mean square 1, all by one number each per image set.

    Their geometry is kept: the shift is a vector, the scale one number for all.

    Args:
        inputs: D, width of the known features, and of these.
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.dimension = inputs
        self.mean: torch.Tensor
        self.scale: torch.Tensor
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(()))

    def measure(self, features: torch.Tensor) -> None:
        """Take shift and scale from features (m, D); those that are all alike are only shifted."""
        mean = features.double().mean(0)
        size = (features.double() - mean).square().mean().sqrt()
        self.mean.copy_(mean)
        self.scale.copy_(1 / size if size > 0 else torch.ones(()))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """From known features (k, D)."""
        return (inputs - self.mean) * self.scale

    @torch.no_grad()
    def embed(self, inputs: torch.Tensor) -> torch.Tensor:
        """All at once, for it takes no memory beside the features."""
        return self(inputs.to(self.mean.device))

    def described(self) -> dict[str, Any]:
        """By the width."""
        return {"kind": "known", "inputs": self.dimension}


class Head(Extractor):
    """Known features through the head that Table 2.8 puts on a network: 1024 numbers, PReLU, d numbers.

    Args:
        inputs: D, width of the known features.
        dimension: d.
    """

    def __init__(self, inputs: int, dimension: int) -> None:
        super().__init__()
        self.inputs, self.dimension = inputs, dimension
        self.known = Known(inputs)
        self.head = _head(inputs, dimension)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """From known features (k, D)."""
        return self.head(self.known(inputs))

    def described(self) -> dict[str, Any]:
        """By the widths."""
        return {"kind": "head", "inputs": self.inputs, "dimension": self.dimension}


class ResNet18(Extractor):
    """torchvision's ResNet-18 with the head of Table 2.8 in place of its classifier.

    Partially frozen: of the four groups of blocks, which is our reading, the last alone learns; and batch
    normalisation keeps the statistics that it came with, everywhere.

    Args:
        dimension: d.
        size: Side in pixels of the images.

    Raises:
        ModuleNotFoundError: torchvision is not installed.
    """

    def __init__(self, dimension: int, size: int = _SIDE) -> None:
        super().__init__()
        self.dimension, self.size = dimension, size
        net = require("torchvision.models").resnet18(weights=None)
        self.frozen = nn.Sequential(
            net.conv1, net.bn1, net.relu, net.maxpool, net.layer1, net.layer2, net.layer3
        ).requires_grad_(False)
        self.learns = nn.Sequential(net.layer4, net.avgpool, nn.Flatten())
        self.head = _head(512, dimension)
        self.mean: torch.Tensor
        self.deviation: torch.Tensor
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(_DEVIATION).view(1, 3, 1, 1), persistent=False)
        self.to(memory_format=torch.channels_last)
        self.train()

    def train(self, mode: bool = True) -> "ResNet18":
        """Batch normalisation is never in training."""
        super().train(mode)
        for part in (self.frozen, self.learns):
            part.eval()
        return self

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """From images (k, 3, size, size) uint8."""
        pixels = (inputs.float() / 255 - self.mean) / self.deviation
        with torch.no_grad():
            maps = self.frozen(pixels.contiguous(memory_format=torch.channels_last))
        return self.head(self.learns(maps))

    def load(self, weights: dict[str, torch.Tensor], where: str) -> None:
        """Take over weights by torchvision's names; those of the classifier are left out.

        Raises:
            ValueError: They are of another network; the message says what differs, and names ``where``.
        """
        net = require("torchvision.models").resnet18(weights=None)
        net.fc = nn.Identity()
        named = {name: each for name, each in weights.items() if not name.startswith("fc.")}
        load_weights(net, named, where)
        parts = [net.conv1, net.bn1, net.relu, net.maxpool, net.layer1, net.layer2, net.layer3]
        self.frozen.load_state_dict(nn.Sequential(*parts).state_dict())
        self.learns[0].load_state_dict(net.layer4.state_dict())

    def described(self) -> dict[str, Any]:
        """By width and size."""
        return {"kind": "resnet18", "dimension": self.dimension, "size": self.size}


def made(kind: Kind, **described: Any) -> Extractor:
    """An extractor as :meth:`Extractor.described` tells it, with weights drawn from torch's generator."""
    return {"known": Known, "head": Head, "resnet18": ResNet18}[kind](**described)


def extractor_for(
    sequences: Sequences,
    kind: Kind | None = None,
    *,
    dimension: int = 16,
    weights: str | Path | None = None,
    size: int | None = None,
    seed: int = 0,
) -> Extractor:
    """An extractor for the images of sequences, before any training.

    Args:
        sequences: Whose images.
        kind: ``"known"``, known features as they are; ``"head"``, known features through two layers that
            are learned; ``"resnet18"``, images through a ResNet-18 whose last blocks are learned. By default
            known features where there are some, else the network.
        dimension: d, width of the features of the last two, 1 to 1024; the thesis tries 8 to 64.
        weights: Of the network: ``"imagenet"``, torchvision's; ``"random"``, drawn; or a local file with
            torchvision's names (:func:`diptych.embed.checkpoints.read_checkpoint`). By default the first
            where they lie in torch's cache, else the second.
        size: Side in pixels that images are resized to for the network, at least 32; by default that of
            square images that are at hand as pixels, else 224.
        seed: Of what is drawn.

    Raises:
        FileNotFoundError: ``weights`` is a file that is not there.
        ModuleNotFoundError: torchvision is not installed.
        OSError: ``weights="imagenet"``, and they are neither at hand nor to be had.
        ValueError: Sequences without known features, or without images, where those are wanted; a number
            out of range; weights of another network; weights or a size where no network is.
    """
    kind = kind or ("known" if sequences.features is not None else "resnet18")
    _checks.one_of("extractor", kind, ("known", "head", "resnet18"))
    _checks.integer("dimension", dimension, 1, _HEAD)
    _checks.seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind == "resnet18":
            net = ResNet18(dimension, _side(sequences, size))
            _fill(net, weights)
            return net
        for name, given in (("weights", weights), ("size", size)):
            if given is not None:
                raise ValueError(f"{name}: expected none for known features, found {given!r}")
        known = torch.from_numpy(_known(sequences))
        if kind == "head":
            head = Head(known.shape[1], dimension)
            head.known.measure(known)
            return head
        alone = Known(known.shape[1])
        alone.measure(known)
        return alone


def inputs_of(sequences: Sequences, extractor: Extractor, progress: bool = True) -> torch.Tensor:
    """What an extractor takes of all images of sequences.

    Args:
        sequences: Whose images.
        extractor: Which takes them.
        progress: Show a bar on stderr while files are read.

    Returns:
        (m, D) float32 known features, or (m, 3, size, size) uint8 pixels.

    Complexity:
        Pixels are held in memory: 150 kB an image of 224 x 224.

    Raises:
        ValueError: The sequences have none such, or features of another width; a file that cannot be read.
    """
    if isinstance(extractor, ResNet18):
        return _pixels(sequences, extractor.size, progress)
    known = torch.from_numpy(_known(sequences))
    width = extractor.inputs if isinstance(extractor, Head) else extractor.dimension
    if known.shape[1] != width:
        raise ValueError(f"sequences: expected features of width {width}, found {known.shape[1]}")
    return known


def resized(images: Any, size: int, progress: bool = False) -> torch.Tensor:
    """Images of any source as (m, 3, size, size) uint8, bilinear and antialiased where they shrink."""
    from diptych._progress import track
    from diptych.embed.image_sources import open_images

    require("PIL")
    from PIL.Image import Resampling

    opened = open_images(images)
    pixels = np.empty((len(opened), 3, size, size), np.uint8)
    for item in track(range(len(opened)), "reading images", shown=progress):
        image = opened.read(item)
        if image.size != (size, size):
            image = image.resize((size, size), Resampling.BILINEAR)
        pixels[item] = np.asarray(image).transpose(2, 0, 1)
    return torch.from_numpy(pixels)


def _head(inputs: int, dimension: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, _HEAD), nn.PReLU(), nn.Linear(_HEAD, dimension))


def _known(sequences: Sequences) -> Any:
    if sequences.features is None:
        raise ValueError('extractor: expected sequences with known features, found none; try "resnet18"')
    return np.ascontiguousarray(sequences.features, np.float32)


def _side(sequences: Sequences, size: int | None) -> int:
    if size is not None:
        _checks.integer("size", size, 32)
        return size
    if sequences.images is not None and sequences.images.shape[1] == sequences.images.shape[2] >= 32:
        return int(sequences.images.shape[1])
    return _SIDE


def _pixels(sequences: Sequences, size: int, progress: bool) -> torch.Tensor:
    if sequences.images is not None:
        return resized(sequences.images, size, progress)
    if sequences.folder is None:
        raise ValueError("sequences: expected images or a folder of them, found neither")
    return resized([sequences.folder / name for name in sequences.items], size, progress)


def _fill(net: ResNet18, weights: str | Path | None) -> None:
    """Give a network its weights, which have been drawn."""
    if weights == "random" or (weights is None and not at_hand(_imagenet())):
        return
    if weights not in (None, "imagenet"):
        net.load(read_checkpoint(str(weights)), str(weights))
        return
    net.load(fetched(_imagenet(), 'weights="imagenet": ResNet-18\'s weights'), "imagenet")


def _imagenet() -> Any:
    return require("torchvision.models").ResNet18_Weights.IMAGENET1K_V1
