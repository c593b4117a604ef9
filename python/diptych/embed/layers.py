"""Layers of a network by module path, and the sets of them that comparisons use, by name."""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import torch

from diptych.embed.models import ImageModel

#: A layer, a set of them, or several of either.
LayersLike: TypeAlias = str | Sequence[str]

#: The network's output, and what enters its classifier; no module paths.
LOGITS, EMBEDDING = "logits", "embedding"

_OFFERED = 5


def layer_names(model: ImageModel | torch.nn.Module) -> list[str]:
    """Every layer of a model that :func:`diptych.embed.activations` takes, in the order of its modules.

    These are the paths of its modules, "logits" for its output, and, where the classifier is known,
    "embedding" for what enters that.
    """
    names = [path for path, _ in _module(model).named_modules(remove_duplicate=False) if path]
    special = [LOGITS]
    if isinstance(model, ImageModel) and model.classifier is not None:
        special.append(EMBEDDING)
    return names + [name for name in special if name not in names]


def layer_set(model: ImageModel | torch.nn.Module, name: str) -> list[str]:
    """The layers of a set.

    ======== ============================ ==========================================================
    set      architecture                 layers
    ======== ============================ ==========================================================
    rsvc     ResNet                       those of "relu"
    rsvc     ViT                          those of "blocks"
    relu     ResNet with ReLU             every ReLU's output but those inside attention modules: stem,
                                          then two (basic) or three (bottleneck) a block; ResNet-18
                                          17, ResNet-34 33, ResNet-50 49, ResNet-101 100
    blocks   ResNet, ViT                  every residual block: ResNet-18 8, ViT-S and ViT-B 12, ViT-L 24
    stages   ResNet, ConvNeXt, Swin       every stage: 4
    ======== ============================ ==========================================================

    "rsvc" are the layers that all pairs are taken of for the layer matrix of RSVC (thesis ch. 3, Table 3.4
    and Fig. 3.6: 17 × 49 = 833 pairs of ResNet-18 and ResNet-50). ResNets are those of timm and of
    torchvision, which calls one ReLU several times a block: "layer1.0.relu:1" is its second call. ViTs are
    timm's transformers with ``blocks``.

    Args:
        model: The model.
        name: "rsvc", "relu", "blocks" or "stages".

    Returns:
        Module paths, from input to output.

    Raises:
        ValueError: There is no such set for the architecture; the message tells which there are.
    """
    module = _module(model)
    kind = _architecture(module)
    found = {} if kind is None else _SETS[kind]
    layers = found[name](module) if name in found else []
    if not layers:
        there = "; ".join(f"{each}: {', '.join(sets)}" for each, sets in _SETS.items())
        what = f"{type(module).__name__}, a {kind}" if kind else f"{type(module).__name__}, of no known kind"
        raise ValueError(f"layers: no set {name!r} for {what}; the sets are {there}")
    return layers


def resolve_layers(model: ImageModel | torch.nn.Module, layers: LayersLike) -> list[str]:
    """Turn names of layers and of sets into layers, each once, in the order they are asked for.

    A set that the architecture has comes before a module of the same name: "blocks" of a ViT are all of its
    blocks. "" is "logits". "path:1" is the second call, counted from 0, of a module that is called several
    times in a forward pass.

    Raises:
        TypeError: Not names.
        ValueError: No names; a layer that does not exist (the nearest names are offered), or a set that the
            architecture has not.
    """
    wanted = [layers] if isinstance(layers, str) else list(layers)
    if not wanted:
        raise ValueError("layers: expected at least one, found none")
    known, sets = layer_names(model), _SETS.get(_architecture(_module(model)) or "", {})
    among = set(known)
    resolved: list[str] = []
    for name in wanted:
        if not isinstance(name, str):
            raise TypeError(f"layers: expected names, found {name!r}")
        if not name:
            resolved.append(LOGITS)
        elif name not in sets and call_of(name)[0] in among:
            resolved.append(name)
        elif name in _SET_NAMES:
            resolved += layer_set(model, name)
        else:
            raise ValueError(_no_layer(name, known))
    return list(dict.fromkeys(resolved))


