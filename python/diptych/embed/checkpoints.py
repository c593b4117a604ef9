"""Weights of a network in a local file, read without unpickling."""

import hashlib
import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from diptych._text import some
from diptych.embed.stored import bytes_of

_DIGEST_BYTES = 16
_SUFFIXES = (".pt", ".pth", ".bin", ".safetensors")
# Where training programs put the state dict inside what they save.
_NESTED = ("state_dict_ema", "state_dict", "model_state_dict", "model")
_SHOWN = 3


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """Read a state dict.

    Args:
        path: A .safetensors file, or a .pt, .pth or .bin file of :func:`torch.save`, read with
            ``weights_only=True``: a state dict, or what training programs write, with the state dict under
            "state_dict_ema", "state_dict", "model_state_dict" or "model". The "module." before each name
            that data-parallel training adds is taken off.

    Returns:
        Tensors on the CPU by name.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Another ending, a damaged file, one that would need unpickling, one without tensors; the
            message names the file.
    """
    path = Path(path)
    if path.suffix not in _SUFFIXES:
        raise ValueError(f"{path}: expected a checkpoint ending in {', '.join(_SUFFIXES)}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    content = _content(path)
    for key in _NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not content or not all(map(torch.is_tensor, content.values())):
        raise ValueError(
            f"{path}: expected a state dict, tensors by name, found {_described(content)}; "
            "save one by torch.save(model.state_dict(), path)"
        )
    weights = {str(name): tensor for name, tensor in content.items()}
    if all(name.startswith("module.") for name in weights):
        weights = {name.removeprefix("module."): tensor for name, tensor in weights.items()}
    return weights


def load_weights(module: torch.nn.Module, weights: Mapping[str, torch.Tensor], where: str) -> None:
    """Copy weights into a module that has the same names and shapes.

    Raises:
        ValueError: They differ; the message names the first of each kind, and ``where`` they are from.
    """
    own = module.state_dict()
    problems = []
    for said, names in (
        ("missing", [name for name in own if name not in weights]),
        ("not in the model", [name for name in weights if name not in own]),
        (
            "of another shape",
            [
                f"{name} {tuple(weights[name].shape)} for {tuple(tensor.shape)}"
                for name, tensor in own.items()
                if name in weights and weights[name].shape != tensor.shape
            ],
        ),
    ):
        if names:
            problems.append(f"{said}: {some(names, _SHOWN)}")
    if problems:
        raise ValueError(f"{where}: does not fit {type(module).__name__}: {'; '.join(problems)}")
    module.load_state_dict(weights)


def weights_hash(module: torch.nn.Module) -> str:
    """Hash a network: the names, shapes, types and bits of its weights, and its modules as it prints them.

    BLAKE2b, 32 hexadecimal digits. Non-persistent buffers and what a module's repr leaves out do not count.

    Complexity:
        A pass over the weights; one of them copied to the CPU at a time.
    """
    hasher = hashlib.blake2b(re.sub(r" at 0x[0-9a-f]+", "", str(module)).encode(), digest_size=_DIGEST_BYTES)
    for name, tensor in sorted(module.state_dict().items()):
        if not isinstance(tensor, torch.Tensor):
            continue
        hasher.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        hasher.update(bytes_of(tensor.detach().cpu().contiguous()))
    return hasher.hexdigest()


def _content(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path}: holds pickled objects, which could run code when they are loaded, or is damaged; save "
            "the weights alone by torch.save(model.state_dict(), path) or as .safetensors"
        ) from error
    except Exception as error:
        # Each library has its own kinds of error for a damaged file; the user needs the name of the file.
        raise ValueError(
            f"{path}: not a readable checkpoint: {str(error) or type(error).__name__}"
        ) from error


def _described(content: Any) -> str:
    if not isinstance(content, Mapping):
        return type(content).__name__
    return f"a dict of {', '.join(map(str, list(content)[:_SHOWN]))}" if content else "an empty dict"
