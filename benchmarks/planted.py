"""Two representations of many items with differences that are known, for benchmarks of any size."""

import torch

CLASSES, FAMILIES, FACTORS = 40, 10, 16


def planted_pair(n: int, d: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings (n, d) float32 of items of 40 classes in 10 families.

    The first tells the classes of families 0 to 4 apart and sees the others' as one, the second the other way
    round; both share what is left, and each adds noise of its own.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    classes = torch.randint(0, CLASSES, (n,), generator=generator)
    families = classes // (CLASSES // FAMILIES)
    of_family, of_class = 2 * normal(FAMILIES, FACTORS), 1.5 * normal(CLASSES, FACTORS)
    first = families < FAMILIES // 2
    shared = 0.5 * normal(n, FACTORS)

    def side(told_apart: torch.Tensor) -> torch.Tensor:
        factors = of_family[families] + of_class[classes] * told_apart[:, None] + 0.7 * normal(n, FACTORS)
        both = torch.cat([factors, shared], 1)
        return both @ normal(2 * FACTORS, d) / (2 * FACTORS) ** 0.5 + 0.3 * normal(n, d)

    return side(first), torch.tanh(side(~first))
