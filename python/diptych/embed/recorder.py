"""Hooks that keep the pooled outputs of several layers during one forward pass."""

from collections import Counter
from typing import Any

import torch

from diptych.embed.layers import EMBEDDING, LOGITS, call_of
from diptych.embed.models import ImageModel
from diptych.embed.pooling import pooled


class Recorder:
    """Runs a network and keeps what some of its layers put out; a context manager that owns the hooks.

    Outputs are pooled inside the hooks, into new memory: what follows a layer may change its output in place,
    as timm's ReLUs do to a normalisation's.

    Args:
        model: The network.
        layers: Layers, as :func:`diptych.embed.layers.resolve_layers` gives them.
        pooling: As :func:`diptych.embed.pooling.pooled` has it.

    Attributes:
        applied: What the pooling turned out to be, by layer, after a first pass.
    """

    def __init__(self, model: ImageModel, layers: list[str], pooling: str) -> None:
        self.applied: dict[str, str] = {}
        self._model, self._layers, self._pooling = model, layers, pooling
        self._paths = dict(model.module.named_modules(remove_duplicate=False))
        self._kept: dict[str, torch.Tensor] = {}
        self._calls: Counter[str] = Counter()
        self._n = 0
        self._hooks: list[Any] = []
        self._training: list[torch.nn.Module] = []

    def __enter__(self) -> "Recorder":
        module = self._model.module
        self._training = [each for each in module.modules() if each.training]
        module.eval()
        for path in dict.fromkeys(call_of(layer)[0] for layer in self._layers):
            if path in self._paths:
                self._hooks.append(self._paths[path].register_forward_hook(self._hook(path)))
            elif path == EMBEDDING:
                assert self._model.classifier is not None
                head = self._paths[self._model.classifier]
                self._hooks.append(head.register_forward_pre_hook(self._pre_hook))
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()
        for each in self._training:
            each.training = True

    def run(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        """Run the network once.

        Args:
            batch: (n, c, h, w), where the network is.

        Returns:
            (n, d) or (n, p, c) of each layer, float32.

        Raises:
            TypeError: A layer puts out something else than one floating-point tensor.
            ValueError: A layer is not called, or several times, or its output cannot be pooled.
        """
        self._kept, self._n = {}, len(batch)
        self._calls.clear()
        output = self._model.module(batch)
        if LOGITS in self._layers and LOGITS not in self._paths:
            self._calls[LOGITS] = 1
            self._keep(LOGITS, output)
        for layer in self._layers:
            self._check_calls(layer)
        return {layer: self._kept[layer] for layer in self._layers}

    def _hook(self, path: str) -> Any:
        def hook(_: torch.nn.Module, __: Any, output: Any) -> None:
            self._arrived(path, output)

        return hook

    def _pre_hook(self, _: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        self._arrived(EMBEDDING, inputs[0])

    def _arrived(self, path: str, output: Any) -> None:
        call = self._calls[path]
        self._calls[path] += 1
        if call == 0 and path in self._layers:
            self._keep(path, output)
        if f"{path}:{call}" in self._layers:
            self._keep(f"{path}:{call}", output)

    def _keep(self, layer: str, output: Any) -> None:
        if not isinstance(output, torch.Tensor):
            raise TypeError(
                f"layer {layer!r}: expected one tensor as its output, found {type(output).__name__}; choose "
                "a layer inside it"
            )
        if not output.is_floating_point():
            raise TypeError(f"layer {layer!r}: expected floating-point activations, found {output.dtype}")
        if output.ndim < 2 or len(output) != self._n:
            raise ValueError(
                f"layer {layer!r}: expected an output of {self._n} rows for {self._n} images, found shape "
                f"{tuple(output.shape)}; choose a layer that keeps images apart"
            )
        self._kept[layer], self.applied[layer] = pooled(layer, output, self._pooling, self._model)

    def _check_calls(self, layer: str) -> None:
        path, call = call_of(layer)
        calls = self._calls[path]
        if calls == 0:
            raise ValueError(f"layer {layer!r} is not called in a forward pass of {self._model.name}")
        if call is None and calls > 1:
            raise ValueError(
                f"layer {layer!r} is called {calls} times in a forward pass; choose one, from '{path}:0' to "
                f"'{path}:{calls - 1}'"
            )
        if call is not None and call >= calls:
            raise ValueError(
                f"layer {layer!r}: expected a call from 0 to {calls - 1}, as {path!r} is called {calls} "
                "times in a forward pass"
            )