def one_layer(model: ImageModel, layer: str, name: str) -> str:
    """The one layer that an argument asks for.

    Args:
        model: The model.
        layer: What :func:`resolve_layers` takes.
        name: The argument, for errors.

    Raises:
        TypeError: No name.
        ValueError: A layer that does not exist (the nearest names are offered), or a set of several.
    """
    if not isinstance(layer, str):
        raise TypeError(f"{name}: expected the name of a layer, found {layer!r}")
    try:
        found = resolve_layers(model, layer)
    except ValueError as error:
        raise ValueError(f"{name}: {model.name}: {error}") from error
    if len(found) > 1:
        raise ValueError(f"{name}: expected one layer, found the set {layer!r} of {len(found)}")
    return found[0]


def call_of(layer: str) -> tuple[str, int | None]:
    """Module path of a layer, and which of the module's calls in a forward pass it is, if that is said."""
    match = re.fullmatch(r"(.*):(\d+)", layer)
    return (match[1], int(match[2])) if match else (layer, None)


def _no_layer(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, _OFFERED, 0.5)
    if not near:
        near = [each for each in known if "." not in each][:_OFFERED]
    return (
        f"layers: no layer {name!r}; the nearest are {', '.join(map(repr, near))} "
        f"(diptych.embed.layer_names lists all {len(known)})"
    )


def _module(model: ImageModel | torch.nn.Module) -> torch.nn.Module:
    return model.module if isinstance(model, ImageModel) else model


def _architecture(module: torch.nn.Module) -> str | None:
    """Told by the children's names, which timm and torchvision keep; subclasses of users have them too."""
    children = {name for name, _ in module.named_children()}
    if {"layer1", "layer2", "layer3", "layer4", "conv1"} <= children:
        return "ResNet"
    if "blocks" in children and hasattr(module, "num_prefix_tokens"):
        return "ViT"
    if "stages" in children and "stem" in children:
        return "ConvNeXt"
    if "layers" in children and "patch_embed" in children:
        return "Swin"
    return None


def _resnet_relu(module: torch.nn.Module) -> list[str]:
    """ReLUs of the trunk: not those of a block's attention, whose names are longer."""
    relus = {path for path, each in module.named_modules() if isinstance(each, torch.nn.ReLU)}
    stem = [path for path in relus if re.fullmatch(r"conv1\.\d+", path)]
    found = sorted(stem, key=lambda path: int(path.split(".")[1]))
    found += [path for path in ("act1", "relu") if path in relus]
    for block in _resnet_blocks(module):
        own = sorted(path for path in relus if re.fullmatch(rf"{re.escape(block)}\.act\d", path))
        if f"{block}.relu" in relus:
            calls = sum(re.fullmatch(r"conv\d", name) is not None for name, _ in _children(module, block))
            own = [f"{block}.relu:{call}" for call in range(calls)]
        found += own
    return found


def _resnet_blocks(module: torch.nn.Module) -> list[str]:
    return [f"{stage}.{name}" for stage in _resnet_stages(module) for name, _ in _children(module, stage)]


def _resnet_stages(_: torch.nn.Module) -> list[str]:
    return [f"layer{number}" for number in (1, 2, 3, 4)]


def _children_of(path: str) -> Callable[[torch.nn.Module], list[str]]:
    return lambda module: [f"{path}.{name}" for name, _ in _children(module, path)]


def _children(module: torch.nn.Module, path: str) -> Iterator[tuple[str, torch.nn.Module]]:
    return module.get_submodule(path).named_children()


_SETS: Mapping[str, Mapping[str, Callable[[torch.nn.Module], list[str]]]] = {
    "ResNet": {
        "rsvc": _resnet_relu,
        "relu": _resnet_relu,
        "blocks": _resnet_blocks,
        "stages": _resnet_stages,
    },
    "ViT": {"rsvc": _children_of("blocks"), "blocks": _children_of("blocks")},
    "ConvNeXt": {"stages": _children_of("stages")},
    "Swin": {"stages": _children_of("layers")},
}
_SET_NAMES = frozenset(name for sets in _SETS.values() for name in sets)
