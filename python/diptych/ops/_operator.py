"""Affinities that are no matrix in memory, but can be multiplied."""

from typing import Any, Protocol, TypeGuard

import torch


class AffinityOperator(Protocol):
    """What spectral methods need of a symmetric (n, n) affinity; a torch tensor has it all."""

    @property
    def shape(self) -> Any: ...

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def device(self) -> torch.device: ...

    def diagonal(self) -> torch.Tensor:
        """The diagonal, (n,)."""

    def __matmul__(self, x: torch.Tensor) -> torch.Tensor:
        """The product with vectors (n, k) of the affinity's dtype and device, (n, k)."""


def is_operator(value: Any) -> TypeGuard[AffinityOperator]:
    """Whether a value is an operator on torch tensors and no array."""
    multiplies = hasattr(value, "__matmul__") and hasattr(value, "diagonal") and hasattr(value, "shape")
    device = getattr(value, "device", None)
    return multiplies and isinstance(device, torch.device) and not isinstance(value, torch.Tensor)
