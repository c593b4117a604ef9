"""The head of a network: what turns the activations of a layer into class logits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from diptych.ops import _checks
from diptych.ops._arrays import Array, to_tensor

#: A module or function from (n, d) activations to (n, c) logits, or the (weight (c, d), bias (c,) or None) of
#: a linear one.
Head: TypeAlias = Callable[[Tensor], Tensor] | tuple[Array, Array | None]


@dataclass(frozen=True)
class LinearHead:
    """Logits A Hᵀ + b.

    Attributes:
        weight: (c, d) H, as it was given but on the activations' device.
        bias: (c,) b, likewise, or None.
    """

    weight: Tensor
    bias: Tensor | None

    def row(self, target: int) -> Tensor:
        """(d,) float64 weights of one class; the others are not looked at.

        Raises:
            TypeError: ``target`` is no integer.
            ValueError: There is no such class, or its weights are not finite.
        """
        check_target(target, len(self.weight))
        row = self.weight[target].double()
        _checks.finite("head: weight", row[None])
        return row

    def in_float64(self) -> tuple[Tensor, Tensor]:
        """(c, d) H and (c,) b in float64.

        Raises:
            ValueError: They are not finite.
        """
        weight = self.weight.double()
        _checks.finite("head: weight", weight)
        if self.bias is None:
            return weight, weight.new_zeros(len(weight))
        bias = self.bias.double()
        _checks.finite("head: bias", bias)
        return weight, bias


@dataclass(frozen=True)
class GeneralHead:
    """A head of which nothing is known but its logits.

    Attributes:
        function: From (n, d) to (n, c); a patch' logits depend on that patch alone.
        device: Where it computes.
        dtype: In which it computes.
    """

    function: Callable[[Tensor], Tensor]
    device: torch.device
    dtype: torch.dtype

    def logits(self, activations: Tensor) -> Tensor:
        """(n, d) activations on its device and in its dtype to (n, c) logits.

        Raises:
            TypeError: The head returned no tensor.
            ValueError: The head returned another shape, NaN or Inf.
        """
        logits = self.function(activations)
        if not isinstance(logits, Tensor):
            raise TypeError(f"head: expected a torch tensor of logits, found {type(logits).__name__}")
        if logits.ndim != 2 or len(logits) != len(activations) or not logits.shape[1]:
            raise ValueError(
                f"head: expected logits ({len(activations)}, c) of {len(activations)} patches, found shape "
                f"{tuple(logits.shape)}"
            )
        _checks.finite("head: logits", logits)
        return logits


def as_head(head: Head, width: int, device: torch.device, dtype: torch.dtype) -> LinearHead | GeneralHead:
    """Tell a linear head from any other, and check it.

    Args:
        head: What the user gave.
        width: d, of the activations.
        device: Of the activations; a linear head goes there, a function without parameters computes there.
        dtype: Of the activations; a function without parameters computes in it.

    Raises:
        TypeError: Neither a callable nor a pair of arrays.
        ValueError: A linear head's shapes do not match.
    """
    if isinstance(head, nn.Linear):
        return _linear(head.weight, head.bias, width, device)
    if isinstance(head, tuple) and len(head) == 2:
        return _linear(head[0], head[1], width, device)
    if not callable(head):
        raise TypeError(
            f"head: expected a module, a function or a pair (weight, bias), found {type(head).__name__}"
        )
    if isinstance(head, nn.Module):
        for parameter in head.parameters():
            if parameter.is_floating_point():
                return GeneralHead(head, parameter.device, parameter.dtype)
    return GeneralHead(head, device, dtype)


@contextmanager
def evaluating(head: Any) -> Iterator[None]:
    """Put a module into evaluation mode, and each of its parts back into its own mode afterwards."""
    modules = list(head.modules()) if isinstance(head, nn.Module) else []
    before = [module.training for module in modules]
    try:
        for module in modules:
            module.training = False
        yield
    finally:
        for module, training in zip(modules, before, strict=True):
            module.training = training


def check_target(target: int, classes: int) -> None:
    """Demand the number of a class.

    Raises:
        TypeError: No integer.
        ValueError: There is no such class.
    """
    _checks.integer("target", target, 0, classes - 1)


def _linear(weight: Array, bias: Array | None, width: int, device: torch.device) -> LinearHead:
    matrix = to_tensor("head: weight", weight).detach().to(device)
    if matrix.ndim != 2 or matrix.shape[1] != width or not len(matrix):
        raise ValueError(f"head: expected a weight (c, {width}), found shape {tuple(matrix.shape)}")
    if bias is None:
        return LinearHead(matrix, None)
    vector = to_tensor("head: bias", bias).detach().to(device)
    if vector.shape != matrix.shape[:1]:
        raise ValueError(f"head: expected a bias ({len(matrix)},), found shape {tuple(vector.shape)}")
    return LinearHead(matrix, vector)
